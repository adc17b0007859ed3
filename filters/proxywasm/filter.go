// Package proxywasm runs guests of the proxy-wasm ABI, of the versions 0.1.0, 0.2.0
// and 0.2.1, as filters of HTTP.
//
// The root context is made when the filter is, and configured; what memory has then is
// what every exchange begins with, in an instance of its own. Ticks, queues and calls
// of the root context run on one more instance, and what they change is seen by the
// exchanges that begin after that. With Config.Shared all contexts live in one
// instance, as they do in a worker of Envoy, and one runs at a time.
//
// A guest that pauses is waited for outside of its mutex, so that the other direction
// of its exchange goes on.
package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config is a filter's configuration.
type Config struct {
	Name    string
	Version int    // of the module
	Config  []byte // the plugin's configuration
	Root    string // the root context's id: which of the module's filters it is; default ""
	VM      string // the id of the virtual machine, by which filters share data and queues; default Name

	Memory   int64         // bytes that one instance's memory may have; default 32 MiB
	InFlight int64         // bytes of memory of all instances at once; beyond it requests wait, for up to Timeout; default 512 MiB
	Timeout  time.Duration // of the guest's running time in a call; default 50 ms
	Start    time.Duration // of its running time until an instance is initialised; default 10 s
	Body     int64         // bytes of content held for it while it pauses, of the response to one of its calls, and of a message of gRPC and what waits to be sent; default 1 MiB
	Fields   int64         // bytes of fields that it may set in an exchange; default 64 KiB
	Pause    time.Duration // how long an exchange waits for a guest that has paused it; default 30 s
	Tick     time.Duration // shortest period of ticks, which shorter ones become; default 100 ms
	Calls    int           // requests of its own at once, streams of gRPC among them, of an exchange, and of the root context; default 16
	CallTime time.Duration // longest time of one, but for a stream, which may last as long as who has opened it; default 30 s
	Done     time.Duration // how long the root context may go on when the filter is closed, if proxy_on_done asks for it; default 5 s
	OnError  wasm.Policy   // default wasm.Deny
	Shared   bool          // all contexts live in one instance

	Upstream func(name string) (edge.Handler, bool) // finds upstreams of the configuration in force; nil: there are none
	Fetch    []string                               // upstreams that it may call
	Data     *Shared                                // shared data and queues; default: its own
	Meters   *hostmod.Meters                        // takes its metrics; default: nobody sees them
	Quiet    bool                                   // it calls upstreams by safe methods only, for it is to have no effect
	Linger   func(wait func())                      // runs wait beside, which returns when a root context that goes on has ended; nil: Close waits for it
	Host     *hostmod.Guest                         // what it has of the module "sluice"; nil: what all have

	LogBytes int              // what it may log in an exchange; default 4 KiB
	LogLines int              // what it may log in a second, in all exchanges, if Journal is nil; default 100
	Log      *slog.Logger     // default: slog's
	Journal  *journal.Journal // takes what it logs; default: one of its own, that logs to Log
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		field *int64
		value int64
	}{{&c.Body, 1 << 20}, {&c.Fields, 64 << 10}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Pause, 30 * time.Second}, {&c.Tick, 100 * time.Millisecond}, {&c.CallTime, 30 * time.Second}, {&c.Done, 5 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Calls, 16}, {&c.LogBytes, 4 << 10}, {&c.LogLines, 100}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.VM == "" {
		c.VM = c.Name
	}
	if c.Data == nil {
		c.Data = NewShared(SharedConfig{})
	}
	if c.Meters == nil {
		c.Meters = hostmod.NewRegistry(hostmod.MeterConfig{}).Of("filter", c.Name)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// Filter is an [edge.Filter] that a guest implements.
type Filter struct {
	cfg     Config
	pool    *wasm.Pool
	log     *journal.Limiter // of lines about failures
	exports exports
	root    root
	node    string        // the machine's name
	ids     atomic.Uint32 // of contexts
	calling atomic.Uint32 // ids of calls

	mu     sync.Mutex // guards the following fields
	vm     *vm        // with Config.Shared; nil: to be made
	ready  bool       // New is done
	closed bool

	counters wasm.Counters
}

// rootID is the id of the root context.
const rootID = 1

// New makes a filter of a module, of which it keeps a reference of its own. It makes
// one instance, and configures its root context.
func New(m *wasm.Module, cfg Config) (*Filter, error) {
	e, err := check(m)
	if err = errors.Join(err, cfg.Host.Check(&m.Info)); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	log := cfg.Log.With("filter", cfg.Name)
	if cfg.Journal == nil {
		cfg.Journal = journal.New(log, journal.Config{PerSecond: cfg.LogLines})
	}
	f := &Filter{cfg: cfg, exports: e, log: journal.NewLimiter(log.With("version", cfg.Version), 1)}
	f.node, _ = os.Hostname()
	f.ids.Store(rootID)
	f.root.init(f)
	first := f.newVM()
	f.pool, err = wasm.NewPool(m, wasm.Options{
		Limits:  wasm.Limits{Memory: cfg.Memory, InFlight: cfg.InFlight, Start: cfg.Start, Call: cfg.Timeout},
		State:   first,
		Shared:  cfg.Shared,
		Prepare: func(in *wasm.Instance) error { return in.State.(*vm).prepare(in) },
		Output:  func(in *wasm.Instance, p []byte) { in.State.(*vm).print(outputs, p) },
		Errors:  func(in *wasm.Instance, p []byte) { in.State.(*vm).print(errs, p) },
		Sleep:   func(in *wasm.Instance) { in.State.(*vm).Sleep() },
	})
	first.flush()
	if err != nil {
		f.root.close()
		if _, ok := errors.AsType[*wasm.Failure](err); ok && first.said != "" {
			return nil, fmt.Errorf("cannot be initialised: it says %q: %w", first.said, err)
		} else if ok {
			return nil, fmt.Errorf("cannot be initialised: %w", err)
		}
		return nil, err
	}
	f.mu.Lock()
	f.ready = true
	f.mu.Unlock()
	f.root.begin()
	return f, nil
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

// Journal returns what takes what the guest logs.
func (f *Filter) Journal() *journal.Journal { return f.cfg.Journal }

// Close refuses further exchanges, and ends the root context, which may go on for a while:
// see Config.Linger. What the filter holds is released when the last exchange has left it.
func (f *Filter) Close() {
	f.root.close()
	f.mu.Lock()
	f.closed = true
	v := f.vm
	f.vm = nil
	f.mu.Unlock()
	if v != nil {
		f.leave(v)
	}
	f.pool.Close()
}

// Stats returns the filter's counters.
func (f *Filter) Stats() wasm.Stats { return f.counters.Stats(f.pool) }

// failed counts and logs a failure of the guest's. It reports false if err is none.
func (f *Filter) failed(err error, attrs ...any) bool {
	w, ok := errors.AsType[*wasm.Failure](err)
	if !ok {
		return false
	}
	f.counters.Fail(w.Cause)
	f.log.Log(slog.LevelWarn, "filter failed", append([]any{"cause", w.Cause.String(), "err", w}, attrs...)...)
	return true
}
