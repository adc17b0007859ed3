package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/balance"
)

var (
	refused = &edge.Error{Kind: edge.ConnectionRefused, Op: "dial", Retryable: true}
	stale   = &edge.Error{Kind: edge.ConnectionTerminated, Op: "write", Retryable: true}
	cut     = &edge.Error{Kind: edge.ConnectionTerminated, Op: "read the response's head"}
	late    = &edge.Error{Kind: edge.ResponseTimeout, Op: "read the response's head"}
)

// fakes are the transports of a pool, by address.
type fakes struct {
	mu    sync.Mutex // guards the following fields
	fail  map[string]error
	calls []string // addresses
}

// fake is a transport that answers 200, or fails as told.
type fake struct {
	fakes   *fakes
	address string
	retired bool
	serve   func(x *edge.Exchange) error // instead
}

func (f *fake) Idle() int { return len(f.address) }
func (f *fake) Retire()   { f.retired = true }

func (f *fake) Serve(x *edge.Exchange) error {
	f.fakes.mu.Lock()
	f.fakes.calls = append(f.fakes.calls, f.address)
	err := f.fakes.fail[f.address]
	f.fakes.mu.Unlock()
	if f.serve != nil {
		return f.serve(x)
	}
	if err == nil {
		x.Respond(200, nil, 0)
	}
	return err
}

func (f *fakes) set(err error, addresses ...string) {
	f.mu.Lock()
	for _, a := range addresses {
		f.fail[a] = err
	}
	f.mu.Unlock()
}

// called returns who has been called since the last time.
func (f *fakes) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, " ")
	f.calls = nil
	return s
}

// newPool returns a pool of the addresses; "a backup" is a backup, "a weight 3"
// has a weight.
func newPool(t testing.TB, cfg Config, addresses ...string) (*Pool, *fakes) {
	t.Helper()
	cfg.Name = "shop"
	for _, a := range addresses {
		e := Endpoint{Network: "tcp"}
		if _, err := fmt.Sscanf(a, "%s weight %d", &e.Address, &e.Weight); err != nil {
			e.Address, e.Backup = strings.CutSuffix(a, " backup")
		}
		cfg.Endpoints = append(cfg.Endpoints, e)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	f := &fakes{fail: make(map[string]error)}
	return New(cfg, func(e Endpoint) Transport { return &fake{fakes: f, address: e.Address} }), f
}

// send serves one exchange and ends it.
func send(p *Pool) (edge.Record, error) {
	var x edge.Exchange
	err := p.Serve(&x)
	record := x.Record
	x.End()
	return record, err
}

func inFlight(p *Pool) (n []int) {
	for _, e := range p.Status().Endpoints {
		n = append(n, e.InFlight)
	}
	return n
}

func TestServe(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b weight 2", "c backup")
	for range 6 {
		record, err := send(p)
		if err != nil {
			t.Fatal(err)
		}
		if record.Upstream != "shop" || record.Tries != 1 || record.Endpoint == "" {
			t.Errorf("record: %+v", record)
		}
	}
	if got, want := f.called(), "b a b b a b"; got != want {
		t.Errorf("called %q, want %q", got, want)
	}
}

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

func TestLeastRequests(t *testing.T) {
	p, f := newPool(t, Config{Balance: balance.LeastRequests}, "a", "b")
	var slow [3]edge.Exchange
	for i := range slow {
		p.Serve(&slow[i]) // one to a, two to b
	}
	for range 2 {
		send(p) // b has more
	}
	if got, want := f.called(), "a b b a a"; got != want {
		t.Errorf("called %q, want %q", got, want)
	}
	for i := range slow {
		slow[i].End()
	}
}

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

func TestRetire(t *testing.T) {
	p, _ := newPool(t, Config{}, "a", "b backup")
	p.Retire()
	for i := range p.endpoints {
		if !p.endpoints[i].transport.(*fake).retired {
			t.Errorf("endpoint %d is not retired", i)
		}
	}
	if _, err := send(p); err != nil {
		t.Errorf("a retired pool does not serve: %v", err)
	}
}

func TestStatus(t *testing.T) {
	p, f := newPool(t, Config{Balance: balance.LeastRequests}, "one:1", "two:22 weight 3", "three:333 backup")
	f.set(refused, "one:1")
	f.set(late, "two:22")
	send(p)
	send(p)
	st := p.Status()
	if st.Name != "shop" || st.Balance != balance.LeastRequests || p.Name() != "shop" {
		t.Errorf("%+v", st)
	}
	want := []EndpointStatus{
		{Endpoint{"tcp", "one:1", 1, false}, 0, 5, 1, map[edge.Kind]uint64{edge.ConnectionRefused: 1}, true},
		{Endpoint{"tcp", "two:22", 3, false}, 0, 6, 2, map[edge.Kind]uint64{edge.ResponseTimeout: 2}, false},
		{Endpoint{"tcp", "three:333", 1, true}, 0, 9, 0, nil, false},
	}
	for i, got := range st.Endpoints {
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("endpoint %d: %+v, want %+v", i, got, want[i])
		}
	}
}

