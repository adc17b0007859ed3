package cache

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Each case stores a response, waits, and asks again. Times like "@-10m" in field
// lines are dates relative to the start.
func TestReuse(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name     string
		status   int
		response string // field lines, "|" between them
		wait     time.Duration
		request  string // field lines of the second request
		want     string
	}{
		{"fresh", 200, "Cache-Control: max-age=60", 59 * time.Second, "", "hit"},
		{"just stale", 200, "Cache-Control: max-age=60", 60 * time.Second, "", "miss"},
		{"s-maxage over max-age", 200, "Cache-Control: max-age=1, s-maxage=60", 30 * time.Second, "", "hit"},
		{"s-maxage over max-age, stale", 200, "Cache-Control: max-age=3600, s-maxage=1", 30 * time.Second, "", "miss"},
		{"Expires", 200, "Expires: @60s|Date: @0s", 30 * time.Second, "", "hit"},
		{"Expires past", 200, "Expires: @-60s|Date: @0s", time.Second, "", "miss"},
		{"Expires counts from Date", 200, "Expires: @60s|Date: @-60s", 59 * time.Second, "", "hit"},
		{"Expires 0", 200, "Expires: 0|Last-Modified: @-240h", time.Second, "", "miss"},
		{"Expires twice", 200, "Expires: @60s|Expires: @61s|Date: @0s", time.Second, "", "miss"},
		{"max-age over Expires", 200, "Expires: @-60s|Cache-Control: max-age=60", time.Second, "", "hit"},
		{"invalid max-age", 200, "Cache-Control: max-age=a60|Last-Modified: @-240h", time.Second, "", "miss"},
		{"negative max-age", 200, "Cache-Control: max-age=-1|Last-Modified: @-240h", time.Second, "", "miss"},
		{"space behind =", 200, "Cache-Control: max-age= 60", time.Second, "", "miss"},
		{"space before =", 200, "Cache-Control: max-age =60", time.Second, "", "miss"},
		{"huge max-age", 200, "Cache-Control: max-age=99999999999999999999", 24 * hour, "", "hit"},
		{"quoted max-age", 200, `Cache-Control: max-age="60"`, time.Second, "", "hit"},
		{"max-age within a quoted string", 200, `Cache-Control: x="max-age=60, ", max-age=1`, 2 * time.Second, "", "miss"},
		{"the lesser of two", 200, "Cache-Control: max-age=60|Cache-Control: max-age=1", 2 * time.Second, "", "miss"},
		{"heuristic", 200, "Last-Modified: @-100s|Date: @0s", 9 * time.Second, "", "hit"},
		{"heuristic past", 200, "Last-Modified: @-100s|Date: @0s", 10 * time.Second, "", "miss"},
		{"heuristic bound", 200, "Last-Modified: @-10000h|Date: @0s", 25 * hour, "", "miss"},
		{"heuristic 404", 404, "Last-Modified: @-100h", hour, "", "hit"},
		{"no heuristic 403", 403, "Last-Modified: @-100h", hour, "", "miss"},
		{"no heuristic 302", 302, "Last-Modified: @-100h", hour, "", "miss"},
		{"public makes heuristic", 599, "Last-Modified: @-100h|Cache-Control: public", hour, "", "hit"},
		{"explicit 302", 302, "Cache-Control: max-age=60", time.Second, "", "hit"},
		{"explicit 599", 599, "Cache-Control: max-age=60", time.Second, "", "hit"},
		{"nothing said", 200, "", time.Second, "", "miss"},

		{"Age", 200, "Cache-Control: max-age=60|Age: 30", 29 * time.Second, "", "hit"},
		{"Age past", 200, "Cache-Control: max-age=60|Age: 30", 30 * time.Second, "", "miss"},
		{"Age too large", 200, "Cache-Control: max-age=60|Age: 99999999999999", time.Second, "", "miss"},
		{"Age invalid", 200, "Cache-Control: max-age=60|Age: -70", time.Second, "", "hit"},
		{"Age list: the first", 200, "Cache-Control: max-age=60|Age: 70, 0", time.Second, "", "miss"},
		{"Age lines: the first", 200, "Cache-Control: max-age=60|Age: 0|Age: 70", time.Second, "", "hit"},
		{"old Date", 200, "Cache-Control: max-age=60|Date: @-50s", 11 * time.Second, "", "miss"},
		{"Date ahead", 200, "Cache-Control: max-age=60|Date: @50s", 59 * time.Second, "", "hit"},

		{"no-store", 200, "Cache-Control: max-age=60, No-Store", time.Second, "", "miss"},
		{"private", 200, "Cache-Control: max-age=60, private", time.Second, "", "miss"},
		{"no-cache", 200, "Cache-Control: max-age=60, no-cache", time.Second, "", "miss"},
		{"must-understand", 200, "Cache-Control: max-age=60, no-store, must-understand", time.Second, "", "hit"},
		{"must-understand, not understood", 599, "Cache-Control: max-age=60, must-understand", time.Second, "", "miss"},
		{"206", 206, "Cache-Control: max-age=60", time.Second, "", "miss"},
		{"304", 304, "Cache-Control: max-age=60", time.Second, "", "miss"},
		{"Set-Cookie", 200, "Cache-Control: max-age=60|Set-Cookie: a=b", time.Second, "", "miss"},
		{"Set-Cookie, public", 200, "Cache-Control: max-age=60, public|Set-Cookie: a=b", time.Second, "", "hit"},
		{"Set-Cookie, s-maxage", 200, "Cache-Control: s-maxage=60|Set-Cookie: a=b", time.Second, "", "hit"},
		{"Vary *", 200, "Cache-Control: max-age=60|Vary: *", time.Second, "", "miss"},
		{"Vary * in a list", 200, "Cache-Control: max-age=60|Vary: Foo, *", time.Second, "", "miss"},
		{"Pragma in a response", 200, "Cache-Control: max-age=60|Pragma: no-cache", time.Second, "", "hit"},

		{"client no-cache", 200, "Cache-Control: max-age=60", time.Second, "Cache-Control: no-cache", "miss"},
		{"client no-store", 200, "Cache-Control: max-age=60", time.Second, "Cache-Control: no-store", "bypass"},
		{"client Pragma", 200, "Cache-Control: max-age=60", time.Second, "Pragma: no-cache", "miss"},
		{"client Pragma next to Cache-Control", 200, "Cache-Control: max-age=60", time.Second, "Pragma: no-cache|Cache-Control: x", "hit"},
		{"client max-age", 200, "Cache-Control: max-age=60", 10 * time.Second, "Cache-Control: max-age=10", "hit"},
		{"client max-age exceeded", 200, "Cache-Control: max-age=60", 11 * time.Second, "Cache-Control: max-age=10", "miss"},
		{"client max-age=0", 200, "Cache-Control: max-age=60", 0, "Cache-Control: max-age=0", "miss"},
		{"client min-fresh", 200, "Cache-Control: max-age=60", 10 * time.Second, "Cache-Control: min-fresh=50", "hit"},
		{"client min-fresh short", 200, "Cache-Control: max-age=60", 11 * time.Second, "Cache-Control: min-fresh=50", "miss"},
		{"client max-stale", 200, "Cache-Control: max-age=60", 70 * time.Second, "Cache-Control: max-stale=10", "stale"},
		{"client max-stale exceeded", 200, "Cache-Control: max-age=60", 71 * time.Second, "Cache-Control: max-stale=10", "miss"},
		{"client max-stale, any", 200, "Cache-Control: max-age=60", 24 * hour, "Cache-Control: max-stale", "stale"},
		{"max-stale against must-revalidate", 200, "Cache-Control: max-age=60, must-revalidate", 61 * time.Second, "Cache-Control: max-stale", "miss"},
		{"max-stale against proxy-revalidate", 200, "Cache-Control: max-age=60, proxy-revalidate", 61 * time.Second, "Cache-Control: max-stale", "miss"},
		{"max-stale against s-maxage", 200, "Cache-Control: s-maxage=60", 61 * time.Second, "Cache-Control: max-stale", "miss"},
		{"precondition for the origin", 200, `Cache-Control: max-age=60|ETag: "a"`, time.Second, `If-Match: "a"`, "bypass"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}, Policy{})
				r.origin(c.status, "content", lines(c.response)...)
				first := r.do("GET /a")
				stored := strings.HasSuffix(first.fields.Get("Cache-Status"), "; stored")
				time.Sleep(c.wait)
				second := r.want(c.want, "GET /a", lines(c.request)...)
				if answered := r.asked == 1; answered != (c.want == "hit" || c.want == "stale") {
					t.Errorf("%d requests reached the origin", r.asked)
				}
				if (c.want == "hit" || c.want == "stale") && (!stored || second.status != c.status || second.body != "content") {
					t.Errorf("stored %v; answer %d %q", stored, second.status, second.body)
				}
			})
		})
	}
}

