package httpwasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestHostile runs guests that fail, several at once, next to one that does not:
// they are contained, and the host serves other requests after.
func TestHostile(t *testing.T) {
	good := load(t, "hello", Config{})
	f := func(guest string, cause wasm.Cause, text string, cfg Config) {
		t.Run(guest, func(t *testing.T) {
			f := load(t, guest, cfg)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					x := request("GET", "/", nil, 0)
					defer x.End()
					err := f.Filter(x, &origin{})
					if e := edge.AsError(err); e.Kind != edge.FilterFailed || !strings.Contains(err.Error(), text) {
						t.Errorf("error is %v, want one with %q", err, text)
					}
					if !x.Record.Filters[0].Failed {
						t.Error("the record does not say that it failed")
					}
				})
			}
			wg.Wait()
			runtime.GC() // nothing holds the collector up
			if s := f.Stats(); s.Failures[cause] != 3 || s.Calls != 3 {
				t.Errorf("stats are %+v", s)
			}
			x := request("GET", "/", nil, 0)
			defer x.End()
			run(t, good, x, &origin{})
			if got := responseBody(t, x); got != "hello from origin" {
				t.Errorf("the next request got %q", got)
			}
		})
	}
	short := Config{Timeout: 20 * time.Millisecond}
	f("spin", wasm.TimedOut, "not done within 20ms", short)
	f("spin-calls", wasm.TimedOut, "not done within 20ms", short)
	f("trap", wasm.Trapped, "unreachable", Config{})
	f("trap-response", wasm.Trapped, "unreachable", Config{})
	f("recursion", wasm.Trapped, "stack overflow", Config{Timeout: time.Minute})
	f("bad-pointer", wasm.Misused, "beyond the end of memory", Config{})
	f("exit", wasm.Exited, "exit code 3", Config{})
	f("late", wasm.Misused, "buffer_response", Config{})
	f("half-done", wasm.Trapped, "unreachable", Config{})
}

// TestBounded runs guests that take what they can get.
func TestBounded(t *testing.T) {
	f := func(guest string, cfg Config, status int) {
		t.Helper()
		x := request("GET", "/", nil, 0)
		defer x.End()
		run(t, load(t, guest, cfg), x, &origin{})
		if x.Response.Status != status {
			t.Errorf("%s: status is %d, want %d", guest, x.Response.Status, status)
		}
	}
	f("grow", Config{}, 200+512/8)
	f("grow", Config{Memory: 4 << 20}, 200+64/8)
	f("table-bomb", Config{}, 200+100)
	f("command", Config{}, 205) // _start has ended by proc_exit(0)
}

func TestSkip(t *testing.T) {
	// handle_request fails: the request goes on as it came.
	f := load(t, "half-done", Config{OnError: wasm.Skip})
	o := &origin{}
	x := request("POST", "/a?b", &streamed{pieces: []string{"con", "tent"}}, 7, "X-A", "a")
	run(t, f, x, o)
	if o.method != "POST" || o.uri != "/a?b" || o.host != "example.org" || o.body != "content" || o.length != 7 ||
		o.fields.Len() != 1 || o.fields.Get("X-A") != "a" {
		t.Errorf("the origin got %+v", o)
	}
	if got := responseBody(t, x); got != "hello from origin" {
		t.Errorf("the client got %q", got)
	}
	if run := x.Record.Filters[0]; !run.Failed || f.Stats().Skipped != 1 {
		t.Errorf("record is %+v, stats are %+v", run, f.Stats())
	}
	x.End()

	// handle_response fails: the response goes on as it came.
	f = load(t, "trap-response", Config{OnError: wasm.Skip})
	x = request("GET", "/", nil, 0)
	run(t, f, x, o)
	if got := responseBody(t, x); got != "hello from origin" || x.Response.Fields.Has("x-half") {
		t.Errorf("the client got %q, %v", got, x.Response.Fields)
	}
	x.End()

	// What has been read and not kept cannot be restored.
	f = load(t, "swallow", Config{OnError: wasm.Skip})
	x = request("POST", "/", &streamed{pieces: []string{"trap"}}, 4)
	if err := f.Filter(x, o); edge.AsError(err).Kind != edge.FilterFailed {
		t.Errorf("error is %v", err)
	}
	x.End()
}

