package server

import (
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/registry"
)

// guest is a module that is ready to run: of a filter or of a function.
type guest interface{ Close() }

// slot holds the version of a module that serves. Routes refer to it by their
// filter or function, so an upload is live at once everywhere.
type slot[G guest] struct{ current atomic.Pointer[version[G]] }

// version is one version of a module, deployed.
type version[G guest] struct {
	number int
	digest string // of its module
	guest  G
	users  atomic.Int64 // exchanges in it, and one while it is current; 0: closed
}

// acquire returns the current version, which stays open until it is released; nil:
// there is none.
func (s *slot[G]) acquire() *version[G] {
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

func (v *version[G]) release() {
	if v.users.Add(-1) == 0 {
		v.guest.Close()
	}
}

// End implements edge.Ender, for who needs the version until the exchange is over.
func (v *version[G]) End(*edge.Exchange) { v.release() }

// deploy makes v current, and lets the one before it end with its last exchange.
func (s *slot[G]) deploy(v *version[G]) {
	if v != nil {
		v.users.Store(1)
	}
	if old := s.current.Swap(v); old != nil {
		old.release()
	}
}

// number returns that of the current version; 0: there is none.
func (s *slot[G]) number() int {
	if v := s.current.Load(); v != nil {
		return v.number
	}
	return 0
}

// runs reports whether a version is the current one. A number alone does not say:
// those of a name that was removed are given again.
func (s *slot[G]) runs(of registry.Version) bool {
	v := s.current.Load()
	return v != nil && v.number == of.Number && v.digest == of.Digest
}
