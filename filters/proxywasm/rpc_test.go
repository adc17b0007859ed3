package proxywasm

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/edgetest"
	"github.com/sluice-edge/sluice/edge/grpc"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// echo is a server of gRPC whose methods are Say, with one message each way, and Chat.
func echo(c *edgetest.GRPC) {
	switch c.Path {
	case "/test.Echo/Say":
		m, _ := c.Receive()
		c.Send(strings.Join([]string{string(m), c.Host(), c.Header.Get("X-A"), c.Header.Get("X-C"), c.Header.Get("Grpc-Timeout")}, " "))
		c.Status(0, "")
	case "/test.Echo/Chat":
		c.Head(200, "X-A", "head")
		for {
			m, err := c.Receive()
			if err != nil {
				break
			}
			c.Send("re: " + string(m))
			c.Send("")
		}
		c.Status(9, "no%2Fmore", "X-B", "tail")
	}
}

// withServer returns a configuration with an upstream of gRPC.
func withServer(t *testing.T, serve func(c *edgetest.GRPC)) (Config, *upstream.Pool) {
	t.Helper()
	addr := edgetest.ServeGRPC(t, serve)
	p := upstream.New(upstream.Config{Name: "api", Endpoints: []upstream.Endpoint{{Network: "tcp", Address: addr}}},
		func(e upstream.Endpoint) upstream.Transport {
			return grpc.NewTransport(e.Network, e.Address, grpc.TransportConfig{})
		})
	t.Cleanup(p.Retire)
	return Config{Fetch: []string{"api"}, Upstream: func(name string) (edge.Handler, bool) { return p, name == "api" }}, p
}

func TestRPC(t *testing.T) {
	for _, c := range []struct {
		path, serves string // what the server does instead
		heard        string // what the guest does
		want         string // of its fields
	}{
		{"/u", "", "hello api b  30000m", "x-status=00000000"},
		{"/v", "", "hello who b d 30000m", "x-status=00000000"},
		{"/w", "", " api b  30000m", "x-status=00000000"},
		{"/t", "wait", "context deadline exceeded", "x-code=00000004"},
		{"/u", "none", "the server has answered with no message", "x-code=0000000d"},
		{"/u", "two", "the server has answered with more than one message", "x-code=0000000d"},
		{"/u", "refuse", "café", "x-code=00000007"},
		{"/u", "long", "a message has 1000001 bytes, more than the 1000000 that may be received", "x-code=00000008"},
		{"/s", "", "head, re: 1, nothing, re: 2, nothing, tail, no/more", "x-status=00000000 x-sent=00000000 x-code=00000009"},
		{"/s", "refuse", "café", "x-status=00000000 x-sent=00000000 x-code=00000007"},
		{"/s", "cut", "head", "x-status=00000000 x-sent=00000000 x-code=0000000d"},
		{"/b", "wait", "too much waits to be sent", "x-code=00000008"},
		{"/n", "", "", "x-status=00000004"},
		{"/m", "", "", "x-status=00000004"},
		{"/M", "", "", "x-status=00000004"},
		{"/L", "", "", "x-status=0000000a"},
		{"/F", "", "", "x-status=0000000a"},
		{"/c", "wait", "", "x-sent=00000002 x-cancel=00000000 x-again=00000001 x-close=00000000 x-closed=00000001 x-shut=00000000 x-late=00000002 x-none=00000001"},
	} {
		for _, shared := range []bool{false, true} {
			cfg, pool := withServer(t, func(s *edgetest.GRPC) {
				switch c.serves {
				case "":
					echo(s)
				case "wait":
					<-s.Gone()
				case "none":
					s.Head(200)
					s.Status(0, "")
				case "two":
					s.Send("1")
					s.Send("2")
					s.Status(0, "")
				case "refuse":
					s.Only(7, "caf%C3%A9")
				case "long":
					s.Send(strings.Repeat("a", 1000001))
					s.Status(0, "")
				case "cut":
					s.Head(200, "X-A", "head")
					s.Reset()
				}
			})
			cfg.Shared, cfg.Body = shared, 1000000
			f := loadGuest(t, "proxy-grpc", cfg)
			o := &origin{}
			r := exchange(f, o, request1("GET", c.path, nil, 0))
			heard := strings.Join(slices.Collect(o.fields.Values("x-heard")), ", ")
			if c.serves == "cut" { // what follows is up to net/http
				heard, _, _ = strings.Cut(heard, ",")
			}
			if heard != c.heard || r.err != nil {
				t.Errorf("%s %s, shared %v: it has heard %q, %v", c.path, c.serves, shared, heard, r.err)
			}
			for want := range strings.FieldsSeq(c.want) {
				name, value, _ := strings.Cut(want, "=")
				if got := o.fields.Get(name); got != value {
					t.Errorf("%s %s, shared %v: %s is %s, not %s", c.path, c.serves, shared, name, got, value)
				}
			}
			if n := pool.Status().Endpoints[0].InFlight; n != 0 {
				t.Errorf("%s %s: %d calls are in flight", c.path, c.serves, n)
			}
		}
	}
}

