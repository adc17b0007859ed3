package config

import (
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/route"
)

// change is where it was said last how a route changes the path; nil: nowhere.
type change struct{ strip, addPrefix, rewrite *value }

// changeKeys are the keys of a route, or a site, that change what is asked of the
// upstream or function, and what is told the client of its answer.
func (g *grammar) changeKeys() []key[draft] {
	return []key[draft]{
		{"strip", "", prefixForm, "A prefix that is taken off the path before the upstream or function is asked: `strip: /api` asks for `/x` where the client has asked for `/api/x`. A path that does not begin with it stays as it is.",
			func(d *decoder, v value, r *draft) { r.Strip, r.change.strip = d.strip(v), &v }},
		{"add-prefix", "", prefixForm, "A prefix that is put before the path, after `strip`.",
			func(d *decoder, v value, r *draft) {
				r.AddPrefix, r.AddPrefixFrom, r.change.addPrefix = d.addPrefix(v), d.from(v), &v
			}},
		{"rewrite", "", anyText("a path; `$1`, `{name}`, `{path}`, `{host}`, `{query}` insert parts of the request"),
			"The path that the upstream or function is asked for. With a `?` the query stands behind it; without one the client's query stays. It takes the place of the site's `strip` and `add-prefix`, and they that of the site's `rewrite`.",
			func(d *decoder, v value, r *draft) {
				r.change.rewrite, r.RewriteFrom = &v, d.from(v)
				if r.Rewrite, _ = d.text(v, "a path"); len(r.Rewrite) > maxRewrite {
					d.errorf(v, "a rewrite has at most %d bytes", maxRewrite)
					r.Rewrite = ""
				}
			}},
		{"host", "keep", anyText("`keep`, `upstream`, or a host with a port or without"),
			"The host that the upstream or function is asked for: the one that the client has asked for, the address of the endpoint, or this one.",
			func(d *decoder, v value, r *draft) { d.host(v, &r.Host) }},
		{"rewrite-answers", "yes", switchForm, "Whether Location, Content-Location, Refresh, and Domain and Path of Set-Cookie in an answer are changed back, so that they are right for the client after `strip`, `add-prefix`, `rewrite` and `host`.",
			func(d *decoder, v value, r *draft) { d.onOff(v, &r.RewriteAnswers) }},
		{"fields", "", mapForm(g.edits.section()), "Fields that are changed: of the request right before it goes to the upstream or function, of the answer right before it goes to the client.",
			func(d *decoder, v value, r *draft) { g.edits.decode(d, v, &r.Fields) }},
		{"log", "on", switchForm, "Whether the access log has a line for each exchange.",
			func(d *decoder, v value, r *draft) { d.onOff(v, &r.Log) }},
	}
}

// maxRewrite is how long a rewrite is at most, in bytes.
const maxRewrite = 8 << 10

// strip reads a prefix in the form in which paths are compared.
func (d *decoder) strip(v value) string {
	s, ok := d.prefix(v)
	if !ok {
		return ""
	}
	canonical, err := route.Canonical(s, nil)
	if err == nil && canonical.String() != s {
		p := d.errorf(v, "%s is not written as paths are compared: decoded, without dot segments", d.quote(v))
		if !d.reference(v) {
			p.Hint = "write " + shorten(canonical.String())
		}
		return ""
	}
	if err == nil {
		_, err = route.NewRewrite(route.RewriteConfig{Path: "/", Strip: s})
	}
	return d.checked(v, s, err)
}

// addPrefix reads a prefix as it stands on the wire.
func (d *decoder) addPrefix(v value) string {
	s, ok := d.prefix(v)
	if !ok {
		return ""
	}
	if strings.ContainsAny(s, "{}") {
		d.errorf(v, "%s inserts something, and a prefix is a text", d.quote(v)).Hint = "rewrite inserts parts of the request"
		return ""
	}
	_, err := route.ParsePathTemplate(strings.ReplaceAll(s, "$", "$$"), "/")
	if err == nil {
		_, err = route.NewRewrite(route.RewriteConfig{Path: "/", AddPrefix: s})
	}
	return d.checked(v, s, err)
}