// lines splits field lines at "|" and puts dates in.
func lines(s string) (list []string) {
	if s == "" {
		return nil
	}
	for _, l := range strings.Split(s, "|") {
		if before, offset, ok := strings.Cut(l, "@"); ok {
			d, err := time.ParseDuration(offset)
			if err != nil {
				panic(err)
			}
			l = before + date(d)
		}
		list = append(list, l)
	}
	return list
}

func TestPolicyTTL(t *testing.T) {
	for _, c := range []struct {
		status   int
		response string
		want     string // 5 minutes later
	}{
		{200, "", "hit"},
		{200, "Last-Modified: @-10s", "hit"}, // over heuristics
		{200, "Cache-Control: public", "hit"},
		{200, "Cache-Control: max-age=1", "miss"},
		{200, "Cache-Control: max-age=1, s-maxage=1000", "hit"},
		{200, "Expires: @1s", "miss"},
		{200, "Cache-Control: no-cache", "miss"},
		{200, "Cache-Control: no-store", "miss"},
		{200, "Cache-Control: private", "miss"},
		{200, "Set-Cookie: a=b", "miss"},
		{301, "", "hit"},
		{302, "", "miss"},
		{404, "", "miss"},
		{500, "", "miss"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Config{}, Policy{TTL: 10 * time.Minute})
			r.origin(c.status, "content", lines(c.response)...)
			r.do("GET /a")
			time.Sleep(5 * time.Minute)
			if got := r.do("GET /a"); got.cache != c.want {
				t.Errorf("%d %q: %q, want %q", c.status, c.response, got.cache, c.want)
			}
		})
	}
}

