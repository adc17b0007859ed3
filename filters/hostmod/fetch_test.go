package hostmod

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// upstream is one by the name of api.
func upstream(serve func(x *edge.Exchange) error) Env {
	h := edge.HandlerFunc(serve)
	return Env{Upstream: func(name string) (edge.Handler, bool) { return h, name == "api" }}
}

// echo answers with what it has been asked, but for Via.
func echo(x *edge.Exchange) error {
	r := &x.Request
	b := []byte{}
	if r.Body != nil {
		var err error
		if b, err = io.ReadAll(r.Body); err != nil {
			return err
		}
	}
	s := fmt.Sprintf("%s %s://%s%s?%s %d %s", r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Length, b)
	for name, value := range r.Fields.All() {
		if name != "Via" {
			s += "; " + name + ": " + value
		}
	}
	x.Respond(201, edge.Content([]byte(s)), int64(len(s)))
	x.Response.Fields.Add("Content-Type", "text/plain")
	x.Response.Fields.Add("Set-Cookie", "a")
	x.Response.Fields.Add("set-cookie", "b")
	return nil
}

// fetch starts one.
func (r *rig) get(uri, fields string, length, timeout int) int {
	r.t.Helper()
	return int(r.call("fetch_start", "api", "GET", uri, fields, length, timeout))
}

// body reads a response to its end.
func (r *rig) body(h int) string {
	r.t.Helper()
	s := ""
	for {
		n := r.call("fetch_read", h, buf, limit)
		if n <= 0 {
			if n < 0 {
				r.t.Errorf("read: got %d after %q", n, s)
			}
			return s
		}
		s += r.text(n)
	}
}

