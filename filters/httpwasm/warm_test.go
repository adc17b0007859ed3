package httpwasm

import (
	"bytes"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// What an exchange finds: counter says how many have been before it.
func TestBeginning(t *testing.T) {
	check := func(what string, cfg Config, want ...int) {
		t.Helper()
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		f := load(t, "counter", cfg)
		if lines := f.Journal().Lines(); len(lines) != 0 || f.Stats().Calls != 0 {
			t.Errorf("%s: before the first request there are %v and %+v", what, lines, f.Stats())
		}
		for i, want := range want {
			x := request("GET", "/", nil, 0, "User-Agent", "test")
			run(t, f, x, &origin{answer: func(x *edge.Exchange) error { x.Respond(404, nil, 0); return nil }})
			if got := x.Response.Status; got != 200+want {
				t.Errorf("%s: request %d is the guest's request %d, want %d", what, i, got-200, want)
			}
			x.End()
		}
		if lines := f.Journal().Lines(); len(lines) < len(want) {
			t.Errorf("%s: the guest has said %v", what, lines)
		}
		if s := f.Stats(); s.Failures != (wasm.Stats{}.Failures) {
			t.Errorf("%s: stats are %+v", what, s)
		}
	}
	const after = wasm.Warmings + 1
	check("warm", Config{}, after, after, after)
	check("warm, prints", Config{Config: []byte("p")}, after, after)
	check("cold", Config{Cold: true}, 1, 1, 1)
	check("draws random numbers", Config{Config: []byte("r")}, 1, 1)
	check("fails when it is warmed", Config{Config: []byte("t")}, 1, 1)
	check("shared", Config{Shared: true}, 1, 2, 3)
}

// A guest that keeps its state loses it when it fails.
func TestSharedFails(t *testing.T) {
	f := load(t, "counter", Config{Shared: true, Config: []byte("t")})
	count := func(agent string) (status int, err error) {
		x := request("GET", "/", nil, 0, "User-Agent", agent)
		defer x.End()
		err = f.Filter(x, &origin{})
		return x.Response.Status, err
	}
	for i := range 2 {
		if status, err := count("test"); err != nil || status != 201+i {
			t.Errorf("request %d: %d, %v", i, status, err)
		}
	}
	if _, err := count("sluice"); edge.AsError(err).Kind != edge.FilterFailed {
		t.Errorf("error is %v", err)
	}
	if status, err := count("test"); err != nil || status != 201 {
		t.Errorf("after a failure: %d, %v", status, err)
	}
}

// A guest without a runtime is not used before a request.
func TestColdByNature(t *testing.T) {
	x := request("GET", "/", nil, 0)
	defer x.End()
	run(t, load(t, "leaky", Config{}), x, &origin{})
	if x.Response.Status != 202 {
		t.Errorf("leaky: status is %d", x.Response.Status)
	}
}

// Nothing is seen of the requests that a guest is warmed up with, and nothing from outside
// is kept: a guest that wants that begins as its initialisation has left it.
func TestNothingLeavesWarmUp(t *testing.T) {
	const warm = wasm.Warmings + 1
	for _, c := range []struct {
		wants string
		first int // request that the first client's is for the guest
	}{
		{"", warm}, {"l", warm}, {"m", warm}, {"k", 1}, {"f", 1}, {"d", 1},
	} {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		s, err := kv.Open(filepath.Join(t.TempDir(), "kv"), kv.Config{Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		var asked atomic.Int64
		upstream := edge.HandlerFunc(func(x *edge.Exchange) error {
			asked.Add(1)
			x.Respond(204, nil, 0)
			return nil
		})
		registry := hostmod.NewRegistry(hostmod.MeterConfig{})
		meters := registry.Of("filter", "f")
		if c.wants == "m" {
			if _, err := meters.Define(hostmod.Counter, "seen_total", ""); err != nil {
				t.Fatal(err)
			}
		}
		f := load(t, "wanting", Config{Config: []byte(c.wants), Log: logger, Host: hostmod.New(
			hostmod.Grants{KV: []string{"a"}, Fetch: []string{"api"}, Metrics: true},
			hostmod.Env{KV: s, Metrics: meters, Log: logger, Upstream: func(string) (edge.Handler, bool) { return upstream, true }})})
		// What has come of n requests, by those who look from outside.
		check := func(n int64) {
			t.Helper()
			want := map[string]int64{c.wants: n}
			var have int64
			if e, err := s.Get("a", "n"); err == nil {
				have, _ = strconv.ParseInt(string(e.Value), 10, 64)
			}
			if have != want["k"] || asked.Load() != want["f"] {
				t.Errorf("%q: after %d requests the key is %d, and there were %d fetches", c.wants, n, have, asked.Load())
			}
			series, value := 0, int64(0)
			registry.All(func(_, _ string, s *hostmod.Series) { series, value = series+1, value+s.Value() })
			if is := c.wants == "m" || want["d"] > 0; series == 1 != is || value != want["m"] {
				t.Errorf("%q: after %d requests there are %d metrics, together %d", c.wants, n, series, value)
			}
			if log.Len() > 0 || f.Stats().Calls != uint64(n) {
				t.Errorf("%q: after %d requests: %+v, log: %s", c.wants, n, f.Stats(), &log)
			}
		}
		check(0)
		for n := range int64(2) {
			x := request("GET", "/", nil, 0)
			run(t, f, x, &origin{})
			if got := x.Response.Status - 200; got != c.first {
				t.Errorf("%q: request %d is the guest's request %d, want %d", c.wants, n, got, c.first)
			}
			if got := x.Record.Guest.Len(); got == 1 != (c.wants == "l") {
				t.Errorf("%q: the log has %d fields", c.wants, got)
			}
			x.End()
			check(n + 1)
		}
	}
}
