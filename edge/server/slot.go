package server

import (
	"slices"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
	"github.com/sluice-edge/sluice/filters/deploy"
	"github.com/sluice-edge/sluice/filters/registry"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// guest is a module that is ready to run: of a filter or of a function.
type guest interface {
	Stats() wasm.Stats
	Close()
}

// slot holds the deployment that serves. Routes refer to it by their filter or function,
// so an upload is live at once everywhere.
type slot[G guest] struct {
	current atomic.Pointer[deployment[G]] // nil: nothing was uploaded, or it cannot be run
	damage  atomic.Pointer[registry.Damaged]
}

// wanted is which versions of a module are to run.
type wanted struct {
	versions []registry.Version // that serve, in the order of their numbers; none: nothing was uploaded
	weights  []rollout.Weight
	inShadow registry.Version // its number is 0 for none
	guard    deploy.Guard
	retreat  *retreat // of these versions, that is not kept yet: the older one serves alone; nil: none
	redact   []string // fields whose values are not shown of what differs in shadow
}

// deployment is versions of a module that run together. It is immutable.
type deployment[G guest] struct {
	wanted
	running []*version[G] // as the versions that are wanted
	tried   *version[G]   // in shadow; nil: none
	plan    *deploy.Plan
	shadow  *deploy.Shadow // nil: none
	filter  edge.Filter    // what serves, of a filter
	server  deploy.Server  // what serves, of a function

	users atomic.Int64 // exchanges in it, and one while it is current; 0: closed
}

// version is one version of a module that runs. What is deployed next may have it too,
// so that it goes on.
type version[G guest] struct {
	number int
	digest string // of its module
	guest  G
	users  atomic.Int64 // deployments that have it, and copies of exchanges in it; 0: closed
	past   *past        // takes what it has done once it is closed; nil: nobody does
}

// past is what the guests of a filter or function have done that are gone, and how often
// a guard has rolled back.
type past struct{ runs, failures, rollbacks atomic.Uint64 }

func (p *past) add(st wasm.Stats) {
	p.runs.Add(st.Calls)
	p.failures.Add(failures(st))
}

// failures returns how often a guest has failed, of whatever cause.
func failures(st wasm.Stats) (sum uint64) {
	for _, n := range st.Failures {
		sum += n
	}
	return sum
}

// acquire returns what serves, which stays open until it is released; nil: there is
// nothing.
func (s *slot[G]) acquire() *deployment[G] {
	for {
		d := s.current.Load()
		if d == nil {
			return nil
		}
		// A deployment that nobody uses any more is closed: there is another.
		if n := d.users.Load(); n > 0 && d.users.CompareAndSwap(n, n+1) {
			return d
		}
	}
}

func (d *deployment[G]) release() {
	if d.users.Add(-1) == 0 {
		d.close()
	}
}

// close gives the versions back.
func (d *deployment[G]) close() {
	for _, v := range d.running {
		v.release()
	}
	if d.tried != nil {
		d.tried.release()
	}
}

// End implements edge.Ender, for who needs the deployment until the exchange is over.
func (d *deployment[G]) End(*edge.Exchange) { d.release() }

// acquire keeps the version open until it is released, whatever is deployed meanwhile. It
// returns false if the version is closed.
func (v *version[G]) acquire() bool {
	for {
		n := v.users.Load()
		if n == 0 || v.users.CompareAndSwap(n, n+1) {
			return n > 0
		}
	}
}

// End implements edge.Ender, for who has acquired the version for an exchange.
func (v *version[G]) End(*edge.Exchange) { v.release() }

func (v *version[G]) release() {
	if v.users.Add(-1) != 0 {
		return
	}
	if v.past != nil {
		v.past.add(v.guest.Stats())
	}
	v.guest.Close()
}

// deploy makes d current, and lets the one before it end with its last exchange.
func (s *slot[G]) deploy(d *deployment[G]) {
	if d != nil {
		d.users.Store(1)
		s.damage.Store(nil)
	}
	if old := s.current.Swap(d); old != nil {
		old.release()
	}
}

// main returns the version that most is served by, the older of two that are equal.
func (d *deployment[G]) main() *version[G] {
	if len(d.running) == 2 && d.retreat == nil && d.weights[1] > d.weights[0] {
		return d.running[1]
	}
	return d.running[0]
}

// number returns that of the main version; 0: there is none.
func (s *slot[G]) number() int {
	if d := s.current.Load(); d != nil {
		return d.main().number
	}
	return 0
}

// peek returns the version that would serve x, the one in shadow, and why it is that one
// and not another; 0 for none.
func (s *slot[G]) peek(x *edge.Exchange) (number, inShadow int, why string) {
	d := s.current.Load()
	if d == nil {
		return 0, 0, ""
	}
	v, why := d.plan.Peek(x)
	return v.Number, d.inShadow.Number, why
}

// runs reports whether what is wanted is what serves. A number alone does not say: those
// of a name that was removed are given again.
func (s *slot[G]) runs(w *wanted) bool {
	d := s.current.Load()
	return d != nil && slices.EqualFunc(d.versions, w.versions, same) && slices.Equal(d.weights, w.weights) &&
		same(d.inShadow, w.inShadow) && d.guard == w.guard && d.retreat == w.retreat && slices.Equal(d.redact, w.redact)
}

// same reports whether two versions are of the same module.
func same(a, b registry.Version) bool { return a.Number == b.Number && a.Digest == b.Digest }

// prepare makes the deployment that is wanted, but for what follows from its versions. It
// takes over what runs already, and loads the rest. Who gets it deploys or closes it.
// s.changing is held, so that what runs goes on running.
func (s *slot[G]) prepare(w *wanted, p *past, load func(v registry.Version, shadow bool) (G, error)) (_ *deployment[G], err error) {
	d := &deployment[G]{wanted: *w}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	old := s.current.Load()
	get := func(v registry.Version, shadow bool) (*version[G], error) {
		if have := old.find(v, shadow); have != nil {
			have.users.Add(1)
			return have, nil
		}
		g, err := load(v, shadow)
		if err != nil {
			return nil, err
		}
		made := &version[G]{number: v.Number, digest: v.Digest, guest: g}
		if made.users.Store(1); !shadow {
			made.past = p
		}
		return made, nil
	}
	for _, v := range w.versions {
		one, err := get(v, false)
		if err != nil {
			return nil, err
		}
		d.running = append(d.running, one)
	}
	if w.inShadow.Number != 0 {
		if d.tried, err = get(w.inShadow, true); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// find returns the version that runs already, as one that serves or as the one in shadow.
func (d *deployment[G]) find(v registry.Version, shadow bool) *version[G] {
	switch {
	case d == nil:
		return nil
	case shadow && d.tried != nil && same(d.inShadow, v):
		return d.tried
	case shadow:
		return nil
	}
	for i, have := range d.versions {
		if same(have, v) {
			return d.running[i]
		}
	}
	return nil
}
