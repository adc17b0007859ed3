package server_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/metrics"
)

const scheduledFile = `
admin: off
sites: { "http://$AT": { routes: { /: { function: tick } } } }
functions: { tick: { wasm: tick.wasm, every: 1s, timeout: 60s, env: { $ENV }, allow: { kv: [ticks] } } }
`

// startScheduled runs a proxy that runs a function every second.
func startScheduled(t *testing.T, env string) (p *proxy, at string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tick.wasm"), module(t, "tick"), 0o644); err != nil {
		t.Fatal(err)
	}
	at = port(t)
	return startIn(t, dir, scheduledFile, "$AT", at, "$ENV", env), at
}

func (p *proxy) schedule(name string) *api.Schedule {
	p.t.Helper()
	f, err := p.Function(name)
	if err != nil {
		p.t.Fatal(err)
	}
	if f.Schedule == nil {
		p.t.Fatalf("%s has no schedule", name)
	}
	return f.Schedule
}

func (p *proxy) ticks() string {
	p.t.Helper()
	keys, err := p.Keys()
	if err != nil {
		p.t.Fatal(err)
	}
	e, _ := keys.Get("ticks", "n") // none yet
	return string(e.Value)
}

// A function runs by itself and keeps something, with a request that no client can
// send; and it goes on over reloads and new versions.
func TestScheduled(t *testing.T) {
	p, at := startScheduled(t, "")
	if s := p.schedule("tick"); s.Every != "1s" || s.Next.Before(time.Now().Add(-time.Minute)) || s.Next.After(time.Now().Add(time.Second)) {
		t.Errorf("the schedule is %+v", s)
	}
	await(t, func() bool { return p.schedule("tick").Runs >= 2 })
	s := p.schedule("tick")
	if s.Failures != 0 || s.Last.Status != 204 || s.Last.Version != 1 || s.Last.Error != "" || s.Last.Began.Before(s.Last.Due) {
		t.Errorf("the schedule is %+v, last %+v", s, s.Last)
	}
	if n := p.ticks(); n == "" || n == "1" {
		t.Errorf("it has counted %q", n)
	}
	journal, err := p.FunctionJournal("tick")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, l := range journal.Lines() {
		if l.ID == s.Last.ID {
			said = append(said, l.Text)
		}
	}
	want := []string{"REQUEST_METHOD=POST", "REQUEST_SCHEME=http", "REQUEST_URI=/", "REQUEST_ID=" + s.Last.ID, "REMOTE_ADDR=127.0.0.1", "HTTP_HOST=tick",
		"HTTP_X_SLUICE_SCHEDULED=" + s.Last.Due.Format(time.RFC3339), "HTTP_X_REQUEST_ID=" + s.Last.ID}
	if !slices.Equal(said, want) {
		t.Errorf("it was asked\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if log := p.log.String(); !strings.Contains(log, "a scheduled run has ended") || !strings.Contains(log, "id="+s.Last.ID+" status=204") {
		t.Errorf("the log is\n%s", log)
	}
	if log := p.access.String(); log != "" {
		t.Errorf("the access log is\n%s", log)
	}

	// A client sends what the schedule does.
	req, err := http.NewRequest("POST", "http://"+at+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Sluice-Scheduled", "x-sluice-SCHEDULED", "X_Sluice_Scheduled"} {
		req.Header[name] = []string{"2026-01-01T00:00:00Z"}
	}
	req.Header.Set("X-Forged", "yes")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	forged := 0
	for _, l := range journal.Lines() {
		if l.ID != res.Header.Get("X-Request-Id") {
			continue
		}
		if strings.HasPrefix(l.Text, "HTTP_X_SLUICE_SCHEDULED") {
			t.Errorf("a client has sent %s", l.Text)
		}
		if l.Text == "HTTP_X_FORGED=yes" {
			forged++
		}
	}
	if forged != 1 {
		t.Error("what the client has sent is not there")
	}

	// Neither a reload nor a version begins anew.
	next, runs := s.Next, s.Runs
	p.apply(scheduledFile, "$AT", at, "$ENV", "STATUS: '200'")
	if s := p.schedule("tick"); s.Runs < runs || s.Next.Sub(next)%time.Second != 0 {
		t.Errorf("after a reload the schedule is %+v, and was to be next at %v", s, next)
	}
	await(t, func() bool { return p.schedule("tick").Last.Status == 200 })
	if _, _, err := p.PushFunction(context.Background(), "tick", bytes.NewReader(append(module(t, "tick"), 0, 2, 1, 'x')), api.Use{}); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return p.schedule("tick").Last.Version == 2 })
	if s := p.schedule("tick"); s.Runs < runs || s.Failures != 0 || s.Next.Sub(next)%time.Second != 0 {
		t.Errorf("after an upload the schedule is %+v", s)
	}
	scrape := httptest.NewRecorder()
	metrics.Handler(p.Metrics, metrics.Config{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`sluice_function_scheduled_total{function="tick",outcome="ok"} `, `sluice_function_scheduled_total{function="tick",outcome="failed"} 0`,
		`sluice_function_scheduled_total{function="tick",outcome="skipped"} `, `sluice_function_scheduled_last_success_seconds{function="tick"} 1.`} {
		if !strings.Contains(scrape.Body.String(), "\n"+want) {
			t.Errorf("/metrics has no %s", want)
		}
	}

	// Without every it ends.
	p.apply(strings.Replace(scheduledFile, "every: 1s, ", "", 1), "$AT", at, "$ENV", "")
	if f, err := p.Function("tick"); err != nil || f.Schedule != nil {
		t.Errorf("the schedule is %+v, %v", f.Schedule, err)
	}
}

