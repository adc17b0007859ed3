package server

import (
	"runtime"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// filter is a filter by its name: whichever version of its module is current, or
// the one that it is pinned to.
//
// Exchanges that have begun on an older snapshot may be about to enter a filter
// that the newer one does not have. So nobody retires it: when no exchange can
// reach it any more the garbage collector finds it, and its version is closed.
type filter struct {
	name   string
	pin    int // version; 0: the current one
	config *config.Filter
	live   *slot[*filters.Filter]
}

func newFilter(c *config.Filter, pin int) *filter {
	f := &filter{name: c.Name, pin: pin, config: c, live: new(slot[*filters.Filter])}
	runtime.AddCleanup(f, func(s *slot[*filters.Filter]) { s.deploy(nil) }, f.live)
	return f
}

// Filter implements edge.Filter.
func (f *filter) Filter(x *edge.Exchange, next edge.Handler) error {
	d := f.live.acquire()
	if d == nil {
		if f.skips() {
			return next.Serve(x)
		}
		return f.missing()
	}
	defer d.release()
	return d.filter.Filter(x, next)
}

// skips reports whether requests go on without the filter while it has no module. If
// somebody has tampered with that they do not.
func (f *filter) skips() bool { return f.config.OnError == config.Skip && f.live.damage.Load() == nil }

// missing is the error of a filter without a module.
func (f *filter) missing() error {
	if d := f.live.damage.Load(); d != nil {
		return &edge.Error{Kind: edge.FilterFailed, Op: "run the filter " + f.name + ", of which the state directory is damaged", Err: d}
	}
	return &edge.Error{Kind: edge.FilterFailed, Op: "run the filter " + f.name + ", of which no module has been uploaded"}
}

// filterConfig returns how version number of a filter's module is to run.
func (s *Server) filterConfig(c *config.Filter, number int) filters.Config {
	cfg := filters.Config{Name: c.Name, Version: number, Config: c.Config, Memory: c.Memory, Timeout: c.Timeout, Body: c.Body,
		ABI: filters.ABI(c.ABI), Shared: c.Shared, Host: s.granted(ofFilter, c.Name, &c.Allow), Log: s.log,
		Proxy: filters.Proxy{
			Root:     c.Root,
			VM:       c.VM,
			Upstream: func(name string) (edge.Handler, bool) { return s.target(name, false) },
			Fetch:    c.Allow.Fetch,
			Data:     s.guests.data,
			Meters:   s.guests.meters.Of(ofFilter, c.Name),
			Linger:   s.guests.linger,
		}}
	if c.OnError == config.Skip {
		cfg.OnError = wasm.Skip
	}
	return cfg
}
