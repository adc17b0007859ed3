package server

import (
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/compress"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/edge/route"
	"github.com/sluice-edge/sluice/edge/split"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// builder turns a configuration into a snapshot. What it cannot build is a
// problem with the place that asked for it.
type builder struct {
	s         *Server
	file      *config.File
	problems  *diag.List
	used      *shared // what the snapshot refers to, made new or taken over
	store     *cache.Store
	filters   map[config.FilterUse]*filter // nil: cannot be made
	functions map[config.FilterUse]*function
	pending   []pending
	offline   bool // nothing is to be run: modules are not looked at
}

// pending is what is done when the configuration goes live, or instead if it does
// not.
type pending struct{ deploy, discard func() }

func (b *builder) deploy(deploy, discard func()) {
	b.pending = append(b.pending, pending{deploy, discard})
}

// address is where sites are reached.
type address struct {
	network, address string
	encrypted        bool
}

// key is what the address is known by. Port 0 is one that is free: another one for
// https than for http.
func (a address) key() string {
	if a.encrypted && strings.HasSuffix(a.address, ":0") {
		return "https " + a.address
	}
	return a.address
}

// addresses returns where each site of the file is reached, in the file's order.
func addresses(f *config.File, site *config.Site) []address {
	if site.Bind != "" {
		return []address{{"tcp", site.Bind, site.Scheme == "https"}}
	}
	var all []address
	for _, a := range f.Listen.HTTP {
		all = append(all, address{a.Network, a.Address, false})
	}
	for _, a := range f.Listen.HTTPS {
		all = append(all, address{a.Network, a.Address, true})
	}
	return all
}

// bound is what is reached at one address.
type bound struct {
	address
	sites   []*site
	entries []route.HostEntry[host]
	places  []diag.Place // of the entries
}

func (b *bound) add(at diag.Place, pattern string, h host) {
	b.entries = append(b.entries, route.HostEntry[host]{Host: pattern, Value: h})
	b.places = append(b.places, at)
}

// build returns the snapshot and the addresses that it needs.
func (b *builder) build() (*snapshot, []address) {
	snap := &snapshot{file: b.file, entrances: make(map[string]*entrance), meters: make(map[routeName]*metrics.Requests), upstreams: make(map[string]*upstreamMeter)}
	b.meter(snap, routeName{})
	b.filters, b.functions = make(map[config.FilterUse]*filter), make(map[config.FilterUse]*function)
	for i := range b.file.Filters {
		c := &b.file.Filters[i]
		b.filter(config.FilterUse{Name: c.Name}, c.Place)
	}
	for i := range b.file.Functions {
		c := &b.file.Functions[i]
		b.function(c.Name, 0, c.Place)
	}
	b.targets(snap)
	byAddress := make(map[string]*bound)
	var order []*bound
	for i := range b.file.Sites {
		c := &b.file.Sites[i]
		st := b.site(c, snap)
		snap.sites = append(snap.sites, st)
		for _, a := range addresses(b.file, c) {
			at := byAddress[a.key()]
			if at == nil {
				at = &bound{address: a}
				byAddress[a.key()] = at
				order = append(order, at)
			}
			if at.encrypted != a.encrypted {
				b.problems.Errorf(c.Place, "%s is bound for both http and https", a.address).Hint = "give one of the sites another port"
				continue
			}
			at.sites = append(at.sites, st)
			at.add(c.Place, c.Host, host{site: st})
			for _, alias := range c.Aliases {
				at.add(alias.Place, alias.Host, host{site: st, aliased: true})
			}
		}
	}
	for name, m := range b.used.upstreams {
		snap.upstreams[name] = m
	}
	var needed []address
	for _, at := range order {
		hosts, problems := route.NewHosts(at.entries)
		for _, p := range problems {
			b.problems.Errorf(at.places[p.Entry], "%v", p.Err)
		}
		e := &entrance{hosts: hosts}
		if len(at.sites) == 1 {
			e.only = at.sites[0]
		}
		snap.entrances[at.key()] = e
		needed = append(needed, at.address)
	}
	return snap, needed
}

func (b *builder) site(c *config.Site, snap *snapshot) *site {
	st := &site{name: c.Name, host: c.Host, named: make(map[string]*Route, len(c.Routes))}
	b.meter(snap, routeName{site: st.name}) // of no route
	var entries []route.Entry[*Route]
	var places []diag.Place // of the entries
	for i := range c.Routes {
		r := &c.Routes[i]
		built := b.route(st, r)
		st.routes = append(st.routes, built)
		st.named[built.name] = built
		built.meter = b.meter(snap, routeName{st.name, built.name, ""})
		for _, a := range built.arms {
			b.meter(snap, routeName{st.name, built.name, a.name})
		}
		e := route.Entry[*Route]{
			Methods: r.Match.Methods,
			Path:    r.Match.Path,
			Header:  conditions(r.Match.When.Header),
			Query:   conditions(r.Match.When.Query),
			Cookie:  conditions(r.Match.When.Cookie),
			Value:   built,
		}
		if r.Redirect == nil || r.Redirect.Map == "" {
			entries, places = append(entries, e), append(places, r.Place)
			st.entries = append(st.entries, entry{matchText(r), built})
			continue
		}
		for _, line := range b.redirectMap(r) {
			e.Path, e.Value = line.Pattern, b.mapped(built, r, &line)
			entries, places = append(entries, e), append(places, diag.Place{File: r.Redirect.Map, Line: line.Line, Column: 1})
			st.entries = append(st.entries, entry{line.Pattern, e.Value})
		}
	}
	table, problems := route.New(entries)
	for _, p := range problems {
		b.problems.Errorf(places[p.Entry], "%v", p.Err)
	}
	st.table = table
	return st
}

// meter returns what counts the exchanges of a route, or of an arm.
func (b *builder) meter(snap *snapshot, name routeName) *metrics.Requests {
	m := b.used.meter(&b.s.shared, name)
	snap.meters[name] = m
	return m
}

// redirectMap reads the file of a map of redirects.
func (b *builder) redirectMap(c *config.Route) []route.MapLine {
	f, err := osfile.Open(c.Redirect.Map)
	if err != nil {
		b.problems.Errorf(c.Redirect.Place, "%v", err)
		return nil
	}
	defer f.Close()
	lines, problems := route.ParseMap(f, c.Redirect.Map)
	for _, p := range problems {
		b.problems.Errorf(diag.Place{File: p.File, Line: p.Line, Column: p.Column}, "%v", p.Err)
	}
	return lines
}

// mapped returns the route that a line of a map stands for.
func (b *builder) mapped(r *Route, c *config.Route, line *route.MapLine) *Route {
	status := line.Status
	if status == 0 {
		status = c.Redirect.Status
	}
	of := *r
	of.redirect = b.redirect(line.Pattern, &config.Redirect{Place: c.Redirect.Place, To: line.Target, Status: status})
	return &of
}

func conditions(pairs []config.Pair) []route.Condition {
	all := make([]route.Condition, len(pairs))
	for i, p := range pairs {
		all[i] = route.Condition{Name: p.Name, Value: p.Value, Shown: p.From}
	}
	return all
}

func (b *builder) route(st *site, c *config.Route) *Route {
	r := &Route{site: st, name: c.Name, maxBody: c.Body, unlogged: !c.Log, recorder: b.s.captures, script: script(c.Match.Path)}
	r.limits = edge.Limits{Connect: c.Timeout.Connect, FirstByte: c.Timeout.FirstByte, Stalled: c.Timeout.Stalled, Retries: c.Retry.Times}
	if r.limits.Retries == 0 {
		r.limits.Retries = -1 // zero would mean the default
	}
	switch {
	case c.Redirect != nil && c.Redirect.Map != "": // see mapped
	case c.Redirect != nil:
		r.redirect = b.redirect(c.Match.Path, c.Redirect)
	case c.Respond != nil:
		r.respond = &respond{c.Respond.Status, []byte(c.Respond.Body), c.Respond.Fields}
	case c.Split != nil:
		r.split = b.split(st, c)
		for _, a := range c.Split.Arms {
			r.arms = append(r.arms, b.arm(a.Name, a.Target, a.Place))
			r.armNames = append(r.armNames, a.Name)
		}
	default:
		r.arms = []arm{b.arm("", c.To, c.Place)}
	}
	r.response = newEdits(c.Fields.Response)
	if c.Redirect != nil || c.Respond != nil {
		return r
	}
	var err error
	if r.toward, err = newToward(c); err != nil {
		b.problems.Errorf(c.Place, "%v", err)
	}
	if c.Cache.Mode != config.CacheOff {
		r.cache = b.store.Stage(cache.Policy{TTL: c.Cache.TTL})
	}
	var stages []edge.Filter
	if r.compress = b.compress(c); r.compress != nil {
		stages = append(stages, r.compress)
	}
	for _, use := range c.Filters {
		if f := b.filter(use, c.Place); f != nil {
			r.filters = append(r.filters, f)
			stages = append(stages, f)
		}
	}
	r.stages = edge.Chain((*behind)(r), stages...)
	return r
}

func (b *builder) redirect(pattern string, c *config.Redirect) *redirect {
	t, err := route.ParseTemplate(c.To, pattern)
	if err != nil {
		b.problems.Errorf(c.Place, "%v", err)
		return nil
	}
	return &redirect{status: c.Status, to: t, shown: c.From, keepQuery: !strings.ContainsAny(c.To, "?#") && !strings.Contains(c.To, "{query}")}
}

func (b *builder) compress(c *config.Route) *compress.Stage {
	if c.Compress.Off {
		return nil
	}
	stage, err := b.used.compressor(&b.s.shared, c.Compress)
	if err != nil {
		b.problems.Errorf(c.Place, "%v", err)
		return nil
	}
	return stage
}

// arm returns what answers as a target says.
func (b *builder) arm(name string, to config.Target, at diag.Place) arm {
	if to.Function != "" {
		return arm{name: name, function: b.function(to.Function, to.Version, at)}
	}
	a := arm{name: name, pool: b.pool(to.Upstream, at), balance: "round-robin"}
	u := b.file.Upstream(to.Upstream)
	if u == nil {
		return a // reported
	}
	if u.Balance == config.LeastRequests {
		a.balance = "least-requests"
	}
	for _, e := range u.Endpoints {
		if e.From == "" {
			continue
		}
		if a.shown == nil {
			a.shown = make(map[string]string)
		}
		a.shown[e.Address] = e.From
	}
	return a
}

// pool returns the pool of an upstream.
func (b *builder) pool(name string, at diag.Place) *upstream.Pool {
	u := b.file.Upstream(name)
	if u == nil {
		b.problems.Errorf(at, "no upstream %q", name)
		return nil
	}
	b.meterUpstream(u)
	return b.used.pool(&b.s.shared, u)
}

// meterUpstream makes what counts the exchanges with an upstream. Endpoints that
// stay keep their figures.
func (b *builder) meterUpstream(u *config.Upstream) {
	if b.used.upstreams[u.Name] != nil {
		return
	}
	var addresses []string
	for _, e := range u.Endpoints {
		addresses = append(addresses, e.Address)
	}
	m, old := newUpstreamMeter(time.Now(), addresses), b.s.shared.upstreams[u.Name]
	if old != nil {
		m.latest = old.latest
		for a := range m.endpoints {
			if have := old.endpoints[a]; have != nil {
				m.endpoints[a] = have
			}
		}
	}
	b.used.upstreams[u.Name] = m
}

// split returns the split of a route.
func (b *builder) split(st *site, c *config.Route) *split.Split {
	sp, err := b.used.split(&b.s.shared, b.s.saved, st.name, c)
	if err != nil {
		b.problems.Errorf(c.Split.Place, "%v", err)
		return nil
	}
	return sp
}
