// Package wasi runs WASI preview 1 commands as functions: handlers that answer
// requests in the way of CGI (RFC 3875).
//
// Each request gets an instance in which nothing has run before, for one run of
// _start. The request's head is in the environment, its content on standard input,
// and what the command writes to standard output is a head and the content behind
// it. Standard error goes to a journal.
//
// Content streams both ways: see package stream.
package wasi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config is a function's configuration.
type Config struct {
	Name    string   // also the command's first argument
	Version int      // of the module
	Env     []string // NAME=value, for every request; default none. See CheckEnv
	Args    []string // after the name; default none

	Memory      int64         // bytes that one instance's memory may have; default 128 MiB
	InFlight    int64         // bytes of memory of all instances at once; beyond it requests wait, for up to Wait; default 1 GiB, at least Memory
	Timeout     time.Duration // of the command's own time in a request: running and sleeping, not waiting for the client; default 10 s
	Start       time.Duration // of the time to make an instance; default 10 s
	Concurrency int           // requests at once; beyond it they wait, for up to Wait; default 100
	Wait        time.Duration // how long a request waits for its turn, until it is answered with 503; default 1 s
	HeaderBytes int           // bytes of the response's head; default 64 KiB

	Host *hostmod.Guest // what it has of the module "sluice"; default: what is granted to all

	LogBytes int              // what it may write to standard error in a request; default 64 KiB
	Log      *slog.Logger     // default: slog's
	Journal  *journal.Journal // takes what it writes to standard error; default: one of its own, that logs to Log
}

func (c *Config) setDefaults() {
	if c.Memory == 0 {
		c.Memory = 128 << 20
	}
	if c.InFlight == 0 {
		c.InFlight = max(1<<30, c.Memory)
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Concurrency == 0 {
		c.Concurrency = 100
	}
	if c.Wait == 0 {
		c.Wait = time.Second
	}
	if c.HeaderBytes == 0 {
		c.HeaderBytes = 64 << 10
	}
	if c.LogBytes == 0 {
		c.LogBytes = 64 << 10
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Journal == nil {
		c.Journal = journal.New(c.Log.With("function", c.Name), journal.Config{})
	}
}

// Function is an [edge.Handler] that a command implements.
type Function struct {
	cfg  Config
	pool *wasm.Pool
	env  wasm.Environ     // what every request has
	log  *journal.Limiter // of lines about failures

	counters wasm.Counters
}

// New makes a function of a module, of which it keeps a reference of its own.
func New(m *wasm.Module, cfg Config) (*Function, error) {
	if err := errors.Join(check(m), cfg.Host.Check(&m.Info)); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	f := &Function{cfg: cfg, log: journal.NewLimiter(cfg.Log.With("function", cfg.Name, "version", cfg.Version), 1)}
	given := make(map[string]bool)
	for _, kv := range cfg.Env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fmt.Errorf("environment variable %q is not NAME=value", kv)
		}
		if err := CheckEnv(name, value); err != nil {
			return nil, err
		}
		if given[name] {
			return nil, fmt.Errorf("environment variable %s is given twice", name)
		}
		given[name] = true
		f.env.Add(name, value)
	}
	pool, err := wasm.NewPool(m, wasm.Options{
		Limits: wasm.Limits{Memory: cfg.Memory, InFlight: cfg.InFlight, Instances: int64(cfg.Concurrency),
			Wait: cfg.Wait, Start: cfg.Start, Call: cfg.Timeout},
		Args: append([]string{cfg.Name}, cfg.Args...),
		Command: &wasm.Command{
			Environ: func(in *wasm.Instance) *wasm.Environ { return running(in).environ() },
			Input:   func(in *wasm.Instance, p []byte) int { return running(in).stream.Input(p) },
			Output:  func(in *wasm.Instance, p []byte) { running(in).write(p) },
			Errors:  func(in *wasm.Instance, p []byte) { running(in).errors.Write(p) },
		},
		Sleep: func(in *wasm.Instance) { running(in).stream.Sleep() },
	})
	if _, ok := errors.AsType[*wasm.Failure](err); ok {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	if err != nil {
		return nil, err
	}
	f.pool = pool
	return f, nil
}

// Load compiles a module and makes a function of it.
func Load(ctx context.Context, e *wasm.Engine, binary []byte, cfg Config) (*Function, error) {
	m, err := Compile(ctx, e, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return New(m, cfg)
}

// Close refuses further requests. What the function holds is released when the
// last request has ended.
func (f *Function) Close() { f.pool.Close() }

// Journal returns what takes the command's standard error.
func (f *Function) Journal() *journal.Journal { return f.cfg.Journal }

// Stats returns the function's counters.
func (f *Function) Stats() wasm.Stats { return f.counters.Stats(f.pool) }

// Serve implements [edge.Handler]: all of the request's path is PATH_INFO.
func (f *Function) Serve(x *edge.Exchange) error { return f.ServeAt(x, "") }
