package cache

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// conditional answers 304 if the client has the stored response already (RFC 9111,
// section 4.3.2). If-None-Match takes precedence (RFC 9110, section 13.2.2).
func (t *state) conditional(m *meta) bool {
	req, res := &t.x.Request.Fields, &t.x.Response
	if req.Has("If-None-Match") {
		if !matches(req, res.Fields.Get("ETag")) {
			return false
		}
	} else if since, ok := req.Lookup("If-Modified-Since"); !ok || !t.unmodified(m, since) {
		return false
	}
	res.Status = 304
	// RFC 9110, section 15.4.5.
	res.Fields.DelFunc(func(name, _ string) bool {
		const content = "Content-"
		return len(name) > len(content) && edge.EqualFold(name[:len(content)], content) && !edge.EqualFold(name, "Content-Location")
	})
	return true
}

// unmodified evaluates If-Modified-Since. Without Last-Modified the time counts at
// which the response was made.
func (t *state) unmodified(m *meta, since string) bool {
	if since == t.x.Response.Fields.Get("Last-Modified") && m.modified != 0 {
		return true
	}
	date, ok := parseDate(since, time.Unix(m.date, 0))
	if m.modified != 0 {
		return ok && m.modified <= date.Unix()
	}
	return ok && m.date <= date.Unix()
}

// matches evaluates If-None-Match for an entity tag, which compares weakly (RFC
// 9110, section 13.1.2).
func matches(f *edge.Fields, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for v := range f.Values("If-None-Match") {
		for v != "" {
			var have string
			have, v = nextTag(v)
			if have == "*" || have != "" && strings.TrimPrefix(have, "W/") == opaque {
				return true
			}
		}
	}
	return false
}

// nextTag returns the first entity tag of a list, and what follows its comma. In
// a tag a backslash escapes nothing, unlike in a quoted string.
func nextTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	open := strings.IndexByte(list, '"')
	comma := strings.IndexByte(list, ',')
	if open >= 0 && (comma < 0 || open < comma) {
		end := strings.IndexByte(list[open+1:], '"')
		if end < 0 {
			return "", ""
		}
		end += open + 2
		_, rest, _ = strings.Cut(list[end:], ",")
		return list[:end], rest
	}
	tag, rest, _ = strings.Cut(list, ",")
	return strings.TrimRight(tag, " \t"), rest
}

// ranged answers with one range of the stored response, if the client asks for
// one (RFC 9110, section 14.2). More than one at once, units other than bytes and
// what is not well-formed are ignored, as is all if If-Range says so.
func (t *state) ranged(m *meta, r reader) bool {
	req, res := &t.x.Request, &t.x.Response
	value, ok := req.Fields.Lookup("Range")
	if !ok || !t.sameAs(m) {
		return false
	}
	first, last, ok := parseRange(value, m.length)
	if !ok {
		return false
	}
	res.Fields.Del("Content-Range")
	if first > last {
		// RFC 9110, section 15.5.17.
		res.Status, res.Length = 416, 0
		res.Fields.Add("Content-Range", t.x.Concat("bytes */", strconv.FormatInt(m.length, 10)))
		return true
	}
	t.part = r
	t.part.limit(first, last-first+1)
	res.Status, res.Body, res.Length = 206, &t.part, last-first+1
	res.Fields.Add("Content-Range", t.x.Concat("bytes ", strconv.FormatInt(first, 10), "-", strconv.FormatInt(last, 10), "/", strconv.FormatInt(m.length, 10)))
	return true
}

// sameAs evaluates If-Range, which compares strongly (RFC 9110, section 13.1.5): a
// date is strong only if it was a second old when the response was made (section
// 8.8.2.2).
func (t *state) sameAs(m *meta) bool {
	want, ok := t.x.Request.Fields.Lookup("If-Range")
	if !ok {
		return true
	}
	f := &t.x.Response.Fields
	if strings.HasPrefix(want, `"`) {
		return want == f.Get("ETag")
	}
	return m.modified != 0 && m.modified < m.date && want == f.Get("Last-Modified")
}

// parseRange returns the first and the last place of a range of content of n
// bytes. A first behind the last means that the content does not reach that far.
func parseRange(s string, n int64) (first, last int64, ok bool) {
	unit, s, ok := strings.Cut(s, "=")
	if !ok || !edge.EqualFold(unit, "bytes") {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(strings.Trim(s, " \t"), "-")
	if !ok {
		return 0, 0, false
	}
	a, hasFrom := parsePlace(from)
	b, hasTo := parsePlace(to)
	switch {
	case from == "" && hasTo:
		if b == 0 {
			return 1, 0, true
		}
		return max(0, n-b), n - 1, true
	case !hasFrom || to != "" && (!hasTo || b < a):
		return 0, 0, false
	case a >= n:
		return 1, 0, true
	case to == "":
		return a, n - 1, true
	}
	return a, min(b, n-1), true
}

// parsePlace reads a number of at most 18 digits; more would be behind any end.
func parsePlace(s string) (n int64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), 1e18/10)
	}
	return n, s != ""
}

// invalidate removes what is stored for a target (RFC 9111, section 4.4).
func (s *Store) invalidate(site, scheme, authority, path, query string) {
	key := appendKey(nil, site, scheme, authority, path, query)
	h := s.hasher.sum(key)
	s.shardOf(h).invalidate(h, key)
}

// invalidateNamed does so for the targets that the response to an unsafe request
// names, if they are of the same origin: a site must not remove another's.
func (s *Store) invalidateNamed(x *edge.Exchange, site, scheme, authority, path string) {
	base := url.URL{Scheme: scheme, Host: authority, Path: path}
	if u, err := url.ParseRequestURI(path); err == nil {
		base.Path, base.RawPath = u.Path, u.RawPath
	}
	for _, field := range []string{"Location", "Content-Location"} {
		value, ok := x.Response.Fields.Lookup(field)
		if !ok {
			continue
		}
		u, err := base.Parse(value)
		if err != nil || !strings.EqualFold(u.Scheme, scheme) ||
			!strings.EqualFold(withoutDefaultPort(u.Scheme, u.Host), withoutDefaultPort(scheme, authority)) {
			continue
		}
		target := u.EscapedPath()
		if target == "" {
			target = "/"
		}
		s.invalidate(site, scheme, authority, target, u.RawQuery)
	}
}