func TestRefused(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	f := func(what string, binary []byte, want ...string) {
		t.Helper()
		f, err := Load(context.Background(), e, binary, Config{Log: quiet, Start: 200 * time.Millisecond})
		if err == nil {
			f.Close()
			t.Errorf("%s is accepted", what)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error is %v, want one with %q", what, err, w)
			}
		}
	}
	f("text", []byte("#!/bin/sh\n"), "not a valid WebAssembly module")
	f("nothing", nil, "not a valid WebAssembly module")
	f("a component", []byte("\x00asm\x0d\x00\x01\x00"), "not a valid WebAssembly module")
	f("unknown-abi", guests.Read(t, "unknown-abi"),
		`does not export memory "memory"`, `does not export function "handle_request"`, `does not export function "handle_response"`)
	f("missing-import", guests.Read(t, "missing-import"),
		`imports function "env"."foo", which nothing provides`,
		`imports function "http_handler"."get_secrets", which nothing provides`,
		`imports "http_handler"."log" as (i64), which is (i32, i32, i32)`,
		`exports "handle_response" as (i32), which http-wasm wants as (i32, i32)`)
	f("huge", guests.Read(t, "huge"), "memory begins with 1073741824 bytes, more than the 33554432 allowed")
	f("table-huge", guests.Read(t, "table-huge"), "tables have 100000000 entries, more than the 131072 allowed")
	f("spin-start", guests.Read(t, "spin-start"), "cannot be initialised", "not done within 200ms")
	cut := guests.Read(t, "hello")
	f("a cut module", cut[:len(cut)-3], "not a valid WebAssembly module")
}

func TestNothingCrosses(t *testing.T) {
	f := load(t, "leaky", Config{})
	for range 20 {
		x := request("GET", "/", nil, 0)
		run(t, f, x, &origin{})
		if x.Response.Status != 202 {
			t.Fatalf("status is %d", x.Response.Status)
		}
		x.End()
	}
}

func TestRandomAndClock(t *testing.T) {
	f := load(t, "rng", Config{})
	seen := make(map[string]bool)
	for range 10 {
		x := request("GET", "/", nil, 0)
		run(t, f, x, &origin{})
		b := responseBody(t, x)
		if seen[b[:16]] {
			t.Fatal("random bytes are repeated")
		}
		seen[b[:16]] = true
		ns := int64(binary.LittleEndian.Uint64([]byte(b[16:])))
		if ns%1e6 != 0 {
			t.Errorf("the clock is not rounded to 1 ms: %d", ns)
		}
		if d := time.Since(time.Unix(0, ns)); d < 0 || d > time.Minute {
			t.Errorf("the clock is off by %v", d)
		}
		x.End()
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	f := load(t, "chatty", Config{Log: log, LogBytes: 50, LogLines: 1000, Name: "chatty", Version: 2})
	x := request("GET", "/", nil, 0)
	defer x.End()
	out.Reset()
	run(t, f, x, &origin{})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"level=INFO", "level=WARN", "level=ERROR", "text=printed"} {
		if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "filter=chatty version=2") || !strings.Contains(lines[i], "id=id-1") {
			t.Errorf("line %d is %s", i, lines[i])
		}
	}
	// 3 x said, printed, and then said until the limit: 50 - 12 - 7 = 31 bytes.
	if len(lines) != 4+8 {
		t.Errorf("%d lines are logged:\n%s", len(lines), out.String())
	}
}

func TestClose(t *testing.T) {
	f := load(t, "hello", Config{})
	x := request("GET", "/", nil, 0)
	defer x.End()
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		f.Close() // the exchange that is under way ends well
		return (&origin{}).Serve(x)
	})
	if err := f.Filter(x, next); err != nil {
		t.Fatal(err)
	}
	y := request("GET", "/", nil, 0)
	defer y.End()
	if e := edge.AsError(f.Filter(y, next)); e.Kind != edge.FilterFailed || e.Status != 503 {
		t.Errorf("error is %v", e)
	}
}

func TestInFlight(t *testing.T) {
	// There is room for one instance. A second exchange waits for it, and fails
	// when the time of a call is over.
	f := load(t, "hello", Config{Memory: 64 << 10, InFlight: 64 << 10, Instances: 1, Timeout: 10 * time.Millisecond})
	x := request("GET", "/", nil, 0)
	defer x.End()
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		y := request("GET", "/", nil, 0)
		defer y.End()
		if e := edge.AsError(f.Filter(y, &origin{})); e.Kind != edge.FilterFailed || e.Status != 503 {
			t.Errorf("the second: %v", e)
		}
		return (&origin{}).Serve(x)
	})
	if err := f.Filter(x, next); err != nil {
		t.Fatal(err)
	}
	if s := f.Stats(); s.Failures[wasm.Exhausted] != 1 {
		t.Errorf("stats are %+v", s)
	}
}

func TestPanic(t *testing.T) {
	// A panic of the next handler leaves no instance behind.
	f := load(t, "hello", Config{})
	x := request("GET", "/", nil, 0)
	defer x.End()
	func() {
		defer func() { recover() }()
		f.Filter(x, edge.HandlerFunc(func(*edge.Exchange) error { panic("next") }))
	}()
	if n := f.Stats().Instances; n != 0 {
		t.Errorf("%d instances are left", n)
	}
}
