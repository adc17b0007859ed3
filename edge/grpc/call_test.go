package grpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/edgetest"
	"github.com/sluice-edge/sluice/edge/grpc"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// endpoints are tried one after the other, as an upstream does.
type endpoints []*grpc.Transport

func pool(t *testing.T, addrs ...string) endpoints {
	var p endpoints
	for _, a := range addrs {
		network := "tcp"
		if filepath.IsAbs(a) {
			network = "unix"
		}
		tr := grpc.NewTransport(network, a, grpc.TransportConfig{})
		t.Cleanup(tr.Retire)
		p = append(p, tr)
	}
	return p
}

// Serve implements [edge.Handler].
func (p endpoints) Serve(x *edge.Exchange) (err error) {
	for _, tr := range p {
		if err = tr.Serve(x); err == nil || !edge.AsError(err).Retryable {
			break
		}
	}
	return err
}

// fork returns an exchange for a call.
func fork(ctx context.Context) *edge.Exchange {
	client := edge.NewClient(netip.AddrPort{}, netip.AddrPort{}, nil)
	var x edge.Exchange
	x.Client = &client
	return x.Fork(ctx)
}

// call makes a call, of which the zero fields are filled in, that sends messages.
func call(t *testing.T, ctx context.Context, r grpc.Request, messages ...string) *grpc.Call {
	t.Helper()
	if r.Service == "" {
		r.Service, r.Method = "test.Echo", "Say"
	}
	if r.Authority == "" {
		r.Authority = "api"
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	c := grpc.New(fork(ctx), r)
	for _, m := range messages {
		if !c.Send([]byte(m)) {
			t.Fatalf("%q is not sent", m)
		}
	}
	return c
}

// text is what becomes of a call.
func text(c *grpc.Call, h edge.Handler) (got string, s grpc.Status) {
	c.CloseSend()
	if fields, ok := c.Open(h); ok {
		got = "head " + fields.Get("x-a") + ";"
	}
	for {
		m, ok := c.Receive()
		if !ok {
			break
		}
		got += " " + string(m)
	}
	return got, c.End()
}

func TestCalls(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(c *edgetest.GRPC)
		got   string
		code  grpc.Code
		says  string // a part of the message
	}{
		{"echo", func(c *edgetest.GRPC) {
			c.Head(200, "X-A", "b")
			for {
				m, err := c.Receive()
				if err != nil {
					break
				}
				c.Send("<" + string(m) + ">")
			}
			c.Status(0, "", "X-B", "c")
		}, "head b; <one> <> <three>", grpc.OK, ""},
		{"a status", func(c *edgetest.GRPC) { c.Head(200); c.Status(5, "no such caf%C3%A9") }, "head ;", 5, "no such café"},
		{"trailers only", func(c *edgetest.GRPC) { c.Only(16, "who%") }, "", grpc.Unauthenticated, "who%"},
		{"no status", func(c *edgetest.GRPC) { c.Send("a") }, "head ; a", grpc.Unknown, "has sent no status"},
		{"no gRPC", func(c *edgetest.GRPC) { c.Head(200, "Content-Type", "text/html") }, "", grpc.Unknown, `content-type is "text/html"`},
		{"another status of HTTP", func(c *edgetest.GRPC) { c.Head(503) }, "", grpc.Unavailable, "status 503"},
		{"trailers only, and that", func(c *edgetest.GRPC) { c.Head(403, "Grpc-Status", "8") }, "", grpc.ResourceExhausted, ""},
		{"an encoding", func(c *edgetest.GRPC) { c.Head(200, "Grpc-Encoding", "gzip") }, "", grpc.Unimplemented, `"gzip"`},
		{"identity", func(c *edgetest.GRPC) { c.Head(200, "Grpc-Encoding", "identity"); c.Status(0, "") }, "head ;", grpc.OK, ""},
		{"compressed", func(c *edgetest.GRPC) { c.Head(200); c.Raw("\x01\x00\x00\x00\x01a") }, "head ;", grpc.Internal, "compressed"},
		{"too long", func(c *edgetest.GRPC) { c.Send(strings.Repeat("a", 101)) }, "head ;", grpc.ResourceExhausted, "101 bytes, more than the 100"},
		{"much too long", func(c *edgetest.GRPC) { c.Head(200); c.Raw("\x00\xff\xff\xff\xff") }, "head ;", grpc.ResourceExhausted, "4294967295 bytes"},
		{"within a prefix", func(c *edgetest.GRPC) { c.Head(200); c.Raw("\x00\x00"); c.Status(0, "") }, "head ;", grpc.Internal, "ends within a message"},
		{"within a message", func(c *edgetest.GRPC) { c.Head(200); c.Raw("\x00\x00\x00\x00\x02"); c.Status(0, "") }, "head ;", grpc.Internal, "ends within a message"},
		{"cut off", func(c *edgetest.GRPC) { c.Send("a"); c.Reset() }, "head ; a", grpc.Internal, ""},
		{"cut off at once", func(c *edgetest.GRPC) { c.Reset() }, "", grpc.Internal, ""},
	} {
		p := pool(t, edgetest.ServeGRPC(t, test.serve))
		got, s := text(call(t, t.Context(), grpc.Request{Message: 100}, "one", "", "three"), p)
		if got != test.got || s.Code != test.code || !strings.Contains(s.Message, test.says) {
			t.Errorf("%s: %q, %d %q", test.name, got, s.Code, s.Message)
		}
		if test.name == "echo" && s.Trailers.Get("x-b") != "c" {
			t.Errorf("the trailing metadata is %v", s.Trailers)
		}
	}
}

