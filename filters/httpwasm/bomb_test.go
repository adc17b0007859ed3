package httpwasm

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// behind is a handler with a filter before /bomb, and none before the rest.
func behind(f *Filter) edge.Handler {
	o := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, edge.Content([]byte("fine")), 4)
		return nil
	})
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Path == "/bomb" {
			return f.Filter(x, o)
		}
		return o.Serve(x)
	})
}

func (c *client) send(t testing.TB, path string) {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// status reads a response.
func (c *client) status(t testing.TB) (int, string) {
	t.Helper()
	res := c.response(t, http.MethodGet)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(b)
}

// Guests that do not end: other requests are answered while they run, until their time
// is over. A machine that is busy elsewhere is given another try, with more time.
func TestServesWhileGuestsRun(t *testing.T) {
	check := func(guest string) {
		t.Run(guest, func(t *testing.T) {
			for limit := 100 * time.Millisecond; ; limit *= 4 {
				if limit > patience {
					t.Fatal("nothing is answered while the guest runs")
				}
				if servesMeanwhile(t, guest, limit) {
					return
				}
			}
		})
	}
	check("spin")
	check("spin-calls")
	check("storm")
}

func servesMeanwhile(t *testing.T, guest string, limit time.Duration) (served bool) {
	var out bytes.Buffer
	f := load(t, guest, Config{Timeout: limit, LogBytes: 100, Log: slog.New(slog.NewTextHandler(&out, nil))})
	addr := serve(t, behind(f))
	bomb, other := dial(t, addr), dial(t, addr)
	bomb.send(t, "/bomb")
	eventually(t, "the guest runs", func() bool { s := f.Stats(); return s.Instances == 1 || s.Failures[wasm.TimedOut] == 1 })
	for range 3 {
		other.send(t, "/")
		if status, body := other.status(t); status != 200 || body != "fine" {
			t.Errorf("another request: %d %q", status, body)
		}
	}
	s := f.Stats()
	served = s.Instances == 1 && s.Failures[wasm.TimedOut] == 0
	if status, _ := bomb.status(t); status != 500 {
		t.Errorf("the guest's request: %d", status)
	}
	if s := f.Stats(); s.Failures[wasm.TimedOut] != 1 || s.Instances != 0 {
		t.Errorf("stats are %+v", s)
	}
	if said := strings.Count(out.String(), "storm"); said > 20 {
		t.Errorf("%d times it is logged", said)
	}
	return served
}

// Guests that fail in each way, again and again on one connection, while others are
// served on another: each is an answer, and the connection lives on.
func TestServesWhileGuestsFail(t *testing.T) {
	check := func(guest string, status int) {
		t.Helper()
		f := load(t, guest, Config{Memory: 4 << 20})
		addr := serve(t, behind(f))
		bomb, other := dial(t, addr), dial(t, addr)
		for range 3 {
			bomb.send(t, "/bomb")
			other.send(t, "/")
			if got, _ := bomb.status(t); got != status {
				t.Errorf("%s: %d, want %d", guest, got, status)
			}
			if got, body := other.status(t); got != 200 || body != "fine" {
				t.Errorf("%s: another request: %d %q", guest, got, body)
			}
		}
		if s := f.Stats(); s.Calls != 3 || s.Instances != 0 {
			t.Errorf("%s: stats are %+v", guest, s)
		}
	}
	for _, guest := range []string{"trap", "trap-response", "exit", "recursion", "bad-pointer", "late", "half-done"} {
		check(guest, 500)
	}
	check("grow", 200+64/8) // as much as there is, again each time
	check("table-bomb", 300)
	check("hello", 200)
}

// What is cut anywhere, or says that it is longer than it is, is refused.
func TestDamaged(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	refused := func(what string, at int, binary []byte) {
		t.Helper()
		f, err := Load(context.Background(), e, binary, Config{Log: quiet})
		if err == nil {
			f.Close()
			t.Errorf("%s at %d is accepted", what, at)
		}
	}
	whole, data := guests.Read(t, "counter"), 0
	for at := 8; at < len(whole); { // a section: its id, its size, which is less than 128, or two bytes
		size, n := int(whole[at+1]), 2
		if size >= 128 {
			size, n = size&127|int(whole[at+2])<<7, 3
		}
		for _, lie := range [][]byte{{0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80}} {
			b := append(append(append([]byte{}, whole[:at+1]...), lie...), whole[at+n:]...)
			refused("a section of another size", at, b)
		}
		if whole[at] == 11 {
			data = at
		}
		at += n + size
	}
	for i := range whole {
		if i != data { // without data it is a module still
			refused("a module cut", i, whole[:i])
		}
	}
}

// Many functions are no fault.
func TestManyFunctions(t *testing.T) {
	const many = 10_000
	x := request("GET", "/", nil, 0)
	defer x.End()
	run(t, loadBytes(t, withFunctions(guests.Read(t, "hello"), many), Config{}), x, &origin{})
	if got := x.Response.Fields.Get("x-sluice-filter"); got != "hello v1" {
		t.Errorf("field is %q", got)
	}
}

// withFunctions returns a module with n more functions, of the type of its last one,
// which do nothing.
func withFunctions(module []byte, n int) []byte {
	number := func(b []byte) (v, size int) {
		for shift := 0; ; shift += 7 {
			c := b[size]
			v |= int(c&127) << shift
			if size++; c < 128 {
				return v, size
			}
		}
	}
	out := append([]byte{}, module[:8]...)
	for at := 8; at < len(module); {
		id := module[at]
		size, k := number(module[at+1:])
		body := module[at+1+k : at+1+k+size]
		at += 1 + k + size
		if id == 3 || id == 10 { // functions and their code: a count, and one after the other
			have, k := number(body)
			more := bytes.Repeat(map[byte][]byte{3: {body[len(body)-1]}, 10: {3, 0, 0, 0x0b}}[id], n)
			body = append(append(unsigned(have+n), body[k:]...), more...)
		}
		out = append(append(append(out, id), unsigned(len(body))...), body...)
	}
	return out
}

// unsigned returns v in LEB128.
func unsigned(v int) (b []byte) {
	for ; v > 127; v >>= 7 {
		b = append(b, byte(v)|128)
	}
	return append(b, byte(v))
}
