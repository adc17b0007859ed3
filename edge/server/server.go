// Package server puts the parts together: it turns a configuration into what
// serves it, carries every exchange through its stages, and swaps configurations
// without cutting anything.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/accesslog"
	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/capture"
	"github.com/sluice-edge/sluice/edge/certs"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/proxywasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Options is what a Server needs beside its configuration.
type Options struct {
	Log    *slog.Logger // of the server itself; nil: discarded
	Access io.Writer    // of the access log, instead of what the configuration says; nil: as it says
}

// Server is a running proxy.
type Server struct {
	log      *slog.Logger
	output   io.Writer // of the access log; nil: as the configuration says
	access   atomic.Pointer[accesslog.Logger]
	ids      *ids
	clock    clock
	started  time.Time
	snapshot atomic.Pointer[snapshot]
	secrets  atomic.Pointer[secrets]
	meters   meters
	troubles *journal.Limiter
	trying   chan struct{} // one taken by each module that is tried
	captures *capture.Recorder

	// changing is held by whoever changes the configuration or what modules are
	// current, from looking at it until the change is in force: for seconds, where
	// modules are compiled. It is locked before mu.
	changing sync.Mutex

	mu      sync.Mutex            // guards the following fields, and is held for a moment
	leaving map[*binding]struct{} // bound no more; they end with their last connection
	failed  error                 // why the last attempt was not applied; nil if it was

	// These are written with both locks held, so either is enough to read them.
	bindings  map[string]*binding
	accessLog *accessLog
	shared    shared
	base      []config.Text // of the files, as they were read last
	overlays  []overlay     // what the API has changed of them
	state     *state
	history   *history
	saved     *saved
	store     *cache.Store
	ca        *certs.CA
	filters   *library
	functions *library
	wasm      *wasm.Engine
	guests    guests
	schedules map[string]*scheduled // by function
	reloads   int                   // configurations applied after the first
	applied   time.Time             // when the one in force was
	draining  bool

	ending    sync.WaitGroup  // goroutines of leave and of background
	scheduled sync.WaitGroup  // functions that run by themselves, and those that do so no more
	life      context.Context // ends when the server closes
	stop      func()          // ends life
}

// New returns a server that serves file once Start is called. What file cannot
// be built from is in the list.
func New(file *config.File, o Options) (*Server, *diag.List, error) {
	s := &Server{log: o.Log, ids: newIDs(), started: time.Now(), trying: make(chan struct{}, trials),
		captures: capture.New(capture.Config{Outcome: outcome}),
		bindings: make(map[string]*binding), leaving: make(map[*binding]struct{}), schedules: make(map[string]*scheduled)}
	s.life, s.stop = context.WithCancel(context.Background())
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.troubles = journal.NewLimiter(s.log, complaints)
	var err error
	if s.state, err = openState(file.State, file.Name()); err != nil {
		return nil, nil, err
	}
	if err = s.remember(file); err != nil {
		s.state.close()
		return nil, nil, err
	}
	s.wasm = wasm.NewEngine(wasm.Config{Cache: filepath.Join(s.state.dir, "cache", "code"), Log: s.log})
	s.meters.all = metrics.NewRequests(s.started, metrics.WindowConfig{})
	s.output = o.Access
	s.shared = newShared()
	s.guests.meters = hostmod.NewRegistry(hostmod.MeterConfig{})
	s.guests.data = proxywasm.NewShared(proxywasm.SharedConfig{})
	problems, err := s.Apply(file, "start")
	if err != nil || problems.Failed() {
		s.Close()
		return nil, problems, err
	}
	return s, problems, err
}

// remember opens what the state directory has.
func (s *Server) remember(file *config.File) (err error) {
	if s.filters, err = openLibrary(s.state.dir, "modules", "filter"); err != nil {
		return err
	}
	if s.functions, err = openLibrary(s.state.dir, "functions", "function"); err != nil {
		return err
	}
	if s.saved, err = openSaved(s.state.own); err != nil {
		return err
	}
	if s.overlays, err = readOverlays(s.state.own, file.Name()); err != nil {
		return err
	}
	if s.history, err = openHistory(s.state.own, file.Name()); err != nil {
		return err
	}
	if s.ca, err = openCA(file); err != nil {
		return fmt.Errorf("open the internal certificate authority: %w", err)
	}
	return s.state.others(func(other string, changes int) {
		s.log.Info("what the API has changed of another file is left alone: it holds when that file is served again", "file", other, "changes", changes)
	})
}

// begin opens the record of an exchange.
func (s *Server) begin(x *edge.Exchange) {
	x.Record.ID = s.ids.next(x)
	x.OnEnd(s)
}

// finish adds what every response carries.
func (s *Server) finish(x *edge.Exchange, e *entrance, r *Route) {
	f := &x.Response.Fields
	if !f.Has("Date") { // RFC 9110, section 6.6.1
		f.Add("Date", s.clock.date(x.Record.Start))
	}
	f.Set("X-Request-Id", x.Record.ID)
	if e != nil && e.altSvc != "" && x.Client.TLS != nil && x.Request.Proto != "HTTP/3.0" {
		f.Set("Alt-Svc", e.altSvc)
	}
	if r != nil && r.response != nil {
		r.response.apply(f)
	}
}

// Close ends everything at once.
func (s *Server) Close() error {
	for _, b := range s.lastBindings() {
		b.close()
	}
	s.stop()
	s.scheduled.Wait()
	s.ending.Wait()
	s.captures.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.bindings)
	s.shared.retire(nil)
	for _, f := range s.shared.filters {
		f.live.deploy(nil)
	}
	for _, f := range s.shared.functions {
		f.live.deploy(nil)
	}
	s.guests.leave()
	if s.store != nil {
		s.store.Close()
	}
	s.wasm.Close()
	var err error
	if s.accessLog != nil {
		err = s.accessLog.close()
	}
	return errors.Join(err, s.guests.close(), s.state.close())
}

// Shutdown stops accepting, lets what is being served end until ctx is done, and
// then closes. It returns ctx's error if something had to be cut.
func (s *Server) Shutdown(ctx context.Context) error {
	all := s.lastBindings()
	for _, b := range all {
		b.drain()
	}
	var errs []error
	for _, b := range all {
		errs = append(errs, b.wait(ctx))
	}
	errs = append(errs, s.waitScheduled(ctx))
	return errors.Join(append(errs, s.Close())...)
}

// lastBindings returns what may have connections, once no change can add to it, and no
// function runs by itself any more.
func (s *Server) lastBindings() []*binding {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for _, sc := range s.schedules {
		sc.Stop()
	}
	return slices.Concat(slices.Collect(maps.Values(s.bindings)), slices.Collect(maps.Keys(s.leaving)))
}

// leave lets a binding that is used no more end with its last connection. s.mu is
// held.
func (s *Server) leave(b *binding) {
	s.leaving[b] = struct{}{}
	b.drain()
	s.ending.Go(func() {
		b.wait(context.Background()) // Close makes it return
		b.close()
		s.mu.Lock()
		delete(s.leaving, b)
		s.mu.Unlock()
	})
}

// Addresses returns where traffic is taken, as URLs.
func (s *Server) Addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, b := range s.bindings {
		all = append(all, b.url())
	}
	slices.Sort(all)
	return all
}

// Refused notes why a configuration was not applied, for Status.
func (s *Server) Refused(err error) {
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
}
