package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	fn "github.com/sluice-edge/sluice/filters/function"
)

const released = `
admin: off
log: { access: off }
sites:
  "http://127.0.0.1:0":
    name: s
    routes:
      /:      function:f
      /upper: { to: function:f, filters: [upper] }
      /trap:  { to: function:f, filters: [trap] }
      /deny:  { to: function:f, filters: [deny] }
      /cache: { to: function:f, cache: 1s, fields: { request: { set: { X-A: b } } } }
functions: { f: { wasm: f.wasm, timeout: 20s } }
filters:
  upper: { wasm: upper.wasm, timeout: 20s, body: 16MB }
  trap:  { wasm: trap.wasm, timeout: 20s }
  deny:  { wasm: deny.wasm, timeout: 20s }
`

// Every version of a function is let go exactly once, with all that it held: whether
// its answers are read, broken off, replaced by a filter or never asked for, and
// whatever is uploaded meanwhile.
func TestVersionsAreReleased(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("..", "..", "wasm-testdata", name, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for file, name := range map[string]string{"f": "script", "upper": "upper-buffered", "trap": "trap-response", "deny": "deny"} {
		if err := os.WriteFile(filepath.Join(dir, file+".wasm"), read(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(released+"state: "+filepath.Join(dir, "state")+"\n"), config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	s, problems, err := New(file, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil || problems.Failed() {
		t.Fatal(problems, err)
	}
	defer s.Close()
	addr := strings.TrimPrefix(s.Addresses()[0], "http://")
	live := func() *deployment[*fn.Function] {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, f := range s.shared.functions {
			return f.live.current.Load()
		}
		return nil
	}

	versions := []*deployment[*fn.Function]{live()}
	stop := make(chan struct{})
	var clients, uploads sync.WaitGroup
	uploads.Go(func() {
		modules := [][]byte{read("environ"), read("script")}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, _, err := s.PushFunction(context.Background(), "f", bytes.NewReader(modules[i%2]), api.Use{}); err != nil {
				t.Errorf("upload: %v", err)
				return
			}
			versions = append(versions, live())
		}
	})
	for i := range 6 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		clients.Go(func() {
			for range 60 {
				path := []string{"/", "/upper", "/trap", "/deny", "/cache"}[random.IntN(5)]
				does := []string{"ho", "hw200", "hw1s5w900", "hs20w1", "ht", "t", "hc", "hCs1w2000"}[random.IntN(8)]
				if err := ask(addr, random.IntN(3), path+"?"+does, random.IntN(300<<10)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	uploads.Wait()

	deadline := time.Now().Add(20 * time.Second) // sockets are closed by goroutines of their own
	for i, v := range versions {
		want := int64(0)
		if v == live() {
			want = 1
		}
		for v.users.Load() != want && time.Now().Before(deadline) {
			<-time.After(time.Millisecond)
		}
		if n, st := v.users.Load(), v.main().guest.Stats(); n != want || st.Instances != 0 || st.Bytes != 0 && v != live() {
			t.Errorf("version %d, the %d. of %d: %d users, want %d; %d instances of %d bytes", v.main().number, i, len(versions), n, want, st.Instances, st.Bytes)
		}
	}
}

// ask sends a request, and breaks it off in one of two places or not at all, once it
// has so many bytes of the answer.
func ask(addr string, breaks int, target string, enough int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	length := 5
	if breaks == 1 {
		length = 6 // one never comes
	}
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\nhello", target, length); err != nil {
		return err
	}
	if breaks == 1 {
		c.SetReadDeadline(time.Now().Add(time.Duration(enough%20) * time.Millisecond))
		io.CopyN(io.Discard, c, int64(enough))
		return nil
	}
	if breaks == 2 {
		io.CopyN(io.Discard, c, int64(enough))
		return nil
	}
	_, err = io.Copy(io.Discard, c)
	return err
}
