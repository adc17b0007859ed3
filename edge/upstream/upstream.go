// Package upstream is the pool that a request is sent to: it picks an endpoint,
// tries another one where that is safe, and counts.
package upstream

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/balance"
)

// Transport forwards exchanges to one endpoint.
type Transport interface {
	edge.Handler
	Idle() int // connections that are open and unused
	Retire()   // closes them, and every other one when its exchange ends
}

// Pool forwards exchanges to the endpoints of one upstream. All of its methods
// may be called from any goroutine.
type Pool struct {
	name      string
	retries   int
	balance   *balance.Balancer
	endpoints []endpoint
	sessions  sync.Pool // of *session
	health    health
}

type endpoint struct {
	Endpoint
	transport Transport
	requests  atomic.Uint64
	errors    [kinds]atomic.Uint64
	authority string        // what it is asked for where a request names no host
	until     atomic.Int64  // see health
	failure   atomic.Uint32 // edge.Kind of the last failure to connect
}

// kinds is the number of kinds of failure; ClientGone is the last.
const kinds = int(edge.ClientGone) + 1

// New returns a pool over the endpoints of cfg, which is valid. transport makes
// what forwards to one of them.
func New(cfg Config, transport func(Endpoint) Transport) *Pool {
	p := &Pool{name: cfg.Name, retries: 1, endpoints: make([]endpoint, len(cfg.Endpoints))}
	if cfg.Retries != 0 {
		p.retries = max(cfg.Retries, 0)
	}
	p.health = newHealth(cfg.Suspend)
	members := make([]balance.Member, len(cfg.Endpoints))
	for i, e := range cfg.Endpoints {
		e.Weight = max(e.Weight, 1)
		members[i] = balance.Member{Weight: e.Weight, Backup: e.Backup}
		p.endpoints[i].Endpoint = e
		p.endpoints[i].transport = transport(e)
		p.endpoints[i].authority = e.Authority()
	}
	p.balance = balance.New(cfg.Balance, members)
	p.sessions.New = func() any { return &session{pool: p, at: -1} }
	return p
}

// session is what a pool knows of one exchange. It is an ender, so that an
// endpoint counts a request as in flight until the response is delivered.
type session struct {
	pool *Pool
	at   int         // the endpoint that has a request in flight; -1: none
	last int         // the endpoint of the last try
	bad  balance.Set // endpoints that have failed this exchange
	skip balance.Set // scratch of pick
}

// End gives the session back. A response that has broken off, which shows only
// when it is delivered, counts as a failure of its endpoint.
func (s *session) End(x *edge.Exchange) {
	if x.Record.Err != nil && s.at >= 0 {
		if e, ok := errors.AsType[*edge.Error](x.Record.Err); ok && breaksOff(e.Kind) {
			s.pool.endpoints[s.at].errors[e.Kind].Add(1)
		}
	}
	s.leave()
	s.bad.Reset()
	s.pool.sessions.Put(s)
}

// leave says that the endpoint has nothing more to do for the exchange.
func (s *session) leave() {
	if s.at >= 0 {
		s.pool.balance.Done(s.at)
		s.at = -1
	}
}

// Serve forwards x to an endpoint, and to another if the first cannot have seen
// anything of the request. A request without an authority asks each endpoint for
// its own.
func (p *Pool) Serve(x *edge.Exchange) error {
	s := p.sessions.Get().(*session)
	x.OnEnd(s) // before the transport's own, so that it runs after them
	x.Record.Upstream = p.name
	retries := p.retries
	if x.Limits.Retries != 0 {
		retries = max(x.Limits.Retries, 0)
	}
	own := x.Request.Authority == ""
	for try := 0; ; try++ {
		s.at = p.pick(s)
		s.last = s.at
		e := &p.endpoints[s.at]
		x.Record.Endpoint = e.Address
		if own {
			x.Request.Authority = e.authority
		}
		tries := x.Record.Tries
		e.requests.Add(1)
		err := e.transport.Serve(x)
		// A transport counts what it sends, and may send twice; what it could not
		// send is a try too.
		x.Record.Tries = max(x.Record.Tries, tries+1)
		if err == nil {
			p.health.works(e)
			return nil
		}
		failure := edge.AsError(err)
		e.errors[failure.Kind].Add(1)
		s.bad.Add(s.at)
		s.leave()
		if x.Cancelled() != nil { // may be why it failed
			return err
		}
		if cannotConnect(failure.Kind) {
			p.health.fails(e, failure.Kind)
		}
		if !failure.Retryable || try == retries {
			return err
		}
	}
}

