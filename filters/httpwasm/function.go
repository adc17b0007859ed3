package httpwasm

import (
	"context"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/stream"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Function is an [edge.Handler] that a guest implements: one that answers every
// request in handle_request. There is no next handler, so handle_response is never
// called.
//
// The guest reads the request's content as it comes, as much at a time as is at
// hand, and what it writes is sent meanwhile. So status and fields can be changed
// until content has been sent: the feature buffer_response makes that the end.
type Function struct{ guests *Filter }

// NewFunction makes a function of a module, as New makes a filter.
func NewFunction(m *wasm.Module, cfg Config) (*Function, error) {
	cfg.OnError = wasm.Deny
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
	guests := f.guests
	guests.counters.Call()
	x.Record.Function = edge.FilterRun{Name: guests.cfg.Name, Version: guests.cfg.Version}
	c := newCall(guests, x)
	op := "function " + guests.cfg.Name
	if err := c.start(); err != nil {
		c.end()
		if x.Cancelled() != nil {
			return stream.Gone(x, op)
		}
		return c.failure(err)
	}
	if c.features&bufferResponse != 0 {
		c.stream.Hold(guests.cfg.Body)
	}
	if err := c.stream.Start(x, c.in, c, op); err != nil {
		return err
	}
	c.respond()
	return nil
}

// Close refuses further exchanges. What the function holds is released when the
// last exchange has left it.
func (f *Function) Close() { f.guests.Close() }

// Stats returns the function's counters.
func (f *Function) Stats() wasm.Stats { return f.guests.Stats() }

// Journal returns what takes what the guest logs.
func (f *Function) Journal() *journal.Journal { return f.guests.Journal() }
