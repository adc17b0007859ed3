package httpwasm

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

func run(t *testing.T, f *Filter, x *edge.Exchange, o *origin) {
	t.Helper()
	if err := f.Filter(x, o); err != nil {
		t.Fatal(err)
	}
}

func TestFields(t *testing.T) {
	f, o := load(t, "header-set", Config{}), &origin{}
	x := request("GET", "/", nil, 0, "X-Set", "old", "X-Add", "zero", "X-Remove", "a", "x-remove", "b")
	defer x.End()
	run(t, f, x, o)
	if got := o.fields.Get("X-Set"); got != "one" {
		t.Errorf("X-Set is %q", got)
	}
	if got := slices.Collect(o.fields.Values("X-Add")); !slices.Equal(got, []string{"zero", "one", "two"}) {
		t.Errorf("X-Add is %q", got)
	}
	if o.fields.Has("X-Remove") {
		t.Error("X-Remove is there")
	}
	if got := x.Response.Fields.Get("X-Set"); got != "two" {
		t.Errorf("the response's X-Set is %q", got)
	}
	if _, ok := x.Response.Body.(*streamed); !ok {
		t.Errorf("content is buffered, though the guest did not read it: %T", x.Response.Body)
	}
}

func TestAnswer(t *testing.T) {
	f := load(t, "deny", Config{})
	for _, method := range []string{"GET", "HEAD"} {
		o := &origin{}
		x := request(method, "/", nil, 0)
		run(t, f, x, o)
		want := "no entry\n"
		if method == "HEAD" {
			want = ""
		}
		r := &x.Response
		if got := responseBody(t, x); o.calls != 0 || r.Status != 401 || got != want || r.Length != 9 {
			t.Errorf("%s: %d %q of %d bytes after %d calls", method, r.Status, got, r.Length, o.calls)
		}
		if got := r.Fields.Get("WWW-Authenticate"); got != "Basic realm=test" {
			t.Errorf("field is %q", got)
		}
		x.End()
	}
}

func TestEarlyBody(t *testing.T) {
	f, o := load(t, "early-body", Config{}), &origin{}
	old := &streamed{pieces: []string{"compressed"}}
	o.answer = func(x *edge.Exchange) error {
		x.Respond(200, old, 10)
		x.Response.Fields.Add("Content-Encoding", "gzip")
		x.Response.Fields.Add("X-Kept", "yes")
		return nil
	}
	x := request("GET", "/", nil, 0)
	defer x.End()
	run(t, f, x, o)
	r := &x.Response
	if got := responseBody(t, x); got != "early" || r.Length != 5 || r.Status != 202 || o.calls != 1 {
		t.Errorf("%d %q of %d bytes", r.Status, got, r.Length)
	}
	if r.Fields.Has("Content-Encoding") || !r.Fields.Has("X-Kept") {
		t.Errorf("fields are %v", r.Fields)
	}
	if old.closed == 0 {
		t.Error("the origin's content was not closed")
	}
}

func TestContent(t *testing.T) {
	pieces := func() *streamed { return &streamed{pieces: []string{"hel", "lo wor", "ld, streamed"}} }
	f := func(guest string, body edge.Body, length int64, wantUp string, wantUpLength int64, wantDown string, wantDownLength int64) {
		t.Helper()
		o := &origin{}
		x := request("POST", "/", body, length)
		run(t, load(t, guest, Config{}), x, o)
		if o.body != wantUp || o.length != wantUpLength {
			t.Errorf("%s: the origin got %q of %d bytes", guest, o.body, o.length)
		}
		if got := responseBody(t, x); got != wantDown || x.Response.Length != wantDownLength {
			t.Errorf("%s: the client got %q of %d bytes", guest, got, x.Response.Length)
		}
		x.End()
	}
	const sent, down = "hello world, streamed", "hello from origin"
	f("upper-streamed", pieces(), 21, strings.ToUpper(sent), 21, down, 17)
	f("upper-streamed", pieces(), -1, strings.ToUpper(sent), 21, down, 17)
	f("upper-streamed", nil, 0, "", 0, down, 17)
	f("upper-buffered", pieces(), -1, strings.ToUpper(sent), 21, strings.ToUpper(down), 17)
	f("upper-buffered", edge.Content([]byte("x")), 1, "X", 1, strings.ToUpper(down), 17)
	f("upper-buffered", nil, 0, "", 0, strings.ToUpper(down), 17)
	f("peek", pieces(), 21, sent, 21, down, 17)                   // nothing is lost
	f("peek", pieces(), -1, sent, -1, down, 17)                   //
	f("peek", edge.Content([]byte("abc")), 3, "abc", 3, down, 17) // less than it wants
	f("swallow", pieces(), 21, sent[4:], 17, down, 17)            // what is not buffered is gone
	f("swallow", pieces(), -1, sent[4:], -1, down, 17)
	f("swallow", edge.Content([]byte("abc")), 3, "", 0, down, 17)
}

