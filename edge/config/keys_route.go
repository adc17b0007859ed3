package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/split"
)

// draft is a route in the making. A route's draft begins as a copy of its site's.
type draft struct {
	Route
	by      By
	byAt    *value  // where by was said last
	targets []value // of the map that is being decoded: what says where requests go
	aimed   bool    // something says where requests go, be it right or wrong

	redirectAt value // what Redirect was made of
	change     change
}

// target begins a new target, which replaces the one that was inherited.
func (r *draft) target(v value) {
	r.targets, r.aimed = append(r.targets, v), true
	r.To, r.Redirect, r.Respond, r.Split = Target{}, nil, nil, nil
}

// routeKeys are the keys of a route that a site may have too.
func (g *grammar) routeKeys() []key[draft] {
	return append([]key[draft]{
		{"to", "", targetForm, "The upstream that requests go to: its name under `upstreams`, or the address of its only endpoint. Or a function.",
			func(d *decoder, v value, r *draft) { r.target(v); r.To = d.target(v) }},
		{"function", "", functionForm, "The function that answers. `hello@3` is version 3 of it, whichever is current.",
			func(d *decoder, v value, r *draft) { r.target(v); r.To = d.function(v) }},
		{"redirect", "", or(anyText("a path or URL; `$1`, `{name}`, `{path}`, `{host}`, `{query}` insert parts of the request"), mapForm(g.redirect.section().either("to", "map"))),
			"Answers with another place to go to. As a text it is the place, and the status is 308.",
			func(d *decoder, v value, r *draft) { r.target(v); r.Redirect, r.redirectAt = d.redirect(v), v }},
		{"respond", "", or(numberForm(200, 599), mapForm(g.respond.section())), "A fixed answer. As a number it is the status of an answer without content.",
			func(d *decoder, v value, r *draft) { r.target(v); r.Respond = d.respond(v) }},
		{"split", "", freeForm("targets", percentForm), "Divides requests among arms, which are upstreams, addresses, or functions like `function:hello`. The shares add up to 100%; an arm of 0% keeps those who were assigned to it and gets nobody new.",
			func(d *decoder, v value, r *draft) { r.target(v); r.Split = d.split(v) }},
		{"by", "cookie", or(scalarForm("`cookie` (our own), `cookie NAME`, `header NAME`, `client` (its address), `chance` or `filter`", `^((cookie|header) +\S+|cookie|client|chance|filter)$`), mapForm(g.by.section("kind"))),
			"What decides to which arm of the split a request belongs, so that the same visitor stays on the same side. A filter of the route can choose on any split, by the request field X-Sluice-Arm; `filter` leaves it to that, and to chance where no filter does.",
			func(d *decoder, v value, r *draft) { r.by = d.by(v); r.byAt = &v }},
		{"filters", "", listOf(pinnedForm), "Filters that every request meets, in this order. A route's come after its site's; `none` drops those. `auth@3` is version 3 of the filter's module, whichever is current.",
			func(d *decoder, v value, r *draft) { d.filters(v, &r.Filters) }},
		{"cache", "off", or(switchForm, durationForm, mapForm(g.cache.section())), "Whether answers are stored. `on` goes by the fields of the answer (RFC 9111); a duration does too, and is how long an answer is fresh that says nothing of it.",
			func(d *decoder, v value, r *draft) { d.cache(v, &r.Cache) }},
		{"compress", "on", or(switchForm, mapForm(g.compress.section())), "How answers are compressed. What is left out is as in the `compress` of the site and of the file.",
			func(d *decoder, v value, r *draft) { d.compress(v, &r.Compress) }},
		{"timeout", "", or(durationForm, mapForm(g.timeout.section())), "How long a route waits. As a duration it is `first-byte`. The total time is never bounded.",
			func(d *decoder, v value, r *draft) {
				if v.kind == mapping {
					g.timeout.decode(d, v, &r.Timeout)
				} else {
					d.duration(v, &r.Timeout.FirstByte, time.Millisecond, maxDuration)
				}
			}},
		{"body", "unlimited", or(wordForm("unlimited"), sizeForm), "The largest content of a request. More is answered with 413.",
			func(d *decoder, v value, r *draft) {
				if v.kind == scalar && v.text == "unlimited" {
					r.Body = Unlimited
				} else {
					d.size(v, &r.Body, 0, maxSize)
				}
			}},
		{"retry", "1 time on connect", or(offForm, scalarForm("a sentence: `N times on connect`", `^[0-9]+ times?( on connect)?$`), mapForm(g.retry.section())),
			"How often a request is sent to another endpoint when the connection to the one before could not be made.",
			func(d *decoder, v value, r *draft) { d.retry(v, &r.Retry) }},
	}, g.changeKeys()...)
}

