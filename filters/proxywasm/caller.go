package proxywasm

import (
	"context"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// caller is who has requests of its own: an exchange's context, or the root's.
type caller interface {
	// fork returns an exchange for a request that may take d, or as long as the caller is
	// there if d is 0. It reports false if there are too many, or it is too late. v.mu is
	// held.
	fork(d time.Duration, waits bool) (o outing, ok bool)

	// hear takes what the guest is to be told of.
	hear(e event)
}

// outing is a request of the guest's on its way: it runs on a goroutine of its own, and
// touches nothing of the guest's. Its last event ends it.
type outing struct {
	id     uint32
	x      *edge.Exchange
	ctx    context.Context
	cancel context.CancelCauseFunc
	from   caller
	run    func(func()) // runs it
	waits  bool         // the exchange that has made it waits for it while it is paused
	unsung bool         // the guest that has made it is not there to be told of anything
}

// event is something that becomes of a request of the guest's.
type event interface {
	// tell tells the guest, of whose context it is. v.mu is held.
	tell(v *vm, s *stream) error

	// ends returns the request, if this is the last that becomes of it, or nil.
	ends() *outing
}

// caller returns who makes requests now. What a guest calls when its exchange is over, to
// log it, goes on without it.
func (v *vm) caller() (c caller, unsung bool) {
	switch s := v.serving(); {
	case s == nil:
		return &v.f.root, false
	case s.ending:
		return &v.f.root, !v.f.cfg.Shared
	default:
		return s, false
	}
}

// fork makes an exchange for a request of whoever makes one now.
func (v *vm) fork(d time.Duration, waits bool) (outing, bool) {
	c, unsung := v.caller()
	o, ok := c.fork(d, waits)
	o.id, o.from, o.waits, o.unsung = v.f.calling.Add(1), c, waits, unsung
	return o, ok
}

// within returns a context that ends with its parent, when it is cancelled, or after d,
// unless that is 0.
func within(parent context.Context, d time.Duration) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	if d == 0 {
		return ctx, cancel
	}
	timed, stop := context.WithTimeout(ctx, d)
	return timed, func(cause error) {
		cancel(cause)
		stop()
	}
}

// fork implements caller.
func (s *stream) fork(d time.Duration, waits bool) (o outing, ok bool) {
	if s.pending >= s.f.cfg.Calls || s.settled[ofResponse] && s.x.Cancelled() != nil {
		return o, false
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(s.x.Context())
	}
	o.ctx, o.cancel = within(s.ctx, d)
	o.x, o.run = s.x.Fork(o.ctx), s.requests.Go
	s.pending++
	if waits {
		s.awaited++
	}
	return o, true
}

// hear implements caller.
func (s *stream) hear(e event) {
	s.v.mu.Lock()
	s.done = append(s.done, e)
	s.v.mu.Unlock()
	s.signal()
}

// deliver tells the guest of what has become of its context's requests. s.v.mu is held.
func (s *stream) deliver() error {
	for len(s.done) > 0 {
		e := s.done[0]
		s.done = s.done[1:]
		if o := e.ends(); o != nil {
			s.pending--
			if o.waits {
				s.awaited--
			}
		}
		if s.local != nil || s.closed {
			continue
		}
		if err := e.tell(s.v, s); err != nil {
			return err
		}
	}
	return nil
}

// fork implements caller.
func (r *root) fork(d time.Duration, _ bool) (o outing, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.pending >= r.f.cfg.Calls {
		return o, false
	}
	r.pending++
	o.ctx, o.cancel = within(r.ctx, d)
	var none edge.Exchange
	none.Client = new(edge.Client)
	r.jobs.Add(1) // while it is not closed
	o.x, o.run = none.Fork(o.ctx), func(f func()) {
		go func() {
			defer r.jobs.Done()
			f()
		}()
	}
	return o, true
}

// hear implements caller.
func (r *root) hear(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, e)
	r.run()
}
