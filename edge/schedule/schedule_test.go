package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestNext(t *testing.T) {
	const key = "a"
	base := next(time.Unix(0, 0), time.Hour, key)
	if base.Before(time.Unix(0, 0)) || base.After(time.Unix(3600, 0)) {
		t.Fatalf("the first run after 1970 is due at %v", base)
	}
	check := func(now, want time.Time) {
		t.Helper()
		if got := next(now, time.Hour, key); !got.Equal(want) {
			t.Errorf("at %v the next is %v, want %v", now, got, want)
		}
	}
	check(base, base.Add(time.Hour)) // it is due now, and so the next is another
	check(base.Add(-1), base)
	check(base.Add(1), base.Add(time.Hour))
	check(base.Add(-time.Hour), base) // before 1970
	check(base.Add(-time.Hour-1), base.Add(-time.Hour))
	check(base.Add(24*365*50*time.Hour+time.Minute), base.Add((24*365*50+1)*time.Hour))
	// Keys spread what is due over the interval.
	quarters := make(map[int]int)
	for i := range 400 {
		quarters[next(base, time.Hour, fmt.Sprint("function-", i)).Minute()/15]++
	}
	for q := range 4 {
		if quarters[q] < 50 {
			t.Errorf("of 400 keys %d are due in the quarter %d", quarters[q], q)
		}
	}
}

// rig is a schedule and what becomes of it.
type rig struct {
	*Schedule
	began   []time.Time   // when runs began
	skipped []time.Time   // what was due
	takes   time.Duration // what a run does
}

func start(t *testing.T, key string, every, takes time.Duration) *rig {
	r := &rig{takes: takes}
	r.Schedule = Start(t.Context(), Config{
		Key: key, Every: every,
		Run: func(ctx context.Context, due time.Time) Outcome {
			r.began = append(r.began, time.Now().UTC())
			if time.Since(due) > time.Minute || time.Since(due) < 0 {
				t.Errorf("what was due at %v begins at %v", due, time.Now())
			}
			select {
			case <-time.After(r.takes):
			case <-ctx.Done():
			}
			return Outcome{Version: 3, Status: 200}
		},
		Skipped: func(due time.Time) { r.skipped = append(r.skipped, due) },
	})
	return r
}

func (r *rig) end() {
	r.Stop()
	r.Stop() // a second time does nothing
	r.Wait()
}

func TestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := next(time.Now(), 5*time.Minute, "a")
		r := start(t, "a", 5*time.Minute, 0)
		time.Sleep(time.Hour)
		synctest.Wait()
		st := r.State()
		if len(r.began) != 12 || st.Runs != 12 || st.Failed != 0 || st.Skipped != 0 || st.Running {
			t.Fatalf("%d runs began, state %+v", len(r.began), st)
		}
		for i, at := range r.began {
			if want := first.Add(time.Duration(i) * 5 * time.Minute); !at.Equal(want) {
				t.Errorf("run %d begins at %v, want %v", i, at, want)
			}
		}
		if want := first.Add(time.Hour); !st.Next.Equal(want) || !st.Last.Due.Equal(want.Add(-5*time.Minute)) || st.Last.Status != 200 || st.Last.Version != 3 || !st.LastOK.Equal(st.Last.Began) {
			t.Errorf("state is %+v, last %+v; want the next at %v", st, st.Last, want)
		}
		r.end()
		time.Sleep(time.Hour)
		if len(r.began) != 12 {
			t.Error("it goes on after it was stopped")
		}
	})
}

// A process that is started again, however often, goes on as the one before.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []time.Time
		for range 24 * 10 {
			r := start(t, "daily", 24*time.Hour, 0)
			time.Sleep(59 * time.Minute)
			synctest.Wait()
			all = append(all, r.began...)
			r.end()
			time.Sleep(time.Minute)
		}
		if len(all) < 9 || len(all) > 10 { // one may be due in the minute between two
			t.Fatalf("%d runs in ten days: %v", len(all), all)
		}
		for i := range all[1:] {
			if d := all[i+1].Sub(all[i]); d != 24*time.Hour {
				t.Errorf("two runs are %v apart", d)
			}
		}
	})
}