// RFC 9111, section 3.5.
func TestAuthorization(t *testing.T) {
	for _, c := range []struct{ control, want string }{
		{"max-age=60", "miss"},
		{"max-age=60, public", "hit"},
		{"max-age=60, must-revalidate", "hit"},
		{"s-maxage=60", "hit"},
		{"max-age=60, proxy-revalidate", "miss"},
	} {
		r := newRig(t, Config{}, Policy{TTL: time.Hour})
		r.origin(200, "content", "Cache-Control: "+c.control)
		r.do("GET /a", "Authorization: Basic eDp5")
		if got := r.do("GET /a"); got.cache != c.want {
			t.Errorf("%s: %q, want %q", c.control, got.cache, c.want)
		}
	}
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, Policy{})
		r.answer = func(x *edge.Exchange) error {
			time.Sleep(3 * time.Second) // counts as age: RFC 9111, section 4.2.3
			respond(x, 200, "content", "Cache-Control: max-age=3600", "Age: 10", "Date: "+date(-3*time.Second))
			return nil
		}
		if got := r.do("GET /a"); got.fields.Get("Age") != "10" {
			t.Errorf("Age %q of a response that was not stored, want the origin's", got.fields.Get("Age"))
		}
		time.Sleep(20 * time.Second)
		got := r.want("hit", "GET /a")
		if age, status := got.fields.Get("Age"), got.fields.Get("Cache-Status"); age != "33" || status != "sluice; hit; ttl=3567" {
			t.Errorf("Age %s, Cache-Status %q", age, status)
		}
	})
}

func TestDateIsAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", "Cache-Control: max-age=3600")
		want := date(0)
		first := r.do("GET /a")
		time.Sleep(time.Minute)
		second := r.want("hit", "GET /a")
		if first.fields.Get("Date") != want || second.fields.Get("Date") != want {
			t.Errorf("Date %q, then %q, want %q", first.fields.Get("Date"), second.fields.Get("Date"), want)
		}
	})
}

func TestParseDate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ in, want string }{
		{"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
		{"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"},
		{"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"},
		{"Sun Nov 16 08:49:37 1994", "1994-11-16T08:49:37Z"},
		{"THU, 18 AUG 2050 02:01:18 gMT", "2050-08-18T02:01:18Z"},
		{"Thursday, 18-Aug-50 02:01:18 GMT", "2050-08-18T02:01:18Z"},
		{"Thursday, 18-Aug-77 02:01:18 GMT", "1977-08-18T02:01:18Z"},
		{"Tuesday, 29-Feb-28 00:00:00 GMT", "2028-02-29T00:00:00Z"},
		{"Thu, 18 Aug 2050 02:01:18 UTC", ""},
		{"Thu, 18 Aug 2050 02:01:18 AEST", ""},
		{"Thursday, 18-Aug-50 02:01:18 EST", ""},
		{"Thu, 18 Aug 50 02:01:18 GMT", ""},
		{"Thu 18 Aug 2050 02:01:18 GMT", ""},
		{"Thu, 18  Aug  2050 02:01:18 GMT", ""},
		{"Thu, 18-Aug-2050 02:01:18 GMT", ""},
		{"Thu, 18 Aug 2050 02.01.18 GMT", ""},
		{"Thu, 18 Aug 2050 2:01:18 GMT", ""},
		{"Thu, 18 Aug 2050 25:01:18 GMT", ""},
		{"Thu, 00 Aug 2050 02:01:18 GMT", ""},
		{"0", ""},
		{"", ""},
	} {
		got, ok := parseDate(c.in, now)
		text := ""
		if ok {
			text = got.Format(time.RFC3339)
		}
		if text != c.want {
			t.Errorf("%q: %q, want %q", c.in, text, c.want)
		}
	}
}
