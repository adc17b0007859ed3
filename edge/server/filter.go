package server

import (
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/filters/httpwasm"
)

// filter is a filter by its name: whichever version of its module is current.
// Routes refer to it, so an upload is live at once everywhere.
type filter struct {
	name    string
	config  *config.Filter
	current atomic.Pointer[version]
}

// version is one version of a module, deployed.
type version struct {
	number int
	filter *httpwasm.Filter
	users  atomic.Int64 // exchanges in it, and one while it is current; 0: closed
}

// Filter implements edge.Filter.
func (f *filter) Filter(x *edge.Exchange, next edge.Handler) error {
	v := f.acquire()
	if v == nil {
		return &edge.Error{Kind: edge.FilterFailed, Op: "run the filter " + f.name + ", which has been removed"}
	}
	defer v.release()
	return v.filter.Filter(x, next)
}

// acquire returns the current version, which stays open until it is released.
func (f *filter) acquire() *version {
	for {
		v := f.current.Load()
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
func (f *filter) deploy(v *version) {
	if v != nil {
		v.users.Store(1)
	}
	if old := f.current.Swap(v); old != nil {
		old.release()
	}
}

// retire ends the filter.
func (f *filter) retire() { f.deploy(nil) }
