package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
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
