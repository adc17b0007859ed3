package server

import (
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/capture"
	"github.com/sluice-edge/sluice/edge/compress"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/route"
	"github.com/sluice-edge/sluice/edge/split"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// snapshot is a configuration in force. It is immutable: a reload makes another
// and swaps a pointer, and exchanges finish on the one that they have started on.
// What must outlive it (pools, the cache's store, filters, splits) it refers to.
type snapshot struct {
	file      *config.File
	entrances map[string]*entrance // by the address that they are bound to
	sites     []*site
	meters    map[routeName]*metrics.Requests
	upstreams map[string]*upstreamMeter

	// What guests may name.
	upstreamTargets, functionTargets map[string]*arm
}

// routeName is how the record of an exchange names its route, and the arm of its
// split.
type routeName struct{ site, route, arm string }

// entrance is what is served behind one bound address.
type entrance struct {
	hosts  *route.Hosts[host]
	only   *site  // serves whatever host is asked for, being the only site here; or nil
	altSvc string // value of Alt-Svc; "" where there is no HTTP/3
}

// host is what a host name stands for: a site, or an alias of it.
type host struct {
	site    *site
	aliased bool
}

type site struct {
	name    string
	host    string // as its key has it
	table   *route.Table[*Route]
	entries []entry // of the table
	routes  []*Route
	named   map[string]*Route // the same by their names
}

// entry is an entry of a site's table: a route, or a line of its map of redirects.
type entry struct {
	match string
	route *Route
}

// Route is one route's stages, in the order in which an exchange meets them.
// A stage that the configuration does not ask for is nil.
type Route struct {
	site     *site
	name     string
	limits   edge.Limits
	maxBody  int64 // of request content in bytes; config.Unlimited
	unlogged bool
	meter    *metrics.Requests
	recorder *capture.Recorder
	script   string // of functions

	redirect *redirect // it, or respond, answers, and nothing follows
	respond  *respond
	split    *split.Split
	filters  []*filter
	compress *compress.Stage
	cache    *cache.Stage
	toward   *toward  // what is changed on the way to the arm
	arms     []arm    // one, without a name, if there is no split
	armNames []string // of the split's; nil without one
	response *edits   // of the fields of the answer, whatever it is

	stages edge.Handler // compression and filters, before (*behind)(route)
}

// arm is what answers: an upstream or a function.
type arm struct {
	name     string
	pool     *upstream.Pool
	balance  string // how pool picks
	function *function
	shown    map[string]string // what is told of addresses of pool that the file takes from elsewhere
}

// door is where the engines of a bound address hand their exchanges in.
type door struct {
	server *Server
	key    string
	last   atomic.Pointer[entrance] // what was served here before the address was given up; nil: it is not
}

// Serve takes an exchange from the engine that has parsed it to the point where
// the engine delivers its response. This, Route.Serve, behind and origin are the
// whole way of it.
func (d *door) Serve(x *edge.Exchange) error {
	s := d.server
	snap := s.snapshot.Load()
	s.begin(x)
	if len(snap.file.Trust) > 0 {
		believe(x, snap.file.Trust)
	}
	ent := snap.entrances[d.key]
	if ent == nil {
		ent = d.last.Load() // the request of a connection that is about to be closed
	}
	var r *Route
	err := count(x, snap.file.Limits.Hops)
	if err == nil {
		r, err = ent.serve(x)
	}
	if err != nil {
		x.Answer(err)
	}
	s.finish(x, ent, r)
	if s.captures.Active() {
		s.captures.Answer(x)
	}
	return nil
}

// Refuse implements edge.Refuser: the engine does not accept the request.
func (d *door) Refuse(x *edge.Exchange, err error) {
	d.server.begin(x)
	x.Answer(err)
	d.server.finish(x, nil, nil)
}

// serve returns the route that has served x, or nil if none was found.
func (e *entrance) serve(x *edge.Exchange) (*Route, error) {
	var captures route.Captures
	r, err := e.find(x, &captures)
	if r == nil || err != nil { // an alias is answered, and has no route
		return nil, err
	}
	identify(x)
	err = r.serve(x, &captures)
	return r.of(x), err
}

// serve is what a route does with an exchange that it has been found for.
func (r *Route) serve(x *edge.Exchange, captures *route.Captures) error {
	if r.recorder.Active() {
		r.recorder.Begin(x, r.site.name, r.name)
	}
	if err := r.adopt(x); err != nil {
		return err
	}
	if r.redirect != nil {
		return r.redirect.answer(x, captures)
	}
	if r.respond != nil {
		return r.respond.answer(x)
	}
	return r.assigned(x, r.stages)
}

// adopt makes x an exchange of the route.
func (r *Route) adopt(x *edge.Exchange) error {
	x.Record.Site, x.Record.Route = r.site.name, r.name
	x.Record.Unlogged = r.unlogged
	r.meter.Enter()
	x.OnEnd(r)
	x.Limits = r.limits
	return limitBody(x, r.maxBody)
}

// assigned calls next with an arm of the split chosen, if there is a split.
func (r *Route) assigned(x *edge.Exchange, next edge.Handler) error {
	x.Arms = r.armNames
	if r.split == nil {
		return next.Serve(x)
	}
	arm, remember := r.split.Assign(x)
	x.Request.Fields.Set(armField, x.Record.Arm)
	err := next.Serve(x)
	if err == nil && remember && r.arms[arm].name == x.Record.Arm {
		r.split.Remember(x, arm)
	}
	return err
}

// behind is a Route behind its filters. They may have rewritten the request, so
// the route is looked up once more, and only once.
type behind Route

func (b *behind) Serve(x *edge.Exchange) error {
	r := (*Route)(b)
	err := r.pass(x)
	if r.recorder.Active() {
		r.recorder.Behind(x, err)
	}
	return err
}

// pass serves what has passed the filters.
func (r *Route) pass(x *edge.Exchange) error {
	if len(r.filters) == 0 {
		return r.stored(x)
	}
	var captures route.Captures
	to, err := r.site.find(x, &captures)
	if err != nil {
		return err
	}
	if to == r {
		return r.stored(x)
	}
	return to.goOn(x, r, &captures)
}

// End implements edge.Ender: an exchange that was made one of the route is over. It
// leaves the meter that it has entered: by now there may be another of that name.
func (r *Route) End(x *edge.Exchange) {
	if x.Record.Route == r.name { // and not another's; names are unique in a site
		r.meter.Leave()
	}
}

// goOn serves an exchange that the filters of another route have made this one's.
func (r *Route) goOn(x *edge.Exchange, from *Route, captures *route.Captures) error {
	from.meter.Leave()
	if err := r.adopt(x); err != nil {
		return err
	}
	if r.redirect != nil {
		return r.redirect.answer(x, captures)
	}
	if r.respond != nil {
		return r.respond.answer(x)
	}
	return r.assigned(x, &rest{r, from, 0})
}

// rest runs those filters of a route that the route before it did not have:
// a rewrite leads past no filter. Then it goes on behind them.
type rest struct {
	to, from *Route
	next     int // of to.filters
}

func (c *rest) Serve(x *edge.Exchange) error {
	for c.next < len(c.to.filters) {
		f := c.to.filters[c.next]
		c.next++
		if !c.from.has(f) {
			return f.Filter(x, c)
		}
	}
	return c.to.stored(x)
}

// of returns the route that x, which r was found for, is one of in the end: r, or
// the one that filters have made x one of.
func (r *Route) of(x *edge.Exchange) *Route {
	if x.Record.Route == r.name { // names are unique in a site
		return r
	}
	if to := r.site.named[x.Record.Route]; to != nil {
		return to
	}
	return r
}

func (r *Route) has(f *filter) bool {
	for _, have := range r.filters {
		if have == f {
			return true
		}
	}
	return false
}

// stored serves from the cache, where the route has one.
func (r *Route) stored(x *edge.Exchange) error {
	if r.split != nil {
		r.choose(x)
	}
	if r.cache == nil || x.Target != nil { // what a filter has chosen is not what others get
		return (*origin)(r).Serve(x)
	}
	return r.cache.Filter(x, (*origin)(r))
}

// choose makes the arm serve x that a filter has named, if one has.
func (r *Route) choose(x *edge.Exchange) {
	named := x.Request.Fields.Get(armField)
	if named == x.Record.Arm {
		return
	}
	if _, ok := r.split.Override(x, named); !ok {
		x.Request.Fields.Set(armField, x.Record.Arm) // there is no such arm
	}
}

// origin is a Route at its end: the arm's upstream or function.
type origin Route

func (o *origin) Serve(x *edge.Exchange) error {
	a := (*Route)(o).arm(x.Record.Arm)
	if chosen, ok := x.Target.(*arm); ok {
		a = chosen
	}
	if a == nil {
		return &edge.Error{Kind: edge.DestinationNotFound, Op: "find the arm " + x.Record.Arm}
	}
	if o.toward != nil {
		return o.toward.serve(x, a, o.script)
	}
	return a.serve(x, o.script)
}

// arm returns the arm of that name, or nil.
func (r *Route) arm(name string) *arm {
	for i := range r.arms {
		if r.arms[i].name == name {
			return &r.arms[i]
		}
	}
	return nil
}

func (a *arm) serve(x *edge.Exchange, script string) error {
	if a.function != nil {
		return a.function.serve(x, script)
	}
	return a.pool.Serve(x)
}
