package main

import (
	"fmt"
	"time"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// scheduleTable returns a table of the functions that the proxy runs by itself.
func scheduleTable(now time.Time, modules []module) *text.Table {
	t := text.NewTable("SCHEDULED", "EVERY", ">NEXT IN", ">LAST", "OUTCOME", ">?RUNS", ">FAILURES", ">?SKIPPED")
	for _, m := range modules {
		s := m.schedule
		if s == nil {
			continue
		}
		last, outcome := "-", "-"
		if r := s.Last; r != nil {
			last, outcome = text.Age(now.Sub(r.Began))+" ago", runText(r)
		}
		if s.Running {
			outcome = "runs now"
		}
		t.Add(m.name, s.Every, text.Age(s.Next.Sub(now)), last, outcome, text.Count(s.Runs), text.Count(s.Failures), text.Count(s.Skipped))
	}
	return t
}

// runText says in short how a run has ended.
func runText(r *api.ScheduledRun) string {
	switch {
	case r.Error == "":
		return fmt.Sprintf("%d in %s", r.Status, text.Milliseconds(r.MS))
	case r.Status != 0:
		return fmt.Sprintf("failed, %d", r.Status)
	}
	return "failed"
}

// showSchedule prints when the proxy runs a function by itself.
func showSchedule(g *globals, out *screen, s *api.Schedule) {
	if s == nil {
		return
	}
	out.printf("runs every %s, next in %s: %s, %s, %s skipped", text.Printable(s.Every), text.Age(s.Next.Sub(g.now())),
		text.Plural(s.Runs, "run"), text.Plural(s.Failures, "failure"), text.Count(s.Skipped))
	if s.Running {
		out.printf(", runs now")
	}
	out.printf("\n")
	r := s.Last
	if r == nil {
		return
	}
	out.printf("last run %s ago: %s", text.Age(g.now().Sub(r.Began)), runText(r))
	if r.Version != 0 {
		out.printf(" by @%d", r.Version)
	}
	out.printf("\n")
	if r.Error != "" {
		wrapped(out, "   ", text.Printable(r.Error))
	}
}
