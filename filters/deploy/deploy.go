// Package deploy divides the exchanges of a filter or function between two versions of
// its module, watches the newer one, and tries a third on copies of the traffic.
//
// Who can be told apart by an address stays with one version while the shares stay, and
// moves to the newer one at most while its share grows.
package deploy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// Config describes a deployment.
type Config struct {
	// Name is that of the filter or function. It salts the hashes of addresses, so
	// that who gets one filter's new version does not get another's for that.
	Name string

	// Versions are one or two, in the order of their numbers. Their weights add up
	// to 100%. A version of weight 0 serves nobody.
	Versions []Version

	// Guard watches the newer of two versions. Default: it has no bounds.
	Guard Guard

	// Breached is called when the guard has found the newer version wanting, with what
	// it has seen: once, by the goroutine of an exchange, which must not wait. It may be
	// nil if the guard has no bounds.
	Breached func(reason string)

	// Retreated says that a guard has found the newer version wanting before: the older
	// one serves alone, whatever the weights are, and nothing is watched.
	Retreated bool
}

// Version is a version that serves.
type Version struct {
	Number int
	Weight rollout.Weight
}

// Plan decides which version serves an exchange, and watches how that goes. All of its
// methods may be called from any goroutine.
type Plan struct {
	name     string
	versions []Version
	rollout  *rollout.Rollout

	guard    Guard // valid with two versions
	watches  [2]watch
	breached func(string)
	every    time.Duration // between two looks
	start    time.Time
	back     atomic.Bool  // the older version serves alone, since the newer was found wanting
	due      atomic.Int64 // when to look next, after start; never while somebody looks, and after the breach
}

// New returns a plan.
func New(cfg Config) (*Plan, error) {
	n := len(cfg.Versions)
	if n != 1 && n != 2 {
		return nil, fmt.Errorf("%d versions: a deployment has one or two", n)
	}
	if n == 2 && cfg.Versions[0].Number >= cfg.Versions[1].Number {
		return nil, errors.New("the versions are not in the order of their numbers")
	}
	p := &Plan{name: cfg.Name, versions: cfg.Versions}
	names, weights := make([]string, n), make([]rollout.Weight, n)
	for i, v := range cfg.Versions {
		names[i], weights[i] = "@"+strconv.Itoa(v.Number), v.Weight
	}
	var err error
	if p.rollout, err = rollout.New(cfg.Name, names, weights); err != nil {
		return nil, err
	}
	p.back.Store(n == 2 && cfg.Retreated)
	if n == 2 && cfg.Guard.Some() && !cfg.Retreated {
		p.guard, p.breached, p.start = cfg.Guard, cfg.Breached, time.Now()
		p.every = interval
		for i := range p.watches {
			p.watches[i].init(p, i)
		}
	}
	return p, nil
}

// Versions returns those that serve, in the order of their numbers.
func (p *Plan) Versions() []Version { return p.versions }

// Pick returns the index of the version that serves x. It allocates nothing.
func (p *Plan) Pick(x *edge.Exchange) int {
	if len(p.versions) == 1 || p.back.Load() {
		return 0
	}
	if a := x.Record.ClientAddr; a.IsValid() {
		return p.rollout.Assign(clientKey(a))
	}
	return p.rollout.Deal()
}

// Peek returns the version that Pick would choose for x, and why, and deals nothing.
func (p *Plan) Peek(x *edge.Exchange) (v Version, why string) {
	if len(p.versions) == 1 {
		return p.versions[0], ""
	}
	if p.back.Load() {
		return p.versions[0], "the guard has found the newer version wanting"
	}
	if a := x.Record.ClientAddr; a.IsValid() {
		v = p.versions[p.rollout.Assign(clientKey(a))]
		return v, fmt.Sprintf("the hash of the client's address falls into its %s", v.Weight)
	}
	v = p.versions[p.rollout.Next()]
	return v, fmt.Sprintf("the client's address is not known: the next one is dealt this version (%s)", v.Weight)
}

// clientKey returns what is hashed of an address: of IPv6 the first 64 bits, since
// hosts change the others at will (RFC 8981).
func clientKey(a netip.Addr) uint64 {
	a = a.Unmap()
	b := a.As16()
	if a.Is4() {
		return rollout.Key(b[12:])
	}
	return rollout.Key(b[:8])
}

// watch is what the guard sees of one version. It is the ender of its exchanges.
type watch struct {
	plan   *Plan
	number int
	runs   *metrics.Window // times, and traps as errors
	errors *metrics.Window // exchanges that failed, of whatever cause
	by     *clients        // the same, by client
}

// interval is the time between two looks, while there are requests.
const interval = 100 * time.Millisecond

// slots is how many parts the window of a guard has: it moves on by one at a time.
const slots = 12

func (w *watch) init(p *Plan, i int) {
	cfg := metrics.WindowConfig{Slots: slots, Slot: p.guard.over() / slots}
	w.plan, w.number = p, p.versions[i].Number
	w.runs, w.errors = metrics.NewWindow(p.start, cfg), metrics.NewWindow(p.start, cfg)
	w.by = &clients{start: p.start, width: cfg.Slot}
}

// Watch makes the guard see what becomes of x, which version i is about to serve.
func (p *Plan) Watch(x *edge.Exchange, i int) {
	if p.guard.Some() {
		x.OnEnd(&p.watches[i])
	}
}

// End implements edge.Ender. The version's own enders have run: it was there later.
func (w *watch) End(x *edge.Exchange) {
	run := runOf(&x.Record, w.plan.name, w.number)
	if run == nil {
		return // it was left before the version began
	}
	now, broken := time.Now(), failed(x)
	w.runs.Observe(now, run.Took, run.Failed)
	w.errors.Observe(now, 0, broken)
	if a := x.Record.ClientAddr; a.IsValid() {
		w.by.count(now, clientKey(a), run.Failed, broken)
	}
	w.plan.look(now)
}

// runOf returns the part that a version had in an exchange, as a filter or function;
// nil for none.
func runOf(r *edge.Record, name string, number int) *edge.FilterRun {
	for i := range r.Filters {
		if run := &r.Filters[i]; run.Version == number && run.Name == name {
			return run
		}
	}
	if r.Function.Version == number && r.Function.Name == name {
		return &r.Function
	}
	return nil
}

// failed reports whether an exchange was answered with 5xx, or its answer broke off.
func failed(x *edge.Exchange) bool {
	switch status := x.Response.Status; {
	case status >= 500:
		return true
	case x.Record.Err == nil || status >= 400:
		return false
	}
	return edge.AsError(x.Record.Err).Kind != edge.ClientGone
}

// never is a time to look at that does not come.
const never = 1<<63 - 1

// look judges the newer version, if it is time. Of several exchanges that end at once
// one looks.
func (p *Plan) look(now time.Time) {
	due := p.due.Load()
	since := int64(now.Sub(p.start))
	if since < due || !p.due.CompareAndSwap(due, never) {
		return
	}
	if reason := p.guard.judge(p.watches[1].figures(now), p.watches[0].figures(now)); reason != "" {
		p.back.Store(true) // at once, whatever becomes of it
		p.breached(reason)
		return
	}
	p.due.Store(since + int64(p.every))
}

func (w *watch) figures(now time.Time) figures {
	runs, errors := w.runs.Latest(now), w.errors.Latest(now)
	f := figures{requests: runs.Durations.Count, traps: runs.Errors, errors: errors.Errors, median: runs.Durations.Quantile(.5)}
	if f.traps > 0 || f.errors > 0 {
		f.trapsOf, f.errorsOf = w.by.worst(now)
	}
	return f
}
