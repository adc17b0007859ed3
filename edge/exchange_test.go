package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// enderFunc and aborterFunc are functions as an Ender and an Aborter. As
// pointers, since aborters are compared.
type enderFunc func(x *Exchange)

func (f enderFunc) End(x *Exchange) { f(x) }

type aborterFunc struct{ abort func() }

func (f *aborterFunc) Abort() { f.abort() }

// engine counts what an exchange asks its engine for.
type engine struct {
	informed []int
	blocked  int
}

func (e *engine) Inform(status int, f *Fields) error {
	e.informed = append(e.informed, status)
	return nil
}

func (e *engine) Block() { e.blocked++ }

// closes is a body that counts how often it is closed.
type closes struct {
	Body
	n int
}

func (c *closes) Close() error { c.n++; return nil }

func TestEndersRunInReverse(t *testing.T) {
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	x.Request.Path = "/a"
	var got []string
	for _, name := range []string{"log", "transport"} {
		x.OnEnd(enderFunc(func(x *Exchange) { got = append(got, name+x.Request.Path) }))
	}
	x.End()
	if want := []string{"transport/a", "log/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	x.Begin(nil, nil, time.Time{})
	x.End()
	if len(got) != 2 {
		t.Errorf("enders ran again in the next exchange: %q", got)
	}
}

// The next exchange finds nothing of the last.
func TestEndEmpties(t *testing.T) {
	var x Exchange
	x.Begin(new(engine), &Client{IP: "192.0.2.1"}, time.Unix(1, 0))
	x.Request = Request{Method: "POST", Scheme: "https", Authority: "example.org", Path: "/", Query: "q", Proto: "HTTP/1.1",
		Fields: fieldsOf("A: 1"), Body: Content(nil), Length: 3, Trailers: fieldsOf("T: 1"), Upgrade: "websocket"}
	x.Response = Response{Status: 200, Fields: fieldsOf("B: 1"), Body: Content(nil), Length: 3, Trailers: fieldsOf("T: 1"), Tunnel: func(Stream) error { return nil }}
	x.Limits.Connect = time.Second
	x.Record.Filters = append(x.Record.Filters, FilterRun{Name: "auth"})
	x.Answer(io.EOF)
	x.End()
	x.Begin(nil, nil, time.Unix(2, 0))
	defer x.End()
	if got, want := fmt.Sprintf("%+v", x.Request), fmt.Sprintf("%+v", Request{Fields: Fields{[]Field{}}, Trailers: Fields{[]Field{}}}); got != want {
		t.Errorf("request: got %s, want %s", got, want)
	}
	if r := &x.Response; r.Status != 0 || r.Fields.Len() != 0 || r.Body != nil || r.Length != 0 || r.Trailers.Len() != 0 || r.Tunnel != nil {
		t.Errorf("response: got %+v, want none", x.Response)
	}
	if x.Limits != (Limits{}) || x.Client != nil {
		t.Errorf("got limits %v, client %v, want none", x.Limits, x.Client)
	}
	if r := &x.Record; len(r.Filters) != 0 || r.Err != nil || r.Why != "" || !r.Start.Equal(time.Unix(2, 0)) {
		t.Errorf("record: got %+v, want a new one", *r)
	}
}

func TestEngineIsAsked(t *testing.T) {
	var x Exchange
	e := new(engine)
	x.Begin(e, nil, time.Time{})
	x.Block()
	if err := x.Inform(103, new(Fields)); err != nil {
		t.Error(err)
	}
	fork := x.Fork(t.Context())
	fork.Block() // a fork has no client, and asks nobody
	if err := fork.Inform(103, new(Fields)); err != nil {
		t.Error(err)
	}
	fork.End()
	x.End()
	if !slices.Equal(e.informed, []int{103}) || e.blocked != 1 {
		t.Errorf("got %v informed, %d blocks, want 103 and 1", e.informed, e.blocked)
	}
}

func TestRespondClosesTheBody(t *testing.T) {
	var x Exchange
	b := &closes{Body: Content([]byte("a"))}
	x.Response = Response{Status: 200, Body: b, Fields: fieldsOf("A: 1"), Trailers: fieldsOf("T: 1"), Tunnel: func(Stream) error { return nil }}
	x.Respond(404, nil, 0)
	if b.n != 1 {
		t.Errorf("the body was closed %d times, want 1", b.n)
	}
	if r := &x.Response; r.Status != 404 || r.Fields.Len() != 0 || r.Trailers.Len() != 0 || r.Tunnel != nil || r.Body != nil {
		t.Errorf("got %+v, want a bare 404", *r)
	}
}

func TestCancel(t *testing.T) {
	gone, later := errors.New("gone"), errors.New("later")
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	var aborts [3]int
	var as [3]*aborterFunc
	for i := range as {
		as[i] = &aborterFunc{func() { aborts[i]++ }}
	}
	x.OnCancel(as[0])
	x.OnCancel(as[1])
	x.OffCancel(as[0])
	x.OffCancel(as[0]) // again, and of one that never was, is nothing
	x.OffCancel(as[2])
	if err := x.Cancelled(); err != nil {
		t.Errorf("cancelled before it was: %v", err)
	}
	x.Cancel(gone)
	x.Cancel(later) // the first cause counts
	x.OnCancel(as[2])
	if want := [3]int{0, 1, 1}; aborts != want { // the last one at once
		t.Errorf("got aborts %v, want %v", aborts, want)
	}
	if err := x.Cancelled(); err != gone {
		t.Errorf("got cause %v, want %v", err, gone)
	}
	x.OffCancel(as[1])
	x.OffCancel(as[2])
	x.End()
	x.Begin(nil, nil, time.Time{})
	if err := x.Cancelled(); err != nil {
		t.Errorf("the next exchange is cancelled: %v", err)
	}
	x.End()
}

// A late cancel must not reach what serves another exchange already: when
// OffCancel has returned, Abort neither runs nor will.
func TestOffCancelRaces(t *testing.T) {
	for range 500 {
		var x Exchange
		x.Begin(nil, nil, time.Time{})
		var off, late atomic.Bool
		a := &aborterFunc{func() {
			if off.Load() {
				late.Store(true)
			}
		}}
		x.OnCancel(a)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 2 {
			wg.Go(func() {
				<-start
				x.Cancel(io.EOF)
			})
		}
		close(start)
		x.OffCancel(a)
		off.Store(true)
		wg.Wait()
		x.End()
		if late.Load() {
			t.Fatal("an aborter ran after OffCancel had returned")
		}
	}
}

func TestEndFindsForgottenAborters(t *testing.T) {
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	x.OnCancel(&aborterFunc{func() {}})
	defer func() {
		if r, ok := recover().(string); !ok || !strings.HasPrefix(r, "BUG: ") {
			t.Errorf("recovered %v, want a BUG", r)
		}
	}()
	x.End()
}

func TestContext(t *testing.T) {
	gone := errors.New("gone")
	check := func(do func(x *Exchange) context.Context, wantCause error) {
		t.Helper()
		var x Exchange
		x.Begin(nil, nil, time.Time{})
		ctx := do(&x)
		<-ctx.Done()
		if got := context.Cause(ctx); got != wantCause {
			t.Errorf("got cause %v, want %v", got, wantCause)
		}
	}
	check(func(x *Exchange) context.Context { // ends with the exchange
		ctx := x.Context()
		if ctx.Err() != nil || x.Context() != ctx {
			t.Error("want one context, which has not ended")
		}
		x.End()
		return ctx
	}, context.Canceled)
	check(func(x *Exchange) context.Context { // is cancelled with it
		ctx := x.Context()
		x.Cancel(gone)
		defer x.End()
		return ctx
	}, gone)
	check(func(x *Exchange) context.Context { // made when it has been
		x.Cancel(gone)
		defer x.End()
		return x.Context()
	}, gone)
}

func TestFork(t *testing.T) {
	head := []byte("POST https example.org /path q=1 HTTP/1.1 Name Value id-1")
	text := unsafe.String(&head[0], len(head))
	parts := strings.Fields(text)
	var x Exchange
	client := &Client{IP: "192.0.2.1"}
	x.Begin(new(engine), client, time.Unix(1, 0))
	x.Request = Request{Method: parts[0], Scheme: parts[1], Authority: parts[2], Path: parts[3], Query: parts[4], Proto: parts[5],
		Body: Content([]byte("body")), Length: 4, Upgrade: "websocket"}
	x.Request.Fields.Add(parts[6], parts[7])
	x.Record.ID, x.Record.Site = parts[8], "shop"
	x.Limits.Connect = time.Second
	f := x.Fork(context.Background())
	copy(head, strings.Repeat("!", len(head)))
	x.End()

	r := &f.Request
	got := strings.Join([]string{r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto, r.Fields.At(0).Name, r.Fields.At(0).Value, f.Record.ID}, " ")
	if want := "POST https example.org /path q=1 HTTP/1.1 Name Value id-1"; got != want {
		t.Errorf("got head %q, want %q", got, want)
	}
	if r.Body != nil || r.Length != 0 || r.Upgrade != "" {
		t.Errorf("got body %v of length %d, upgrade %q, want none", r.Body, r.Length, r.Upgrade)
	}
	if f.Record.Site != "" || f.Client != client || f.Limits.Connect != time.Second {
		t.Errorf("got record of %q, client %v, limits %v", f.Record.Site, f.Client, f.Limits)
	}
	ended := false
	f.OnEnd(enderFunc(func(*Exchange) { ended = true }))
	f.End()
	if !ended {
		t.Error("the fork's ender did not run")
	}
}

func TestForkIsCancelledByItsContext(t *testing.T) {
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	defer x.End()
	ctx, cancel := context.WithCancelCause(t.Context())
	f := x.Fork(ctx)
	aborted := make(chan struct{})
	a := &aborterFunc{func() { close(aborted) }}
	f.OnCancel(a)
	within := f.Context()
	cancel(io.EOF)
	<-aborted
	<-within.Done()
	if got := f.Cancelled(); got != io.EOF {
		t.Errorf("got cause %v, want %v", got, io.EOF)
	}
	if got := x.Cancelled(); got != nil {
		t.Errorf("the client's exchange is cancelled with its fork: %v", got)
	}
	f.OffCancel(a)
	f.End()
}

// The client may leave: what runs on a fork goes on.
func TestForkOutlivesTheClient(t *testing.T) {
	var x Exchange
	x.Begin(nil, nil, time.Time{})
	f := x.Fork(t.Context())
	x.Cancel(io.EOF)
	x.End()
	if err := f.Cancelled(); err != nil {
		t.Errorf("the fork is cancelled with the client's exchange: %v", err)
	}
	f.End()
}

// A fork that has ended holds nothing of its context, which may live long.
func TestForkLetsGoOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var x Exchange
	f := x.Fork(ctx)
	inner := f.Context()
	f.End()
	<-inner.Done()
	cancel()
	if err := f.Cancelled(); err != nil {
		t.Errorf("cancelled after its end: %v", err)
	}
}

