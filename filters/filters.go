// Package filters makes filters of modules that users have brought, of whichever
// ABI they are: package httpwasm runs those of the http-wasm HTTP handler ABI, and
// package proxywasm those of proxy-wasm.
package filters

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/proxywasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config is a filter's configuration. What is zero is as the ABI's package has it.
type Config struct {
	Name    string
	Version int    // of the module
	Config  []byte // for the guest
	ABI     ABI    // that the module must be of; "": any
	Shared  bool   // instances keep their state from exchange to exchange

	Memory   int64         // bytes that one instance's memory may have
	InFlight int64         // bytes of memory of all instances at once; beyond it requests wait, for up to Timeout
	Timeout  time.Duration // of the guest's running time in a call
	Start    time.Duration // of its running time until an instance is initialised
	Body     int64         // bytes of content held for it
	Fields   int64         // bytes of fields that it may set in an exchange
	OnError  wasm.Policy
	Host     *hostmod.Guest // what it has of the module "sluice"
	Proxy    Proxy

	LogBytes int              // what it may log in an exchange
	LogLines int              // what it may log in a second, in all exchanges, if Journal is nil
	Log      *slog.Logger     // default: slog's
	Journal  *journal.Journal // takes what it logs; default: one of its own, that logs to Log
}

// Proxy is what guests of proxy-wasm have besides.
type Proxy struct {
	Root     string                                 // id of the root context
	VM       string                                 // id of the virtual machine; default: the filter's name
	Upstream func(name string) (edge.Handler, bool) // finds upstreams of the configuration in force
	Fetch    []string                               // upstreams that it may call
	Data     *proxywasm.Shared                      // data and queues that filters share
	Meters   *hostmod.Meters                        // takes its metrics
	Quiet    bool                                   // they call upstreams by safe methods only, for they are to have no effect
	Linger   func(wait func())                      // runs wait beside, which returns when what goes on after Close has ended; nil: Close waits for it
}

// Filter is an [edge.Filter] that a module implements.
type Filter struct {
	guest
	abi   ABI
	fresh []string // what of the module keeps its instances from being put back
}

// guest is what the filters of all ABIs have alike.
type guest interface {
	edge.Filter

	// Stats returns the filter's counters.
	Stats() wasm.Stats

	// Journal returns what takes what the guest logs.
	Journal() *journal.Journal

	// Close refuses further exchanges. What the filter holds is released when the
	// last exchange has left it.
	Close()
}

// ABI returns the ABI that the filter is of.
func (f *Filter) ABI() ABI { return f.abi }

// Stats returns the filter's counters.
func (f *Filter) Stats() wasm.Stats {
	s := f.guest.Stats()
	if s.Fresh == nil {
		s.Fresh = f.fresh
	}
	return s
}

// Compile compiles a module and checks that it can be a filter. The error says
// everything that is wrong. Who gets the Module closes it.
func Compile(ctx context.Context, e *wasm.Engine, binary []byte) (*wasm.Module, error) {
	info, err := e.Inspect(binary)
	if err != nil {
		return nil, err
	}
	abi, err := Recognise(info)
	switch {
	case err != nil:
		return nil, err
	case abi == ProxyWasm:
		return proxywasm.Compile(ctx, e, binary)
	default:
		return httpwasm.Compile(ctx, e, binary)
	}
}

// New makes a filter of a module that Compile has returned, of which it keeps a
// reference of its own. It makes one instance, to see that it can be initialised.
func New(m *wasm.Module, cfg Config) (*Filter, error) {
	abi, err := Recognise(&m.Info)
	if err != nil {
		return nil, err
	}
	if cfg.ABI != "" && cfg.ABI != abi {
		return nil, fmt.Errorf("is an %s filter, and abi says %s", abi, cfg.ABI)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Journal == nil {
		cfg.Journal = journal.New(cfg.Log.With("filter", cfg.Name), journal.Config{PerSecond: cfg.LogLines})
	}
	cfg.Journal.Hide(cfg.Host.Secrets())
	var g guest
	if abi == ProxyWasm {
		g, err = newProxyWasm(m, &cfg)
	} else {
		g, err = newHTTPWasm(m, &cfg)
	}
	if err != nil {
		return nil, err
	}
	f := &Filter{guest: g, abi: abi}
	if !cfg.Shared {
		f.fresh = m.Info.Fresh
	}
	return f, nil
}

func newHTTPWasm(m *wasm.Module, c *Config) (guest, error) {
	if c.Proxy.Root != "" {
		return nil, fmt.Errorf("is an %s filter, which has no root context: root is for those of %s", HTTPWasm, ProxyWasm)
	}
	if c.Proxy.VM != "" {
		return nil, fmt.Errorf("is an %s filter, which shares nothing: vm is for those of %s", HTTPWasm, ProxyWasm)
	}
	return httpwasm.New(m, httpwasm.Config{
		Name: c.Name, Version: c.Version, Config: c.Config, Shared: c.Shared,
		Memory: c.Memory, InFlight: c.InFlight, Timeout: c.Timeout, Start: c.Start,
		Body: c.Body, Fields: c.Fields, OnError: c.OnError, Host: c.Host,
		LogBytes: c.LogBytes, LogLines: c.LogLines, Log: c.Log, Journal: c.Journal,
	})
}

func newProxyWasm(m *wasm.Module, c *Config) (guest, error) {
	return proxywasm.New(m, proxywasm.Config{
		Name: c.Name, Version: c.Version, Config: c.Config, Shared: c.Shared,
		Memory: c.Memory, InFlight: c.InFlight, Timeout: c.Timeout, Start: c.Start,
		Body: c.Body, Fields: c.Fields, OnError: c.OnError, Host: c.Host,
		Root: c.Proxy.Root, VM: c.Proxy.VM, Upstream: c.Proxy.Upstream, Fetch: c.Proxy.Fetch, Data: c.Proxy.Data, Meters: c.Proxy.Meters, Quiet: c.Proxy.Quiet, Linger: c.Proxy.Linger,
		LogBytes: c.LogBytes, LogLines: c.LogLines, Log: c.Log, Journal: c.Journal,
	})
}

// Load compiles a module and makes a filter of it.
func Load(ctx context.Context, e *wasm.Engine, binary []byte, cfg Config) (*Filter, error) {
	m, err := Compile(ctx, e, binary)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return New(m, cfg)
}
