package server

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/asked"
	"github.com/sluice-edge/sluice/edge/compress"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/route"
)

// Explain says what would become of a request over HTTP/1.1, and why, without doing
// any of it. It goes the way of door.Serve through the same stages, but runs no filter.
func (s *Server) Explain(r api.ExplainRequest) (api.Explanation, error) {
	a, err := asked.Read(&r)
	if err != nil {
		return api.Explanation{}, err
	}
	return explain(a, s.snapshot.Load(), false), nil
}

// Explain says what would become of a request if a configuration were in force. No
// module is compiled and nothing is bound.
func Explain(file *config.File, r api.ExplainRequest) (api.Explanation, *diag.List, error) {
	a, err := asked.Read(&r)
	if err != nil {
		return api.Explanation{}, file.Diag(), err
	}
	var e api.Explanation
	problems, err := offline(file, func(snap *snapshot) { e = explain(a, snap, true) })
	return e, problems, err
}

// explain fills an exchange as an engine would, and walks.
func explain(a *asked.Request, snap *snapshot, offline bool) api.Explanation {
	x := new(edge.Exchange)
	client := edge.NewClient(netip.AddrPortFrom(a.Client, 1), netip.AddrPort{}, nil)
	x.Begin(nil, &client, time.Now())
	defer x.End()
	w := walk{snap: snap, x: x, offline: offline}
	w.entrance(a)
	if w.e.Answer != nil {
		// As finish does.
		if w.taken != nil && w.taken.response != nil {
			w.taken.response.shown().apply(&x.Response.Fields)
		}
		w.e.Answer.Location = strings.Clone(x.Response.Fields.Get("Location"))
	}
	return w.e
}

// walk is the way of an exchange that is explained.
type walk struct {
	snap    *snapshot
	x       *edge.Exchange
	taken   *Route // the one that serves it; nil: none
	offline bool   // nothing of the snapshot runs
	e       api.Explanation
}

func (w *walk) note(format string, args ...any) {
	w.e.Notes = append(w.e.Notes, fmt.Sprintf(format, args...))
}

// fails notes an error as the answer that it becomes.
func (w *walk) fails(err error) {
	w.x.Answer(err)
	w.answers(err.Error())
}

// answers notes the response of x as the answer.
func (w *walk) answers(why string) {
	w.e.Answer = &api.Fixed{Status: w.x.Response.Status, Why: why}
}

// entrance finds where the request comes in.
func (w *walk) entrance(a *asked.Request) {
	at, ok := w.listener(a)
	if !ok {
		w.e.Answer = &api.Fixed{Why: fmt.Sprintf("nothing listens for %s", a.Scheme)}
		return
	}
	w.e.Listener = at.address
	if port := a.Port(); port != "" && !hasPort(at.address, port) {
		w.note("nothing listens on port %s: this is what %s would do", port, at.address)
	}
	if err := a.Parse(http1Config(w.snap.file.Limits), &w.x.Request); err != nil {
		w.fails(err)
		return
	}
	w.x.Parsed()
	w.x.Record.ID = newID
	if len(w.snap.file.Trust) > 0 {
		believe(w.x, w.snap.file.Trust)
	}
	if err := count(w.x, w.snap.file.Limits.Hops); err != nil {
		w.fails(err)
		return
	}
	ent := w.snap.entrances[at.key()]
	authority := w.x.Request.Authority
	pattern, near := ent.hosts.Explain(authority)
	h, known := ent.hosts.Lookup(authority)
	site := h.site
	switch {
	case known && h.aliased:
		w.e.Site, w.e.SiteWhy = site.name, fmt.Sprintf("the host %s is an alias of it", pattern)
		site.alias(w.x)
		w.answers("an alias leads to the site's own host")
		return
	case known:
		w.e.SiteWhy = fmt.Sprintf("its host %s matches", pattern)
	case ent.only != nil:
		site = ent.only
		w.e.SiteWhy = fmt.Sprintf("it is the only site of %s, whatever host is asked for", at.address)
	default:
		if len(near) > 0 {
			w.note("did you mean %s?", strings.Join(near, " or "))
		}
		kind := edge.NoRoute
		if at.encrypted {
			kind = edge.Misdirected
		}
		w.fails(&edge.Error{Kind: kind, Op: "find the site of " + authority})
		return
	}
	w.e.Site = site.name
	w.route(site)
}

