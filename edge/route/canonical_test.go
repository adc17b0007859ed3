package route

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	ok := func(path, want string) {
		t.Helper()
		p, err := Canonical(path, nil)
		if got := p.String(); got != want || err != nil {
			t.Errorf("Canonical(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
	ok("/", "/")
	ok("*", "*")
	ok("/a/b.txt", "/a/b.txt")
	ok("/.well-known/x/...", "/.well-known/x/...")
	ok("/%61%2Db%7e", "/a-b~")     // unreserved
	ok("/a%20b%3Fc%3b", "/a b?c;") // reserved and others
	ok("/caf%C3%A9", "/caf\u00e9") // octets of UTF-8
	ok("/%ff", "/\xff")            // or of anything
	ok("/100%25", "/100%25")       // a percent sign stays encoded
	ok("/%2561", "/%2561")         // so that nothing is decoded twice
	ok("/a%2Fb%2f", "/a%2Fb%2F")   // an encoded slash separates nothing
	ok("/a%5Cb\\c", "/a\\b\\c")    // nor does a backslash
	ok("/a/./b", "/a/b")           // dot segments
	ok("/a/../b", "/b")            //
	ok("/a/b/..", "/a/")           //
	ok("/a/b/.", "/a/b/")          //
	ok("/.", "/")                  //
	ok("/a/..", "/")               //
	ok("/a/%2e%2E/b", "/b")        // however written
	ok("/a/.%2e/%2e/b", "/b")      //
	ok("/a//b", "/a//b")           // empty segments stay
	ok("/a//../b", "/a/b")         // and count
	ok("//", "//")                 //
	ok("/a/..;x/b", "/a/..;x/b")   // not a dot segment to the RFC
	ok("/a/.../..b/c../.d", "/a/.../..b/c../.d")

	bad := func(path string, want error) {
		t.Helper()
		if p, err := Canonical(path, nil); !errors.Is(err, want) {
			t.Errorf("Canonical(%q) = %q, %v, want %v", path, p, err, want)
		}
	}
	bad("", errNotAbsolute)
	bad("a", errNotAbsolute)
	bad("**", errNotAbsolute)
	bad("http://h/", errNotAbsolute)
	bad("/a\x00", errNUL)
	bad("/%00", errNUL)
	bad("/%", errMalformed)
	bad("/%2", errMalformed)
	bad("/%zz", errMalformed)
	bad("/%2g", errMalformed)
	bad("/%u002f", errMalformed)
	bad("/..", errClimbs)
	bad("/../a", errClimbs)
	bad("/a/../..", errClimbs)
	bad("/a/%2e%2e/%2e%2e/b", errClimbs)
	bad("/./../a", errClimbs)
}

func TestCanonicalAllocs(t *testing.T) {
	check := func(path string) {
		t.Helper()
		var scratch [64]byte
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Canonical(path, scratch[:]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Canonical(%q): %v allocations, want 0", path, n)
		}
	}
	check("/a/b.txt")
	check("/.well-known/x%25y%2Fz")
	check("/a/../%62") // in the scratch

	for _, path := range []string{"/a/b.txt", "/.well-known/x", "/%25%2F", "/a//b", "/a\\b", "/..."} {
		if n := testing.AllocsPerRun(100, func() { Canonical(path, nil) }); n != 0 {
			t.Errorf("Canonical(%q) without scratch: %v allocations, want 0", path, n)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		"/", "*", "/a/../b", "/%2e%2e/", "/a%2Fb", "/a%5c..%5Cb", "//a///b", "/..;/x", "/%2561", "/%00", "/%", "/a/.%2E/..", "/\xff%ff", "/.;x/.",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := Canonical(path, make([]byte, 0, 16))
		if err != nil {
			return
		}
		got := p.String()
		if path == "*" {
			return
		}
		if got[0] != '/' || len(got) > len(path) {
			t.Fatalf("%q becomes %q", path, got)
		}
		if again, err := Canonical(got, nil); err != nil || again.String() != got {
			t.Fatalf("%q becomes %q, and that %q, %v", path, got, again, err)
		}
		for segment := range strings.SplitSeq(got, "/") {
			if segment == "." || segment == ".." || strings.Contains(segment, "\x00") {
				t.Fatalf("%q becomes %q, with segment %q", path, got, segment)
			}
		}
		if want := reference(t, path); got != want {
			t.Fatalf("%q becomes %q, want %q", path, got, want)
		}
		// The other readings are paths too.
		for other, ok := range p.readings {
			if ok && (other == "" || other[0] != '/' || strings.Contains(other+"/", "/../")) {
				t.Fatalf("%q can be read as %q", path, other)
			}
		}
		if p.unclear == 0 && (strings.ContainsAny(got, "\\") || strings.Contains(got, "%2F") || strings.Contains(path, "//")) {
			t.Fatalf("%q leaves no choice, though it becomes %q", path, got)
		}
	})
}

// reference is Canonical by net/url, segment by segment: what it accepts, that
// is decoded alike.
func reference(t *testing.T, path string) string {
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			t.Fatalf("%q is accepted, and net/url says %v", path, err)
		}
		last := i == len(segments)-1
		switch {
		case decoded == "." && last, decoded == ".." && last && len(out) > 0:
			out = append(out[:len(out)-len(decoded)+1], "")
		case decoded == ".":
		case decoded == "..":
			if len(out) == 0 {
				t.Fatalf("%q climbs, and is accepted", path)
			}
			out = out[:len(out)-1]
		default:
			decoded = strings.ReplaceAll(decoded, "%", "%25")
			out = append(out, strings.ReplaceAll(decoded, "/", "%2F"))
		}
	}
	return "/" + strings.Join(out, "/")
}