func redirectKeys() object[Redirect] {
	return object[Redirect]{"redirect", "Another place to go to.", []key[Redirect]{
		{"to", "", anyText("a path or URL with insertions"), "The place.", func(d *decoder, v value, r *Redirect) {
			r.To, _ = d.text(v, "a path or URL")
			r.From = d.from(v)
		}},
		{"map", "", pathForm, "Instead of `to`, a file of pairs: each line is `PATH TARGET` or `PATH TARGET STATUS`, where PATH is that of a match and TARGET is like `to`; `#` begins a comment. What no line matches goes on to the next route.",
			func(d *decoder, v value, r *Redirect) { r.Map, _ = d.path(v); r.From = d.fromPath(v, v.text) }},
		{"status", "308", wordNumbers(301, 302, 303, 307, 308), "The status code: 301 and 308 are for good, 302, 303 and 307 for now; 307 and 308 keep the method.",
			func(d *decoder, v value, r *Redirect) {
				d.number(v, &r.Status, 301, 308)
				if r.Status > 303 && r.Status < 307 {
					d.wants(v, "301, 302, 303, 307 or 308")
				}
			}},
	}}
}

func wordNumbers(numbers ...int) form {
	var list []string
	for _, n := range numbers {
		list = append(list, strconv.Itoa(n))
	}
	return form{words: strings.Join(list, ", "), schema: schema{"enum": numbers}}
}

func respondKeys() object[Respond] {
	return object[Respond]{"respond", "A fixed answer.", []key[Respond]{
		{"status", "200", numberForm(200, 599), "The status code.", func(d *decoder, v value, r *Respond) { d.number(v, &r.Status, 200, 599) }},
		{"body", "", textForm, "The content.", func(d *decoder, v value, r *Respond) { r.Body, _ = d.text(v, "a text") }},
		{"fields", "", freeForm("fields", listOf(textForm)), "The fields of the answer, in this order.", func(d *decoder, v value, r *Respond) { r.Fields = d.fields(v) }},
	}}
}

func timeoutKeys() object[Timeout] {
	at := func(name, def, doc string, where func(*Timeout) *time.Duration) key[Timeout] {
		return key[Timeout]{name, def, durationForm, doc, func(d *decoder, v value, t *Timeout) {
			d.duration(v, where(t), time.Millisecond, maxDuration)
		}}
	}
	return object[Timeout]{"timeout", "How long a route waits.", []key[Timeout]{
		at("connect", "5s", "Until a connection to the endpoint stands.", func(t *Timeout) *time.Duration { return &t.Connect }),
		at("first-byte", "60s", "From the end of the request until the head of the answer is complete.", func(t *Timeout) *time.Duration { return &t.FirstByte }),
		at("stalled", "30s", "Without progress on the connection to the endpoint.", func(t *Timeout) *time.Duration { return &t.Stalled }),
		at("client-stalled", "limits.stalled", "Without progress on the connection to the client.", func(t *Timeout) *time.Duration { return &t.ClientStalled }),
	}}
}

func cacheKeys() object[Cache] {
	return object[Cache]{"route cache", "Whether answers are stored.", []key[Cache]{
		{"ttl", "", durationForm, "How long an answer is fresh that says nothing of its lifetime.", func(d *decoder, v value, c *Cache) {
			d.duration(v, &c.TTL, time.Second, maxDuration)
		}},
	}}
}

func retryKeys() object[Retry] {
	return object[Retry]{"retry", "Another try at another endpoint.", []key[Retry]{
		{"times", "1", numberForm(0, 10), "How many further tries there are.", func(d *decoder, v value, r *Retry) { d.number(v, &r.Times, 0, 10) }},
		{"on", "connect", listOf(wordForm("connect")), "After what: `connect`, that the connection could not be made.", func(d *decoder, v value, r *Retry) {
			for _, item := range d.few(v) {
				var ignored bool
				word(d, item, &ignored, []string{"connect"}, []bool{true})
			}
		}},
	}}
}

func byKeys() object[By] {
	return object[By]{"by", "What decides to which arm a request belongs.", []key[By]{
		{"kind", "", wordForm("cookie", "header", "client", "chance", "filter"), "A cookie, a field of the request, the client's address, chance, or a filter of the route.", func(d *decoder, v value, b *By) {
			word(d, v, &b.Kind, []string{"cookie", "header", "client", "chance", "filter"}, []ByKind{OwnCookie, ByHeader, ByClient, ByChance, ByFilter})
		}},
		{"name", "", fieldForm, "The name of the cookie or the field. Without it a cookie is our own.", func(d *decoder, v value, b *By) {
			b.Name, _ = d.text(v, "a name")
		}},
	}}
}

