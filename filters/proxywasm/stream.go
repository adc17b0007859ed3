package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// direction is one of the two that an exchange's messages go.
type direction uint8

const (
	ofRequest direction = iota
	ofResponse
)

// stream is an exchange's context.
type stream struct {
	f    *Filter
	x    *edge.Exchange
	v    *vm // nil: it has not begun
	id   uint32
	run  int // index in Record.Filters
	flow [2]flow
	wake [2]chan struct{} // signalled when the guest may have resumed
	took time.Duration    // guarded by v.mu, as are the following fields

	resumed  [2]bool
	settled  [2]bool // the head has been passed on
	trailers [2]bool // they are there, and the guest is being told of them
	local    *local
	replied  bool // by a local response
	closed   bool // by close_stream
	touched  bool // the response was changed
	answered bool // there is a response
	fields   int64
	logged   int
	ending   bool         // the exchange is over
	own      []edge.Field // properties

	requests sync.WaitGroup // of its own
	pending  int            // of these, not over as far as the guest knows
	awaited  int            // of these, what it waits for while it is paused
	done     []event        // to be told
	rpcs     []*rpc         // requests that are calls of gRPC
	ctx      context.Context
	cancel   context.CancelFunc // of requests of its own; nil: there are none

	before, kept original // the messages' heads, for the policy Skip
	ours         local    // what local points to
	alone        *vm      // what v points to, unless all contexts live in one
	waits        func() context.Context
}

// Filter implements [edge.Filter].
func (f *Filter) Filter(x *edge.Exchange, next edge.Handler) error {
	f.counters.Call()
	s := f.begin(x)
	s.keepRequest()
	err := s.request()
	switch {
	case err == nil:
	case errors.Is(err, errOver) && s.answer():
		return s.respond(nil)
	case !s.skips(err, ofRequest):
		return s.denial(err, ofRequest)
	default:
		s.before.restore(x)
		s.flow[ofRequest].passOn()
		return next.Serve(x)
	}
	failure := next.Serve(x)
	local, denied, broken := s.meanwhile()
	switch {
	case local != nil: // in the midst of the request's content
		s.give(local)
		return s.respond(nil)
	case denied != nil:
		return s.denial(denied, ofRequest)
	case broken: // and the policy is to go on
		return failure
	case failure != nil:
		x.Answer(failure)
	}
	return s.respond(failure)
}

// meanwhile returns what has become of the guest while the request was served.
func (s *stream) meanwhile() (l *local, denied error, broken bool) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	return s.take(), s.flow[ofRequest].denied, s.v.broken != nil
}

// respond has the guest see the response, which may be that of a failure, or its own,
// as in Envoy.
func (s *stream) respond(failure error) error {
	s.keepResponse()
	err := s.response()
	own := s.settle(ofResponse)
	if err != nil {
		if !s.skips(err, ofResponse) {
			return s.denial(err, ofResponse)
		}
		s.kept.restore(s.x)
		s.flow[ofResponse].passOn()
		return failure
	}
	if own && s.answer() {
		return nil
	}
	if failure != nil && !s.touched {
		return failure // as if the guest had not seen it
	}
	return nil
}

// wait is called before an instance is waited for.
func (s *stream) wait() context.Context {
	s.x.Block()
	return s.x.Context()
}

// request makes the context, and tells it of the request, as far as that is at hand.
func (s *stream) request() error {
	v, err := s.f.join(s)
	if err != nil {
		return err
	}
	s.id = s.f.ids.Add(1)
	for s.id <= rootID {
		s.id = s.f.ids.Add(1)
	}
	r := &s.x.Request
	paused := false
	v.mu.Lock()
	s.v = v
	v.add(s)
	v.together(s, func() {
		if _, err = v.enter(s, onContextCreate, uint64(s.id), rootID); err == nil {
			paused, err = s.head(ofRequest, onRequestHeaders, requestHeaders, r.Body == nil)
		}
	})
	v.mu.Unlock()
	if err = s.hold(ofRequest, paused, err); err != nil {
		return err
	}
	fl := &s.flow[ofRequest]
	r.Body, r.Length, err = fl.begin(r.Body, r.Length, &r.Trailers)
	if err != nil {
		return err
	}
	s.settle(ofRequest)
	return nil
}

// response tells the guest of the response, as far as it is at hand.
func (s *stream) response() error {
	r := &s.x.Response
	bodiless := r.Body == nil || r.Tunnel != nil || s.x.Request.Method == "HEAD" || r.Status == 204 || r.Status == 304
	s.v.mu.Lock()
	s.answered = true
	paused, err := s.head(ofResponse, onResponseHeaders, responseHeaders, bodiless)
	s.v.mu.Unlock()
	if err = s.hold(ofResponse, paused, err); err != nil || bodiless {
		return err
	}
	r.Body, r.Length, err = s.flow[ofResponse].begin(r.Body, r.Length, &r.Trailers)
	return err
}

// head tells the guest of a message's head. v.mu is held.
func (s *stream) head(d direction, c callback, kind uint32, last bool) (paused bool, err error) {
	l := s.linesOf(kind)
	n, end := l.len(), uint64(0)
	if last {
		end = 1
	}
	return s.told(d, c, uint64(s.id), uint64(n), end)
}

// hold waits if the guest has paused a message at its head.
func (s *stream) hold(d direction, paused bool, err error) error {
	if err == nil && paused {
		s.x.Block()
		_, err = s.pause(d, false)
	}
	return err
}