// A guest may call what its allow line names, so many at a time, and not at all if it is
// to have no effect. Calls end with their exchange.
func TestRPCLimits(t *testing.T) {
	wait := func(c *edgetest.GRPC) { <-c.Gone() }
	try := func(path string, cfg Config, name, want string) {
		t.Helper()
		o := &origin{}
		if r := exchange(loadGuest(t, "proxy-grpc", cfg), o, request1("GET", path, nil, 0)); r.err != nil || o.fields.Get(name) != want {
			t.Errorf("%s is %q, not %q, %v", name, o.fields.Get(name), want, r.err)
		}
	}
	for range 3 {
		cfg, pool := withServer(t, wait)
		cfg.Calls = 3
		try("/o", cfg, "x-calls", "00000003")
		if n := pool.Status().Endpoints[0].InFlight; n != 0 {
			t.Errorf("%d calls are in flight", n)
		}
	}
	cfg, _ := withServer(t, echo)
	cfg.Quiet = true
	try("/o", cfg, "x-calls", "00000000")
	cfg, _ = withServer(t, echo)
	cfg.Fetch = []string{"none"}
	try("/n", cfg, "x-status", "00000004") // granted, and not there
	cfg.Fetch, cfg.Upstream = []string{"api"}, nil
	try("/o", cfg, "x-calls", "00000000")
}

// The root context has calls of its own, which end with the filter. What exchanges call
// when they are over is sent, and the root context does not hear of it.
func TestRPCOfRoot(t *testing.T) {
	gone, logged := make(chan bool, 1), make(chan string, 10)
	for _, shared := range []bool{false, true} {
		cfg, _ := withServer(t, func(c *edgetest.GRPC) {
			if strings.HasSuffix(c.Path, "Say") {
				m, _ := c.Receive()
				logged <- string(m)
				c.Send("")
				c.Status(0, "")
				return
			}
			c.Head(200, "X-A", "head")
			m, _ := c.Receive()
			c.Send(string(m))
			c.Send("twice " + string(m))
			<-c.Gone()
			gone <- true
		})
		cfg.Config, cfg.Tick, cfg.Shared = []byte("t"), time.Millisecond, shared
		f := loadGuest(t, "proxy-grpc", cfg)
		for _, line := range []string{"head", "tick", "twice tick"} {
			said(t, f, line)
		}
		if !shared { // else it is the one instance that hears of it
			if r := exchange(f, &origin{}, request1("GET", "/l", nil, 0)); r.err != nil {
				t.Error(r.err)
			}
			if got := <-logged; got != "logged" {
				t.Errorf("%q is logged", got)
			}
			until(t, func() bool { // it is over, and the stream goes on
				f.root.mu.Lock()
				defer f.root.mu.Unlock()
				return f.root.pending == 1 && len(f.root.rpcs) == 1
			})
		}
		closed(t, f)
		<-gone
	}
	cfg, _ := withServer(t, func(c *edgetest.GRPC) { c.Head(200, "X-A", "b"); c.Status(2, "so what", "X-B", "c") })
	cfg.Config, cfg.Tick = []byte("t"), time.Millisecond
	said(t, loadGuest(t, "proxy-grpc", cfg), "so what")
	cfg.Fetch = nil
	said(t, loadGuest(t, "proxy-grpc", cfg), "refused")
}

func TestParseService(t *testing.T) {
	known := []string{"api", "\x0a\x00"}
	for in, want := range map[string]string{
		"api":                                 "api",
		"other":                               "other",
		"":                                    "",
		"\x0a\x00":                            "\x0a\x00", // a name that is a message, too
		"\x0a\x05\x0a\x03api":                 "api",
		"\x12\x05\x0a\x03api":                 "api",
		"\x0a\x05\x0a\x03api\x1a\x02\x08\x01": "api",
		"\x0a\x05\x0a\x04api":                 "\x0a\x05\x0a\x04api", // cut off: no message
		"\x0a\x05\x0a\x03api\x2a\x02\x0a\x09": "\x0a\x05\x0a\x03api\x2a\x02\x0a\x09",
		"\x0a\x07\x12\x05names":               "\x0a\x07\x12\x05names", // no cluster
	} {
		if got := parseService([]byte(in), known).upstream; got != want {
			t.Errorf("%q is %q, not %q", in, got, want)
		}
	}
	s := parseService([]byte("\x0a\x0a\x0a\x03api\x12\x03who\x2a\x08\x0a\x03x-c\x12\x01d\x2a\x09\x0a\x03x-e\x12\x02\r\n"), known)
	if s.authority != "who" || s.metadata.Len() != 1 || s.metadata.Get("x-c") != "d" {
		t.Errorf("%+v", s)
	}
}

// Whatever a guest names is read within its bounds.
func FuzzService(f *testing.F) {
	for _, s := range []string{"", "api", "\x0a\x05\x0a\x03api", "\x12\x05\x0a\x03api", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x08", "\x0d\x00", "\x2a\x08\x0a\x03x-c\x12\x01d"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parseService(b, []string{"api"})
		for name, value := range s.metadata.All() {
			if !edge.IsToken(name) || !isValue(value) {
				t.Errorf("%q: %q", name, value)
			}
		}
	})
}