// Peek says in which order endpoints are tried, and why some come last.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPool(t, Config{Retries: 3, Suspend: 10 * time.Second}, "a", "b weight 2", "c", "d backup")
		check := func(want string) {
			t.Helper()
			var got []string
			for _, c := range p.Peek() {
				s := c.Address
				switch {
				case c.Suspended > 0:
					s += fmt.Sprintf("(%s for %s)", c.Failure, c.Suspended.Round(time.Second))
				case c.Trial:
					s += fmt.Sprintf("(trial after %s)", c.Failure)
				}
				got = append(got, s)
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("got %q, want %q", s, want)
			}
		}
		check("b a c d")
		check("b a c d")
		f.set(refused, "a", "b", "c", "d")
		send(p)
		if got, want := f.called(), "b a c d"; got != want {
			t.Errorf("called %q, want %q", got, want)
		}
		f.set(nil, "a", "b", "c", "d")
		<-time.After(4 * time.Second)
		f.set(late, "a")
		const kind = "(connection_refused for 6s)"
		check("c" + kind + " a" + kind + " b" + kind + " d" + kind)
		<-time.After(6 * time.Second)
		const trial = "(trial after connection_refused)"
		check("c" + trial + " a" + trial + " b" + trial + " d" + trial)
		send(p)
		if got := f.called(); got != "c" {
			t.Errorf("called %q, want c", got)
		}
	})
}

// Whatever has happened, the first that Peek names is the next that is asked.
func TestPeekAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for range 200 {
			policy := balance.Policy(r.IntN(2))
			addresses := []string{"a", "b weight 3", "c", "d backup", "e backup"}[:2+r.IntN(4)]
			p, f := newPool(t, Config{Balance: policy, Retries: r.IntN(4), Suspend: 5 * time.Second}, addresses...)
			for range 50 {
				<-time.After(time.Duration(r.IntN(4)) * time.Second)
				for _, e := range p.Status().Endpoints {
					f.set([]error{nil, nil, refused, late}[r.IntN(4)], e.Address)
				}
				var want []string
				for _, c := range p.Peek() {
					want = append(want, c.Address)
				}
				send(p)
				if got := strings.Fields(f.called()); got[0] != want[0] {
					t.Fatalf("%s: called %q, want %q", policy, got, want)
				}
			}
		}
	})
}