// What is due while a run has not ended is skipped, and counted.
func TestNeverTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "a", time.Minute, 150*time.Second)
		time.Sleep(time.Minute) // it begins within
		synctest.Wait()
		began := r.began[0]
		if !r.State().Running {
			t.Error("it does not run")
		}
		time.Sleep(time.Until(began.Add(130 * time.Second)))
		synctest.Wait()
		if st := r.State(); st.Skipped != 2 || st.Runs != 0 || st.Last != nil || len(r.began) != 1 {
			t.Errorf("state while it runs is %+v", st)
		}
		time.Sleep(30 * time.Second) // it has ended
		synctest.Wait()
		if st := r.State(); st.Runs != 1 || st.Running || st.Last.Took != 150*time.Second {
			t.Errorf("state after it is %+v", st)
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		if want := []time.Time{began.Add(time.Minute), began.Add(2 * time.Minute)}; !slices.Equal(r.skipped, want) {
			t.Errorf("skipped are %v, want %v", r.skipped, want)
		}
		if len(r.began) != 2 || !r.began[1].Equal(began.Add(3*time.Minute)) {
			t.Errorf("runs began at %v", r.began)
		}
		r.Stop()
		before := time.Now()
		r.Wait() // for the run that has begun
		if st := r.State(); st.Runs != 2 || st.Running || time.Since(before) < time.Minute {
			t.Errorf("after %v state is %+v", time.Since(before), st)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := Start(ctx, Config{Key: "a", Every: time.Second, Skipped: func(time.Time) {}, Run: func(ctx context.Context, _ time.Time) Outcome {
			<-ctx.Done()
			return Outcome{Err: context.Cause(ctx)}
		}})
		time.Sleep(time.Second)
		s.Stop()
		cancel()
		s.Wait()
		if st := s.State(); st.Runs != 1 || st.Failed != 1 || !errors.Is(st.Last.Err, context.Canceled) || !st.LastOK.IsZero() {
			t.Errorf("state is %+v", st)
		}
	})
}

func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "a", time.Hour, 0)
		defer r.end()
		r.Set(time.Hour) // changes nothing
		time.Sleep(time.Hour)
		r.Set(time.Minute)
		want := next(time.Now(), time.Minute, "a")
		if st := r.State(); !st.Next.Equal(want) || st.Every != time.Minute {
			t.Errorf("state is %+v, want the next at %v", st, want)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(r.began) != 11 || !r.began[1].Equal(want) || r.State().Runs != 11 {
			t.Errorf("runs began at %v", r.began)
		}
		r.Set(24 * time.Hour)
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if n := len(r.began); n > 12 {
			t.Errorf("it runs on as before: %d runs", n)
		}
	})
}

// The clock is set while the schedule runs: what is due follows it.
func TestClock(t *testing.T) {
	now := time.Unix(1e9, 0)
	const every = time.Hour
	ran := make(chan time.Time, 1)
	s := &Schedule{stop: make(chan struct{}), wake: make(chan struct{}, 1), cfg: Config{Key: "a", Every: every,
		Run: func(_ context.Context, due time.Time) Outcome { ran <- due; return Outcome{} }}}
	s.state = State{Every: every, Next: next(now, every, "a")}
	due := s.state.Next
	back := now.Add(-48 * time.Hour)
	left, _ := s.begin(t.Context(), back)
	if want := next(back, every, "a"); !s.State().Next.Equal(want) || left != want.Sub(back) {
		t.Errorf("two days back the next is at %v, want %v", s.State().Next, want)
	}
	ahead := due.Add(72*time.Hour + time.Minute) // or the machine was asleep
	left, _ = s.begin(t.Context(), ahead)
	s.Wait()
	if st := s.State(); st.Runs != 1 || st.Skipped != 0 || !st.Next.Equal(next(ahead, every, "a")) || left != st.Next.Sub(ahead) {
		t.Errorf("three days ahead state is %+v", st)
	}
	if got := <-ran; !got.Equal(next(back, every, "a")) {
		t.Errorf("what ran was due at %v", got)
	}
	s.Stop()
	if s.begin(t.Context(), ahead.Add(every)); s.State().Runs != 1 || s.State().Running {
		t.Error("a run begins after it was stopped")
	}
}
