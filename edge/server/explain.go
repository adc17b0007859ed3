package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/cache"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/rollout"
	"github.com/sluice-edge/sluice/edge/route"
)

// Explain says what would become of a request, and why, without doing any of it.
// It goes the way of door.Serve through the same stages, but runs no filter.
func (s *Server) Explain(r api.ExplainRequest) (api.Explanation, error) {
	return explain(s.snapshot.Load(), r)
}

// Explain says what would become of a request if a configuration were in force. No
// module is compiled and nothing is bound.
func Explain(file *config.File, r api.ExplainRequest) (api.Explanation, *diag.List, error) {
	s := &Server{log: slog.New(slog.DiscardHandler), shared: newShared(), saved: &saved{splits: make(map[string][]rollout.Weight)}}
	b := &builder{s: s, file: file, problems: file.Diag(), offline: true}
	used := newShared()
	b.used = &used
	store, err := cache.NewStore(cache.Config{Memory: file.Cache.Memory})
	if err != nil {
		return api.Explanation{}, nil, err
	}
	defer store.Close()
	b.store = store
	snap, _ := b.build()
	defer used.retire(nil)
	if b.problems.Failed() {
		return api.Explanation{}, b.problems, nil
	}
	e, err := explain(snap, r)
	return e, b.problems, err
}