func TestContentLimit(t *testing.T) {
	body := func() *streamed { return &streamed{pieces: []string{strings.Repeat("a", 50), strings.Repeat("b", 60)}} }
	f := load(t, "upper-buffered", Config{Body: 100})
	x := request("POST", "/", body(), -1)
	err := f.Filter(x, &origin{})
	if e := edge.AsError(err); e.Kind != edge.FilterFailed || e.Status != 413 {
		t.Errorf("request: %v", err)
	}
	x.End()

	o := &origin{answer: func(x *edge.Exchange) error { x.Respond(200, body(), -1); return nil }}
	x = request("GET", "/", nil, 0)
	err = f.Filter(x, o)
	if e := edge.AsError(err); e.Kind != edge.FilterFailed || e.Status != 502 {
		t.Errorf("response: %v", err)
	}
	x.Answer(err)
	x.End()

	// With the policy Skip both go on whole.
	f = load(t, "upper-buffered", Config{Body: 100, OnError: wasm.Skip})
	o.calls = 0
	x = request("POST", "/", body(), -1)
	run(t, f, x, o)
	want := strings.Repeat("a", 50) + strings.Repeat("b", 60)
	if got := responseBody(t, x); o.body != want || got != want {
		t.Errorf("skipped: the origin got %q, the client %q", o.body, got)
	}
	x.End()
	if s := f.Stats(); s.Skipped != 1 {
		t.Errorf("stats are %+v", s)
	}
}

func TestPieceByPiece(t *testing.T) {
	// A guest that does not buffer sees content before all of it is there.
	f, o := load(t, "swallow", Config{}), &origin{}
	rest := make(chan struct{})
	body := &gated{first: "head", gate: rest, rest: "tail"}
	o.answer = func(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil }
	before := edge.HandlerFunc(func(x *edge.Exchange) error {
		close(rest) // the guest is done, and tail has not come yet
		return o.Serve(x)
	})
	x := request("POST", "/", body, -1)
	defer x.End()
	if err := f.Filter(x, before); err != nil || o.body != "tail" {
		t.Errorf("the origin got %q, %v", o.body, err)
	}
}

// gated is content of which the second part waits.
type gated struct {
	first, rest string
	gate        chan struct{}
}

func (g *gated) Read(p []byte) (n int, err error) {
	if g.first != "" {
		n = copy(p, g.first)
		g.first = g.first[n:]
		return n, nil
	}
	<-g.gate
	n = copy(p, g.rest)
	g.rest = g.rest[n:]
	if g.rest == "" {
		err = io.EOF
	}
	return n, err
}

func (g *gated) Close() error { return nil }

func TestContentFails(t *testing.T) {
	// What the client does wrong is not the filter's failure.
	gone := &edge.Error{Kind: edge.RequestError, Op: "read the request"}
	for _, policy := range []wasm.Policy{wasm.Deny, wasm.Skip} {
		f := load(t, "upper-buffered", Config{OnError: policy})
		x := request("POST", "/", &streamed{pieces: []string{"abc"}, err: gone}, -1)
		if err := f.Filter(x, &origin{}); err != error(gone) {
			t.Errorf("request: %v", err)
		}
		x.End()
		cut := &edge.Error{Kind: edge.ResponseIncomplete, Op: "read the response"}
		o := &origin{answer: func(x *edge.Exchange) error {
			x.Respond(200, &streamed{pieces: []string{"abc"}, err: cut}, -1)
			return nil
		}}
		x = request("GET", "/", nil, 0)
		if err := f.Filter(x, o); err != error(cut) {
			t.Errorf("response: %v", err)
		}
		x.End()
		if s := f.Stats(); s.Skipped != 0 || s.Failures != (wasm.Stats{}.Failures) {
			t.Errorf("stats are %+v", s)
		}
	}
}

func TestContext(t *testing.T) {
	f := load(t, "pass-ctx", Config{})
	x := request("GET", "/", nil, 0)
	run(t, f, x, &origin{})
	if x.Response.Status != 207 {
		t.Errorf("status is %d", x.Response.Status)
	}
	x.End()

	// An error of the next handler is a response to the guest.
	x = request("GET", "/", nil, 0)
	refused := &edge.Error{Kind: edge.ConnectionRefused, Op: "connect"}
	fails := edge.HandlerFunc(func(x *edge.Exchange) error { return refused })
	if err := f.Filter(x, fails); err != nil || x.Response.Status != 307 || x.Record.Why != "connect-fail" {
		t.Errorf("%v, %d, %q", err, x.Response.Status, x.Record.Why)
	}
	x.End()

	// It stays one if the guest leaves it alone.
	f = load(t, "peek", Config{})
	x = request("GET", "/", nil, 0)
	if err := f.Filter(x, fails); !errors.Is(err, refused) {
		t.Errorf("error is %v", err)
	}
	x.End()
}

