package httpwasm

import (
	"io"
	"log/slog"
	"testing"

	"github.com/sluice-edge/sluice/edge"
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

// A guest without a runtime, or with other imports, is not used before a request.
func TestColdByNature(t *testing.T) {
	x := request("GET", "/", nil, 0)
	defer x.End()
	run(t, load(t, "leaky", Config{}), x, &origin{})
	if x.Response.Status != 202 {
		t.Errorf("leaky: status is %d", x.Response.Status)
	}
	imports := func(modules ...string) *wasm.Module {
		m := new(wasm.Module)
		for _, name := range modules {
			m.Info.Imports = append(m.Info.Imports, wasm.Import{Module: name, Name: "f", Kind: wasm.KindFunc})
		}
		return m
	}
	for _, c := range []struct {
		modules []string
		want    bool
	}{
		{[]string{hostName}, false},
		{[]string{hostName, wasi}, true},
		{[]string{wasi}, true},
		{[]string{hostName, wasi, "sluice"}, false},
	} {
		if got := warms(imports(c.modules...)); got != c.want {
			t.Errorf("%v: %v, want %v", c.modules, got, c.want)
		}
	}
}