// target reads where requests go: a function, an upstream, or the address of one
// that it thereby implies.
func (d *decoder) target(v value) Target {
	s, ok := d.text(v, "an upstream, an address or a function")
	if !ok {
		return Target{}
	}
	if name, ok := strings.CutPrefix(s, "function:"); ok {
		return d.functionTarget(v, name)
	}
	if !strings.Contains(s, ":") {
		if !isResource(s) {
			p := d.wants(v, "the name of an upstream or an address")
			if strings.Contains(s, "@") && !d.reference(v) {
				p.Hint = "functions have versions, upstreams have not: write function:" + shorten(s)
			}
			return Target{}
		}
		d.upstreamUses = append(d.upstreamUses, use{v, s})
		return Target{Upstream: s}
	}
	e := newEndpoint(d.place(v))
	if !d.address(v, s, &e) {
		return Target{}
	}
	name := e.Address
	switch {
	case e.From != "":
		name = e.From
	case e.Network == "unix":
		name = "unix:" + e.Address
	}
	// What stands elsewhere may be another address in another file.
	first, address := name, e.Network+" "+e.Address
	for n := 2; d.impliedAt[name] != "" && d.impliedAt[name] != address; n++ {
		name = first + " " + strconv.Itoa(n)
	}
	if d.impliedAt[name] == "" {
		if d.impliedAt == nil {
			d.impliedAt = make(map[string]string)
		}
		d.impliedAt[name] = address
		u := newUpstream(d.place(v), name)
		u.Implied, u.Endpoints = true, []Endpoint{e}
		d.implied = append(d.implied, u)
	}
	return Target{Upstream: name}
}

func (d *decoder) redirect(v value) *Redirect {
	r := &Redirect{Place: d.place(v), Status: 308}
	if v.kind != mapping {
		r.To, _ = d.text(v, "a path or URL")
		r.From = d.from(v)
		return r
	}
	have := d.grammar.redirect.decode(d, v, r)
	if have == nil {
		return r
	}
	_, to := have["to"]
	pairs, both := have["map"]
	switch {
	case !to && !both:
		d.errorf(v, "to is missing").Hint = "write to, or map for a file of pairs"
	case to && both:
		d.errorf(pairs, "to and map exclude each other").Hint = "make a route of its own for the other"
	}
	return r
}

func (d *decoder) respond(v value) *Respond {
	r := &Respond{Place: d.place(v), Status: 200}
	if v.kind != mapping {
		d.number(v, &r.Status, 200, 599)
		return r
	}
	d.grammar.respond.decode(d, v, r)
	// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5: these have no content.
	if (r.Status == 204 || r.Status == 205 || r.Status == 304) && r.Body != "" {
		d.errorf(v, "an answer with status %d has no content", r.Status)
	}
	return r
}

// framing reports whether a field of an answer or request is the engine's to set.
func framing(name string) bool { return edge.ConnectionField(name) || edge.EqualFold(name, "Trailer") }

// fieldName checks the name of a field that somebody wants to change.
func (d *decoder) fieldName(v value, name string) bool {
	lower := strings.ToLower(name)
	switch {
	case d.reference(v) && (!edge.IsToken(name) || framing(name)):
		d.errorf(v, "%s is no name of a field that can be changed", d.quote(v))
	case !edge.IsToken(name):
		d.errorf(v, "%q is no name of a field", shorten(name))
	case lower == "host":
		d.errorf(v, "the field %s is set by the proxy itself", name).Hint = "which host is asked for says host: keep, upstream or a name"
	case framing(lower):
		d.errorf(v, "the field %s is set by the proxy itself", name)
	default:
		return true
	}
	return false
}

// fieldValue reads the value of a field.
func (d *decoder) fieldValue(v value) (string, bool) {
	s, ok := d.text(v, "a text")
	if ok && hasControl(s) {
		d.errorf(v, "a field cannot hold control characters") // RFC 9110, section 5.5
		return "", false
	}
	return strings.Trim(s, " \t"), ok
}

// hasControl reports whether s holds what no field can.
func hasControl(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) >= 0
}

