package cache

import (
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// verdict is what becomes of a response.
type verdict struct {
	store    bool
	lifetime time.Duration // freshness lifetime
	initial  time.Duration // corrected initial age
	date     int64
	modified int64
	flags    uint32
}

// heuristicMost bounds the freshness lifetime that nobody has stated.
const heuristicMost = 24 * time.Hour

// judge says whether a response may be stored and how long it is fresh. It was
// asked for at the time asked and came at the time came.
func judge(req *edge.Fields, status int, f *edge.Fields, p Policy, asked, came time.Time) (v verdict) {
	c := parseResponseControl(f)

	// RFC 9111, section 4.2.3.
	date, dated := parseDate(f.Get("Date"), came)
	if !dated {
		date = came
	}
	v.date = date.Unix()
	apparent := max(0, came.Sub(date).Truncate(time.Second))
	v.initial = max(apparent, time.Duration(parseAge(f))*time.Second+came.Sub(asked))

	modified, hasModified := parseDate(f.Get("Last-Modified"), came)
	if hasModified {
		v.modified = modified.Unix()
	}

	// Freshness (section 4.2.1). s-maxage is for shared caches, as this is one.
	explicit := true
	switch {
	case c.sMaxAge >= 0:
		v.lifetime = time.Duration(c.sMaxAge) * time.Second
	case c.maxAge >= 0:
		v.lifetime = time.Duration(c.maxAge) * time.Second
	case f.Has("Expires"):
		v.lifetime = expires(f, date, came)
	case c.noCache: // says that it is not fresh, but not that it may be stored
		explicit = false
	default:
		explicit = false
		switch {
		case p.TTL > 0 && lasting(status):
			v.lifetime = p.TTL
		case hasModified && (heuristic(status) || c.public):
			// Section 4.2.2.
			v.lifetime = min(max(0, date.Sub(modified)/10), heuristicMost)
		}
	}
	if c.noCache {
		v.flags |= alwaysValidate
	}
	if c.mustRevalidate || c.proxyRevalidate || c.sMaxAge >= 0 {
		v.flags |= neverStale // sections 5.2.2.2, 5.2.2.8, 5.2.2.10
	}

	// Whether it may be stored (section 3). All must hold:
	//
	//   - The status code is final and no part of something else; it is understood
	//     if that must be.
	//   - It is not forbidden, by no-store or private; no-store does not count next
	//     to must-understand (section 5.2.2.3).
	//   - The request carried no credentials, or the response allows it all the
	//     same (section 3.5).
	//   - It sets no cookie, unless it is said to be for everybody: a cookie is
	//     somebody's, and max-age alone is too often meant for browsers.
	//   - Its freshness is stated, or it is cacheable without that.
	//   - It is of use: fresh, or something to validate it by.
	forAll := c.public || c.sMaxAge >= 0
	v.store = status >= 200 && status != 206 && status != 304 &&
		(!c.mustUnderstand || understood(status)) &&
		(!c.noStore || c.mustUnderstand) && !c.private &&
		(!req.Has("Authorization") || forAll || c.mustRevalidate) &&
		(!f.Has("Set-Cookie") || forAll) &&
		(explicit || c.public || heuristic(status)) &&
		(v.lifetime > v.initial && !c.noCache || hasModified || f.Has("ETag"))
	return v
}

// expires returns the freshness lifetime that Expires states (RFC 9111, section
// 5.3). What is no date, or stands twice, means stale.
func expires(f *edge.Fields, date, now time.Time) time.Duration {
	first := f.Get("Expires")
	for v := range f.Values("Expires") {
		if v != first {
			return 0
		}
	}
	t, ok := parseDate(first, now)
	if !ok {
		return 0
	}
	return min(max(0, t.Sub(date)), maxDelta*time.Second)
}

// heuristic reports whether responses of a status code are stored though nothing
// is said about their freshness (RFC 9110, section 15.1).
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// lasting reports whether a route's TTL applies to a status code: not to failures,
// which are to be over soon.
func lasting(status int) bool { return heuristic(status) && status < 400 }

// understood reports whether we know all that caching a status code takes: those
// of RFC 9110 but 206 and 304.
func understood(status int) bool {
	switch {
	case status == 206 || status == 304:
		return false
	case status >= 200 && status <= 205, status >= 300 && status <= 308 && status != 306:
		return true
	case status >= 400 && status <= 417, status == 421, status == 422, status == 426:
		return true
	}
	return status >= 500 && status <= 505
}
