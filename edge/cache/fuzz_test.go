package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// The directives of a list are found whatever stands around them, and no input
// makes the parser run on or leave the value's bytes.
func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{
		"", ",", "max-age=60", "max-age=60, s-maxage=1", `no-cache="a, b", private`, `x="a\"b", no-store`, `x="`, "=", "==", "=,=",
		"max-age = 60", "max-age=99999999999999999999999", " , ,\tpublic\t,", `max-age="60"`, `a="b"c, no-store`, "no-cache=", `no-cache=""`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for rest := s; rest != ""; n++ {
			var d directive
			before := len(rest)
			d, rest = nextDirective(rest)
			if len(rest) >= before || strings.ContainsAny(d.name, ",=") || len(d.name)+len(d.value) > len(s) {
				t.Fatalf("%q: %+v, rest %q", s, d, rest)
			}
		}
		var fields edge.Fields
		fields.Add("Cache-Control", s)
		c := parseResponseControl(&fields)
		for _, age := range []int64{c.maxAge, c.sMaxAge} {
			if age < -1 || age > maxDelta {
				t.Fatalf("%q: %+v", s, c)
			}
		}
		parseRequestControl(&fields)
		qualifies(&fields, "a")

		// What is said once more in front is heard, whatever follows; what is said
		// behind is heard unless a quote is open.
		fields.Reset()
		fields.Add("Cache-Control", "no-store, max-age=7,"+s)
		if c := parseResponseControl(&fields); !c.noStore || c.maxAge < 0 || c.maxAge > 7 {
			t.Fatalf("no-store, max-age=7,%s: %+v", s, c)
		}
		if !strings.Contains(s, `"`) {
			fields.Reset()
			fields.Add("Cache-Control", s+",no-store")
			if c := parseResponseControl(&fields); !c.noStore {
				t.Fatalf("%s,no-store: %+v", s, c)
			}
		}
	})
}

// The other parsers of field values.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "bytes=0-1", "bytes=-5", "bytes=5-",
		`"a", W/"b", *`, `W/"`, `"`, "7200, 0", "*", "Foo, Bar", `a, "b, c", d`, "\\", ",,,",
	} {
		f.Add(s, int64(10))
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string, n int64) {
		if d, ok := parseDate(s, now); ok && (d.Year() < 0 || d.Year() > 10000) {
			t.Fatalf("%q is %v", s, d)
		}
		if n > 0 {
			if first, last, ok := parseRange(s, n); ok && first <= last && (first < 0 || last >= n) {
				t.Fatalf("%q of %d: %d to %d", s, n, first, last)
			}
		}
		for rest := s; rest != ""; {
			before := len(rest)
			if _, rest = nextTag(rest); len(rest) >= before {
				t.Fatalf("tags of %q run on", s)
			}
		}
		// A request is selected by what it itself made.
		var response, request, other edge.Fields
		response.Add("Vary", "Accept-Language, X, Y")
		request.Add("Accept-Language", s)
		request.Add("X", s)
		request.Add("X", s)
		vary, ok := appendVary(nil, &response, &request)
		if !ok {
			t.Fatal("no selecting fields")
		}
		head := make([]byte, metaSize, metaSize+len(vary))
		metaOf(head).vary = uint32(len(vary))
		head = append(head, vary...)
		if !selects(head, "", &request) {
			t.Fatalf("%q does not select itself", s)
		}
		other.CopyFrom(&request)
		other.Add("Y", "")
		if selects(head, "", &other) {
			t.Fatalf("%q selects a request with another field", s)
		}
		// Any Vary whatever.
		response.Reset()
		response.Add("Vary", s)
		if vary, ok = appendVary(nil, &response, &request); ok {
			head = make([]byte, metaSize, metaSize+len(vary))
			metaOf(head).vary = uint32(len(vary))
			if !selects(append(head, vary...), "", &request) {
				t.Fatalf("Vary: %q does not select itself", s)
			}
		}
		// Field lines come back as they were.
		response.Add(s, s)
		b, ok := appendHead(make([]byte, metaSize), []byte("key"), "", &response, &request)
		if ok && !leftOut(s) && len(s) < 1<<16 {
			var back edge.Fields
			metaOf(b).key = 3
			revive(&back, fieldsOf(b))
			if l := back.At(back.Len() - 1); l.Name != s || l.Value != s || string(keyOf(b)) != "key" {
				t.Fatalf("%q came back as %+v", s, l)
			}
		}
	})
}
