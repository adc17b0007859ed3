package proxywasm

import (
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/edgetest"
)

// A guest sees the response that it has given itself, as in Envoy.
func TestOwnResponse(t *testing.T) {
	f := load(t, Config{})
	for _, uri := range []string{"/l", "/L"} {
		if r := try(t, f, &origin{}, "POST", uri, "abc", "def"); r.fields.Get("x-filter") != "yes" || r.err != nil {
			t.Errorf("%s: %d %v, %v", uri, r.status, r.fields, r.err)
		}
	}
}

// Content is let go when the guest resumes, and not only when there is more of it.
func TestResumedContent(t *testing.T) {
	f := load(t, Config{Upstream: api, Fetch: []string{"api"}})
	seen := make(chan struct{})
	first, rest := "", ""
	x := request1("POST", "/D", &gated{pieces: []string{"abc", "def"}, gate: seen}, -1)
	defer x.End()
	err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		b := make([]byte, 100)
		n, err := x.Request.Body.Read(b)
		if first = string(b[:n]); err != nil {
			return err
		}
		close(seen)
		b, err = io.ReadAll(x.Request.Body)
		rest = string(b)
		x.Respond(204, nil, 0)
		return err
	}))
	if err != nil || first != "abc" || rest != "def" {
		t.Errorf("%q and %q, %v", first, rest, err)
	}
}

// Content goes on when somebody else resumes it, while there is no more of it: another
// exchange, or the server of a call of gRPC.
func TestResumedByOthers(t *testing.T) {
	check := func(name string, f *Filter, path, body string, resume func()) {
		t.Helper()
		seen, first, rest := make(chan struct{}), "", ""
		done := make(chan error)
		go func() {
			x := request1("POST", path, &gated{pieces: []string{"abc", "def"}, gate: seen}, -1)
			err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
				b := make([]byte, 100)
				n, err := x.Request.Body.Read(b)
				if first = string(b[:n]); err != nil {
					return err
				}
				close(seen)
				b, err = io.ReadAll(x.Request.Body)
				rest = string(b)
				x.Respond(204, nil, 0)
				return err
			}))
			x.End()
			done <- err
		}()
		for over := false; !over; {
			resume()
			select {
			case err := <-done:
				if over = true; err != nil || first != "abc" || rest != body {
					t.Errorf("%s: %q and %q, %v", name, first, rest, err)
				}
			default:
			}
		}
	}
	f := load(t, Config{Shared: true})
	check("another exchange", f, "/W", "def", func() {
		if r := try(t, f, &origin{}, "GET", "/r"); r.err != nil {
			t.Error(r.err)
		}
	})
	for _, shared := range []bool{false, true} {
		cfg, _ := withServer(t, func(c *edgetest.GRPC) {
			c.Head(200, "X-A", "head")
			for {
				m, err := c.Receive()
				if err != nil {
					break
				}
				c.Send(string(m))
			}
			c.Status(0, "")
		})
		cfg.Shared = shared
		check("a call", loadGuest(t, "proxy-grpc", cfg), "/p", "def", func() {})
	}
}

// An exchange that ends does not leave behind what reads its content.
func TestReadAheadEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	f := load(t, Config{Shared: true})
	gate := make(chan struct{})
	body := &gated{pieces: []string{"abc", "def"}, gate: gate}
	x := request1("POST", "/W", &closing{body, gate}, -1)
	errNow := errors.New("now")
	err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		go func() {
			for { // until the second piece is waited for
				f.mu.Lock()
				v := f.vm
				f.mu.Unlock()
				v.mu.Lock()
				if s := v.streams[2]; s != nil && len(s.flow[ofRequest].held) == 3 {
					s.local = &local{status: 500}
					s.signal()
					v.mu.Unlock()
					return
				}
				v.mu.Unlock()
			}
		}()
		if _, err := x.Request.Body.Read(make([]byte, 100)); err == nil {
			t.Error("content is let go")
		}
		return errNow
	}))
	if err != nil || x.Response.Status != 500 {
		t.Errorf("%d, %v", x.Response.Status, err)
	}
	x.End()
	closed(t, f)
	until(t, func() bool { return runtime.NumGoroutine() <= before })
}

// closing is content of which a Read ends with Close.
type closing struct {
	*gated
	gate chan struct{}
}

func (c *closing) Close() error {
	select {
	case <-c.gate:
	default:
		close(c.gate)
	}
	return nil
}

// gated is content whose second piece comes when a gate is open.
type gated struct {
	pieces []string
	gate   chan struct{}
	read   int
}

func (g *gated) Read(p []byte) (int, error) {
	if g.read == 1 {
		<-g.gate
	}
	g.read++
	s := streamed{pieces: g.pieces}
	n, err := s.Read(p)
	g.pieces = s.pieces
	return n, err
}

func (g *gated) Close() error { return nil }

func TestCompose(t *testing.T) {
	for _, c := range []struct {
		head []edge.Field
		want string // "": it is refused
	}{
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/a?b"}, {Name: ":authority", Value: "x.example"}}, "GET x.example /a?b"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: ""}}, "GET api /"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}}, "GET api /"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "a b"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "a"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "CONNECT"}, {Name: ":path", Value: "/"}}, ""},
		{[]edge.Field{{Name: ":path", Value: "/"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "a b", Value: ""}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "a", Value: "\r\n"}}, ""},
	} {
		q := edge.Request{Authority: "api"}
		got := ""
		head, _ := parsePairs(listOf(c.head...))
		if compose(&q, head, pairList{}) {
			got = q.Method + " " + q.Authority + " " + pathOf(&q)
		}
		if got != c.want {
			t.Errorf("%v: %q, not %q", c.head, got, c.want)
		}
	}
}
