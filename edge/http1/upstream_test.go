package http1_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

// A connection that the origin has closed while it was idle costs a request that
// can be repeated nothing, whether that is seen before the request or after.
func TestStaleConnection(t *testing.T) {
	var seen atomic.Int64
	left := make(chan struct{}, 10)
	o := listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for n := range 2 {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			if n == 1 {
				seen.Add(1)
				c.Close() // without a word
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if req.URL.Path == "/leave" {
				c.Close() // without having said so
				left <- struct{}{}
				return
			}
		}
	})
	for _, test := range []struct {
		request string
		status  int
		tries   int
	}{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, 2},
		{"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 200, 2},
		// RFC 9110, section 9.2.2: the origin may have done what it says.
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 502, 1},
		// This content is gone when it has been sent.
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 502, 1},
	} {
		rec := make(records, 2)
		tr := transport(t, o)
		c := dial(t, proxy(t, edge.Chain(tr, rec)))
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.whole()
		rec.wait(t)
		before := seen.Load()
		c.say(test.request)
		if res, _ := c.whole(); res.StatusCode != test.status {
			t.Errorf("%q: got %s, want %d", test.request, res.Status, test.status)
		}
		r := rec.wait(t)
		if r.tries != test.tries || seen.Load() != before+1 {
			t.Errorf("%q: %d tries, want %d", test.request, r.tries, test.tries)
		}
		if r.err != nil && edge.AsError(r.err).Retryable {
			t.Errorf("%q: may be sent again: %v", test.request, r.err)
		}
	}
	// A close that can be seen is seen: nothing is tried on that connection.
	rec := make(records, 2)
	tr := transport(t, o)
	c := dial(t, proxy(t, edge.Chain(tr, rec)))
	for range 3 {
		c.say("POST /leave HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		if res, b := c.whole(); b != "ok" {
			t.Fatal(res, b)
		}
		if r := rec.wait(t); r.tries != 1 {
			t.Errorf("%d tries, want 1", r.tries)
		}
		<-left
	}
}

// A fresh connection is not tried again, and an origin that has read the request
// makes it not retryable.
func TestFreshConnectionFails(t *testing.T) {
	var requests atomic.Int64
	o := listen(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		requests.Add(1)
		c.Close()
	})
	rec := make(records, 1)
	res, _ := ask(t, proxy(t, edge.Chain(transport(t, o), rec)), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	r := rec.wait(t)
	if res.StatusCode != 502 || r.why != "upstream-cut" || edge.AsError(r.err).Retryable || requests.Load() != 1 {
		t.Errorf("got %s, %d requests, %v", res.Status, requests.Load(), r.err)
	}
}

// An origin that may have seen the request once, and is gone when it is sent
// again: nobody may take it for unseen.
func TestOriginStops(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 4096)
		c.Read(b)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Read(b)
		l.Close()
		c.Close()
	}()
	rec := make(records, 1)
	c := dial(t, proxy(t, edge.Chain(transport(t, l.Addr().String()), rec)))
	for _, status := range []int{200, 502} {
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if res, _ := c.whole(); res.StatusCode != status {
			t.Errorf("got %s, want %d", res.Status, status)
		}
		if r := rec.wait(t); status == 502 && (edge.AsError(r.err).Kind != edge.ConnectionRefused || edge.AsError(r.err).Retryable) {
			t.Errorf("got %v, retryable %v", r.err, edge.AsError(r.err).Retryable)
		}
	}
}

func TestConnectFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, test := range []struct {
		network, addr string
		kind          edge.Kind
		status        int
	}{
		{"tcp", l.Addr().String(), edge.ConnectionRefused, 502},
		{"unix", filepath.Join(t.TempDir(), "none"), edge.DestinationUnavailable, 503},
	} {
		rec := make(records, 1)
		tr := http1.NewTransport(test.network, test.addr, http1.TransportConfig{})
		res, _ := ask(t, proxy(t, edge.Chain(tr, rec)), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		e := edge.AsError(rec.wait(t).err)
		if res.StatusCode != test.status || e.Kind != test.kind || !e.Retryable {
			t.Errorf("%s: got %s, %v, retryable %v", test.network, res.Status, e, e.Retryable)
		}
		if !strings.Contains(res.Header.Get("Proxy-Status"), test.kind.String()) {
			t.Errorf("%s: %v", test.network, res.Header)
		}
	}
}

func TestUnixEndpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	o := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })}
	go o.Serve(l)
	defer o.Close()
	tr := http1.NewTransport("unix", path, http1.TransportConfig{})
	defer tr.Retire()
	c := dial(t, proxy(t, tr))
	for range 2 {
		c.say("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
		if _, b := c.whole(); b != "example.org" {
			t.Error(b)
		}
	}
	if tr.Idle() != 1 {
		t.Errorf("%d idle connections, want 1", tr.Idle())
	}
}

