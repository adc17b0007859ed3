package server

import (
	"runtime"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/filters/httpwasm"
)

// filter is a filter by its name: whichever version of its module is current.
// Routes refer to it, so an upload is live at once everywhere.
//
// Exchanges that have begun on an older snapshot may be about to enter a filter
// that the newer one does not have. So nobody retires it: when no exchange can
// reach it any more the garbage collector finds it, and its version is closed.
type filter struct {
	name   string
	config *config.Filter
	live   *slot
}

// slot holds the version that is current.
type slot struct{ current atomic.Pointer[version] }

// version is one version of a module, deployed.
type version struct {
	number int
	filter *httpwasm.Filter
	users  atomic.Int64 // exchanges in it, and one while it is current; 0: closed
}

func newFilter(c *config.Filter) *filter {
	f := &filter{name: c.Name, config: c, live: new(slot)}
	runtime.AddCleanup(f, func(s *slot) { s.deploy(nil) }, f.live)
	return f
}

// Filter implements edge.Filter.
func (f *filter) Filter(x *edge.Exchange, next edge.Handler) error {
	v := f.live.acquire()
	if v == nil {
		return &edge.Error{Kind: edge.FilterFailed, Op: "run the filter " + f.name + ", which has no module"}
	}
	defer v.release()
	return v.filter.Filter(x, next)
}

// acquire returns the current version, which stays open until it is released.
func (s *slot) acquire() *version {
	for {
		v := s.current.Load()
		if v == nil {
			return nil
		}
		// A version that nobody uses any more is closed: there is another.
		if n := v.users.Load(); n > 0 && v.users.CompareAndSwap(n, n+1) {
			return v
		}
	}
}

func (v *version) release() {
	if v.users.Add(-1) == 0 {
		v.filter.Close()
	}
}

// deploy makes v current, and lets the one before it end with its last exchange.
func (s *slot) deploy(v *version) {
	if v != nil {
		v.users.Store(1)
	}
	if old := s.current.Swap(v); old != nil {
		old.release()
	}
}

// number returns that of the current version; 0: there is none.
func (s *slot) number() int {
	if v := s.current.Load(); v != nil {
		return v.number
	}
	return 0
}