// What the server sees, and that nobody can set what is not theirs.
func TestRequest(t *testing.T) {
	seen := make(chan *edgetest.GRPC, 1)
	p := pool(t, edgetest.ServeGRPC(t, func(c *edgetest.GRPC) { seen <- c; c.Only(0, "") }))
	var m edge.Fields
	for _, name := range []string{"X-Token", "Grpc-Timeout", "Content-Type", ":path", "Connection", "Host", "User-Agent"} {
		m.Add(name, "v"+name)
	}
	if _, s := text(call(t, t.Context(), grpc.Request{Authority: "auth.example", Service: "a.B", Method: "C", Metadata: m, Timeout: 1500 * time.Millisecond}), p); s.Code != grpc.OK {
		t.Fatalf("%+v", s)
	}
	c := <-seen
	if c.Path != "/a.B/C" || c.Host() != "auth.example" {
		t.Errorf("%s of %s", c.Path, c.Host())
	}
	for name, want := range map[string]string{"X-Token": "vX-Token", "Grpc-Timeout": "1500m", "Content-Type": "application/grpc", "Te": "trailers",
		"Connection": "", "Via": "1.1 sluice", "User-Agent": "vUser-Agent", "Accept-Encoding": ""} {
		if got := strings.Join(c.Header[name], ", "); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, r := range []grpc.Request{
		{}, {Service: "a"}, {Method: "a"}, {Service: "a/b", Method: "c"}, {Service: "a", Method: "c?d"}, {Service: "a b", Method: "c"},
		{Service: "..", Method: "c"}, {Service: "a", Method: "."}, {Service: "a", Method: "c\r\n"}, {Service: "é", Method: "c"}, {Service: "a", Method: "%2e"},
	} {
		if r.Check() == nil {
			t.Errorf("%+v can be called", r)
		}
	}
}

// Messages go both ways in turn on one call.
func TestBothWays(t *testing.T) {
	p := pool(t, edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
		for {
			m, err := c.Receive()
			if err != nil {
				c.Status(0, "")
				return
			}
			c.Send("re: " + string(m))
		}
	}))
	c := call(t, t.Context(), grpc.Request{}, "0")
	if _, ok := c.Open(p); !ok {
		t.Fatalf("%+v", c.End())
	}
	for i := range 3 {
		m, ok := c.Receive()
		if !ok || string(m) != "re: "+string(rune('0'+i)) {
			t.Fatalf("%q, %v", m, ok)
		}
		c.Send([]byte{byte('1' + i)})
	}
	c.CloseSend()
	c.Receive()
	if m, ok := c.Receive(); ok {
		t.Errorf("%q follows", m)
	}
	if s := c.End(); s.Code != grpc.OK {
		t.Errorf("%+v", s)
	}
}