// checked returns s, or nothing after telling what is wrong with it.
func (d *decoder) checked(v value, s string, err error) string {
	switch {
	case err == nil:
		return s
	case d.reference(v):
		d.errorf(v, "%s is no prefix", d.quote(v))
	default:
		d.errorf(v, "%v", err)
	}
	return ""
}

// prefix reads what both prefixes have in common.
func (d *decoder) prefix(v value) (string, bool) {
	s, ok := d.text(v, "a path like /api")
	switch {
	case !ok:
		return "", false
	case !strings.HasPrefix(s, "/"):
		p := d.errorf(v, "%s does not begin with /", d.quote(v))
		if !d.reference(v) {
			p.Hint = "write /" + shorten(s)
		}
	case s == "/":
		d.errorf(v, "/ alone is no prefix: it changes nothing")
	case strings.HasSuffix(s, "/*"), strings.HasSuffix(s, "/"):
		p := d.errorf(v, "%s is no prefix: it stands for whole segments, without the slash behind them", d.quote(v))
		if trimmed := strings.TrimRight(strings.TrimSuffix(s, "*"), "/"); trimmed != "" && !d.reference(v) {
			p.Hint = "write " + shorten(trimmed)
		}
	case strings.ContainsAny(s, "?#"):
		d.errorf(v, "%s is no prefix of a path: it has a query or a fragment", d.quote(v))
	case len(s) > maxPattern:
		d.errorf(v, "a prefix has at most %d bytes", maxPattern)
	default:
		return s, true
	}
	return "", false
}

// host reads which host is asked for.
func (d *decoder) host(v value, to *Host) {
	s, ok := d.text(v, "keep, upstream or a host")
	switch {
	case !ok:
		return
	case s == "keep":
		*to = Host{Kind: HostKeep}
		return
	case s == "upstream":
		*to = Host{Kind: HostUpstream}
		return
	}
	var name, port string
	var err error
	if _, rest, ok := strings.Cut(s, "://"); ok {
		rest, _, _ = strings.Cut(rest, "/")
		err = &hinted{"it is a URL", "write " + shorten(rest)}
	} else {
		name, port, err = splitPort(s)
	}
	if err == nil {
		name, err = parseHost(name, false)
	}
	if err == nil && port != "" {
		err = checkPort(port)
	}
	if err != nil {
		d.wrong(v, "host", err)
		return
	}
	if hint := diag.DidYouMean(s, []string{"keep", "upstream"}); hint != "" && !strings.Contains(s, ".") && !d.reference(v) {
		d.problems.Warnf(d.place(v), "the upstream is asked for a host called %q", s).Hint = hint
	}
	*to = Host{Kind: HostNamed, Name: bracketed(name), From: d.from(v)}
	if port != "" {
		to.Name += ":" + port
	}
}

// settleChange makes one of what a map and the site of its route say about the
// path. Inherited is what the site has said.
func (d *decoder) settleChange(r *draft, inherited change) {
	own := change{}
	if r.change.strip != inherited.strip {
		own.strip = r.change.strip
	}
	if r.change.addPrefix != inherited.addPrefix {
		own.addPrefix = r.change.addPrefix
	}
	if r.change.rewrite != inherited.rewrite {
		own.rewrite = r.change.rewrite
	}
	prefixes := own.strip != nil || own.addPrefix != nil
	switch {
	case own.rewrite != nil && prefixes:
		d.errorf(*own.rewrite, "rewrite excludes strip and add-prefix: it is the whole path").Hint = "put the prefix into rewrite, or take rewrite out"
	case own.rewrite != nil:
		r.Strip, r.AddPrefix, r.AddPrefixFrom = "", "", ""
		r.change.strip, r.change.addPrefix = nil, nil
	case prefixes:
		r.Rewrite, r.RewriteFrom, r.change.rewrite = "", "", nil
	}
}

