package httpwasm

import (
	"bufio"
	"fmt"
	"io"
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
	return serveWith(t, http1.NewServer(f, http1.Config{Tick: 2 * time.Millisecond}, quiet))
}

// engine is the server of a version of HTTP.
type engine interface {
	ServeConn(c net.Conn, client edge.Client)
	Close()
}

func serveWith(t testing.TB, s engine) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
	*net.TCPConn
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
	return &client{c.(*net.TCPConn), bufio.NewReader(c)}
}

// ask sends the head of a request for a row of letters.
func (c *client) ask(method, letters string, fields ...string) {
	fmt.Fprintf(c, "%s /?%s HTTP/1.1\r\nHost: example.org\r\n%s\r\n", method, letters, strings.Join(append(fields, ""), "\r\n"))
}

// response returns the response when its head has come.
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

func TestFunctionOverHTTP(t *testing.T) {
	f := answers(t, Config{Timeout: patience})
	c := dial(t, serve(t, f))
	check := func(method, letters string, status int, length int64, body, sum string) {
		t.Helper()
		c.ask(method, letters)
		res := c.response(t, method)
		b, err := io.ReadAll(res.Body)
		if res.StatusCode != status || res.ContentLength != length || string(b) != body || err != nil || res.Close || res.Trailer.Get("X-Sum") != sum {
			t.Errorf("%s %s: got %d, length %d, %.40q, %v, close %v, trailers %v", method, letters, res.StatusCode, res.ContentLength, b, err, res.Close, res.Trailer)
		}
	}
	check("GET", "o", 200, 2, "ok", "")
	check("HEAD", "o", 200, 2, "", "")
	check("GET", "os1o", 200, -1, "okok", "")
	check("HEAD", "os3000000", 200, -1, "", "")
	check("GET", "t", 500, 26, "500 Internal Server Error\n", "")
	check("GET", "M10", 200, -1, strings.Repeat("\x00", 10*64<<10), "")
	check("GET", "L655360M10", 200, 10*64<<10, strings.Repeat("\x00", 10*64<<10), "")
	check("GET", "Tor", 200, -1, "ok", "42")
	check("GET", "Tos1r", 200, -1, "ok", "42")
	check("GET", "Tr", 200, -1, "", "42")

	// Trailers of the request.
	c.ask("POST", "Tdq", "Transfer-Encoding: chunked", "Trailer: X-Sum")
	fmt.Fprint(c, "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
	if b, err := io.ReadAll(c.response(t, "POST").Body); string(b) != "7" || err != nil {
		t.Errorf("the request's trailer is %q, %v", b, err)
	}
}

// A guest that writes and then fails: the client sees a message that is cut, whether
// its length is told or not, and never a whole one.
func TestFunctionFailsInTheMiddle(t *testing.T) {
	f := answers(t, Config{Timeout: patience})
	addr := serve(t, f)
	for _, c := range []struct {
		letters string
		least   int // bytes
	}{{"M10t", 10 * 64 << 10}, {"os1t", 2}, {"L655360M9t", 9 * 64 << 10}, {"L655360M9", 9 * 64 << 10}, {"w40S500", 40 << 10}, {"w32n", 32 << 10}, {"Tros1t", 2}} {
		cl := dial(t, addr)
		cl.ask("GET", c.letters)
		res := cl.response(t, "GET")
		b, err := io.ReadAll(res.Body)
		if err == nil || res.StatusCode != 200 || len(b) > c.least {
			t.Errorf("%s: %d ends after %d bytes with %v", c.letters, res.StatusCode, len(b), err)
		}
		if rest, err := io.ReadAll(cl.r); len(rest) != 0 || err != nil {
			t.Errorf("%s: %q follows, %v", c.letters, rest, err)
		}
	}
}

// A function that answers while it is asked: each piece goes there and back before the
// next is sent.
func TestFunctionEcho(t *testing.T) {
	f := answers(t, Config{})
	c := dial(t, serve(t, f))
	c.ask("POST", "ec", "Transfer-Encoding: chunked")
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

// mebibytes is how much goes through.
func mebibytes() int64 {
	if edge.Poisons {
		return 256 // under -race
	}
	return 1024
}

// heldBelow fails the test if the heap has grown by more than a few buffers. It is
// called while content goes through.
func heldBelow(t testing.TB, most int64) func(done int64) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, next := heap(), int64(32<<20)
	return func(done int64) {
		if done < next {
			return
		}
		next += 32 << 20
		if now := heap(); now > before+most {
			t.Errorf("after %d bytes the heap has grown from %d to %d", done, before, now)
			next = 1 << 62
		}
	}
}

// A gigabyte goes through what a piece takes, in each direction, and in both at once.
func TestFunctionGigabyte(t *testing.T) {
	f := answers(t, Config{Timeout: 10 * patience, Memory: 4 << 20})
	addr := serve(t, f)
	total := mebibytes() << 20
	check := func(letters string, up, down int64) {
		t.Helper()
		c := dial(t, addr)
		c.SetDeadline(time.Now().Add(10 * patience))
		c.SetReadBuffer(32 << 10)
		held := heldBelow(t, 4<<20)
		var sender sync.WaitGroup
		if up > 0 {
			c.ask("POST", letters, fmt.Sprintf("Content-Length: %d", up))
			sender.Go(func() {
				for buf := make([]byte, 64<<10); up > 0; up -= int64(len(buf)) {
					if _, err := c.Write(buf); err != nil {
						t.Errorf("%s: with %d bytes left: %v", letters, up, err)
						c.Close()
						return
					}
					if down == 0 {
						held(total - up)
					}
				}
			})
		} else {
			c.ask("GET", letters)
		}
		defer sender.Wait()
		if down == 0 {
			sender.Wait()
		}
		res, got := c.response(t, "POST"), int64(0)
		for buf := make([]byte, 64<<10); ; {
			n, err := res.Body.Read(buf)
			got += int64(n)
			held(got)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: after %d bytes: %v", letters, got, err)
			}
		}
		if down == 0 && res.ContentLength == 2 {
			got -= 2 // "ok"
		}
		if got != down {
			t.Errorf("%s: %d bytes have come, want %d", letters, got, down)
		}
		if s := f.Stats(); s.Bytes > 4<<20 {
			t.Errorf("%s: instances hold %d bytes", letters, s.Bytes)
		}
	}
	check(fmt.Sprintf("M%d", total/(64<<10)), 0, total)
	check("do", total, 0)
	check("c", total, total)
	eventually(t, "the instances are gone", func() bool { return f.Stats().Instances == 0 })
	if s := f.Stats(); s.Calls != 3 || s.Failures != ([wasm.Causes]uint64{}) {
		t.Errorf("stats are %+v", s)
	}
}

// Clients that leave stop their guests: one that runs, one that sleeps, one that waits
// for the client to read, one that waits for it to send.
func TestFunctionClientLeaves(t *testing.T) {
	f := answers(t, Config{Timeout: time.Hour})
	addr := serve(t, f)
	check := func(method, letters string, more ...string) {
		t.Helper()
		c := dial(t, addr)
		c.ask(method, letters, more...)
		eventually(t, letters+" runs", func() bool { return f.Stats().Instances == 1 })
		if len(more) > 0 {
			fmt.Fprint(c, "five ")
		}
		c.Close()
		eventually(t, letters+" is stopped", func() bool { return f.Stats().Instances == 0 })
	}
	for _, letters := range []string{"l", "s3000000", "ol", "os3000000", "M1000000"} {
		check("GET", letters)
	}
	check("POST", "d", "Content-Length: 10")
	check("POST", "ec", "Content-Length: 10")
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) {
		t.Errorf("stats are %+v", s)
	}
}
