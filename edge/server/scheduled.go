package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/schedule"
)

// scheduledField tells a function that the proxy runs it by itself, and when that was
// due: RFC 3339, UTC. No client can send it: see identify.
const scheduledField = "X-Sluice-Scheduled"

// scheduled is a function that the proxy runs by itself.
type scheduled struct {
	*schedule.Schedule
	function atomic.Pointer[function] // of the configuration in force
}

// reschedule makes the functions run by themselves that file says so of, and no others.
// A schedule goes on over reloads. Both locks are held.
func (s *Server) reschedule(file *config.File, functions map[config.FilterUse]*function) {
	host, _ := os.Hostname() // only so that not all hosts of one file run a function at once
	for i := range file.Functions {
		c := &file.Functions[i]
		f := functions[config.FilterUse{Name: c.Name}]
		if c.Every == 0 || f == nil {
			continue
		}
		sc := s.schedules[c.Name]
		if sc == nil {
			sc = new(scheduled)
			sc.Schedule = schedule.Start(s.life, schedule.Config{
				Key: host + "\x00" + c.Name, Every: c.Every,
				Run: func(ctx context.Context, due time.Time) schedule.Outcome {
					return s.runScheduled(ctx, sc.function.Load(), due)
				},
				Skipped: func(due time.Time) {
					s.log.Warn("a scheduled run is skipped: the one before has not ended", "function", c.Name, "due", due)
				},
			})
			s.scheduled.Go(sc.Wait)
			s.schedules[c.Name] = sc
		}
		sc.function.Store(f)
		sc.Set(c.Every)
	}
	for name, sc := range s.schedules {
		if c := file.Function(name); c == nil || c.Every == 0 {
			sc.Stop()
			delete(s.schedules, name)
		}
	}
}

// runScheduled runs a function for nobody: its main version, past all routes and their
// filters. What it answers is read and dropped.
func (s *Server) runScheduled(ctx context.Context, f *function, due time.Time) (o schedule.Outcome) {
	x := new(edge.Exchange)
	client := edge.NewClient(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), netip.AddrPort{}, nil)
	x.Begin(nil, &client, time.Now())
	x.Record.ID = s.ids.next(x)
	x.Record.Hops = 1
	o.ID = strings.Clone(x.Record.ID)
	x.Request = edge.Request{Method: "POST", Scheme: "http", Authority: f.name, Path: "/", Proto: "HTTP/1.1"}
	x.Request.Fields.Add(scheduledField, due.Format(time.RFC3339))
	x.Request.Fields.Add("X-Request-Id", x.Record.ID)
	x.Parsed()
	unlink := context.AfterFunc(ctx, func() { x.Cancel(context.Cause(ctx)) })
	o.Status, o.Err = f.run(x)
	unlink()
	x.End()
	r := &x.Record
	if r.Function.Name != "" {
		s.meters.programs.count(&r.Function, o.Status >= 500 || o.Status == 0)
		o.Version = r.Function.Version
	}
	level, msg, attrs := slog.LevelInfo, "a scheduled run has ended", []any{"function", f.name, "version", o.Version, "id", o.ID, "status", o.Status, "ms", milliseconds(time.Since(r.Start))}
	if o.Err != nil {
		level, msg, attrs = slog.LevelWarn, "a scheduled run has failed", append(attrs, "error", o.Err)
	}
	s.log.Log(context.Background(), level, msg, attrs...)
	return o
}

// run has the function answer x to the end. An answer that is not one of success is an
// error, too.
func (f *function) run(x *edge.Exchange) (status int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("BUG: %v", r)
		}
	}()
	d := f.live.acquire()
	if d == nil {
		return 0, f.missing()
	}
	x.OnEnd(d)
	if err := d.main().guest.Serve(x); err != nil {
		return 0, err
	}
	if b := x.Response.Body; b != nil {
		defer b.Close()
		if err := drain(b); err != nil {
			return x.Response.Status, fmt.Errorf("the answer broke off: %w", err)
		}
	}
	if status = x.Response.Status; status < 200 || status > 299 { // RFC 9110, section 15.3
		return status, fmt.Errorf("it has answered with %d", status)
	}
	return status, nil
}

// drain reads content to its end.
func drain(b edge.Body) error {
	if edge.Bytes(b) != nil {
		return nil
	}
	var p [4 << 10]byte
	for {
		if _, err := b.Read(p[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// waitScheduled waits for the runs that have begun, until ctx is done.
func (s *Server) waitScheduled(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.scheduled.Wait() // Close makes it return
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// describeSchedule returns when a function runs by itself, as the API shows it; nil:
// never. s.mu is held.
func (s *Server) describeSchedule(name string) *api.Schedule {
	sc := s.schedules[name]
	if sc == nil {
		return nil
	}
	st := sc.State()
	d := &api.Schedule{Every: config.FormatDuration(st.Every), Next: st.Next, Running: st.Running, Runs: st.Runs, Failures: st.Failed, Skipped: st.Skipped}
	if r := st.Last; r != nil {
		d.Last = &api.ScheduledRun{Due: r.Due, Began: r.Began, MS: milliseconds(r.Took), ID: r.ID, Version: r.Version, Status: r.Status}
		if r.Err != nil {
			d.Last.Error = r.Err.Error()
		}
	}
	return d
}

// exposeSchedules tells of the functions that run by themselves. s.mu is held.
func (s *Server) exposeSchedules(w *metrics.Writer) {
	for _, name := range slices.Sorted(maps.Keys(s.schedules)) {
		st := s.schedules[name].State()
		w.Counter(metrics.FunctionScheduled, float64(st.Runs-st.Failed), name, "ok")
		w.Counter(metrics.FunctionScheduled, float64(st.Failed), name, "failed")
		w.Counter(metrics.FunctionScheduled, float64(st.Skipped), name, "skipped")
		if !st.LastOK.IsZero() {
			w.Gauge(metrics.FunctionScheduledOK, float64(st.LastOK.UnixMilli())/1000, name)
		}
	}
}
