package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// TestMain fails if goroutines of this package outlive the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		deadline := time.After(patience)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if !strings.Contains(string(stacks), "edge/http1.(") {
				break
			}
			select {
			case <-tick.C:
				continue
			case <-deadline:
			}
			fmt.Fprintf(os.Stderr, "goroutines have outlived the tests:\n%s", stacks)
			code = 1
			break
		}
	}
	os.Exit(code)
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

// listen hands connections to a loopback address, which it returns, to serve,
// each on its own goroutine; the test waits for them.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	conns := []net.Conn{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// origin serves h with net/http, an implementation that is not ours.
func origin(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// rawOrigin answers the n-th request on each of its connections, as soon as its
// head and content have come, with what answer returns, and then closes the
// connection if that ends in "!close".
func rawOrigin(t testing.TB, answer func(r *http.Request, n int) string) string {
	return listen(t, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			s, closes := strings.CutSuffix(answer(req, n), "!close")
			io.WriteString(c, s)
			if closes {
				return
			}
		}
	})
}

// quick are limits that make the sweep fast.
var quick = http1.Config{Tick: 2 * time.Millisecond}

// serve serves h on a loopback address.
func serve(t testing.TB, h edge.Handler, cfg http1.Config) (*http1.Server, string) {
	t.Helper()
	s := http1.NewServer(h, cfg, slog.New(slog.DiscardHandler))
	addr := listen(t, func(c net.Conn) { s.ServeConn(c, clientOf(c)) })
	t.Cleanup(s.Close)
	return s, addr
}

func clientOf(c net.Conn) edge.Client {
	return edge.NewClient(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()), nil)
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// proxy serves h, quickly swept.
func proxy(t testing.TB, h edge.Handler) string {
	t.Helper()
	_, addr := serve(t, h, quick)
	return addr
}

// transport forwards to addr.
func transport(t testing.TB, addr string) *http1.Transport {
	tr := http1.NewTransport("tcp", addr, http1.TransportConfig{})
	t.Cleanup(tr.Retire)
	return tr
}

// client speaks HTTP/1.1 in the raw.
type client struct {
	net.Conn
	t testing.TB
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
	return &client{c, t, bufio.NewReader(c)}
}

func (c *client) say(s string) { io.WriteString(c.Conn, s) }

func (c *client) closeWrite() { c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// head reads a head; method is that of the request.
func (c *client) head(method string) *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal("read a response: ", err)
	}
	return res
}

// whole reads a response to GET, which has to be complete.
func (c *client) whole() (*http.Response, string) {
	c.t.Helper()
	res := c.head("GET")
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal("read the content: ", err)
	}
	return res, string(b)
}

// closed reads on until the server closes, and returns what it got.
func (c *client) closed() string {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil && os.IsTimeout(err) {
		c.t.Fatal("the connection stays open")
	}
	return string(b)
}

// ask sends a request on a connection of its own and returns the response.
func ask(t testing.TB, addr, request string) (*http.Response, string) {
	t.Helper()
	c := dial(t, addr)
	c.say(request)
	return c.whole()
}

// fixed answers with a status and content.
func fixed(status int, content string) edge.Handler {
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(status, edge.Content([]byte(content)), int64(len(content)))
		return nil
	})
}

// records is a filter whose ender tells what became of each exchange. Being the
// first filter it ends last, and still reads the response's fields.
type records chan record

type record struct {
	err                    error
	why, server            string
	status, tries          int
	received, sent, waited int64
}

func (r records) Filter(x *edge.Exchange, next edge.Handler) error {
	x.OnEnd(r)
	return next.Serve(x)
}

func (r records) End(x *edge.Exchange) {
	rec := &x.Record
	r <- record{rec.Err, rec.Why, strings.Clone(x.Response.Fields.Get("Server")), x.Response.Status, rec.Tries, rec.Received, rec.Sent, int64(rec.Waited)}
}

func (r records) wait(t testing.TB) record {
	t.Helper()
	select {
	case rec := <-r:
		return rec
	case <-time.After(patience):
		t.Fatal("the exchange does not end")
	}
	panic("unreachable")
}

// through wraps both bodies, as a filter of content does.
var through = edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
	if x.Request.Body != nil {
		x.Request.Body = wrapped{x.Request.Body}
	}
	if err := next.Serve(x); err != nil {
		return err
	}
	if x.Response.Body != nil {
		x.Response.Body = wrapped{x.Response.Body}
	}
	return nil
})

type wrapped struct{ edge.Body }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