// pick returns the endpoint for the next try. One that has failed this exchange
// is taken again only when all have, and one that is suspended only when all
// others are or have failed.
func (p *Pool) pick(s *session) int {
	if p.health.suspended.Load() > 0 {
		s.skip.CopyFrom(&s.bad)
		now := p.health.now()
		for i := range p.endpoints {
			if p.health.suspends(&p.endpoints[i], now) {
				s.skip.Add(i)
			}
		}
		for {
			i := p.balance.Pick(&s.skip)
			if i < 0 {
				break
			}
			if p.health.admits(&p.endpoints[i], now) {
				return i
			}
			p.balance.Done(i)
			s.skip.Add(i)
		}
	}
	if i := p.balance.Pick(&s.bad); i >= 0 {
		return i
	}
	s.bad.Reset()
	s.bad.Add(s.last) // not the same one twice in a row, if there is another
	if i := p.balance.Pick(&s.bad); i >= 0 {
		return i
	}
	return p.balance.Pick(nil)
}

// Retire closes connections that are idle, and the others when their exchanges
// end. The pool still serves, a connection an exchange.
func (p *Pool) Retire() {
	for i := range p.endpoints {
		p.endpoints[i].transport.Retire()
	}
}

// Name returns the upstream's name.
func (p *Pool) Name() string { return p.name }

// cannotConnect reports whether a failure says that no connection to the
// endpoint can be had, whatever the request.
func cannotConnect(k edge.Kind) bool {
	switch k {
	case edge.DNSTimeout, edge.DNSError, edge.DestinationNotFound, edge.DestinationUnavailable,
		edge.ConnectionRefused, edge.ConnectionTimeout, edge.TLSProtocolError, edge.TLSCertificateError:
		return true
	}
	return false
}

// breaksOff reports whether a failure is one that ends a response after its head.
func breaksOff(k edge.Kind) bool {
	switch k {
	case edge.ConnectionTerminated, edge.ConnectionReadTimeout, edge.ResponseIncomplete,
		edge.ResponseTransferCoding, edge.ProtocolError:
		return true
	}
	return false
}

// Status is the state of a pool.
type Status struct {
	Name      string
	Balance   balance.Policy
	Endpoints []EndpointStatus
}

// EndpointStatus is the state of an endpoint.
type EndpointStatus struct {
	Endpoint
	InFlight  int
	Idle      int                  // connections
	Requests  uint64               // given to its transport
	Errors    map[edge.Kind]uint64 // those that failed, at the head or later; nil: none
	Suspended bool                 // passed over, since no connection could be made
}

// Status returns the state of the pool.
func (p *Pool) Status() Status {
	st := Status{Name: p.name, Balance: p.balance.Policy(), Endpoints: make([]EndpointStatus, len(p.endpoints))}
	now := p.health.now()
	for i := range p.endpoints {
		e := &p.endpoints[i]
		s := &st.Endpoints[i]
		*s = EndpointStatus{
			Endpoint:  e.Endpoint,
			InFlight:  p.balance.InFlight(i),
			Idle:      e.transport.Idle(),
			Requests:  e.requests.Load(),
			Suspended: p.health.suspends(e, now),
		}
		for k := range e.errors {
			if n := e.errors[k].Load(); n > 0 {
				if s.Errors == nil {
					s.Errors = make(map[edge.Kind]uint64)
				}
				s.Errors[edge.Kind(k)] = n
			}
		}
	}
	return st
}
