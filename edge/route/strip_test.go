package route

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStripPrefix(t *testing.T) {
	check := func(path, prefix, want string) {
		t.Helper()
		got, ok := StripPrefix(path, prefix)
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%q without %q: got %q, want %q", path, prefix, got, want)
		}
	}
	check("/api", "/api", "/")
	check("/api/", "/api", "/")
	check("/api/x", "/api", "/x")
	check("/api/x/", "/api", "/x/")
	check("/api/x%2Fy%41", "/api", "/x%2Fy%41") // as received
	check("/%61pi/x", "/api", "/x")
	check("/apis", "/api", "no")
	check("/API/x", "/api", "no")
	check("/", "/api", "no")
	check("*", "/api", "no")
	check("/x", "", "/x")
	check("/a/b/c", "/a/b", "/c")
	check("/a/b", "/a/b/c", "no")
	check("/a%2Fb/c", "/a/b", "no") // an encoded slash is none
	check("/a%2Fb/c", "/a%2Fb", "/c")
	check("/a%2fb/c", "/a%2Fb", "/c")
	check("/100%25/c", "/100%25", "/c")
	check("/caf%C3%A9/c", "/caf\u00e9", "/c")
	check("/api//x", "/api", "//x")
	check("//api/x", "/api", "no")
	// Dot segments.
	check("/x/../api/y", "/api", "/y")
	check("/./api/y", "/api", "/y")
	check("/api/./y", "/api", "/./y")
	check("/api/..", "/api", "no")
	check("/api/../api/y", "/api", "/y")
	check("/api/y/..", "/api", "/y/..")
	check("/api/%2e%2E/x", "/api", "no")
	check("/api/y/../../x", "/api", "no")
	check("/a/x/../b/c", "/a/b", "/c")
	check("/a/b/../b/c", "/a/b", "/c")
	check("/a/b/../../a/b/c", "/a/b", "/c")
	check("/..", "/api", "no")
	check("/api/..;x/y", "/api", "/..;x/y") // to us no dot segment
	check("/%zz", "/api", "no")
}

// randomPath returns a path of few words, so that prefixes are met, with all that
// makes paths difficult.
func randomPath(r *rand.Rand, words []string) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteByte('/')
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

var difficult = []string{"a", "a", "b", "b", "c", "", ".", "..", "%2e", ".%2E", "%61", "%62", "a%2Fb", "a%2fb", "%25", "a;x", "..;x", `a\b`, "%5c", "A", "ab", ".a", "..."}

// What is left of a path has the canonical form that the prefix leaves of the
// path's.
func TestStripIsCanonical(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	stripped := 0
	for range 200_000 {
		path := randomPath(r, difficult)
		prefix := randomPath(r, []string{"a", "b", "c", "a%2Fb", "%25"})
		p, err := Canonical(path, nil)
		if err != nil {
			continue
		}
		want, ok := strings.CutPrefix(p.String(), prefix)
		ok = ok && (want == "" || want[0] == '/')
		if ok && want == "" {
			want = "/"
		}
		rest, did := StripPrefix(path, prefix)
		if did != ok {
			t.Fatalf("%q, canonical %q, without %q: %v, want %v", path, p, prefix, did, ok)
		}
		if !ok {
			continue
		}
		stripped++
		got, err := Canonical(rest, nil)
		if err != nil || got.String() != want {
			t.Fatalf("%q without %q is %q, canonical %q, %v; want %q", path, prefix, rest, got, err, want)
		}
	}
	if stripped < 3000 {
		t.Errorf("only %d of the paths had the prefix", stripped)
	}
}

// A StripPrefix that is not sure says no; one that is leaves a path.
func FuzzStripPrefix(f *testing.F) {
	for _, s := range []struct{ path, prefix string }{{"/api/x", "/api"}, {"/a/../api", "/api"}, {"/%61pi%2f", "/api"}, {"//a", "/"}, {"/a%25/b", "/a%25"}} {
		f.Add(s.path, s.prefix)
	}
	f.Fuzz(func(t *testing.T, path, prefix string) {
		p, err := Canonical(path, nil)
		q, err2 := Canonical(prefix, nil)
		if err != nil || err2 != nil || path == "*" || q.String() != prefix || strings.HasSuffix(prefix, "/") || prefix == "*" || strings.Contains(prefix, "//") {
			return
		}
		want, ok := strings.CutPrefix(p.String(), prefix)
		ok = ok && (want == "" || want[0] == '/')
		rest, did := StripPrefix(path, prefix)
		if did != ok {
			t.Fatalf("%q without %q: %v, want %v", path, prefix, did, ok)
		}
		if !ok {
			return
		}
		got, err := Canonical(rest, nil)
		if want == "" {
			want = "/"
		}
		if err != nil || got.String() != want {
			t.Fatalf("%q without %q is %q, canonical %q, want %q", path, prefix, rest, got, want)
		}
	})
}