// fields reads names with their values, or lists of values.
func (d *decoder) fields(v value) []Pair {
	if v.kind != mapping {
		d.wants(v, "a map of fields")
		return nil
	}
	var out []Pair
	d.each(v, func(name string, k, child value) {
		if !d.fieldName(k, name) {
			return
		}
		for _, item := range child.list() {
			if s, ok := d.fieldValue(item); ok {
				out = append(out, Pair{name, s, d.from(item)})
			}
		}
	})
	return out
}

func (d *decoder) split(v value) *Split {
	s := &Split{Place: d.place(v)}
	if v.kind != mapping {
		d.wants(v, "a map of targets to percentages")
		return s
	}
	before, sum := d.problems.Len(), 0.0
	d.each(v, func(name string, k, child value) {
		a := Arm{Place: d.place(k), Name: name, Target: d.target(k)}
		if text, ok := d.text(child, "a percentage like 5%"); ok {
			share, err := parsePercent(text)
			if err != nil {
				d.errorf(child, "%s is no percentage: %v", d.quote(child), d.hide(child, err))
			}
			a.Share = share
			sum += share
		}
		s.Arms = append(s.Arms, a)
	})
	switch {
	case d.problems.Len() > before:
	case len(s.Arms) == 0:
		d.errorf(v, "a split needs arms")
	case sum < 99.999 || sum > 100.001:
		d.errorf(v, "the shares add up to %s%%, not to 100%%", strconv.FormatFloat(sum, 'f', -1, 64))
	}
	return s
}

func (d *decoder) by(v value) By {
	var b By
	if v.kind == mapping {
		d.need(v, d.grammar.by.decode(d, v, &b), "kind")
	} else {
		const what = "cookie, cookie NAME, header NAME, client, chance or filter"
		s, ok := d.text(v, what)
		if !ok {
			return b
		}
		s = strings.Join(words(s), " ")
		parsed, err := split.ParseBy(s)
		switch {
		case s == "filter":
			return By{Kind: ByFilter}
		case err != nil:
			d.wants(v, what).Hint = diag.DidYouMean(s, []string{"cookie", "client", "chance", "filter"})
			return b
		}
		kinds := map[split.Kind]ByKind{split.OwnCookie: OwnCookie, split.Cookie: ByCookie, split.Header: ByHeader, split.Client: ByClient, split.Chance: ByChance}
		b = By{kinds[parsed.Kind], parsed.Name}
	}
	if b.Kind == OwnCookie && b.Name != "" {
		b.Kind = ByCookie
	}
	switch named := b.Kind == ByCookie || b.Kind == ByHeader; {
	case named && b.Name == "":
		d.errorf(v, "name is missing")
	case !named && b.Name != "":
		d.errorf(v, "only a cookie and a header have a name")
	case named && !edge.IsToken(b.Name):
		d.errorf(v, "%q is no name of a cookie or field", shorten(b.Name))
	}
	if b.Kind == ByHeader {
		b.Name = strings.ToLower(b.Name)
	}
	return b
}

// filters adds the filters of v to those that were inherited.
func (d *decoder) filters(v value, to *[]FilterUse) {
	out := slices.Clip(*to)
	for _, item := range d.few(v) {
		s, ok := d.text(item, "the name of a filter")
		switch {
		case !ok:
			continue
		case s == "none":
			out = nil
			continue
		}
		name, version, ok := d.pinned(item, s, "filter")
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(u FilterUse) bool { return u.Name == name }) {
			d.problems.Warnf(d.place(item), "the filter %s runs twice", d.quote(item))
		}
		d.filterUses = append(d.filterUses, use{item, name})
		out = append(out, FilterUse{name, version})
	}
	*to = out
}

func (d *decoder) cache(v value, c *Cache) {
	if v.kind == mapping {
		d.need(v, d.grammar.cache.decode(d, v, c), "ttl")
		c.Mode = CacheTTL
		return
	}
	s, ok := d.text(v, "on, off or a duration")
	if !ok {
		return
	}
	if on, ok := isSwitch(s); ok {
		*c = Cache{}
		if on {
			c.Mode = CacheHeaders
		}
		return
	}
	if _, err := parseDuration(s); err != nil {
		d.wants(v, "on, off or a duration like 10m")
		return
	}
	c.Mode = CacheTTL
	d.duration(v, &c.TTL, time.Second, maxDuration)
}

func (d *decoder) retry(v value, r *Retry) {
	if v.kind == mapping {
		d.grammar.retry.decode(d, v, r)
		return
	}
	s, ok := d.text(v, "off, or N times on connect")
	if !ok {
		return
	}
	times, err := parseRetry(s)
	if err != nil {
		d.errorf(v, "%s is no retry: %v", d.quote(v), d.hide(v, err))
		return
	}
	r.Times = times
}