func TestChain(t *testing.T) {
	var got []string
	filter := func(name string) Filter {
		return FilterFunc(func(x *Exchange, next Handler) error {
			got = append(got, name+" in")
			err := next.Serve(x)
			got = append(got, name+" out")
			return err
		})
	}
	h := Chain(HandlerFunc(func(*Exchange) error { got = append(got, "origin"); return io.EOF }), filter("a"), filter("b"))
	if err := h.Serve(new(Exchange)); err != io.EOF {
		t.Errorf("got %v, want the handler's error", err)
	}
	if want := []string{"a in", "b in", "origin", "b out", "a out"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// refuser is a handler that wants to know of refused requests.
type refuser struct{ err error }

func (r *refuser) Serve(*Exchange) error         { return nil }
func (r *refuser) Refuse(x *Exchange, err error) { r.err = err; x.Respond(418, nil, 0) }

func TestRefuse(t *testing.T) {
	bad := &Error{Kind: RequestError, Op: "parse"}
	var x Exchange
	Refuse(HandlerFunc(nil), &x, bad)
	if x.Response.Status != 400 {
		t.Errorf("got status %d, want 400", x.Response.Status)
	}
	r := new(refuser)
	Refuse(r, &x, bad)
	if r.err != bad || x.Response.Status != 418 {
		t.Errorf("got %v, status %d, want the handler to answer", r.err, x.Response.Status)
	}
}