// newID stands for the id that a request will get, which nobody knows before.
const newID = "(new)"

// listener returns the address that a URL leads to: that of its host and port, or of
// its port, else the first of its scheme.
func (w *walk) listener(a *asked.Request) (found address, ok bool) {
	port := a.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[a.Scheme]
	}
	best := -1
	f := w.snap.file
	for i := range f.Sites {
		for _, at := range addresses(f, &f.Sites[i]) {
			if at.encrypted != (a.Scheme == "https") {
				continue
			}
			fits := 0
			if host, have, err := net.SplitHostPort(at.address); err == nil && have == port {
				fits = 1
				if host == strings.Trim(route.Hostname(a.Authority), "[]") {
					fits = 2
				}
			}
			if fits > best {
				found, best = at, fits
			}
		}
	}
	return found, best >= 0
}

func hasPort(address, port string) bool {
	_, have, err := net.SplitHostPort(address)
	return err == nil && have == port
}

// route finds the route of a site, and goes on with it.
func (w *walk) route(site *site) {
	path, err := canonicalPath(w.x)
	if err != nil {
		w.fails(err)
		return
	}
	winner, others, err := site.table.Explain(&w.x.Request, path)
	for _, o := range others {
		entry := site.entries[o.Entry]
		w.e.Others = append(w.e.Others, api.Candidate{Route: entry.route.name, Match: entry.match, Why: o.Why, Near: o.Near})
	}
	switch {
	case err != nil:
		w.fails(&edge.Error{Kind: edge.RequestError, Op: "find the route", Err: err})
		return
	case winner < 0:
		w.fails(&edge.Error{Kind: edge.NoRoute, Op: "find the route"})
		return
	}
	var captures route.Captures
	site.table.LookupPath(&w.x.Request, path, &captures)
	r := site.entries[winner].route
	w.e.Route, w.e.Match = r.name, site.entries[winner].match
	for i := range captures.Len() {
		name, value := captures.At(i)
		if name == "1" {
			name = "$1"
		}
		w.e.Captures = append(w.e.Captures, api.Field{Name: name, Value: strings.Clone(value)})
	}
	identify(w.x)
	w.serve(r, &captures)
}

// serve explains what Route.serve does.
func (w *walk) serve(r *Route, captures *route.Captures) {
	x := w.x
	w.taken = r
	x.Record.Site, x.Record.Route = r.site.name, r.name
	if err := limitBody(x, r.maxBody); err != nil {
		w.fails(err)
		return
	}
	switch {
	case r.redirect != nil:
		r.redirect.answer(x, captures)
		r.redirect.conceal(x)
		w.answers("redirect")
		return
	case r.respond != nil:
		(&respond{r.respond.status, nil, shownPairs(r.respond.fields)}).answer(x)
		w.answers("respond")
		return
	}
	if r.split != nil {
		i, why := r.split.Peek(x)
		x.Record.Arm = r.arms[i].name
		x.Request.Fields.Set(armField, x.Record.Arm)
		w.e.Arm, w.e.ArmWhy = x.Record.Arm, why
	}
	if r.compress != nil {
		w.e.Coding, _ = r.compress.Explain(x)
		compress.Ask(&x.Request)
	}
	if err := w.filters(r); err != nil {
		w.destination(r.arm(x.Record.Arm))
		w.fails(err)
		return
	}
	w.cache(r)
}