// The times towards an origin: the exchange's limits override the transport's.
func TestUpstreamTimes(t *testing.T) {
	const short = 30 * time.Millisecond
	never := make(chan struct{})
	o := listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		switch req.URL.Path {
		case "/stalls":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		case "/slow-head":
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		}
		<-never
	})
	t.Cleanup(func() { close(never) })
	for _, test := range []struct {
		request string
		limits  edge.Limits
		cfg     http1.TransportConfig
		kind    edge.Kind
	}{
		{"GET /", edge.Limits{FirstByte: short}, http1.TransportConfig{}, edge.ResponseTimeout},
		{"GET /", edge.Limits{}, http1.TransportConfig{FirstByte: short}, edge.ResponseTimeout},
		{"GET /slow-head", edge.Limits{FirstByte: short}, http1.TransportConfig{FirstByte: time.Hour}, edge.ResponseTimeout},
		{"GET /stalls", edge.Limits{Stalled: short}, http1.TransportConfig{}, edge.ConnectionReadTimeout},
		{"GET /stalls", edge.Limits{}, http1.TransportConfig{Stalled: short}, edge.ConnectionReadTimeout},
		{"POST /pump", edge.Limits{FirstByte: short}, http1.TransportConfig{}, edge.ResponseTimeout},
		{"POST /takes-nothing", edge.Limits{Stalled: short, FirstByte: short}, http1.TransportConfig{}, edge.ResponseTimeout},
	} {
		rec := make(records, 1)
		tr := http1.NewTransport("tcp", o, test.cfg)
		h := edge.Chain(tr, rec, edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
			x.Limits = test.limits
			return next.Serve(x)
		}))
		c := dial(t, proxy(t, h))
		switch test.request {
		case "POST /pump":
			c.say("POST /pump HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		case "POST /takes-nothing":
			go func() {
				c.say("POST /takes-nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
				io.CopyN(c.Conn, zeros{}, 100000000)
			}()
		default:
			c.say(test.request + " HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		res := c.head("GET")
		if _, err := io.ReadAll(res.Body); (err != nil) != (test.kind == edge.ConnectionReadTimeout) {
			t.Errorf("%s: got %s, %v", test.request, res.Status, err)
		}
		r := rec.wait(t)
		if e := edge.AsError(r.err); e.Kind != test.kind || e.Retryable || r.why != "timeout" {
			t.Errorf("%s: recorded %q, %v, want %v", test.request, r.why, r.err, test.kind)
		}
		if tr.Idle() != 0 {
			t.Errorf("%s: the connection is kept", test.request)
		}
	}
}

// An upload that takes longer than the origin has for its answer is no reason to
// end it: the origin's time begins with the request's last byte.
func TestSlowUpload(t *testing.T) {
	got := make(chan string, 1)
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	})
	tr := http1.NewTransport("tcp", o, http1.TransportConfig{FirstByte: 20 * time.Millisecond})
	defer tr.Retire()
	c := dial(t, proxy(t, tr))
	c.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
	for i, tick := 0, time.NewTicker(10*time.Millisecond); i < 8; i++ {
		<-tick.C
		c.say("x")
	}
	if res, _ := c.whole(); res.StatusCode != 200 || <-got != "xxxxxxxx" {
		t.Error(res)
	}
}

// Idle connections are kept up to a number and for a time, and closed by Retire.
func TestIdleConnections(t *testing.T) {
	gate, in := make(chan struct{}), make(chan struct{}, 10)
	var open atomic.Int64
	o := listen(t, func(c net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		defer c.Close()
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == "/wait" {
				in <- struct{}{}
				<-gate
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	wait := func(tr *http1.Transport, n int) (cs []*client) {
		addr := proxy(t, tr)
		for range n {
			c := dial(t, addr)
			c.say("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
			cs = append(cs, c)
			waitFor(t, "the origin is asked", in)
		}
		return cs
	}
	answer := func(cs []*client) {
		for range cs {
			gate <- struct{}{}
		}
		for _, c := range cs {
			if _, b := c.whole(); b != "ok" {
				t.Fatal(b)
			}
		}
	}
	tr := http1.NewTransport("tcp", o, http1.TransportConfig{Idle: 3, IdleTime: 20 * time.Millisecond})
	answer(wait(tr, 5))
	if n := tr.Idle(); n > 3 {
		t.Errorf("%d connections are kept, want at most 3", n)
	}
	eventually(t, "idle connections are closed in time", func() bool { return tr.Idle() == 0 && open.Load() == 0 })

	tr = http1.NewTransport("tcp", o, http1.TransportConfig{Idle: -1})
	answer(wait(tr, 2))
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d connections are kept, want none", n)
	}

	tr = http1.NewTransport("tcp", o, http1.TransportConfig{})
	answer(wait(tr, 2))
	if n := tr.Idle(); n != 2 {
		t.Fatalf("%d idle connections, want 2", n)
	}
	busy := wait(tr, 1)
	tr.Retire()
	eventually(t, "only the busy connection is open", func() bool { return tr.Idle() == 0 && open.Load() == 1 })
	answer(busy)
	eventually(t, "no connection is open", func() bool { return tr.Idle() == 0 && open.Load() == 0 })
	res, b := ask(t, proxy(t, tr), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if b != "ok" {
		t.Error("after Retire:", res, b)
	}
	eventually(t, "no connection is open", func() bool { return tr.Idle() == 0 && open.Load() == 0 })
}

// A fork, which has no engine, is forwarded like any other exchange.
func TestFork(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(103)
		fmt.Fprint(w, r.URL, r.Header.Get("A"))
	})
	tr := transport(t, o)
	got := make(chan string, 1)
	h := edge.HandlerFunc(func(x *edge.Exchange) error {
		f := x.Fork(t.Context())
		go func() {
			if err := tr.Serve(f); err != nil {
				t.Error(err)
				got <- ""
				return
			}
			b := make([]byte, 100)
			n, _ := f.Response.Body.Read(b)
			f.Response.Body.Close()
			f.End()
			got <- string(b[:n])
		}()
		x.Respond(204, nil, 0)
		return nil
	})
	ask(t, proxy(t, h), "GET /p?q HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")
	if b := waitFor(t, "the fork is answered", got); b != "/p?qb" {
		t.Errorf("got %q", b)
	}
	eventually(t, "the connection is idle", func() bool { return tr.Idle() == 1 })
}