// So much may wait to be sent, and a message of any length where nothing does.
func TestBacklog(t *testing.T) {
	c := call(t, t.Context(), grpc.Request{Backlog: 20}, strings.Repeat("a", 100))
	if c.Send([]byte("a")) {
		t.Error("a message is taken beyond the limit")
	}
	c.End()
	c = call(t, t.Context(), grpc.Request{Backlog: 20}, "12345", "12345")
	if c.Send(nil) {
		t.Error("a message is taken beyond the limit")
	}
	c.End()
	if !c.Send([]byte("a")) {
		t.Error("a message that nobody waits for is one too many")
	}
}

// An endpoint that cannot be connected to is passed over, and what is to be sent with it
// goes to the next.
func TestNextEndpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	live := edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
		m, err := c.Receive()
		if err != nil {
			t.Error(err)
		}
		c.Send(string(m))
		c.Status(0, "")
	})
	p := pool(t, dead, live)
	for range 4 {
		if got, s := text(call(t, t.Context(), grpc.Request{}, "a"), p); got != "head ; a" || s.Code != grpc.OK {
			t.Errorf("%q, %+v", got, s)
		}
	}
	if got, s := text(call(t, t.Context(), grpc.Request{}, "a"), pool(t, dead)); got != "" || s.Code != grpc.Unavailable {
		t.Errorf("%q, %+v", got, s)
	}
}

func TestSocketOfUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "grpc-") // a path of TempDir may be too long
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	to := edgetest.ServeGRPC(t, func(c *edgetest.GRPC) { c.Send("a"); c.Status(0, "") })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		go func() { io.Copy(out, in); out.Close() }()
		io.Copy(in, out)
		in.Close()
	}()
	if got, s := text(call(t, t.Context(), grpc.Request{}), pool(t, path)); got != "head ; a" || s.Code != grpc.OK {
		t.Errorf("%q, %+v", got, s)
	}
}

