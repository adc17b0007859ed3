package upstream

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// An endpoint to which no connection can be made is passed over for a moment;
// then one request tries it again.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPool(t, Config{}, "a", "b")
		calls := func(n int) string {
			for range n {
				send(p)
			}
			return f.called()
		}
		f.set(refused, "a")
		if got, want := calls(5), "a b b b b b"; got != want {
			t.Errorf("called %q, want %q", got, want)
		}
		if st := p.Status(); !st.Endpoints[0].Suspended || st.Endpoints[1].Suspended {
			t.Errorf("%+v", st)
		}
		for range 3 { // down for three seconds more
			<-time.After(time.Second)
			if p.Status().Endpoints[0].Suspended {
				t.Error("suspended for more than a second")
			}
			if got := calls(10); strings.Count(got, "a") != 1 || strings.Count(got, "b") != 10 {
				t.Errorf("called %q, want a once", got)
			}
		}
		<-time.After(time.Second)
		f.set(nil, "a")
		if got := calls(20); strings.Count(got, "a") < 9 {
			t.Errorf("called %q: a is back, and not called", got)
		}
	})
}

// While one request finds out whether an endpoint is back, the others go
// elsewhere: they do not all wait for a connection that may never stand.
func TestOneFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPool(t, Config{}, "a", "b")
		f.set(&edge.Error{Kind: edge.ConnectionTimeout, Op: "dial", Retryable: true}, "a")
		send(p)
		<-time.After(time.Second)
		f.called()

		answer := make(chan error)
		p.endpoints[0].transport.(*fake).serve = func(*edge.Exchange) error { return <-answer }
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { send(p) })
		}
		synctest.Wait()
		if got := strings.Count(f.called(), "a"); got != 1 {
			t.Errorf("%d wait for the endpoint, want 1", got)
		}
		if !p.Status().Endpoints[0].Suspended {
			t.Error("not suspended while it is being tried")
		}
		answer <- nil
		wg.Wait()
		if p.Status().Endpoints[0].Suspended || p.health.suspended.Load() != 0 {
			t.Error("suspended though it has answered")
		}
	})
}

func TestAllSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPool(t, Config{}, "a", "b", "z backup")
		f.set(refused, "a", "b")
		if _, err := send(p); err != refused { // a, b: one retry
			t.Errorf("got %v, want %v", err, refused)
		}
		f.called()
		send(p)
		send(p)
		if got, want := f.called(), "z z"; got != want {
			t.Errorf("with the primaries suspended called %q, want %q", got, want)
		}
		f.set(refused, "z")
		send(p)
		if got := strings.Fields(f.called()); len(got) != 2 || got[0] != "z" || got[1] == "z" {
			t.Errorf("called %q, want the backup, then a primary", got)
		}
		// Nobody is left: any may be tried, and who answers is back.
		f.set(nil, "a", "b")
		if _, err := send(p); err != nil {
			t.Errorf("got %v, though all have recovered", err)
		}
		if got := f.called(); got != "a" && got != "b" {
			t.Errorf("called %q, want a primary", got)
		}
		<-time.After(time.Second)
		for range 4 {
			send(p)
		}
		if got := f.called(); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 2 {
			t.Errorf("called %q, want both in turn", got)
		}
	})
}

// Only that no connection can be had suspends: what else goes wrong may be the
// request's fault, and would let one client turn an endpoint off.
func TestWhatSuspends(t *testing.T) {
	for k := range edge.Kind(kinds) {
		p, f := newPool(t, Config{Retries: NoRetries}, "a", "b")
		f.set(&edge.Error{Kind: k, Op: "test"}, "a")
		send(p)
		var want bool
		switch k {
		case edge.DNSTimeout, edge.DNSError, edge.DestinationNotFound, edge.DestinationUnavailable,
			edge.ConnectionRefused, edge.ConnectionTimeout, edge.TLSProtocolError, edge.TLSCertificateError:
			want = true
		}
		st := p.Status().Endpoints[0]
		if st.Suspended != want {
			t.Errorf("%v: suspended %v, want %v", k, st.Suspended, want)
		}
		if st.Errors[k] != 1 || len(st.Errors) != 1 {
			t.Errorf("%v: counted %v", k, st.Errors)
		}
	}
}

func TestSuspendFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, pause := range []time.Duration{0, 10 * time.Second, NeverSuspend} {
			p, f := newPool(t, Config{Suspend: pause}, "a", "b")
			f.set(refused, "a")
			send(p)
			if got := p.Status().Endpoints[0].Suspended; got != (pause >= 0) {
				t.Errorf("%s: suspended %v", pause, got)
			}
			<-time.After(time.Second)
			if got := p.Status().Endpoints[0].Suspended; got != (pause > time.Second) {
				t.Errorf("%s: after a second suspended %v", pause, got)
			}
		}
	})
}
