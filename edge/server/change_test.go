package server_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// The test below is a soak test with larger numbers:
//
//	go test ./edge/server -run TestNothingIsCut -v -args -requests 100000 -reloads 200 -uploads 50
var (
	requests = flag.Int("requests", 4000, "of TestNothingIsCut")
	reloads  = flag.Int("reloads", 20, "of TestNothingIsCut")
	uploads  = flag.Int("uploads", 10, "of TestNothingIsCut")
	tunnels  = flag.Int("tunnels", 20, "of TestNothingIsCut")
)

const changing = `
admin: off
log: { access: off }
sites:
  "http://*:PORT":
    name: s
    filters: [f]
    routes:
      /:      { to: one, $CACHE }
      /ws:    one
      /half:  { split: { one: 50%, two: 50% }, by: chance }
upstreams:
  one: { endpoints: ["$ONE"], connections: { idle: $IDLE } }
  two: "$TWO"
filters:
  f: { wasm: f.wasm, config: $CONFIG, timeout: 10s } # of the clock: tests run on busy machines
  g: { wasm: uploaded, timeout: 10s }
`

// While the configuration is loaded again and again and modules are uploaded, no
// request fails and no tunnel is cut; and afterwards nothing has been left behind.
func TestNothingIsCut(t *testing.T) {
	one, two := origin(t, echoing), origin(t, echoing)
	at := port(t)
	vars := func(i int) []string {
		// Cache, pool and filter come and go.
		return []string{"PORT", at[strings.LastIndexByte(at, ':')+1:], "$ONE", one, "$TWO", two,
			"$CACHE", []string{"cache: off", "cache: 1s"}[i%2], "$IDLE", fmt.Sprint(16 + i%3), "$CONFIG", fmt.Sprint(i % 5)}
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/f.wasm", module(t, "hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, changing, vars(0)...)
	p.access.only = `"error"`
	url := "http://" + at

	// Warm, and with everything once: what is measured then is to stay.
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	client := &http.Client{Transport: transport}
	for i := range 5 {
		p.apply(changing, vars(i)...)
		get(t, client, url+"/half")
		get(t, client, url+"/warm")
	}
	p.apply(changing, vars(0)...)
	transport.CloseIdleConnections()
	before := measure()

	var open sync.WaitGroup // tunnels
	stop := make(chan struct{})
	var echoes atomic.Int64
	for i := range *tunnels {
		c := upgrade(t, at)
		open.Go(func() {
			defer c.Close()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := c.echo(fmt.Sprintf("tunnel %d, message %d\n", i, n)); err != nil {
					t.Errorf("tunnel %d is cut after %d messages: %v", i, n, err)
					return
				}
				echoes.Add(1)
			}
		})
	}

	const users = 8
	var next atomic.Int64
	due := make(chan int, *reloads) // changes, spread over the requests, which wait for none
	var clients sync.WaitGroup
	for range users {
		clients.Go(func() {
			for n := next.Add(1); n <= int64(*requests) && !t.Failed(); n = next.Add(1) {
				if every := int64(*requests / *reloads); n%every == 0 && n/every <= int64(*reloads) {
					due <- int(n / every)
				}
				path := fmt.Sprintf("/r%d", n%1000) // so that the cache is full soon
				if n%4 == 0 {
					path = "/half?" + path[1:]
				}
				if err := one200(client, url+path); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
			}
		})
	}
	go func() {
		clients.Wait()
		close(due)
	}()
	modules := [][]byte{module(t, "hello"), module(t, "header-set")}
	pushed := 0
	for i := range due {
		p.apply(changing, vars(i)...)
		if i**uploads / *reloads > pushed {
			if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(modules[pushed%len(modules)]), api.Use{}); err != nil {
				t.Errorf("upload: %v", err)
			}
			// Overlays come on top, and hold through the reloads.
			if _, _, err := p.PushFilter(context.Background(), "g", bytes.NewReader(modules[1]), api.Use{Route: "s/half", Config: fmt.Sprint(pushed)}); err != nil {
				t.Errorf("upload: %v", err)
			}
			if _, err := p.PatchRoute("s/half", map[string]any{"timeout": fmt.Sprintf("%ds", 60+pushed)}, api.Change{}); err != nil {
				t.Errorf("overlay: %v", err)
			}
			pushed++
		}
	}
	if c, err := p.Configuration(); err != nil || len(c.Overlays) != 2 || !strings.Contains(c.Effective[0].Text, fmt.Sprintf("timeout: %ds", 59+pushed)) {
		t.Errorf("overlays %+v, %v", c.Overlays, err)
	}
	close(stop)
	open.Wait()
	if t.Failed() {
		p.access.mu.Lock()
		for line := range strings.Lines(p.access.text.String()) {
			t.Log(line)
		}
		p.access.mu.Unlock()
	}
	t.Logf("%d requests and %d echoes in %d tunnels, %d reloads, %d uploads", *requests, echoes.Load(), *tunnels, *reloads, pushed)

	p.apply(changing, vars(0)...)
	transport.CloseIdleConnections()
	// Two pools may keep a connection for each of the clients, with an end and a
	// goroutine of the origin.
	const goroutines, descriptors = 2*users + 4, 2*2*users + 4
	after := measure()
	for i := 0; (after.goroutines > before.goroutines+goroutines || after.descriptors > before.descriptors+descriptors) && i < 400; i++ {
		runtime.Gosched()
		<-time.After(10 * time.Millisecond) // connections are closed by both sides' goroutines
		after = measure()
	}
	t.Logf("before: %+v; after: %+v", before, after)
	if after.goroutines > before.goroutines+goroutines || after.descriptors > before.descriptors+descriptors {
		t.Errorf("left behind: %+v became %+v", before, after)
	}
	if after.heap > before.heap+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", before.heap, after.heap)
	}
}

// usage is what the process holds.
type usage struct {
	goroutines, descriptors int
	heap                    uint64 // bytes in use after a collection
}

func measure() usage {
	runtime.GC()
	runtime.GC() // finalizers of the first free what the second collects
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd")
	return usage{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

func one200(c *http.Client, url string) error {
	res, err := c.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != 200:
		return fmt.Errorf("status %d: %s", res.StatusCode, b)
	case !strings.HasSuffix(url, string(b)):
		return fmt.Errorf("%q is the content of another", b)
	}
	return nil
}

// echoing answers with the target, and echoes lines once it is upgraded.
func echoing(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		io.WriteString(w, r.URL.RequestURI())
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(c, rw)
}

// tunnel is an upgraded connection.
type tunnel struct {
	net.Conn
	r *bufio.Reader
}

func upgrade(t testing.TB, addr string) *tunnel {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	return &tunnel{c, r}
}

func (c *tunnel) echo(line string) error {
	if _, err := io.WriteString(c, line); err != nil {
		return err
	}
	back, err := c.r.ReadString('\n')
	if err == nil && back != line {
		err = fmt.Errorf("%q came back as %q", line, back)
	}
	return err
}
