package edge

import (
	"strings"
	"testing"
	"time"
)

func TestConcat(t *testing.T) {
	var x Exchange
	if got := x.Concat(); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	if got := x.Concat("", ""); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	// The arena grows many times; what was joined before stays as it was.
	var joined []string
	for i := range 200 {
		joined = append(joined, x.Concat("a", strings.Repeat("b", i), "c"))
	}
	for i, got := range joined {
		if want := "a" + strings.Repeat("b", i) + "c"; got != want {
			t.Fatalf("string %d: got %q, want %q", i, got, want)
		}
	}
}

func TestScratchIsNotShared(t *testing.T) {
	var x Exchange
	a := x.Scratch(3)
	copy(a, "aaa")
	b := x.Scratch(3)
	copy(b, "bbb")
	a = append(a, 'c') // beyond its end is not b
	if string(a) != "aaac" || string(b) != "bbb" {
		t.Errorf("got %q, %q, want aaac, bbb", a, b)
	}
}

// What is kept beyond the exchange without being cloned shows.
func TestPoison(t *testing.T) {
	if !Poisons {
		t.Skip("only under -race")
	}
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	copy(x.Buffer(), "buffer")
	joined, buf := x.Concat("joined"), x.Buffer()[:6]
	kept := strings.Clone(joined)
	x.End()
	if joined != "!!!!!!" || string(buf) != "!!!!!!" || kept != "joined" {
		t.Errorf("got %q, %q, %q, want poison, poison, joined", joined, buf, kept)
	}
}

func TestRelease(t *testing.T) {
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	x.Buffer()
	x.Concat("a")
	x.End()
	x.Release()
	if x.buf != nil || x.arena != nil {
		t.Error("an exchange that was released holds memory")
	}
	x.Release() // idempotent
	x.Begin(nil, nil, time.Time{})
	if got := x.Concat("b") + string(x.Buffer()[:0]); got != "b" {
		t.Errorf("after Release: %q", got)
	}
	x.End()
}

// server is what serves a benchmark's exchange: an origin, an ender and an
// aborter in one.
type server struct{ content content }

func (s *server) Serve(x *Exchange) error {
	x.OnCancel(s)
	x.OnEnd(s)
	copy(x.Buffer(), "HTTP/1.1 200 OK")
	s.content.rest = s.content.all
	x.Respond(200, &s.content, int64(len(s.content.all)))
	x.Response.Fields.Add("Content-Type", "text/plain")
	return nil
}

func (s *server) Abort()          {}
func (s *server) End(x *Exchange) { x.OffCancel(s) }

// lifeOf returns one exchange from Begin to End, above the engine.
func lifeOf(x *Exchange) func() {
	s := &server{content: content{all: []byte("hello")}}
	h := Chain(s,
		FilterFunc(func(x *Exchange, next Handler) error {
			x.Request.Fields.Set("X-Forwarded-For", x.Concat(x.Request.Fields.Get("X-Forwarded-For"), ", ", x.Client.IP))
			x.Request.Fields.Del("cookie")
			err := next.Serve(x)
			x.Response.Fields.Set("Server", "sluice")
			x.Record.Filters = append(x.Record.Filters, FilterRun{Name: "a"})
			return err
		}),
		FilterFunc(func(x *Exchange, next Handler) error {
			x.Scratch(64)
			return next.Serve(x)
		}))
	e, c, now := new(engine), &Client{IP: "192.0.2.1"}, time.Unix(1, 0)
	return func() {
		x.Begin(e, c, now)
		x.Request.Method, x.Request.Path = "GET", "/"
		x.Request.Fields.Add("X-Forwarded-For", "198.51.100.7")
		x.Request.Fields.Add("Cookie", "a=b")
		if err := h.Serve(x); err != nil {
			panic(err)
		}
		x.Block()
		if len(Bytes(x.Response.Body)) != 5 {
			panic("no content")
		}
		x.End()
	}
}

func TestAnExchangeAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(200, lifeOf(new(Exchange))); n != 0 {
		t.Errorf("got %v allocations an exchange, want 0", n)
	}
}

// Nor does one that fails, if the error is at hand.
func TestAnAnswerAllocatesNothing(t *testing.T) {
	var x Exchange
	var err error = &Error{Kind: ConnectionRefused, Op: "connect"}
	n := testing.AllocsPerRun(200, func() {
		x.Begin(nil, nil, time.Time{})
		x.Answer(err)
		x.End()
	})
	if n != 0 {
		t.Errorf("got %v allocations an answer, want 0", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	life := lifeOf(new(Exchange))
	b.ReportAllocs()
	for b.Loop() {
		life()
	}
}