// Runs that fail say why, and others go on.
func TestScheduledFails(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tick", "script"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startIn(t, dir, `
admin: off
sites: { "http://127.0.0.1:0": { respond: 200 } }
functions:
  answers: { wasm: tick.wasm, every: 1s, env: { STATUS: "404" }, timeout: 60s, allow: { kv: [ticks] } }
  silent:  { wasm: script.wasm, every: 1s, timeout: 60s }
  slow:    { wasm: tick.wasm, every: 1s, env: { SLEEP: "60000" }, timeout: 10ms, allow: { kv: [ticks] } }
  nothing: { wasm: uploaded, every: 1s }
`)
	check := func(name string, status, version int, want string) {
		t.Helper()
		await(t, func() bool { return p.schedule(name).Last != nil })
		s := p.schedule(name)
		if s.Failures != s.Runs || s.Last.Status != status || s.Last.Version != version || !strings.Contains(s.Last.Error, want) {
			t.Errorf("%s: %+v, last %+v", name, s, s.Last)
		}
		line := `level=WARN msg="a scheduled run has failed" function=` + name
		await(t, func() bool { return strings.Contains(p.log.String(), line) })
	}
	check("answers", 404, 1, "it has answered with 404")
	check("silent", 0, 1, "function silent")
	check("slow", 0, 1, "function slow")
	check("nothing", 0, 0, "no module has been uploaded")
}

// What is due while a run goes on is skipped. When the proxy ends, a run is waited for.
func TestScheduledDrains(t *testing.T) {
	p, _ := startScheduled(t, "SLEEP: '2500'")
	await(t, func() bool { return p.schedule("tick").Skipped > 0 })
	await(t, func() bool { return strings.Contains(p.log.String(), "a scheduled run is skipped") })
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if log := p.log.String(); !strings.Contains(log, "a scheduled run has ended") || strings.Contains(log, "has failed") {
		t.Errorf("the log is\n%s", log)
	}
}

// A run that takes longer than who ends the proxy waits is cut.
func TestScheduledCut(t *testing.T) {
	p, _ := startScheduled(t, "SLEEP: '50000'")
	await(t, func() bool { return p.schedule("tick").Running })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Shutdown(ctx); err == nil {
		t.Error("nothing was cut")
	}
	if log := p.log.String(); !strings.Contains(log, "a scheduled run has failed") {
		t.Errorf("the log is\n%s", log)
	}
}
