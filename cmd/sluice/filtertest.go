package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/trial"
	"github.com/sluice-edge/sluice/filters/wasm"
)

const (
	// maxModule is the largest module that is read, in bytes.
	maxModule = 32 << 20

	// maxCount is how often a request is tried at most.
	maxCount = 100_000

	// someTrials is how many trials are shown one by one; of more the outcomes are.
	someTrials = 10
)

// moduleFlags are the flags of a command that runs a module by itself.
type moduleFlags struct {
	config, root    string
	memory, timeout string
	onError         string
	env, args       []string
	world           worldFlags

	replay, expect string
	update         bool
	count          int
}

func (k *kind) newTest(g *globals) *cobra.Command {
	var m moduleFlags
	var t trialFlags
	cmd := &cobra.Command{
		Use:   "test FILE [URL]",
		Short: "Run a module on requests, and say what it does: no proxy is needed",
		Long: fmt.Sprintf(`Run a %[1]s on one request, or on those of a capture, and say what it has changed, what it says, how long it ran
and how much memory it had. No proxy is needed: a filter is given an answer of status 200, or the one that
--status, --response-header and --response-data say, or the captured one.

What a file allows a module, flags do here: --kv has keys, --upstream what answers its requests, --secret secrets.
What it has changed of keys and what it has asked upstreams is shown. Keys last from request to request, and are
gone afterwards. Nothing is sent anywhere, unless an upstream is a URL. A @FILE of --kv is JSON, as in
{"sessions": {"ann": "1"}}; one of --upstream is, as in {"GET /keys": {"status": 200, "body": {"keys": []}},
"*": {"error": "connection_refused"}}, where a list of answers is given in turn.

The exit code is 4 if the %[1]s fails. With --expect, what comes out is compared with a file, and the exit code is
4 if it differs: a test that its author keeps beside the source. --update writes the file.`, k.noun),
		Example: fmt.Sprintf(`  %[1]s test my.wasm http://example.com/api -H "Authorization: Bearer x"
  %[1]s test my.wasm -d @body.json --count 1000
  %[1]s test my.wasm --kv shop/open=yes --upstream api=@answers.json
  %[1]s test my.wasm --replay capture.jsonl --expect my.expected`, k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(firstFile("wasm")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.runTest(g, cmd, args, &m, &t)
		},
	}
	f := cmd.Flags()
	t.add(cmd, k)
	f.StringVar(&m.replay, "replay", "", "a `file` with a capture, whose requests are run instead; - is standard input")
	f.IntVar(&m.count, "count", 1, "`times` that each request is run")
	f.StringVar(&m.expect, "expect", "", "a `file` with what is to come out")
	f.BoolVar(&m.update, "update", false, "write what comes out to the file of --expect")
	f.StringVar(&m.memory, "memory", "", "`size` that its memory may have, such as 16MB")
	f.StringVar(&m.timeout, "timeout", "", "`time` that it may run, such as 50ms")
	m.world.add(cmd)
	if k.noun == "filter" {
		f.StringVar(&m.config, "config", "", "configuration of the filter: a `text` or JSON, or @FILE")
		f.StringVar(&m.root, "root", "", "`id` of the root context of a proxy-wasm filter")
		f.StringVar(&m.onError, "on-error", "deny", "`policy` for requests whose filter fails: deny or skip")
	} else {
		f.StringArrayVar(&m.env, "env", nil, "environment variable, as `NAME=value`; may be repeated")
		f.StringArrayVar(&m.args, "arg", nil, "`argument` of a command; may be repeated")
	}
	cmd.MarkFlagFilename("replay", "jsonl")
	return cmd
}

// tests is what testing a module has shown.
type tests struct {
	File   string  `json:"file"`
	ABI    string  `json:"abi"`
	Trials []tried `json:"trials"` // each request once
	Runs   int     `json:"runs"`
	Median float64 `json:"median_ms"` // of the time in the module
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
	Start  float64 `json:"start_ms"`     // once, or in each request if fresh
	Memory int64   `json:"memory_bytes"` // the most
	Fresh  bool    `json:"fresh"`
	Why    string  `json:"why_fresh,omitempty"`
}

func (k *kind) runTest(g *globals, cmd *cobra.Command, args []string, m *moduleFlags, t *trialFlags) error {
	switch {
	case m.replay != "" && len(args) > 1:
		return usagef("requests come from --replay or are given, not both")
	case m.update && m.expect == "":
		return usagef("--update writes the file of --expect: name it")
	case m.count < 1 || m.count > maxCount:
		return usagef("--count %d is not 1 to %d", m.count, maxCount)
	}
	requests, err := m.requests(cmd, args, t)
	if err != nil {
		return err
	}
	guest, err := k.load(cmd.Context(), args[0], m)
	if err != nil {
		return err
	}
	defer guest.Close()
	r, err := m.run(cmd.Context(), guest, requests)
	if err != nil {
		return err
	}
	r.File = args[0]
	if m.expect != "" {
		return m.compare(g, cmd, r)
	}
	if err := g.show(cmd, r, func(out *screen) error { return g.showReport(out, r) }); err != nil {
		return err
	}
	for i := range r.Trials {
		if v := r.Trials[i].Trial.Verdict; v == api.TrialFailed || v == api.TrialSkipped {
			return errFound
		}
	}
	return nil
}

func (m *moduleFlags) requests(cmd *cobra.Command, args []string, t *trialFlags) ([]api.TryRequest, error) {
	if m.replay != "" {
		return replayed(cmd, m.replay)
	}
	q, err := t.request(cmd, args[1:])
	return []api.TryRequest{q}, err
}

// guest is a module that is tried, and what it needs.
type guest struct {
	*trial.Guest
	engine *wasm.Engine
	world  *trial.World
}

func (g *guest) Close() {
	if g.Guest != nil {
		g.Guest.Close()
	}
	g.engine.Close()
	g.world.Close()
}

// load reads and compiles a module.
func (k *kind) load(ctx context.Context, path string, m *moduleFlags) (*guest, error) {
	binary, err := osfile.Read(path, maxModule)
	if err != nil {
		return nil, err
	}
	var memory int64
	var timeout time.Duration
	if m.memory != "" {
		if memory, err = config.ParseSize(m.memory); err != nil {
			return nil, usagef("--memory: %v", err)
		}
	}
	if m.timeout != "" {
		if timeout, err = config.ParseDuration(m.timeout); err != nil {
			return nil, usagef("--timeout: %v", err)
		}
	}
	name := strings.TrimSuffix(filepath.Base(path), ".wasm")
	world, err := m.world.world()
	if err != nil {
		return nil, err
	}
	e := &guest{engine: wasm.NewEngine(wasm.Config{}), world: world}
	if k.noun == "filter" {
		c := filters.Config{Name: name, Memory: memory, Timeout: timeout, Host: world.Host(), Proxy: world.Proxy(m.root)}
		var text string
		switch text, err = valueOf("config", m.config, maxModuleConfig); {
		case err != nil:
		case m.onError == "skip":
			c.OnError = wasm.Skip
		case m.onError != "deny":
			err = usagef("--on-error %q is neither deny nor skip", m.onError)
		}
		if err == nil {
			c.Config = []byte(text)
			e.Guest, err = loadFilter(ctx, e, binary, c)
		}
	} else {
		e.Guest, err = loadFunction(ctx, e, binary, function.Config{Name: name, Memory: memory, Timeout: timeout, Env: m.env, Args: m.args, Host: world.Host()})
	}
	if err != nil {
		e.Close()
		if _, ok := errors.AsType[*exitError](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

func loadFilter(ctx context.Context, g *guest, binary []byte, c filters.Config) (*trial.Guest, error) {
	m, err := filters.Compile(ctx, g.engine, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return trial.NewFilter(m, c, trial.Config{World: g.world})
}

func loadFunction(ctx context.Context, g *guest, binary []byte, c function.Config) (*trial.Guest, error) {
	m, err := function.Compile(ctx, g.engine, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return trial.NewFunction(m, c, trial.Config{World: g.world})
}

// run runs the requests, and measures.
func (m *moduleFlags) run(ctx context.Context, g *guest, requests []api.TryRequest) (*tests, error) {
	r := new(tests)
	var took []float64
	for i, q := range requests {
		for n := range m.count {
			result, err := g.Run(ctx, &q)
			switch {
			case err != nil && len(requests) > 1:
				return nil, &exitError{exitUsage, fmt.Errorf("exchange %d: %w", i+1, err)}
			case err != nil:
				return nil, &exitError{exitUsage, err}
			}
			took = append(took, result.Cost.MS)
			r.Memory = max(r.Memory, result.Cost.Memory)
			if n == 0 {
				r.Trials = append(r.Trials, tried{q, result})
			}
		}
	}
	slices.Sort(took)
	at := func(p int) float64 { return took[(len(took)-1)*p/100] }
	r.Runs, r.Median, r.P95, r.Max = len(took), at(50), at(95), at(100)
	like := &r.Trials[0].Trial
	r.ABI, r.Start, r.Fresh, r.Why = like.ABI, like.Cost.StartMS, like.Cost.Fresh, like.Cost.Why
	return r, nil
}

// showReport prints what was found.
func (g *globals) showReport(out *screen, r *tests) error {
	if len(r.Trials) > someTrials && !g.verbose {
		if err := out.tables(outcomes(r.Trials)); err != nil {
			return err
		}
	} else {
		for i := range r.Trials {
			out.printf("%s", trialText(&r.Trials[i], out.paint))
		}
	}
	for _, line := range missing(r) {
		out.printf("it asks for what it is not allowed: a file allows it by %s, and --kv, --upstream and --secret do here\n", text.Printable(line))
	}
	out.printf("\n")
	if r.Runs > 1 {
		out.printf("%s: %s in the median, %s at the 95th percentile, %s at most\n", text.Plural(uint64(r.Runs), "run"),
			text.Milliseconds(r.Median), text.Milliseconds(r.P95), text.Milliseconds(r.Max))
	} else {
		out.printf("ran for %s\n", text.Milliseconds(r.Median))
	}
	return costs(out, r.ABI, r.Start, r.Memory, r.Fresh, r.Why)
}

// costs prints what a module needs besides the time of a request.
func costs(out *screen, abi string, start float64, memory int64, fresh bool, why string) error {
	out.printf("%s; memory of %s; initialised in %s", text.Printable(abi), text.Bytes(memory), text.Milliseconds(start))
	if fresh {
		out.printf(", for each request anew: %s", text.Printable(why))
	}
	_, err := fmt.Fprintln(out)
	return err
}

// compare compares what has come out with what is expected, or writes that anew.
func (m *moduleFlags) compare(g *globals, cmd *cobra.Command, r *tests) error {
	var b strings.Builder
	for i := range r.Trials {
		b.WriteString(trialText(&r.Trials[i], false))
	}
	got := b.String()
	if m.update {
		if err := os.WriteFile(m.expect, []byte(got), 0o644); err != nil {
			return err
		}
		g.note(cmd, "%s is written: %s", m.expect, text.Plural(uint64(len(r.Trials)), "request"))
		return nil
	}
	want, err := osfile.Read(m.expect, maxExpected)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("%v; --update writes it", err)
	case err != nil:
		return err
	}
	result := struct {
		File  string `json:"file"`
		Right bool   `json:"right"`
		Runs  int    `json:"runs"`
		Diff  string `json:"diff,omitempty"`
	}{r.File, string(want) == got, r.Runs, ""}
	if !result.Right {
		result.Diff = config.DiffText(m.expect, want, []byte(got), 3)
	}
	err = g.show(cmd, result, func(out *screen) error {
		if result.Right {
			if !g.quiet {
				out.printf("%s does what %s expects: %s\n", text.Printable(r.File), text.Printable(m.expect), text.Plural(uint64(len(r.Trials)), "request"))
			}
			return nil
		}
		return showDiff(out, result.Diff)
	})
	if err == nil && !result.Right {
		err = errFound
	}
	return err
}

// maxExpected is the largest file that what comes out is compared with, in bytes.
const maxExpected = 16 << 20
