// Package schedule runs something at an interval, for as long as it is wanted, and never
// twice at once.
//
// The moments at which a run is due follow from the clock: they are whole intervals since
// 1970, and a part of one that a key decides. So a process that is started again goes on
// where the one before would have, however often that happens, and what has another key
// runs at another moment.
package schedule

import (
	"context"
	"hash/fnv"
	"sync"
	"time"
)

// Config is what is run, and when.
type Config struct {
	Key   string        // decides when in an interval a run is due
	Every time.Duration // between two runs; at least a second

	// Run runs what was due. Ctx is that of Start.
	Run func(ctx context.Context, due time.Time) Outcome

	// Skipped is told of a run that was due while the one before had not ended.
	Skipped func(due time.Time)
}

// Outcome is what has come of a run.
type Outcome struct {
	ID      string // of the request
	Version int    // that was run; 0: none
	Status  int    // of the answer; 0: there was none
	Err     error  // why it has failed; nil if it has not
}

// Run is a run that has ended.
type Run struct {
	Due, Began time.Time
	Took       time.Duration
	Outcome
}

// State is how a schedule stands. Figures count since Start.
type State struct {
	Every   time.Duration
	Next    time.Time // when a run is due
	Running bool
	Runs    uint64 // that have ended
	Failed  uint64 // of these
	Skipped uint64 // since the run before had not ended
	Last    *Run   // nil: none has ended
	LastOK  time.Time
}

// Schedule is a Config at work.
type Schedule struct {
	cfg   Config
	stop  chan struct{} // closed by Stop
	wake  chan struct{} // what is due has changed
	tasks sync.WaitGroup

	mu      sync.Mutex // guards the following fields
	stopped bool
	state   State
}

// longest is how long the clock is not looked at, in case it was set or the machine was
// asleep: timers of Go do not count that time.
const longest = time.Minute

// Start begins a schedule, which goes on until Stop is called. What has begun by then
// goes on; ctx is for who wants to end that as well.
func Start(ctx context.Context, cfg Config) *Schedule {
	s := &Schedule{cfg: cfg, stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.state.Every = cfg.Every
	s.state.Next = next(time.Now(), cfg.Every, cfg.Key)
	s.tasks.Go(func() { s.loop(ctx) })
	return s
}

// next returns the first moment after now at which a run is due.
func next(now time.Time, every time.Duration, key string) time.Time {
	h := fnv.New64a()
	h.Write([]byte(key))
	part := int64(h.Sum64() % uint64(every))
	since := now.UnixNano() - part
	in := since % int64(every)
	if in < 0 { // the clock is before 1970
		in += int64(every)
	}
	return time.Unix(0, since-in+int64(every)+part).UTC()
}

// Set makes the interval another one. A run is due next as if it had always been.
func (s *Schedule) Set(every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Every == every {
		return
	}
	s.state.Every, s.state.Next = every, next(time.Now(), every, s.cfg.Key)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Stop ends the schedule: no run begins any more.
func (s *Schedule) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stop)
	}
}

// Wait waits until a schedule that was stopped has nothing that runs.
func (s *Schedule) Wait() { s.tasks.Wait() }

// State returns how the schedule stands.
func (s *Schedule) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *Schedule) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
		left, skipped := s.begin(ctx, time.Now())
		if !skipped.IsZero() {
			s.cfg.Skipped(skipped)
		}
		timer.Reset(min(left, longest))
	}
}

// begin begins a run if one is due, and returns how long the next is off. If one is due
// and another has not ended, it returns when that was, too.
func (s *Schedule) begin(ctx context.Context, now time.Time) (left time.Duration, skipped time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	now = now.Round(0) // what is due is a time of the clock on the wall
	due := st.Next
	switch left := due.Sub(now); {
	case s.stopped:
		return longest, time.Time{}
	case left > 0 && left <= st.Every:
		return left, time.Time{}
	case left > 0: // the clock was set back
	case st.Running:
		st.Skipped++
		skipped = due
	default:
		st.Running = true
		s.tasks.Go(func() { s.run(ctx, due) })
	}
	st.Next = next(now, st.Every, s.cfg.Key)
	return st.Next.Sub(now), skipped
}

func (s *Schedule) run(ctx context.Context, due time.Time) {
	r := &Run{Due: due, Began: time.Now()}
	r.Outcome = s.cfg.Run(ctx, due)
	r.Took = time.Since(r.Began)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.state
	st.Running, st.Last = false, r
	st.Runs++
	if r.Err != nil {
		st.Failed++
	} else {
		st.LastOK = r.Began
	}
}