func TestLate(t *testing.T) {
	f := load(t, "late", Config{})
	x := request("GET", "/", nil, 0)
	defer x.End()
	err := f.Filter(x, &origin{})
	if edge.AsError(err).Kind != edge.FilterFailed || !strings.Contains(err.Error(), "buffer_response") {
		t.Errorf("error is %v", err)
	}
}

func TestTrailers(t *testing.T) {
	f := load(t, "trailers", Config{})
	o := &origin{answer: func(x *edge.Exchange) error {
		x.Respond(200, nil, -1)
		x.Response.Body = &streamed{pieces: []string{"content"}, end: func() { x.Response.Trailers.Set("A", "b") }}
		return nil
	}}
	for _, body := range []edge.Body{&streamed{pieces: []string{"up"}}, nil} {
		x := request("POST", "/", body, 2)
		run(t, f, x, o)
		if got := o.trailers.Get("X-Trail"); got != "one" || o.length != -1 {
			t.Errorf("the origin got the trailer %q, length %d", got, o.length)
		}
		if got := responseBody(t, x); got != "content" || x.Response.Length != -1 {
			t.Errorf("the client got %q of %d bytes", got, x.Response.Length)
		}
		if tr := &x.Response.Trailers; tr.Get("A") != "b" || tr.Get("X-Trail") != "b" {
			t.Errorf("the client got the trailers %v", *tr)
		}
		x.End()
	}
}

// Trailers go on with content that is all at hand: its length is not told, nor are its
// bytes, since what is sent at once has none.
func TestTrailersOfHeldContent(t *testing.T) {
	f := load(t, "peek", Config{})
	o := &origin{answer: func(x *edge.Exchange) error {
		if edge.Bytes(x.Request.Body) != nil {
			t.Error("the request's content can be sent at once")
		}
		x.Respond(200, nil, -1)
		x.Response.Body = &streamed{pieces: []string{"hi"}, end: func() { x.Response.Trailers.Set("A", "b") }}
		return nil
	}}
	x := request("POST", "/", nil, -1)
	x.Request.Body = &streamed{pieces: []string{"up"}, end: func() { x.Request.Trailers.Set("C", "d") }}
	run(t, f, x, o)
	if o.body != "up" || o.length != -1 || o.trailers.Get("C") != "d" {
		t.Errorf("the origin got %q of %d bytes, trailers %v", o.body, o.length, o.trailers)
	}
	r := &x.Response
	if whole := edge.Bytes(r.Body); whole != nil || responseBody(t, x) != "hi" || r.Length != -1 || r.Trailers.Get("A") != "b" {
		t.Errorf("the client got %q of %d bytes, trailers %v", whole, r.Length, r.Trailers)
	}
	x.End()

	// A guest that answers by itself.
	f = load(t, "answer", Config{})
	for letters, want := range map[string]string{"Tor": "ok", "Tr": ""} {
		x = request("GET", "/?"+letters, nil, 0)
		run(t, f, x, o)
		r := &x.Response
		if edge.Bytes(r.Body) != nil || responseBody(t, x) != want || r.Length != -1 || r.Trailers.Get("X-Sum") != "42" {
			t.Errorf("%s: the client got %d bytes, trailers %v", letters, r.Length, r.Trailers)
		}
		x.End()
	}
}

func TestTunnel(t *testing.T) {
	tunnel := func(edge.Stream) error { return nil }
	o := &origin{answer: func(x *edge.Exchange) error {
		x.Respond(101, nil, 0)
		x.Response.Tunnel = tunnel
		return nil
	}}
	f := func(guest string, status int, tunnelled bool) {
		t.Helper()
		f := load(t, guest, Config{})
		x := request("GET", "/", nil, 0)
		defer x.End()
		run(t, f, x, o)
		if r := &x.Response; r.Status != status || (r.Tunnel != nil) != tunnelled {
			t.Errorf("%s: %d, tunnel %v", guest, r.Status, r.Tunnel != nil)
		}
		if n := f.Stats().Instances; n != 0 {
			t.Errorf("%d instances are held by a tunnel", n)
		}
	}
	f("hello", 101, true)
	f("early-body", 202, false)
	f("pass-ctx", 207, false)
}
