package upstream

import (
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/balance"
)

// Authority returns what an endpoint is asked for where nobody else's name is to
// be used: its address, and "localhost" for a socket of unix, as there is no host.
func (e *Endpoint) Authority() string {
	if e.Network == "unix" {
		return "localhost"
	}
	return e.Address
}

// Candidate is an endpoint that the next request may be sent to.
type Candidate struct {
	Endpoint
	Suspended time.Duration // for how much longer it is passed over; 0: it is not
	Trial     bool          // it has been: the next request finds out whether it still has to be
	Failure   edge.Kind     // why, if either
	InFlight  int
}

// Peek returns all endpoints in the order in which the next request would be sent
// to them, each after those before it have failed. It chooses none. Those that are
// suspended come last.
func (p *Pool) Peek() []Candidate {
	now := p.health.now()
	var suspended balance.Set
	for i := range p.endpoints {
		if p.health.suspends(&p.endpoints[i], now) {
			suspended.Add(i)
		}
	}
	order := p.balance.Order(&suspended)
	list := make([]Candidate, 0, len(order))
	for _, i := range order {
		e := &p.endpoints[i]
		c := Candidate{Endpoint: e.Endpoint, InFlight: p.balance.InFlight(i)}
		if until := e.until.Load(); until != 0 {
			c.Suspended = time.Duration(max(until-now, 0))
			c.Trial, c.Failure = until <= now, edge.Kind(e.failure.Load())
		}
		list = append(list, c)
	}
	return list
}