// Where a liberty that servers take leads to another route, the path is refused.
func TestLookupPath(t *testing.T) {
	table := mustNew(t, "/", "/admin/*", "/api/*", "/api/{id}/private", "/files/*")
	check := func(path, want string) {
		t.Helper()
		p, err := Canonical(path, nil)
		if err != nil {
			t.Fatalf("Canonical(%q): %v", path, err)
		}
		got, ok, err := table.LookupPath(get(""), p, nil)
		switch {
		case err != nil:
			got = "refused"
		case !ok:
			got = "none"
		}
		if got != want {
			t.Errorf("%q: got %q, %v, want %q", path, got, err, want)
		}
	}
	check("/api/x", "/api/*")
	check("/api/a%2Fb", "/api/*") // harmless: both readings lead there
	check("/api/a\\b", "/api/*")
	check("/api/a//b", "/api/*")
	check("/files/%2e%2e%2Fadmin/x", "refused") // decoded it is /admin/x
	check("/files%2F..%2Fadmin/x", "refused")
	check("/files/..%2Fadmin/x", "refused")
	check("/files/..%5Cadmin/x", "refused")
	check("/files/..\\admin/x", "refused")
	check("/admin%2Fx", "refused")
	check("/admin\\x", "refused")
	check("//admin/x", "refused")
	check("/./admin//x", "/admin/*")
	check("/x//y", "/")
	check("/files/..;/admin/x", "refused")
	check("/files/..;a=b/admin/x", "refused")
	check("/files/.;/x", "/files/*")
	check("/files/..%2f..%2f..%2fetc/passwd", "refused") // one reading climbs
	check("/files/..;/..;/x", "refused")
	check("/api/5/private", "/api/{id}/private")
	check("/api/5%2Fprivate", "refused")
	check("/api//5/private", "refused")
	check("/files%2F..;%2Fadmin/x", "refused")
	check("/%2Fadmin/x", "refused") // two liberties at once
	check("/x%2F..;/admin/x", "refused")
	check("/x\\..;/admin/x", "refused")
	check("/files/;/../admin/x", "refused") // without its parameters a segment is empty, and two slashes are one
	check("/files/;x=y/../admin/x", "refused")
	check("/files/%3Bx/../admin/x", "refused")
	check("/;/admin/x", "refused")
	check("/files/;x/y", "/files/*")
	check("/files/y/;", "/files/*")
	check("/page;id=1", "/") // parameters of other segments are the origin's
	check("*", "/")
}
