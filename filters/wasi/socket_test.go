package wasi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// patience is how long a test waits for what has to happen.
const patience = 60 * time.Second

// serve serves f on a loopback address with the HTTP/1 engine.
func serve(t testing.TB, f edge.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := http1.NewServer(f, http1.Config{Tick: 2 * time.Millisecond}, quiet)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			client := edge.NewClient(c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort(), nil)
			wg.Go(func() { s.ServeConn(c, client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{c, bufio.NewReader(c)}
}

// get asks for the script, and returns the response when its head has come.
func (c *client) get(t testing.TB, method, script string) *http.Response {
	t.Helper()
	fmt.Fprintf(c, "%s /?%s HTTP/1.1\r\nHost: example.org\r\n\r\n", method, script)
	return c.response(t, method)
}

func (c *client) response(t testing.TB, method string) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never happened: ", what)
		}
	}
}

func TestOverHTTP(t *testing.T) {
	f := load(t, "script", Config{Timeout: patience})
	c := dial(t, serve(t, f))
	check := func(method, script string, status int, length int64, body string) {
		t.Helper()
		res := c.get(t, method, script)
		b, err := io.ReadAll(res.Body)
		if res.StatusCode != status || res.ContentLength != length || string(b) != body || err != nil || res.Close {
			t.Errorf("%s %s: got %d, length %d, %.40q, %v, close %v", method, script, res.StatusCode, res.ContentLength, b, err, res.Close)
		}
	}
	check("GET", "ho", 200, 2, "ok")
	check("HEAD", "ho", 200, 2, "")
	check("GET", "hos1o", 200, -1, "okok")
	check("HEAD", "hos3000000", 200, -1, "")
	check("GET", "t", 500, 26, "500 Internal Server Error\n")
	check("GET", "o", 502, 16, "502 Bad Gateway\n")
	check("GET", "hM10", 200, -1, strings.Repeat("\x00", 10*64<<10))

	// What fails later is cut, so that no client takes it for whole.
	res := c.get(t, "GET", "hM10t")
	b, err := io.ReadAll(res.Body)
	if err == nil || len(b) != 10*64<<10 {
		t.Errorf("a response that is cut ends after %d bytes with %v", len(b), err)
	}
}

// A function that answers while it is asked: each piece goes there and back
// before the next is sent.
func TestEcho(t *testing.T) {
	f := load(t, "script", Config{})
	c := dial(t, serve(t, f))
	fmt.Fprint(c, "POST /?hc HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n")
	res := c.response(t, "POST") // before any content
	for i := range 20 {
		piece := fmt.Sprintf("piece %02d", i)
		fmt.Fprintf(c, "8\r\n%s\r\n", piece)
		got := make([]byte, 8)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != piece {
			t.Fatalf("got %q, %v, want %q", got, err, piece)
		}
	}
	fmt.Fprint(c, "0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
}

// A gigabyte goes through what a piece takes. That the client may be slow is shown
// by TestTime.
func TestGigabyte(t *testing.T) {
	pieces := 16 << 10 // of 64 KiB
	if edge.Poisons {
		pieces = 1 << 10 // under -race
	}
	f := load(t, "script", Config{})
	c := dial(t, serve(t, f))
	c.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	res := c.get(t, "GET", fmt.Sprintf("hM%d", pieces))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, total := heap(), int64(0)
	for buf, n := make([]byte, 64<<10), 0; ; n++ {
		m, err := res.Body.Read(buf)
		total += int64(m)
		if n%4096 == 4095 {
			if now := heap(); now > before+(4<<20) {
				t.Fatalf("after %d bytes the heap has grown from %d to %d", total, before, now)
			}
		}
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if total != int64(pieces)*64<<10 {
		t.Errorf("%d bytes have come", total)
	}
	eventually(t, "the instance is gone", func() bool { return f.Stats().Instances == 0 })
}

// Clients that leave stop their guests: one that runs, one that sleeps, one that
// waits for the client.
func TestClientLeaves(t *testing.T) {
	f := load(t, "script", Config{Timeout: time.Hour})
	addr := serve(t, f)
	for _, script := range []string{"l", "s3000000", "hol", "hos3000000", "hM1000000"} {
		c := dial(t, addr)
		fmt.Fprintf(c, "GET /?%s HTTP/1.1\r\nHost: example.org\r\n\r\n", script)
		eventually(t, script+" runs", func() bool { return f.Stats().Instances == 1 })
		c.Close()
		eventually(t, script+" is stopped", func() bool { return f.Stats().Instances == 0 })
	}
	c := dial(t, addr) // one that would send more
	fmt.Fprint(c, "POST /?hc HTTP/1.1\r\nHost: example.org\r\nContent-Length: 10\r\n\r\nfive ")
	eventually(t, "the function runs", func() bool { return f.Stats().Instances == 1 })
	c.Close()
	eventually(t, "the function is stopped", func() bool { return f.Stats().Instances == 0 })
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) {
		t.Errorf("stats are %+v", s)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	f := load(t, "script", Config{Name: "hello", Version: 2, Log: slog.New(slog.NewTextHandler(&out, nil)), LogBytes: 100})
	_, next, stop, _ := f.Journal().Follow()
	defer stop()
	if _, err := run(t, f, "hoe", ""); err != nil {
		t.Fatal(err)
	}
	if l := <-next; l.Text != "oops" || l.ID != "id-1" || l.Version != 2 {
		t.Errorf("line is %+v", l)
	}
	// Control characters are quoted, and what is too much is left out.
	if _, err := run(t, f, "hoE10000", ""); err != nil {
		t.Fatal(err)
	}
	lines := f.Journal().Lines()
	if n := len(lines); n != 1+11+1+1 || lines[1].Text != `\x1b[31mred` || lines[n-1].Text != "... (the rest is left out)" {
		t.Errorf("%d lines are kept: %+v", n, lines)
	}
	if _, err := run(t, f, "t", ""); err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`level=INFO msg="function says" function=hello version=2 text=oops id=id-1`,
		`level=WARN msg="function failed" function=hello version=2 cause=trap err="call _start: trap: unreachable`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not logged: %s\nlogged are\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("an escape is logged as it is")
	}
}
