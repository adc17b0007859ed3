package httpwasm

import (
	"context"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Function is an [edge.Handler] that a guest implements: one that answers every
// request in handle_request. There is no next handler, so handle_response is never
// called.
type Function struct{ guests *Filter }

// NewFunction makes a function of a module, as New makes a filter.
func NewFunction(m *wasm.Module, cfg Config) (*Function, error) {
	cfg.OnError = Deny
	f, err := newGuests(m, cfg, asFunction)
	if err != nil {
		return nil, err
	}
	return &Function{f}, nil
}

// LoadFunction compiles a module and makes a function of it.
func LoadFunction(ctx context.Context, e *wasm.Engine, binary []byte, cfg Config) (*Function, error) {
	m, err := Compile(ctx, e, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return NewFunction(m, cfg)
}

// Serve implements [edge.Handler].
func (f *Function) Serve(x *edge.Exchange) error {
	f.guests.calls.Add(1)
	g := &guest{f: f.guests, x: x, features: f.guests.features, head: x.Request.Method == "HEAD"}
	x.Record.Function = edge.FilterRun{Name: f.guests.cfg.Name, Version: f.guests.cfg.Version}
	defer g.end()

	verdict, err := g.request()
	if err == nil && verdict.next {
		err = &wasm.Failure{Cause: wasm.Misused, Op: "call handle_request",
			Err: wasm.Trap("it does not answer, but wants the next handler, of which a function has none")}
	}
	if err != nil {
		g.skips(err) // never: it counts and logs
		return g.denial(err, "handle request")
	}
	g.respond()
	return nil
}

// Close refuses further exchanges. What the function holds is released when the
// last exchange has left it.
func (f *Function) Close() { f.guests.Close() }

// Stats returns the function's counters.
func (f *Function) Stats() Stats { return f.guests.Stats() }

// Journal returns what takes what the guest logs.
func (f *Function) Journal() *journal.Journal { return f.guests.Journal() }