// filters lists the filters of a route. The error is that of one which cannot be run.
func (w *walk) filters(r *Route) error {
	if len(r.filters) > 0 {
		w.note("filters are not run here: one may answer, change the request so that it becomes another route's, or choose another arm")
	}
	var routing []string
	for _, f := range r.filters {
		if f.config.Allow.Route {
			routing = append(routing, f.name)
		}
	}
	if len(routing) > 0 {
		w.note("allow: { route: yes } lets %s have another upstream or function answer, past the cache", strings.Join(routing, " and "))
	}
	for _, f := range r.filters {
		run := api.FilterRun{Name: f.name, State: api.FilterLive, Pinned: f.pin != 0, OnError: "deny"}
		run.Version, run.Shadow, run.Why = f.live.peek(w.x)
		if f.config.OnError == config.Skip {
			run.OnError = "skip"
		}
		switch {
		case w.offline:
			run.State, run.Version = api.FilterOffline, f.pin
		case run.Version == 0 && f.live.damage.Load() != nil:
			run.State = api.FilterDamaged
		case run.Version == 0:
			run.State = api.FilterMissing
		}
		w.e.Filters = append(w.e.Filters, run)
		if run.Version == 0 && !w.offline && !f.skips() {
			return f.missing()
		}
	}
	return nil
}

// cache explains what Route.stored does.
func (w *walk) cache(r *Route) {
	if r.cache == nil {
		w.origin(r)
		return
	}
	c := r.cache.Explain(w.x)
	w.e.Cache = &api.CacheCase{Key: c.Key, Does: c.Does, Why: c.Why, Age: c.Age.Seconds(), TTL: c.TTL.Seconds()}
	if c.Asks {
		c.Ask(&w.x.Request.Fields)
		w.origin(r)
		return
	}
	w.destination(r.arm(w.x.Record.Arm))
	if c.Status != 0 {
		w.x.Respond(c.Status, nil, 0)
		w.answers("only-if-cached")
	}
}

// origin explains what the arm is asked.
func (w *walk) origin(r *Route) {
	x := w.x
	a := r.arm(x.Record.Arm)
	if r.toward != nil {
		if r.toward.fields != nil {
			r.toward.fields.shown().apply(&x.Request.Fields)
		}
		if r.toward.rewrite != nil {
			if _, err := r.toward.ask(x, a); err != nil {
				w.fails(err)
				return
			}
			r.toward.conceal(x)
		}
	}
	own := w.destination(a)
	if a.function != nil && a.function.live.number() == 0 && !w.offline {
		w.fails(a.function.missing())
		return
	}
	host := x.Request.Authority
	if host == "" {
		host = own
	}
	uri := x.Request.Path
	if x.Request.Query != "" {
		uri += "?" + x.Request.Query
	}
	w.e.Request = &api.Sent{Method: x.Request.Method, Host: strings.Clone(host), URI: strings.Clone(uri)}
	if a.function == nil {
		w.e.Request.Upgrade = strings.Clone(x.Request.Upgrade)
	}
	for name, value := range x.Request.Fields.All() {
		w.e.Request.Fields = append(w.e.Request.Fields, api.Field{Name: strings.Clone(name), Value: strings.Clone(value)})
	}
}

// destination names the upstream or function of an arm. It returns what the first
// endpoint is asked for where the request names no host.
func (w *walk) destination(a *arm) (own string) {
	if f := a.function; f != nil {
		version, _, why := f.live.peek(w.x)
		w.e.FunctionWhy = why
		if f.pin != 0 {
			version = f.pin
		}
		w.e.Function = pinned(f.name, version)
		return ""
	}
	w.e.Upstream = &api.Destination{Name: a.pool.Name(), Balance: a.balance}
	for i, c := range a.pool.Peek() {
		if i == 0 {
			own = c.Authority()
		}
		d := api.Eligible{Address: c.Address, Usable: true}
		if shown := a.shown[c.Address]; shown != "" {
			d.Address = shown
			if i == 0 {
				own = shown
			}
		}
		switch {
		case c.Suspended > 0:
			d.Usable, d.Why = false, fmt.Sprintf("suspended for %s more: %s", c.Suspended.Round(time.Second), c.Failure)
		case c.Trial:
			d.Why = fmt.Sprintf("it failed (%s): the next request is a trial", c.Failure)
		case c.Backup:
			d.Why = "backup"
		}
		w.e.Upstream.Endpoints = append(w.e.Upstream.Endpoints, d)
	}
	return own
}