// Calls end with who has made them, wherever they wait, and the server learns of it.
func TestCancelled(t *testing.T) {
	for _, where := range []string{"head", "message", "open", "end"} {
		gone := make(chan struct{})
		waits := make(chan struct{})
		p := pool(t, edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
			if where != "head" {
				c.Send("a")
			}
			close(waits)
			<-c.Gone()
			close(gone)
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		c := call(t, ctx, grpc.Request{})
		if where == "end" {
			if _, ok := c.Open(p); !ok {
				t.Error("it is not answered")
			}
			if s := c.End(); s.Code != grpc.Cancelled {
				t.Errorf("%s: %+v", where, s)
			}
		} else if where == "open" {
			go func() { <-waits; cancel(&edge.Error{Kind: edge.ClientGone, Op: "read"}) }()
			c.Open(p)
			c.Receive()
			c.Receive()
			if s := c.End(); s.Code != grpc.Cancelled {
				t.Errorf("%s: %+v", where, s)
			}
		} else {
			go func() { <-waits; cancel(&edge.Error{Kind: edge.ClientGone, Op: "read"}) }()
			if _, s := text(c, p); s.Code != grpc.Cancelled {
				t.Errorf("%s: %+v", where, s)
			}
		}
		cancel(nil)
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatalf("%s: the server does not learn of it", where)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	p := pool(t, edgetest.ServeGRPC(t, func(c *edgetest.GRPC) { <-c.Gone() }))
	if _, s := text(call(t, ctx, grpc.Request{}), p); s.Code != grpc.DeadlineExceeded {
		t.Errorf("%+v", s)
	}
}

// A handler that is no upstream can fail as it likes.
func TestHandlers(t *testing.T) {
	for _, test := range []struct {
		h    edge.HandlerFunc
		code grpc.Code
	}{
		{func(x *edge.Exchange) error { panic("at the disco") }, grpc.Internal},
		{func(x *edge.Exchange) error { return errors.New("what") }, grpc.Internal},
		{func(x *edge.Exchange) error { return &edge.Error{Kind: edge.ConnectionRefused} }, grpc.Unavailable},
		{func(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil }, grpc.Unknown},
		{func(x *edge.Exchange) error {
			x.Respond(200, nil, 0)
			x.Response.Fields.Add("Content-Type", "application/grpc+proto")
			return nil
		}, grpc.Unknown},
		{func(x *edge.Exchange) error {
			x.Respond(200, nil, 0)
			x.Response.Fields.Add("Grpc-Status", "many")
			return nil
		}, grpc.Unknown},
		{func(x *edge.Exchange) error {
			x.Respond(101, nil, 0)
			x.Response.Tunnel = func(edge.Stream) error { return nil }
			return nil
		}, grpc.Unknown},
	} {
		if got, s := text(call(t, t.Context(), grpc.Request{}), test.h); s.Code != test.code {
			t.Errorf("%q, %+v; not %d", got, s, test.code)
		}
	}
}

// A handler that waits for what is to be sent ends with the call, too.
func TestHandlerWaits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c := call(t, ctx, grpc.Request{})
	if _, ok := c.Open(edge.HandlerFunc(func(x *edge.Exchange) error {
		_, err := io.ReadAll(x.Request.Body)
		return err
	})); ok {
		t.Error("it is answered")
	}
	if s := c.End(); s.Code != grpc.DeadlineExceeded {
		t.Errorf("%+v", s)
	}
}

// FuzzReceive reads what a server may send as messages, within the limit.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x01a", "\x01\x00\x00\x00\x01a", "\x00\xff\xff\xff\xffa", "\x00\x00\x00\x00\x02a", "\x00\x00"} {
		f.Add([]byte(s), "0", "")
	}
	f.Add([]byte("\x00\x00\x00\x00\x01a"), "x", "%zz")
	f.Fuzz(func(t *testing.T, b []byte, code, message string) {
		c := grpc.New(fork(t.Context()), grpc.Request{Authority: "a", Service: "b", Method: "c", Message: 100})
		c.CloseSend()
		_, ok := c.Open(edge.HandlerFunc(func(x *edge.Exchange) error {
			x.Respond(200, edge.Content(b), int64(len(b)))
			x.Response.Fields.Add("content-type", "application/grpc")
			x.Response.Trailers.Add("grpc-status", code)
			x.Response.Trailers.Add("grpc-message", message)
			return nil
		}))
		got := 0
		for ok {
			var m []byte
			m, ok = c.Receive()
			if got += len(m); len(m) > 100 || got > len(b) {
				t.Errorf("a message of %d bytes, %d in all of %d", len(m), got, len(b))
			}
		}
		c.End()
	})
}

// One connection serves many calls, is idle between them, and is closed when the
// transport is retired: at once, or with the last call.
func TestConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	addr := edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
		c.Head(200)
		if _, err := c.Receive(); err == nil {
			c.Status(0, "")
		}
	})
	tr := grpc.NewTransport("tcp", addr, grpc.TransportConfig{})
	for range 3 {
		if _, s := text(call(t, t.Context(), grpc.Request{}, "a"), tr); s.Code != grpc.OK {
			t.Errorf("%+v", s)
		}
		if n := tr.Idle(); n != 1 {
			t.Errorf("%d connections are idle", n)
		}
	}
	c := call(t, t.Context(), grpc.Request{})
	if _, ok := c.Open(tr); !ok {
		t.Fatalf("%+v", c.End())
	}
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d connections are idle beside a call", n)
	}
	tr.Retire()
	c.Send([]byte("a"))
	if _, ok := c.Receive(); ok {
		t.Error("there is a message")
	}
	if s := c.End(); s.Code != grpc.OK {
		t.Errorf("%+v", s)
	}
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if _, s := text(call(t, t.Context(), grpc.Request{}, "a"), tr); s.Code != grpc.OK {
		t.Errorf("after it is retired: %+v", s)
	}
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before+2; runtime.Gosched() { // the server's
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
	}
}
