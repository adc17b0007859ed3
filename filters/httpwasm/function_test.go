package httpwasm

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

func loadFunction(t testing.TB, name string, cfg Config) *Function {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet
	}
	cfg.Name, cfg.Start = "answers", 30*time.Second
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) // under -race, on a busy machine
	f, err := LoadFunction(context.Background(), e, guests.Read(t, name), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		e.Close()
		if s := f.Stats(); s.Instances != 0 || s.Bytes != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
	return f
}

func TestFunction(t *testing.T) {
	f := loadFunction(t, "environ", Config{Version: 2, Env: []string{"A=b", "C=d=e"}, Timeout: 30 * time.Second})
	x := request("GET", "/", nil, 0)
	defer x.End()
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	if got := responseBody(t, x); got != "A=b\x00C=d=e\x00" || x.Response.Status != 200 {
		t.Errorf("got %d %q", x.Response.Status, got)
	}
	run := x.Record.Function
	if run.Name != "answers" || run.Version != 2 || run.Took <= 0 || run.Failed || len(x.Record.Filters) != 0 {
		t.Errorf("the record has %+v, %+v", run, x.Record.Filters)
	}
	if s := f.Stats(); s.Calls != 1 {
		t.Errorf("stats are %+v", s)
	}
}

func TestFunctionFails(t *testing.T) {
	check := func(guest string, status int, cause wasm.Cause, text string) {
		t.Helper()
		f := loadFunction(t, guest, Config{Timeout: 100 * time.Millisecond, OnError: wasm.Skip})
		x := request("GET", "/", nil, 0)
		defer x.End()
		err := f.Serve(x)
		if e := edge.AsError(err); err == nil || e.Kind != edge.FunctionFailed || !strings.Contains(err.Error(), "function answers: ") || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error is %v, want one with %q", guest, err, text)
			return
		}
		x.Answer(err)
		if x.Response.Status != status || !x.Record.Function.Failed || x.Record.Why != "function-trap" || f.Stats().Failures[cause] != 1 || f.Stats().Skipped != 0 {
			t.Errorf("%s: status %d, record %+v, stats %+v", guest, x.Response.Status, x.Record, f.Stats())
		}
	}
	check("hello", 500, wasm.Misused, "does not answer, but wants the next handler")
	check("trap", 500, wasm.Trapped, "unreachable")
	check("spin", 500, wasm.TimedOut, "not done within 100ms")
	check("exit", 500, wasm.Exited, "exit code 3")
}

func TestFunctionConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := loadFunction(t, "swallow", Config{Instances: 1, Wait: time.Second, Timeout: time.Minute})
		leave := make(chan struct{})
		x := request("POST", "/", &streamed{end: func() { <-leave }}, -1)
		go f.Serve(x)
		synctest.Wait() // it waits for content
		y := request("GET", "/", nil, 0)
		err := f.Serve(y)
		if e := edge.AsError(err); e.Kind != edge.ConnectionLimitReached || !strings.Contains(err.Error(), "all of the 1 instances") {
			t.Errorf("the second: %v", err)
		}
		y.End()
		close(leave)
		synctest.Wait()
		x.End()
	})
}
