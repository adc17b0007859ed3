package upstream

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

type ender func()

func (e ender) End(*edge.Exchange) { e() }

// A request is in flight until the response is delivered, and the transport is
// done before.
func TestInFlight(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b")
	check := func(when string, want ...int) {
		t.Helper()
		if got := inFlight(p); !slices.Equal(got, want) {
			t.Errorf("%s: %v in flight, want %v", when, got, want)
		}
	}
	p.endpoints[0].transport.(*fake).serve = func(x *edge.Exchange) error {
		x.OnEnd(ender(func() { check("in the transport's ender", 1, 1) }))
		return nil
	}
	var x, y edge.Exchange
	p.Serve(&x)
	check("after Serve", 1, 0)
	p.Serve(&y)
	check("after another", 1, 1)
	x.End()
	check("after End", 0, 1)
	y.End()
	check("after both", 0, 0)
	p.endpoints[0].transport.(*fake).serve = nil

	// An endpoint that has failed has nothing in flight, however long the error
	// page takes.
	f.set(cut, "b")
	p.Serve(&x)
	p.Serve(&y)
	check("after a failure", 1, 0)
	x.End()
	y.End()
	check("after its End", 0, 0)

	// The same exchange may be served twice, as when a filter retries.
	f.set(nil, "b")
	p.Serve(&x)
	p.Serve(&x)
	check("served twice", 1, 1)
	x.End()
	check("after its End", 0, 0)

	// A transport that panics leaves nothing behind.
	p.endpoints[0].transport.(*fake).serve = func(x *edge.Exchange) error { panic("BUG: test") }
	func() {
		defer func() { recover() }()
		p.Serve(&x)
	}()
	x.End()
	check("after a panic", 0, 0)
}

// A response that breaks off is its endpoint's failure; a client that leaves, or a
// filter that fails, is not.
func TestBrokenResponse(t *testing.T) {
	p, _ := newPool(t, Config{}, "a")
	for _, err := range []error{
		&edge.Error{Kind: edge.ResponseIncomplete, Op: "read the content"},
		&edge.Error{Kind: edge.ClientGone, Op: "write the response"},
		&edge.Error{Kind: edge.FilterFailed, Op: "filter"},
		errors.ErrUnsupported,
	} {
		var x edge.Exchange
		if err := p.Serve(&x); err != nil {
			t.Fatal(err)
		}
		x.Record.Err = err
		x.End()
	}
	var x edge.Exchange // one that has failed already is not counted twice
	p.endpoints[0].transport.(*fake).serve = func(*edge.Exchange) error { return cut }
	x.Answer(p.Serve(&x))
	x.End()
	got, want := p.Status().Endpoints[0].Errors, map[edge.Kind]uint64{edge.ResponseIncomplete: 1, edge.ConnectionTerminated: 1}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