// checkChange checks what is done to the path of a route that is its own from now
// on. What it has inherited, and what cannot apply to it, goes.
func (d *decoder) checkChange(r *draft, inherited change) {
	if r.Redirect != nil || r.Respond != nil {
		for _, said := range [...]struct{ own, site *value }{
			{r.change.strip, inherited.strip}, {r.change.addPrefix, inherited.addPrefix}, {r.change.rewrite, inherited.rewrite},
		} {
			if said.own != said.site {
				d.errorf(*said.own, "this changes what is asked of an upstream or a function, and the route asks none")
			}
		}
		r.Strip, r.AddPrefix, r.Rewrite = "", "", ""
		r.AddPrefixFrom, r.RewriteFrom = "", ""
		return
	}
	if _, err := route.New([]route.Entry[struct{}]{{Path: r.Match.Path}}); err != nil {
		return // checkRoutes tells
	}
	if r.Strip != "" {
		own := r.change.strip != inherited.strip
		switch v := *r.change.strip; begins(r.Match.Path, r.Strip) {
		case never:
			if own {
				d.errorf(v, "no path of the route begins with %s", d.quote(v)).Hint = "the route matches " + shorten(r.Match.Path)
			}
			r.Strip = ""
		case sometimes:
			if own {
				d.problems.Warnf(d.place(v), "paths of the route that do not begin with %s stay as they are", d.quote(v)).Hint =
					"give those below it a route of their own: " + shorten(r.Strip+"/*")
			}
		}
	}
	if r.Rewrite != "" {
		d.checkRewrite(*r.change.rewrite, r)
	}
}

// checkSiteStrip reports a prefix that a site takes off no path.
func (d *decoder) checkSiteStrip(s *siteDraft) {
	strips := func(r Route) bool { return r.Strip == s.draft.Strip }
	if s.draft.Strip != "" && len(s.Routes) > 0 && !slices.ContainsFunc(s.Routes, strips) {
		v := *s.draft.change.strip
		d.errorf(v, "no route of the site has paths that begin with %s", d.quote(v))
	}
}

// checkRewrite checks what a rewrite inserts, given what its route captures.
func (d *decoder) checkRewrite(v value, r *draft) {
	_, err := route.ParsePathTemplate(r.Rewrite, r.Match.Path)
	switch {
	case err == nil:
	case d.reference(v):
		d.errorf(v, "%s is no rewrite", d.quote(v))
	case strings.HasPrefix(r.Rewrite, "http://"), strings.HasPrefix(r.Rewrite, "https://"), strings.HasPrefix(r.Rewrite, "//"):
		d.errorf(v, "a rewrite is a path, and this is a URL").Hint = "where requests go says to, and which host is asked for says host"
	case !strings.HasPrefix(r.Rewrite, "/") && !strings.HasPrefix(r.Rewrite, "{path}"):
		d.errorf(v, "a rewrite begins with / or {path}").Hint = "write /" + shorten(r.Rewrite)
	default:
		d.errorf(v, "%v", err).Hint = "the route matches " + shorten(r.Match.Path)
	}
}

// extent is how many of the paths that a pattern matches begin with a prefix.
type extent uint8

const (
	never extent = iota
	sometimes
	always
)

// begins tells how many of the paths that a pattern matches are the canonical
// prefix, or below it.
func begins(pattern, prefix string) extent {
	segments := strings.Split(pattern[1:], "/")
	if pattern == "/" {
		return sometimes
	}
	out := always
	for want := range strings.SplitSeq(prefix[1:], "/") {
		if len(segments) == 0 {
			return never
		}
		segment := segments[0]
		segments = segments[1:]
		switch c, err := route.Canonical("/"+segment, nil); {
		case segment == "*", strings.HasSuffix(segment, "...}"):
			return sometimes
		case strings.HasPrefix(segment, "{"):
			out = sometimes
		case err != nil || c.String()[1:] != want:
			return never
		}
	}
	return out
}