func TestFetch(t *testing.T) {
	r := start(t, all, upstream(echo))
	h := r.get("/a%20b?c=d&e", "Host\x00auth.example:8080\x00Accept\x00*/*\x00connection\x00close\x00content-length\x005\x00", 0, 0)
	r.want(201, "fetch_status", h)
	r.wantText("content-type\x00set-cookie\x00", "fetch_names", h)
	r.wantText("a\x00b\x00", "fetch_values", h, "SET-COOKIE")
	r.wantText("", "fetch_values", h, "none")
	r.want(0, "fetch_read", h, buf, 0)
	r.want(3, "fetch_read", h, buf, 3)
	if got, want := r.text(3)+r.body(h), "GET http://auth.example:8080/a%20b?c=d&e 0 ; Accept: */*"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.want(0, "fetch_read", h, buf, limit) // still the end
	r.want(201, "fetch_status", h)
	r.wantText("a\x00b\x00", "fetch_values", h, "set-cookie")
	r.want(0, "fetch_close", h)
	r.want(-4, "fetch_status", h)
	r.want(-4, "fetch_close", h)
	r.want(-4, "fetch_close", 0)
	r.want(-4, "fetch_close", -1)
	r.want(-4, "fetch_read", 99, buf, 1)

	// Without a host it is the upstream's name; nothing of the client's comes with it.
	h = r.get("/", "", 0, 0)
	if got, want := r.body(h), "GET http://api/? 0 "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Via of a fetch says how often the request that it is for has come through us, whatever
// the guest writes.
func TestFetchVia(t *testing.T) {
	r := start(t, all, upstream(func(x *edge.Exchange) error {
		s := strings.Join(slices.Collect(x.Request.Fields.Values("Via")), ", ")
		x.Respond(200, edge.Content([]byte(s)), int64(len(s)))
		return nil
	}))
	want := func(fields, want string) {
		t.Helper()
		if got := r.body(r.get("/", fields, 0, 0)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want("", "1.1 sluice")
	r.x.Record.Hops = 3
	want("", "1.1 sluice, 1.1 sluice, 1.1 sluice")
	want("Via\x001.0 fred\x00", "1.0 fred, 1.1 sluice, 1.1 sluice, 1.1 sluice")
}

func TestFetchContent(t *testing.T) {
	r := start(t, all, upstream(echo))
	post := func(length int) int { return int(r.call("fetch_start", "api", "POST", "/", "", length, 0)) }
	// Content that is announced, and small, leaves when it is whole.
	h := post(6)
	r.want(-4, "fetch_status", h)
	r.want(0, "fetch_write", h, "abc")
	r.want(-4, "fetch_write", h, "defg") // more than is announced
	r.want(0, "fetch_write", h, "def")
	r.want(-4, "fetch_write", h, "g")
	r.want(0, "fetch_finish", h)
	if got, want := r.body(h), "POST http://api/? 6 abcdef"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.want(-4, "fetch_write", h, "g")
	// Content of a length that is not known is streamed.
	h = post(-1)
	r.want(0, "fetch_write", h, "abc")
	r.want(0, "fetch_write", h, "")
	r.want(0, "fetch_write", h, "def")
	r.want(0, "fetch_finish", h)
	if got, want := r.body(h), "POST http://api/? -1 abcdef"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// As is more than is held.
	const large = 100_000
	h = post(large)
	for range large / 5000 {
		r.want(0, "fetch_write", h, strings.Repeat("x", 5000))
	}
	if got, want := r.body(h), "POST http://api/? 100000 "+strings.Repeat("x", large); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	// Less than is announced is a failure.
	h = post(6)
	r.want(0, "fetch_write", h, "abc")
	r.want(-4, "fetch_finish", h)
	r.want(-6, "fetch_status", h)
	h = post(large)
	r.want(-4, "fetch_finish", h)
	r.want(-6, "fetch_status", h)
}

// Both directions of a fetch run at once.
func TestFetchStreams(t *testing.T) {
	r := start(t, all, upstream(func(x *edge.Exchange) error {
		x.Respond(200, &edgeEcho{src: x.Request.Body}, -1)
		return nil
	}))
	h := int(r.call("fetch_start", "api", "POST", "/", "", -1, 0))
	r.want(200, "fetch_status", h)
	for _, s := range []string{"one", "two"} {
		r.want(0, "fetch_write", h, s)
		r.want(3, "fetch_read", h, buf, limit)
		if r.text(3) != s {
			t.Errorf("got %q, want %q", r.text(3), s)
		}
	}
	r.want(0, "fetch_finish", h)
	r.want(0, "fetch_read", h, buf, limit)
}

// edgeEcho is content that is the request's.
type edgeEcho struct{ src edge.Body }

func (e *edgeEcho) Read(p []byte) (int, error) { return e.src.Read(p) }
func (e *edgeEcho) Close() error               { return e.src.Close() }

func TestFetchRefused(t *testing.T) {
	r := start(t, all, upstream(echo))
	bad := func(want int64, upstream, method, uri, fields string, length int) {
		t.Helper()
		r.want(want, "fetch_start", upstream, method, uri, fields, length, 0)
	}
	bad(-3, "other", "GET", "/", "", 0)
	bad(-4, "api", "", "/", "", 0)
	bad(-4, "api", "G T", "/", "", 0)
	bad(-4, "api", "CONNECT", "/", "", 0)
	bad(-4, "api", "GET", "", "", 0)
	bad(-4, "api", "GET", "a", "", 0)
	bad(-4, "api", "GET", "http://x/", "", 0)
	bad(-4, "api", "GET", "/ HTTP/1.1\r\nX: y", "", 0)
	bad(-4, "api", "GET", "/#x", "", 0)
	bad(-4, "api", "GET", "/é", "", 0)
	bad(-4, "api", "GET", "/", "a\x00", 0)
	bad(-4, "api", "GET", "/", "a\x00b", 0)
	bad(-4, "api", "GET", "/", "a b\x00c\x00", 0)
	bad(-4, "api", "GET", "/", "a\x00b\r\nc\x00", 0)
	bad(-4, "api", "GET", "/", "host\x00a b\x00", 0)
	bad(-4, "api", "GET", "/", "", -2)
	bad(-5, "api", "GET", "/"+strings.Repeat("x", 8<<10), "", 0)
	bad(-5, "api", "GET", "/", strings.Repeat("a\x00b\x00", 8<<10+1), 0)
	gone := start(t, all, Env{Upstream: named("other")})
	gone.want(-6, "fetch_start", "api", "GET", "/", "", 0, 0)
}

func TestFetchLimits(t *testing.T) {
	env := upstream(func(x *edge.Exchange) error {
		if x.Request.Path == "/fast" {
			x.Respond(200, nil, 0)
			return nil
		}
		<-x.Context().Done()
		return x.Cancelled()
	})
	env.Limits = Limits{Fetches: 4, OpenFetches: 2}
	r := start(t, all, env)
	a, b := r.get("/slow", "", 0, 0), r.get("/fast", "", 0, 0)
	r.want(-5, "fetch_start", "api", "GET", "/fast", "", 0, 0)
	r.want(0, "fetch_read", b, buf, limit) // at its end
	c := r.get("/fast", "", 0, 0)
	r.want(0, "fetch_close", a) // in the middle of it
	r.want(200, "fetch_status", c)
	r.want(0, "fetch_close", c)
	r.get("/fast", "", 0, 0)
	r.want(-5, "fetch_start", "api", "GET", "/fast", "", 0, 0) // in all
}

func TestFetchEnds(t *testing.T) {
	var served atomic.Int32
	waiting := make(chan bool, 8)
	serve := func(x *edge.Exchange) error {
		defer served.Add(1)
		switch x.Request.Path {
		case "/broken":
			return &edge.Error{Kind: edge.ConnectionRefused, Op: "connect"}
		case "/bug":
			panic("a bug")
		case "/cut":
			x.Respond(200, &edgeEcho{src: cut{}}, -1)
			return nil
		case "/stuck":
			x.Respond(200, &edgeEcho{src: stuck{x}}, -1)
			return nil
		}
		waiting <- true
		<-x.Context().Done()
		return x.Cancelled()
	}
	r := start(t, all, upstream(serve))
	h := r.get("/broken", "", 0, 0)
	r.want(-6, "fetch_status", h)
	r.want(-6, "fetch_read", h, buf, limit)
	r.want(-6, "fetch_status", r.get("/bug", "", 0, 0))
	h = r.get("/cut", "", 0, 0)
	r.want(200, "fetch_status", h)
	r.want(-6, "fetch_read", h, buf, limit)
	r.want(-7, "fetch_status", r.get("/", "", 0, 1))
	h = r.get("/stuck", "", 0, 10)
	r.want(200, "fetch_status", h)
	r.want(-7, "fetch_read", h, buf, limit)
	h = int(r.call("fetch_start", "api", "POST", "/broken", "", -1, 0))
	r.want(-6, "fetch_status", h)
	r.want(-6, "fetch_write", h, "x")
	// Nobody reads what is written, and the time is over.
	h = int(r.call("fetch_start", "api", "POST", "/", "", 100_000, 20))
	n := int64(0)
	for range 20 {
		if n = r.call("fetch_write", h, strings.Repeat("x", 5000)); n != 0 {
			break
		}
	}
	if n != -7 {
		t.Errorf("got %d of a write that nobody takes, want -7", n)
	}

	// The client goes away, and then there is nothing more to be had.
	for len(waiting) > 0 {
		<-waiting
	}
	h = r.get("/", "", 0, 0)
	go func() {
		<-waiting
		r.x.Cancel(errors.New("the client has gone"))
	}()
	r.want(-9, "fetch_status", h)
	r.want(-9, "fetch_start", "api", "GET", "/", "", 0, 0)

	// A guest that is stopped waits no more, and what it leaves is ended.
	s := start(t, all, upstream(serve))
	h = s.get("/", "", 0, 0)
	other := s.get("/", "", 0, 0)
	go func() {
		<-waiting
		<-waiting
		s.in.Stop()
	}()
	if got, err := s.try("fetch_status", h); err == nil && got != -9 {
		t.Errorf("got %d, %v", got, err)
	}
	before := served.Load()
	s.use.End()
	if now := served.Load(); now != before+1 && now != before {
		t.Errorf("%d have ended after %d, and one was left, %d", now, before, other)
	}
	for i := range s.use.fetches {
		t.Errorf("fetch %d is left", i)
	}
}

// cut is content that ends before its end.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (cut) Close() error             { return nil }

// stuck is content that does not come.
type stuck struct{ x *edge.Exchange }

func (s stuck) Read([]byte) (int, error) {
	<-s.x.Context().Done()
	return 0, s.x.Cancelled()
}
func (stuck) Close() error { return nil }

// A goroutine is left of no fetch, however it ends.
func TestFetchLeavesNothing(t *testing.T) {
	r := start(t, all, upstream(echo))
	for range 4 {
		r.get("/", "", 0, 0)
	}
	r.use.End()
	r.in.Close()
	r.in = nil
	buf := make([]byte, 1<<20)
	deadline := time.Now().Add(10 * time.Second)
	for strings.Contains(string(buf[:runtime.Stack(buf, true)]), "hostmod.(*fetch)") {
		if time.Now().After(deadline) {
			t.Fatal("a fetch goes on")
		}
		runtime.Gosched()
	}
}
