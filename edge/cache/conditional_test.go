package cache

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConditional(t *testing.T) {
	modified := "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, c := range []struct {
		response, request string
		want              int
	}{
		{`ETag: "a"`, `If-None-Match: "a"`, 304},
		{`ETag: "a"`, `If-None-Match: W/"a"`, 304},
		{`ETag: W/"a"`, `If-None-Match: "a"`, 304},
		{`ETag: "a"`, `If-None-Match: "b"`, 200},
		{`ETag: "a"`, `If-None-Match: "b", "a" , "c"`, 304},
		{`ETag: "a"`, `If-None-Match: "b"|If-None-Match: "a"`, 304},
		{`ETag: "a"`, `If-None-Match: *`, 304},
		{`ETag: "a,b"`, `If-None-Match: "c", "a,b"`, 304},
		{`ETag: "a\"`, `If-None-Match: "c\", "a\"`, 304},
		{`ETag: "a"`, `If-None-Match: "`, 200},
		{"", `If-None-Match: ""`, 200},
		{"", `If-None-Match: ,`, 200},
		{"Last-Modified: " + modified, "If-Modified-Since: " + modified, 304},
		{"Last-Modified: " + modified, "If-Modified-Since: Sun Nov  6 08:49:37 1994", 304},
		{"Last-Modified: " + modified, "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT", 304},
		{"Last-Modified: " + modified, "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200},
		{"Last-Modified: " + modified, "If-Modified-Since: yesterday", 200},
		{"Date: " + modified, "If-Modified-Since: " + modified, 304}, // no Last-Modified
		{`ETag: "a"|Last-Modified: ` + modified, `If-None-Match: "b"|If-Modified-Since: ` + modified, 200},
		{`ETag: "a"|Last-Modified: ` + modified, `If-None-Match: "a"|If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT`, 304},
	} {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", append(lines(c.response), "Cache-Control: max-age=2147483648", "Content-Type: text/plain")...)
		r.want("miss", "GET /a")
		for _, method := range []string{"GET", "HEAD"} {
			got := r.want("hit", method+" /a", lines(c.request)...)
			if got.status != c.want {
				t.Errorf("%q, %s %q: %d, want %d", c.response, method, c.request, got.status, c.want)
			}
			if got.status == 304 && (got.body != "" || got.length != 0 || got.fields.Has("Content-Type") || !got.fields.Has("Cache-Control")) {
				t.Errorf("304 with %q, %v", got.body, got.fields)
			}
		}
	}
}

func TestRange(t *testing.T) {
	modified := "Sun, 06 Nov 1994 08:49:37 GMT"
	long := strings.Repeat("0123456789", 30_000) // several blocks
	for _, c := range []struct {
		content, request string
		status           int
		body, is         string // content, Content-Range
	}{
		{"0123456789", "Range: bytes=0-1", 206, "01", "bytes 0-1/10"},
		{"0123456789", "Range: bytes=3-3", 206, "3", "bytes 3-3/10"},
		{"0123456789", "Range: bytes=7-", 206, "789", "bytes 7-9/10"},
		{"0123456789", "Range: bytes=7-99", 206, "789", "bytes 7-9/10"},
		{"0123456789", "Range: bytes=-2", 206, "89", "bytes 8-9/10"},
		{"0123456789", "Range: bytes=-99", 206, "0123456789", "bytes 0-9/10"},
		{"0123456789", "Range: bytes=10-", 416, "", "bytes */10"},
		{"0123456789", "Range: bytes=-0", 416, "", "bytes */10"},
		{"0123456789", "Range: bytes=99999999999999999999999-", 416, "", "bytes */10"},
		{"0123456789", "Range: bytes=5-4", 200, "0123456789", ""},
		{"0123456789", "Range: bytes=0-1,3-4", 200, "0123456789", ""},
		{"0123456789", "Range: bytes=a-", 200, "0123456789", ""},
		{"0123456789", "Range: bytes=-", 200, "0123456789", ""},
		{"0123456789", "Range: lines=0-1", 200, "0123456789", ""},
		{"0123456789", `Range: bytes=0-1|If-Range: "a"`, 206, "01", "bytes 0-1/10"},
		{"0123456789", `Range: bytes=0-1|If-Range: "b"`, 200, "0123456789", ""},
		{"0123456789", `Range: bytes=0-1|If-Range: W/"a"`, 200, "0123456789", ""},
		{"0123456789", "Range: bytes=0-1|If-Range: " + modified, 206, "01", "bytes 0-1/10"},
		{"0123456789", "Range: bytes=0-1|If-Range: Sun, 06 Nov 1994 08:49:38 GMT", 200, "0123456789", ""},
		{long, "Range: bytes=87340-87349", 206, "0123456789", "bytes 87340-87349/300000"},
		{long, "Range: bytes=87344-87344", 206, "4", "bytes 87344-87344/300000"},
		{long, "Range: bytes=100000-250003", 206, long[100000:250004], "bytes 100000-250003/300000"},
		{long, "Range: bytes=-5", 206, "56789", "bytes 299995-299999/300000"},
	} {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, c.content, fresh, `ETag: "a"`, "Last-Modified: "+modified)
		r.want("miss", "GET /a")
		got := r.want("hit", "GET /a", lines(c.request)...)
		if got.status != c.status || got.body != c.body || got.fields.Get("Content-Range") != c.is || got.length != int64(len(c.body)) {
			t.Errorf("%q: %d %.20q of length %d, Content-Range %q, want %d %.20q %q", c.request, got.status, got.body, got.length, got.fields.Get("Content-Range"), c.status, c.body, c.is)
		}
	}
	// A range of what is not stored goes to the origin, whose part is not stored.
	r := newRig(t, Config{}, Policy{})
	r.origin(206, "01", fresh, "Content-Range: bytes 0-1/10")
	r.want("miss", "GET /a", "Range: bytes=0-1")
	r.origin(200, "0123456789", fresh)
	r.want("miss", "GET /a")
}

func TestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", fresh, `ETag: "a"`)
		r.want("miss", "HEAD /a")
		r.want("miss", "HEAD /a") // not stored
		r.want("miss", "GET /a")
		if got := r.want("hit", "HEAD /a"); got.body != "" || got.length != 7 || got.status != 200 {
			t.Errorf("%d %q of length %d", got.status, got.body, got.length)
		}
		// RFC 9111, section 4.3.5: the answer to HEAD freshens,
		time.Sleep(time.Hour)
		r.origin(200, "content", fresh, `ETag: "a"`, "X: 1")
		r.want("miss", "HEAD /a")
		if got := r.want("hit", "GET /a"); got.body != "content" || got.fields.Get("X") != "1" {
			t.Errorf("%q %v", got.body, got.fields)
		}
		// or shows that what is stored is of the past.
		time.Sleep(time.Hour)
		r.origin(200, "longer content", fresh, `ETag: "b"`)
		r.want("miss", "HEAD /a")
		if n := r.store.Stats().Entries; n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}