func editsKeys(edit object[FieldEdit], answer object[FieldEdit]) object[FieldEdits] {
	return object[FieldEdits]{"route fields", "Fields that are changed.", []key[FieldEdits]{
		{"request", "", mapForm(edit.section()), "Of the request, for the upstream or function.",
			func(d *decoder, v value, f *FieldEdits) { edit.decode(d, v, &f.Request) }},
		{"response", "", mapForm(answer.section()), "Of the answer, for the client; also of errors, redirects and fixed answers.",
			func(d *decoder, v value, f *FieldEdits) { answer.decode(d, v, &f.Response) }},
	}}
}

// editKeys are the keys of an edit of requests, or of answers.
func editKeys(request bool) object[FieldEdit] {
	return object[FieldEdit]{"edit", "Changes of fields: first `remove`, then `set`, then `add`.", []key[FieldEdit]{
		{"set", "", freeForm("names", textForm), "Fields that are to have this value, and no other.", func(d *decoder, v value, f *FieldEdit) {
			f.Set = d.editFields(v, request, false)
		}},
		{"add", "", freeForm("names", listOf(textForm)), "Fields that are added to those of the name.", func(d *decoder, v value, f *FieldEdit) {
			f.Add = d.editFields(v, request, true)
		}},
		{"remove", "", listOf(fieldForm), "Fields that are taken out.", func(d *decoder, v value, f *FieldEdit) { f.Remove = d.removeFields(v) }},
	}}
}

// identity are the fields by which origins are told about the client and the
// exchange. The proxy sets them, so that what stands there can be believed.
var identity = []string{"forwarded", "via", "x-real-ip", "x-request-id", "x-sluice-arm"}

func isIdentity(lower string) bool {
	return slices.Contains(identity, lower) || strings.HasPrefix(lower, "x-forwarded-")
}

// editFields reads fields that are set or added.
func (d *decoder) editFields(v value, request, several bool) []Pair {
	if v.kind != mapping {
		d.wants(v, "a map of fields")
		return nil
	}
	if len(v.entries) > maxFew {
		d.errorf(v, "there are %d fields here, more than %d", len(v.entries), maxFew)
		return nil
	}
	seen := make(map[string]string, len(v.entries))
	var out []Pair
	d.each(v, func(name string, k, child value) {
		if !d.fieldName(k, name) {
			return
		}
		lower := strings.ToLower(name)
		if request && isIdentity(lower) {
			d.errorf(k, "the field %s is set by the proxy itself, so that origins can believe it", name).Hint = identityHint(lower)
			return
		}
		if first, ok := seen[lower]; ok {
			d.errorf(k, "%s is the field %s, which stands here already", name, first)
			return
		}
		seen[lower] = name
		if child.kind == list && !several {
			d.wants(child, "a text").Hint = "add takes several values"
			return
		}
		for _, item := range d.few(child) {
			if s, ok := d.fieldValue(item); ok {
				out = append(out, Pair{name, s, d.from(item)})
			}
		}
	})
	return out
}

// identityHint says what to do instead of setting a field of identity.
func identityHint(lower string) string {
	switch lower {
	case "x-request-id":
		return "it is the exchange's id; that of a client is taken over if trust names the client"
	case "x-sluice-arm":
		return "a filter chooses the arm by it; filters run before this"
	case "via":
		return "take another name"
	}
	return "that of a client is passed on if trust names the client; else take another name"
}

func (d *decoder) removeFields(v value) []string {
	out := make([]string, 0, len(v.items))
	for _, item := range d.few(v) {
		if s, ok := d.text(item, "the name of a field"); ok && d.fieldName(item, s) {
			out = append(out, s)
		}
	}
	return out
}