// A request that names no host asks each endpoint for its own address.
func TestEndpointsAuthority(t *testing.T) {
	var asked []string
	p := New(Config{Name: "shop", Endpoints: []Endpoint{{Network: "tcp", Address: "10.0.0.1:80"}, {Network: "unix", Address: "/run/app.sock"}}}, func(e Endpoint) Transport {
		return &fake{fakes: &fakes{}, address: e.Address, serve: func(x *edge.Exchange) error {
			asked = append(asked, x.Request.Authority)
			return refused
		}}
	})
	var x edge.Exchange
	p.Serve(&x)
	x.Request.Authority = "shop.test"
	p.Serve(&x)
	x.End()
	if want := []string{"10.0.0.1:80", "localhost", "shop.test", "shop.test"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestValidate(t *testing.T) {
	check := func(want string, endpoints ...Endpoint) {
		t.Helper()
		err := (&Config{Name: "shop", Endpoints: endpoints}).Validate()
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q", endpoints, got, want)
		}
	}
	check("<nil>", Endpoint{Network: "tcp", Address: "a:1"}, Endpoint{Network: "unix", Address: "/a", Weight: balance.MaxWeight})
	check(`upstream "shop" has no endpoints`)
	check("neither tcp nor unix", Endpoint{Network: "udp", Address: "a:1"})
	check("weight -1 is not between", Endpoint{Network: "tcp", Weight: -1})
	check("weight 1000001 is not between", Endpoint{Network: "tcp", Weight: balance.MaxWeight + 1})
	check("comes twice", Endpoint{Network: "tcp", Address: "a:1"}, Endpoint{Network: "tcp", Address: "a:1", Weight: 2})
}

// Many exchanges at once, endpoints that come and go, clients that leave: in the
// end nothing is in flight, and everything is counted.
func TestConcurrent(t *testing.T) {
	for _, policy := range []balance.Policy{balance.RoundRobin, balance.LeastRequests} {
		p, f := newPool(t, Config{Balance: policy, Retries: 2, Suspend: 1}, "a", "b", "c", "z backup")
		var wg sync.WaitGroup
		var mu sync.Mutex
		tries, failures := 0, 0
		for g := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				var x edge.Exchange
				for range 500 {
					switch r.IntN(10) {
					case 0:
						f.set([]error{refused, stale, cut, nil}[r.IntN(4)], []string{"a", "b", "c", "z"}[r.IntN(4)])
					case 1:
						x.Cancel(context.Canceled)
					}
					e, fork := &x, r.IntN(5) == 0
					if fork {
						e = x.Fork(context.Background())
					}
					err := p.Serve(e)
					mu.Lock()
					tries += e.Record.Tries
					failures += e.Record.Tries
					if err == nil {
						failures--
					}
					mu.Unlock()
					if fork {
						e.End()
					}
					x.End()
					x.Record = edge.Record{}
				}
			})
		}
		wg.Wait()
		requests, errs := 0, 0
		for _, e := range p.Status().Endpoints {
			requests += int(e.Requests)
			for _, n := range e.Errors {
				errs += int(n)
			}
		}
		if got := inFlight(p); !slices.Equal(got, []int{0, 0, 0, 0}) {
			t.Errorf("%s: in flight %v", policy, got)
		}
		if requests != tries || errs != failures {
			t.Errorf("%s: counted %d tries, %d failures; had %d, %d", policy, requests, errs, tries, failures)
		}
		suspended := int32(0)
		for i := range p.endpoints {
			if p.endpoints[i].until.Load() != 0 {
				suspended++
			}
		}
		if got := p.health.suspended.Load(); got != suspended {
			t.Errorf("%s: %d suspended, counted %d", policy, suspended, got)
		}
	}
}

type constant struct{ err error }

func (c constant) Serve(*edge.Exchange) error { return c.err }
func (constant) Idle() int                    { return 0 }
func (constant) Retire()                      {}

func TestAllocs(t *testing.T) {
	check := func(what string, fails error) {
		t.Helper()
		p := New(Config{Endpoints: []Endpoint{{"tcp", "a", 1, false}, {"tcp", "b", 1, false}}}, func(e Endpoint) Transport {
			if e.Address == "a" {
				return constant{fails}
			}
			return constant{}
		})
		var x edge.Exchange
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Serve(&x); err != nil {
				t.Fatal(err)
			}
			x.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", what, n)
		}
	}
	if edge.Poisons {
		t.Skip("sync.Pool drops at random under -race")
	}
	check("served", nil)
	check("retried", stale)
	check("suspended", refused)
}

func BenchmarkServe(b *testing.B) {
	for _, n := range []int{1, 3, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var cfg Config
			for i := range n {
				cfg.Endpoints = append(cfg.Endpoints, Endpoint{Network: "tcp", Address: fmt.Sprint(i)})
			}
			p := New(cfg, func(Endpoint) Transport { return constant{} })
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var x edge.Exchange
				for pb.Next() {
					p.Serve(&x)
					x.End()
				}
			})
		})
	}
}