// explain fills an exchange as an engine would, and walks.
func explain(snap *snapshot, r api.ExplainRequest) (api.Explanation, error) {
	bad := func(format string, args ...any) (api.Explanation, error) {
		return api.Explanation{}, &api.Problem{Title: "not a request", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf(format, args...)}
	}
	u, err := url.Parse(r.URL)
	if err == nil && u.Scheme == "" {
		u, err = url.Parse("http://" + r.URL)
	}
	switch {
	case err != nil:
		return bad("%q is no URL: %v", r.URL, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad("%q is no URL of http or https", r.URL)
	}
	from := netip.MustParseAddr("127.0.0.1")
	if r.Client != "" {
		if from, err = netip.ParseAddr(r.Client); err != nil {
			return bad("%q is no address", r.Client)
		}
	}
	x := new(edge.Exchange)
	client := edge.NewClient(netip.AddrPortFrom(from, 1), netip.AddrPort{}, nil)
	x.Begin(nil, &client, time.Now())
	defer x.End()
	req := &x.Request
	req.Method, req.Scheme, req.Authority, req.Proto = r.Method, u.Scheme, u.Host, "HTTP/1.1"
	if req.Method == "" {
		req.Method = "GET"
	}
	// As a client sends it: what url.Parse has decoded is not encoded anew.
	req.Path, req.Query = wirePath(r.URL), u.RawQuery
	for _, f := range r.Headers {
		if edge.EqualFold(f.Name, "Host") {
			req.Authority = f.Value
			continue
		}
		req.Fields.Add(f.Name, f.Value)
	}
	x.Parsed()
	w := walk{snap: snap, x: x}
	w.entrance(u)
	return w.e, nil
}

// wirePath returns the path of a URL as it is sent.
func wirePath(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	if i := strings.IndexByte(s, '#'); i >= 0 {
		s = s[:i]
	}
	s, _, _ = strings.Cut(s, "?")
	i := strings.IndexByte(s, '/')
	if i < 0 {
		return "/"
	}
	return s[i:]
}

// walk is the way of an exchange that is explained.
type walk struct {
	snap *snapshot
	x    *edge.Exchange
	e    api.Explanation
}

func (w *walk) note(format string, args ...any) {
	w.e.Notes = append(w.e.Notes, fmt.Sprintf(format, args...))
}

// fails notes an error as the answer that it becomes.
func (w *walk) fails(err error) {
	w.x.Answer(err)
	w.e.Answer = &api.Fixed{Status: w.x.Response.Status, Why: err.Error()}
}

// entrance finds where the request comes in.
func (w *walk) entrance(u *url.URL) {
	at, ok := w.listener(u)
	if !ok {
		w.e.Answer = &api.Fixed{Why: fmt.Sprintf("nothing listens for %s", u.Scheme)}
		return
	}
	if w.e.Listener = at.address; u.Port() != "" && !hasPort(at.address, u.Port()) {
		w.note("nothing listens on port %s: this is what %s would do", u.Port(), at.address)
	}
	if len(w.snap.file.Trust) > 0 {
		believe(w.x, w.snap.file.Trust)
	}
	ent := w.snap.entrances[at.address]
	authority := w.x.Request.Authority
	pattern, near := ent.hosts.Explain(authority)
	h, known := ent.hosts.Lookup(authority)
	site := h.site
	switch {
	case known && h.aliased:
		w.e.Site, w.e.SiteWhy = site.name, fmt.Sprintf("the host %s is an alias of it", pattern)
		site.alias(w.x)
		w.e.Answer = &api.Fixed{Status: w.x.Response.Status, Location: strings.Clone(w.x.Response.Fields.Get("Location")), Why: "an alias leads to the site's own host"}
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

// listener returns the address that a URL leads to: that of its port, else the first
// of its scheme.
func (w *walk) listener(u *url.URL) (found address, ok bool) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	f := w.snap.file
	for i := range f.Sites {
		for _, a := range addresses(f, &f.Sites[i]) {
			if a.encrypted != (u.Scheme == "https") {
				continue
			}
			if hasPort(a.address, port) {
				return a, true
			}
			if !ok {
				found, ok = a, true
			}
		}
	}
	return found, ok
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
	x.Record.Site, x.Record.Route = r.site.name, r.name
	switch {
	case r.redirect != nil:
		r.redirect.answer(x, captures)
		w.e.Answer = &api.Fixed{Status: x.Response.Status, Location: strings.Clone(x.Response.Fields.Get("Location")), Why: "redirect"}
		return
	case r.respond != nil:
		w.e.Answer = &api.Fixed{Status: r.respond.status, Why: "respond"}
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
	}
	for _, f := range r.filters {
		run := api.FilterRun{Name: f.name, Version: f.live.number(), Pinned: f.pin != 0, OnError: "deny"}
		if f.pin != 0 {
			run.Version = f.pin
		}
		if f.config.OnError == config.Skip {
			run.OnError = "skip"
		}
		w.e.Filters = append(w.e.Filters, run)
	}
	if len(r.filters) > 0 {
		w.note("filters are not run here: one may answer, change the request so that it becomes another route's, or choose another arm")
	}
	if r.cache != nil {
		c := r.cache.Explain(x)
		w.e.Cache = &api.CacheCase{Key: c.Key, Does: c.Does, Why: c.Why, Age: c.Age.Seconds(), TTL: c.TTL.Seconds()}
	}
	w.origin(r)
}

// origin explains what the arm is asked.
func (w *walk) origin(r *Route) {
	x := w.x
	var a *arm
	for i := range r.arms {
		if r.arms[i].name == x.Record.Arm {
			a = &r.arms[i]
		}
	}
	if a == nil {
		w.fails(&edge.Error{Kind: edge.DestinationNotFound, Op: "find the arm " + x.Record.Arm})
		return
	}
	if r.toward != nil {
		if r.toward.fields != nil {
			r.toward.fields.apply(&x.Request.Fields)
		}
		if r.toward.rewrite != nil {
			if _, err := r.toward.ask(x); err != nil {
				w.fails(err)
				return
			}
		}
	}
	host := x.Request.Authority
	if f := a.function; f != nil {
		version := f.live.number()
		if f.pin != 0 {
			version = f.pin
		}
		w.e.Function = pinned(f.name, version)
	} else {
		w.e.Upstream = &api.Destination{Name: a.pool.Status().Name, Balance: a.balance}
		for _, c := range a.pool.Peek() {
			d := api.Eligible{Address: c.Address, Usable: true}
			switch {
			case c.Suspended > 0:
				d.Usable, d.Why = false, fmt.Sprintf("suspended for %s more: %s", c.Suspended.Round(time.Second), c.Failure)
			case c.Trial:
				d.Why = fmt.Sprintf("it failed (%s): the next request is a trial", c.Failure)
			case c.Backup:
				d.Why = "backup"
			}
			if host == "" && len(w.e.Upstream.Endpoints) == 0 {
				host = c.Authority()
			}
			w.e.Upstream.Endpoints = append(w.e.Upstream.Endpoints, d)
		}
	}
	uri := x.Request.Path
	if x.Request.Query != "" {
		uri += "?" + x.Request.Query
	}
	w.e.Request = &api.Sent{Method: x.Request.Method, Host: strings.Clone(host), URI: strings.Clone(uri)}
	for name, value := range x.Request.Fields.All() {
		w.e.Request.Fields = append(w.e.Request.Fields, api.Field{Name: strings.Clone(name), Value: strings.Clone(value)})
	}
}
