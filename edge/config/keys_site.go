package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// siteDraft is a site in the making.
type siteDraft struct {
	Site
	draft  draft  // what its routes begin as
	routes *value // decoded last
}

func (g *grammar) siteKeys() object[siteDraft] {
	keys := []key[siteDraft]{
		{"name", "made from the key", nameForm, "A short name for the command line, the API and metrics.",
			func(d *decoder, v value, s *siteDraft) { d.nameOf(v, &s.Name) }},
		{"aliases", "", listOf(anyText("a host, or one like `*.example.com`")), "Other hosts, which are redirected (308) to the site.",
			func(d *decoder, v value, s *siteDraft) { d.aliases(v, &s.Site) }},
		{"routes", "", called("a map of matches to routes: a target, a map ([route](#route)), a list of those, or nothing where the site has a target",
			freeForm("matches", or(nullForm, listOf(or(targetForm, mapForm(g.route.section())))))),
			"What the site does with which requests. A key is a match: `[METHOD[,METHOD] ]PATH`, where PATH is `/exact`, `/prefix/*`, `/users/{id}`, `/files/{path...}`, or `/` for everything else. " +
				"The most specific match wins, whatever the order. A list holds several routes of one match, of which `when` makes one more specific.",
			func(_ *decoder, v value, s *siteDraft) { s.routes = &v }},
	}
	for _, k := range g.settings {
		keys = append(keys, key[siteDraft]{k.name, k.def, k.form, k.doc, func(d *decoder, v value, s *siteDraft) { k.set(d, v, &s.draft) }})
	}
	return object[siteDraft]{"site", "What a host answers with. As a text it is the target of all its requests. Beside the keys of its own a site has those of a route, for all its routes: " +
		"a route's value replaces the site's, and its filters come after the site's.", keys}
}

func (g *grammar) routeObject() object[draft] {
	return object[draft]{"route", "What to do with a request that matches. As a text it is `to`. Exactly one of `to`, `function`, `redirect`, `respond` and `split` says where requests go, unless the site does.", append([]key[draft]{
		{"name", "the match", nameForm, "A short name for the command line, the API and metrics.",
			func(d *decoder, v value, r *draft) { d.nameOf(v, &r.Name) }},
		{"when", "", mapForm(g.when.section()), "What a request must be like beyond method and path.",
			func(d *decoder, v value, r *draft) { d.when(v, &r.Match.When) }},
	}, g.settings...)}
}

func (d *decoder) nameOf(v value, to *string) {
	if s, ok := d.text(v, "a name"); ok && d.resource(v, s) {
		*to = s
	}
}

func (d *decoder) aliases(v value, s *Site) {
	for _, item := range v.list() {
		text, ok := d.text(item, "a host")
		if !ok {
			continue
		}
		host, err := parseHost(strings.Trim(text, "[]"), true)
		if err != nil {
			d.wrong(item, "host", err)
			continue
		}
		if host == "*" {
			d.errorf(item, "any host cannot be an alias").Hint = `give the site the key "*"`
			continue
		}
		s.Aliases = append(s.Aliases, Alias{d.place(item), bracketed(host)})
	}
}

// sites reads all sites, whose settings begin as base.
func (d *decoder) sites(v value, f *File, base Settings) {
	if v.kind != mapping {
		d.wants(v, "a map of hosts to sites")
		return
	}
	d.each(v, func(name string, k, child value) {
		parsed, err := parseSiteKey(name)
		if err != nil {
			d.wrong(k, "site", err)
			return
		}
		s := siteDraft{}
		s.Site = Site{Place: d.place(k), Key: name, Host: parsed.host, Scheme: parsed.scheme, Bind: parsed.bind}
		s.draft.Settings = base
		if child.kind == scalar {
			s.draft.target(child)
			s.draft.To = d.target(child)
		} else {
			if child.kind == null {
				d.errorf(k, "the site says nothing").Hint = "write an upstream or an address behind it, like 127.0.0.1:3000"
				return
			}
			if d.grammar.site.decode(d, child, &s) == nil {
				return
			}
		}
		if s.Name == "" {
			s.Name = parsed.name()
		}
		d.site(child, &s)
		f.Sites = append(f.Sites, s.Site)
	})
}

// name makes the name of a site that gives itself none.
func (k siteKey) name() string {
	name := strings.ReplaceAll(k.host, "*", "any")
	switch {
	case k.port != "":
		name += "-" + k.port
	case k.scheme != "":
		name += "-" + k.scheme
	}
	return name
}

