// Package function loads modules that answer requests, of whichever ABI they are:
// WASI commands, in the way of CGI, and http-wasm guests.
package function

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasi"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config is a function's configuration.
type Config struct {
	Name    string
	Version int      // of the module
	Env     []string // NAME=value; default none
	Args    []string // of a command, after the name; default none

	Memory      int64         // bytes that one instance's memory may have; default 128 MiB
	InFlight    int64         // bytes of memory of all instances at once; beyond it requests wait, for up to Wait; default 1 GiB, at least Memory
	Timeout     time.Duration // of the guest's own time in a request, not waiting for the client; default 10 s
	Start       time.Duration // of the time until an instance is initialised; default 10 s
	Concurrency int           // requests at once; beyond it they wait, for up to Wait; default 100
	Wait        time.Duration // how long a request waits for its turn, until it is answered with 503; default 1 s
	HeaderBytes int           // bytes of the response's head; default 64 KiB
	Body        int64         // bytes of the response that are held for an http-wasm guest that asks for buffer_response; default 16 MiB. All other content is streamed

	Host *hostmod.Guest // what it has of the module "sluice"; default: what is granted to all
	Hide []string       // values of Env that no log is to show

	LogBytes int              // what it may say in a request; default 64 KiB
	Log      *slog.Logger     // default: slog's
	Journal  *journal.Journal // takes what it says; default: one of its own, that logs to Log
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
	if c.Start == 0 {
		c.Start = 10 * time.Second
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
	if c.Body == 0 {
		c.Body = 16 << 20
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

// Function is an [edge.Handler] that a module implements.
type Function struct {
	kind    Kind
	command *wasi.Function     // valid if it is a Command
	guest   *httpwasm.Function // otherwise
	journal *journal.Journal
}

// New makes a function of a module that Compile has returned, of which it keeps a
// reference of its own. It makes one instance, to see that it can be started.
func New(m *wasm.Module, cfg Config) (*Function, error) {
	cfg.setDefaults()
	kind, err := kindOf(&m.Info)
	if err != nil {
		return nil, err
	}
	cfg.Journal.Hide(append(cfg.Host.Secrets(), cfg.Hide...))
	f := &Function{kind: kind, journal: cfg.Journal}
	if kind == Command {
		f.command, err = wasi.New(m, wasi.Config{Name: cfg.Name, Version: cfg.Version, Env: cfg.Env, Args: cfg.Args,
			Memory: cfg.Memory, InFlight: cfg.InFlight, Timeout: cfg.Timeout, Start: cfg.Start,
			Concurrency: cfg.Concurrency, Wait: cfg.Wait, HeaderBytes: cfg.HeaderBytes,
			Host: cfg.Host, LogBytes: cfg.LogBytes, Log: cfg.Log, Journal: cfg.Journal})
	} else if len(cfg.Args) > 0 {
		err = fmt.Errorf("is an %s, which takes no arguments", kind)
	} else {
		f.guest, err = httpwasm.NewFunction(m, httpwasm.Config{Name: cfg.Name, Version: cfg.Version, Env: cfg.Env,
			Memory: cfg.Memory, InFlight: cfg.InFlight, Timeout: cfg.Timeout, Start: cfg.Start,
			Instances: cfg.Concurrency, Wait: cfg.Wait, Body: cfg.Body, Fields: int64(cfg.HeaderBytes),
			Host: cfg.Host, LogBytes: cfg.LogBytes, Log: cfg.Log, Journal: cfg.Journal})
	}
	if err != nil {
		return nil, err
	}
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

// Serve implements [edge.Handler].
func (f *Function) Serve(x *edge.Exchange) error { return f.ServeAt(x, "") }

// ServeAt answers x as a function whose path is script: a command finds it in
// SCRIPT_NAME, and what follows it in PATH_INFO. To an http-wasm guest it is
// nothing.
func (f *Function) ServeAt(x *edge.Exchange, script string) error {
	if f.kind == Command {
		return f.command.ServeAt(x, script)
	}
	return f.guest.Serve(x)
}

// Kind returns what sort of module the function is.
func (f *Function) Kind() Kind { return f.kind }

// Journal returns what takes what the guest says.
func (f *Function) Journal() *journal.Journal { return f.journal }

// Close refuses further requests. What the function holds is released when the
// last request has ended.
func (f *Function) Close() {
	if f.kind == Command {
		f.command.Close()
	} else {
		f.guest.Close()
	}
}

// Stats returns the function's counters.
func (f *Function) Stats() wasm.Stats {
	if f.kind == Command {
		return f.command.Stats()
	}
	return f.guest.Stats()
}
