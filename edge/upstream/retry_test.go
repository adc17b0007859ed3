package upstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

func TestRetry(t *testing.T) {
	check := func(retries, limit int, fails string, how error, wantCalls string, want error, addresses ...string) {
		t.Helper()
		p, f := newPool(t, Config{Retries: retries, Suspend: NeverSuspend}, addresses...)
		f.set(how, strings.Fields(fails)...)
		var x edge.Exchange
		x.Limits.Retries = limit
		err := p.Serve(&x)
		calls := f.called()
		if calls != wantCalls || !errors.Is(err, want) {
			t.Errorf("%d retries, limit %d, %q fail with %v: called %q, %v; want %q, %v", retries, limit, fails, how, calls, err, wantCalls, want)
		}
		tries := strings.Fields(calls)
		if x.Record.Tries != len(tries) || x.Record.Endpoint != tries[len(tries)-1] {
			t.Errorf("record has %d tries, the last at %s; called %q", x.Record.Tries, x.Record.Endpoint, calls)
		}
		if err == nil && x.Response.Status != 200 {
			t.Errorf("status %d", x.Response.Status)
		}
		x.End()
	}
	check(0, 0, "a", refused, "a b", nil, "a", "b", "c")
	check(0, 0, "a", stale, "a b", nil, "a", "b", "c")
	check(0, 0, "a", cut, "a", cut, "a", "b", "c") // the origin may have acted
	check(0, 0, "a", late, "a", late, "a", "b", "c")
	check(0, 0, "a", errors.ErrUnsupported, "a", errors.ErrUnsupported, "a", "b") // no *edge.Error
	check(0, 0, "a b", refused, "a b", refused, "a", "b", "c")                    // once is the default
	check(2, 0, "a b", refused, "a b c", nil, "a", "b", "c")
	check(NoRetries, 0, "a", refused, "a", refused, "a", "b")
	check(0, -1, "a", refused, "a", refused, "a", "b") // the route says never
	check(NoRetries, 2, "a b", refused, "a b c", nil, "a", "b", "c")
	check(0, 0, "a", refused, "a a", refused, "a") // the only one
	check(3, 0, "a b", refused, "a b a b", refused, "a", "b")
	check(0, 0, "a", refused, "a z", nil, "a", "z backup")
	check(0, 0, "a", refused, "a b", nil, "a", "z backup", "b")
}

func TestLastErrorIsReturned(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b")
	other := &edge.Error{Kind: edge.ConnectionTimeout, Op: "dial"}
	f.set(refused, "a")
	f.set(other, "b")
	if _, err := send(p); err != other {
		t.Errorf("got %v, want %v", err, other)
	}
}

// An exchange that nobody waits for any more is not tried again, and says
// nothing about the endpoint.
func TestCancelled(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b")
	p.endpoints[0].transport.(*fake).serve = func(x *edge.Exchange) error {
		x.Cancel(context.Canceled)
		return refused
	}
	if _, err := send(p); err != refused {
		t.Errorf("got %v, want %v", err, refused)
	}
	if got := f.called(); got != "a" {
		t.Errorf("called %q, want a", got)
	}
	if st := p.Status().Endpoints[0]; st.Suspended || st.Errors[edge.ConnectionRefused] != 1 {
		t.Errorf("%+v", st)
	}

	// A fork is cancelled by its context.
	ctx, cancel := context.WithCancel(context.Background())
	var x edge.Exchange
	fork := x.Fork(ctx)
	p.endpoints[1].transport.(*fake).serve = func(x *edge.Exchange) error {
		cancel()
		<-x.Context().Done()
		return stale
	}
	if err := p.Serve(fork); err != stale {
		t.Errorf("got %v, want %v", err, stale)
	}
	fork.End()
	if got := f.called(); got != "b" {
		t.Errorf("called %q, want b", got)
	}
	if got := inFlight(p); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("in flight %v", got)
	}
}

// A transport that sends again by itself counts that; a pool counts each try
// once.
func TestTries(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b")
	f.set(refused, "a") // counts nothing
	p.endpoints[1].transport.(*fake).serve = func(x *edge.Exchange) error {
		x.Record.Tries += 2
		return nil
	}
	record, err := send(p)
	if record.Tries != 3 || err != nil {
		t.Errorf("%d tries, %v; want 3", record.Tries, err)
	}
}