// settle says that a message's head is passed on, unless there is a response of the guest's
// own in its place.
func (s *stream) settle(d direction) (own bool) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	s.settled[d] = true
	return s.local != nil
}

// tell calls the guest, and reports whether it pauses.
func (s *stream) tell(d direction, c callback, params ...uint64) (paused bool, err error) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	return s.told(d, c, params...)
}

// told is tell, while v.mu is held.
func (s *stream) told(d direction, c callback, params ...uint64) (paused bool, err error) {
	v := s.v
	if err := s.deliver(); err != nil {
		return false, err
	}
	if s.local != nil || s.closed {
		return false, errOver
	}
	s.resumed[d] = false
	action, err := v.enter(s, c, params...)
	switch {
	case err != nil:
		return false, err
	case s.local != nil || s.closed:
		return false, errOver
	}
	return uint32(action) != 0 && !s.resumed[d], nil
}

// errOver says that the guest has answered by itself, or has given the exchange up.
var errOver = errors.New("the filter has ended the exchange")

// pause waits until the guest resumes, telling it of what it waits for; with calls only
// for as long as requests of its own are on their way.
func (s *stream) pause(d direction, calls bool) (resumed bool, err error) {
	timer := time.NewTimer(s.f.cfg.Pause)
	defer timer.Stop()
	ctx := s.x.Context()
	for {
		s.v.mu.Lock()
		err = s.deliver()
		if err == nil && s.v.broken != nil {
			err = s.v.broken
		}
		if err == nil && (s.local != nil || s.closed) {
			err = errOver
		}
		resumed, waits := s.resumed[d], !calls || s.awaited > 0
		s.v.mu.Unlock()
		if err != nil || resumed || !waits {
			return resumed, err
		}
		select {
		case <-s.wake[d]:
		case <-timer.C:
			return false, &wasm.Failure{Cause: wasm.TimedOut, Op: "pause", Err: fmt.Errorf(
				"it has paused the exchange, and not resumed it within %v", s.f.cfg.Pause)}
		case <-ctx.Done():
			return false, &edge.Error{Kind: edge.ClientGone, Op: "filter " + s.f.cfg.Name + ": pause", Err: context.Cause(ctx)}
		}
	}
}

// asks reports whether requests of the guest's own are on their way, of which it waits for
// the response.
func (s *stream) asks() bool {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	return s.awaited > 0
}

// calls reports whether calls of gRPC are on their way.
func (s *stream) calls() bool {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	return len(s.rpcs) > 0
}

// signal has those look who wait for the guest.
func (s *stream) signal() {
	for _, c := range s.wake {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// skips reports whether the exchange goes on in spite of err, which it counts and logs
// if it is the guest's.
func (s *stream) skips(err error, d direction) bool {
	if errors.Is(err, errOver) || isOurs(err) {
		return false
	}
	skip := s.f.cfg.OnError == wasm.Skip && !s.flow[d].lost
	if !s.f.failed(err, "skipped", skip, "id", s.x.Record.ID) {
		return false
	}
	if s.v != nil {
		s.v.mu.Lock()
		if s.v.broken == nil && !s.f.cfg.Shared {
			s.v.broken = err // it has paused for too long, or the like
		}
		s.v.mu.Unlock()
	}
	if skip {
		s.f.counters.Skip()
	}
	return skip
}

// isOurs reports whether an error is the exchange's, and not the guest's.
func isOurs(err error) bool {
	_, ok := errors.AsType[*edge.Error](err)
	return ok
}

// denial is what becomes of an exchange that does not go on: nil if the guest has
// answered.
func (s *stream) denial(err error, d direction) error {
	if s.answer() {
		return nil
	}
	if errors.Is(err, errOver) {
		return &edge.Error{Kind: edge.RequestDenied, Op: "filter " + s.f.cfg.Name + ": closed the stream"}
	}
	w, ok := errors.AsType[*wasm.Failure](err)
	if !ok {
		return err
	}
	s.x.Record.Filters[s.run].Failed = true
	e := &edge.Error{Kind: edge.FilterFailed, Op: "filter " + s.f.cfg.Name, Err: w}
	switch {
	case w.Cause == wasm.Exhausted || w.Cause == wasm.Closed:
		e.Status = 503
	case w.Cause == wasm.Oversized && d == ofRequest:
		e.Status = 413
	case w.Cause == wasm.Oversized:
		e.Status = 502
	}
	return e
}

// End implements [edge.Ender]: it ends the context.
func (s *stream) End(*edge.Exchange) {
	s.end()
	s.empty()
	idle.Put(s)
}

func (s *stream) end() {
	v := s.v
	if v == nil {
		return
	}
	s.flow[ofRequest].stop()
	v.mu.Lock()
	s.ending = true // it makes no further requests
	if cancel := s.cancel; cancel != nil {
		v.mu.Unlock()
		cancel()
		s.requests.Wait()
		v.mu.Lock()
	}
	v.together(s, func() {
		for _, c := range [...]callback{onDone, onLog, onDelete} {
			if v.broken != nil {
				break
			}
			if _, err := v.enter(s, c, uint64(s.id)); err != nil {
				s.f.failed(err, "id", s.x.Record.ID)
			}
		}
	})
	if !v.leads {
		v.current = s
		v.flush()
		v.current = nil
	}
	v.remove(s)
	r := &s.x.Record.Filters[s.run]
	r.Took += s.took
	r.Failed = r.Failed || v.broken != nil && !isClosed(v.broken)
	v.mu.Unlock()
	s.f.leave(v)
}