// site makes the routes of a site whose keys have been read.
func (d *decoder) site(v value, s *siteDraft) {
	d.oneTarget(v, &s.draft)
	d.settleChange(&s.draft, change{})
	s.Settings = s.draft.Settings
	base := s.draft
	base.targets = nil
	if s.routes != nil {
		if s.routes.kind != mapping {
			d.wants(*s.routes, "a map of matches to routes")
			return
		}
		d.each(*s.routes, func(name string, k, child value) {
			match, err := parseMatch(name)
			if err != nil {
				d.wrong(k, "match", err)
				return
			}
			if child.kind == list && len(child.items) == 0 {
				d.errorf(child, "a route is needed, and this list is empty")
			}
			for _, item := range child.list() {
				at := k
				if child.kind == list {
					at = item
				}
				r := base
				r.Place, r.Key, r.Match = d.place(at), name, match
				d.route(k, item, &r)
				s.Routes = append(s.Routes, r.Route)
			}
		})
	}
	everything := slices.ContainsFunc(s.Routes, func(r Route) bool {
		m := r.Match
		if r.Redirect != nil && r.Redirect.Map != "" {
			return false // what no line matches goes on
		}
		return m.Path == "/" && len(m.Methods) == 0 && len(m.When.Header)+len(m.When.Query)+len(m.When.Cookie) == 0
	})
	switch {
	case everything:
	case base.aimed:
		r := base
		r.Place, r.Match = s.Place, Match{Path: "/"}
		d.finish(&r, base.change)
		s.Routes = append(s.Routes, r.Route)
	case s.routes == nil:
		d.errorf(v, "the site has no routes and does not say where requests go").Hint = "write routes, or one of to, function, redirect, respond and split"
	case len(s.routes.entries) == 0:
		d.errorf(*s.routes, "the site has no routes")
	}
	d.checkSiteStrip(s)
	d.nameRoutes(s)
}

// route reads one route of the match k.
func (d *decoder) route(k, v value, r *draft) {
	byAt, inherited := r.byAt, r.change
	switch v.kind {
	case scalar:
		r.target(v)
		r.To = d.target(v)
	case mapping:
		d.grammar.route.decode(d, v, r)
		d.oneTarget(v, r)
		d.settleChange(r, inherited)
	case null:
		if !r.aimed {
			d.errorf(k, "the route says nothing").Hint = "write an upstream or an address behind it, like 127.0.0.1:3000"
		}
	case list:
		d.errorf(v, "a route is needed, and this is a list")
		return
	}
	switch {
	case v.kind == mapping && !r.aimed:
		d.errorf(v, "the route does not say where requests go").Hint = "write one of to, function, redirect, respond and split"
	case r.byAt != byAt && r.Split == nil && len(r.targets) < 2:
		d.errorf(*r.byAt, "by needs a split")
	}
	d.finish(r, inherited)
}

// finish completes a route that is its own from now on. Inherited is what its site
// says of paths.
func (d *decoder) finish(r *draft, inherited change) {
	if r.Split != nil {
		s := *r.Split
		s.By = r.by
		r.Split = &s
		if s.By.Kind == ByFilter && len(r.Filters) == 0 {
			d.problems.Warnf(r.Place, "the arm is left to a filter, and the route has none: all of it is chance").Hint = "write filters, or by: chance"
		}
	}
	d.checkRedirect(r)
	d.checkChange(r, inherited)
}

// oneTarget reports a second target in one map.
func (d *decoder) oneTarget(v value, r *draft) {
	if len(r.targets) < 2 {
		return
	}
	slices.SortFunc(r.targets, func(a, b value) int { return cmp.Or(a.line-b.line, a.col-b.col) })
	var names []string
	for _, t := range r.targets {
		names = append(names, t.path[strings.LastIndexByte(t.path, '.')+1:])
	}
	d.errorf(r.targets[1], "%s are targets, and a route has one", enumerate(names, "and")).Hint = "make a route of its own for the other"
}

// nameRoutes names the routes that have no name, and reports names that come
// twice.
func (d *decoder) nameRoutes(s *siteDraft) {
	taken := make(map[string]int, len(s.Routes))
	for i, r := range s.Routes {
		if r.Name == "" {
			continue
		}
		if first, ok := taken[r.Name]; ok {
			d.problems.Errorf(r.Place, "the route in line %d is called %q too", s.Routes[first].Place.Line, r.Name)
			continue
		}
		taken[r.Name] = i
	}
	next := make(map[string]int) // number of the next route with that match
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Name != "" {
			continue
		}
		base := r.Match.Path
		if len(r.Match.Methods) > 0 {
			base = strings.Join(r.Match.Methods, ",") + " " + base
		}
		// No name that is written holds a slash, so that these cannot clash.
		r.Name = base
		if next[base]++; next[base] > 1 {
			r.Name = fmt.Sprintf("%s #%d", base, next[base])
		}
	}
}
