package route

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// expand matches path with pattern, and expands the template for it.
func expand(t testing.TB, pattern, template, authority, path, query string) string {
	t.Helper()
	tpl, err := ParseTemplate(template, pattern)
	if err != nil {
		t.Fatalf("ParseTemplate(%q, %q): %v", template, pattern, err)
	}
	var x edge.Exchange
	x.Request.Authority, x.Request.Path, x.Request.Query = authority, path, query
	canonical, err := Canonical(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var captures Captures
	if _, ok := mustNew(t, pattern).Lookup(&x.Request, canonical.String(), &captures); !ok {
		t.Fatalf("%q does not match %q", pattern, path)
	}
	return tpl.Expand(&x, &captures)
}

func TestExpand(t *testing.T) {
	check := func(pattern, template, path, query, want string) {
		t.Helper()
		if got := expand(t, pattern, template, "example.com:8080", path, query); got != want {
			t.Errorf("%q of %q for %s: got %q, want %q", template, pattern, path, got, want)
		}
	}
	check("/old/*", "/new/$1", "/old/a/b", "", "/new/a/b")
	check("/old/*", "/new/$1?from=$1", "/old/a", "", "/new/a?from=a")
	check("/users/{id}", "/u/{id}", "/users/7", "", "/u/7")
	check("/users/{id}/{tab}", "/{tab}/{id}#{tab}", "/users/7/x", "", "/x/7#x")
	check("/f/{path...}", "https://files.example.org/{path}", "/f/a/b", "", "https://files.example.org/a/b")
	check("/", "https://www.example.org{path}", "/a%20b/c", "", "https://www.example.org/a%20b/c")
	check("/", "https://{host}{path}?{query}", "/a", "b=c&d=%20", "https://example.com/a?b=c&d=%20")
	check("/", "https://{host}{path}?{query}", "/a", "", "https://example.com/a")
	check("/", "/x?y=1&{query}", "/a", "", "/x?y=1")
	check("/", "/x?y=1&{query}", "/a", "q?", "/x?y=1&q?")
	check("/", "{path}/more", "/a", "", "/a/more")
	check("/", "https://www.example.org{path}", "*", "", "https://www.example.org/*")
	check("/", "/price/$$5", "/a", "", "/price/$5")
	check("/", "https://[::1]:80{path}", "/a", "", "https://[::1]:80/a")
	check("/", "/", "/a", "", "/")

	// What is decoded in a canonical path is encoded again, and only once.
	check("/old/*", "/new/$1", "/old/caf%C3%A9%20%3F%23", "", "/new/caf%C3%A9%20%3F%23")
	check("/old/*", "/new/$1", "/old/100%25", "", "/new/100%25")
	check("/old/*", "/new/$1", "/old/a%2fb", "", "/new/a%2Fb")
	// No line ends here.
	check("/old/*", "/new/$1", "/old/a%0d%0aSet-Cookie:%20x", "", "/new/a%0D%0ASet-Cookie:%20x")
	check("/", "/x?{query}", "/a", "a\r\nb\"<", "/x?a%0D%0Ab%22%3C")
	// No path becomes a host.
	check("/old/*", "/$1", "/old//evil.test/x", "", "/evil.test/x")
	check("/old/*", "/$1", "/old////evil.test", "", "/evil.test")
	check("/old/*", "/$1", "/old/\\evil.test", "", "/%5Cevil.test")
	check("/", "{path}", "//evil.test", "", "/evil.test")
	check("/", "{path}", "/a//b", "", "/a//b")

	if got, want := expand(t, "/", "https://{host}/", "a.test@evil/%2F\r\n:80", "/", ""), "https://a.test%40evil%2F%252F%0D%0A/"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := expand(t, "/", "https://{host}/", "[::1]:80", "/", ""), "https://[::1]/"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	check := func(pattern, template, want string) {
		t.Helper()
		if _, err := ParseTemplate(template, pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTemplate(%q, %q): %v, want an error with %q", template, pattern, err, want)
		}
	}
	check("/a", "/$1", "the path ends without *")
	check("/a/{x...}", "/$1", "the path ends without *")
	check("/{id}", "/{name}", "nothing is called {name}; have {path}, {host}, {query}, {id}")
	check("/{id}/*", "/{name}", "{id}, $1")
	check("/{id}", "/{}", "nothing is called {}")
	check("/*", "/$2", "not part of $1")
	check("/*", "/$12", "only $1")
	check("/*", "/a$", "written $$")
	check("/*", "/a{path", "{ without }")
	check("/*", "/a}", "} without {")
	check("/*", "", "begins neither")
	check("/*", "new/$1", "begins neither")
	check("/*", "$1", "begins neither")
	check("/*", "{query}", "begins neither")
	check("/*", "javascript:alert(1)", "begins neither")
	check("/*", "//evil.test/$1", "two slashes")
	check("/*", "https://", "no host")
	check("/*", "https:///$1", "no host")
	check("/*", "https://{path}", "no host")
	check("/*", "https://?a", "no host")
	check("/*", "https://$1/", "no host")
	check("/*", "https://example.org$1", "must not choose the host")
	check("/*", "https://example.org:$1/", "must not choose the host")
	check("/{sub}", "https://a{sub}.example.org/", "must not choose the host")
	check("/*", "https://example.org{query}", "must not choose the host")
	check("/*", "/a b", "must be percent-encoded")
	check("/*", "/caf\u00e9", "'\u00e9' must be percent-encoded")
	check("/*", "/\u65e5\u672c/$1", "'\u65e5' must be percent-encoded")
	check("/*", "/caf\xe9", "the byte 0xe9 must be percent-encoded")
	check("/*", "/a\r\n", "must be percent-encoded")
	check("/*", "/a\\b", "must be percent-encoded")
	check("/*", "/100%", "malformed percent-encoding")
	check("/*", "/%2{path}", "malformed percent-encoding")
	check("a", "/", "does not begin with /")
}

func TestExpandAllocs(t *testing.T) {
	tpl, err := ParseTemplate("https://{host}/new/{id}/$1?{query}", "/{id}/*")
	if err != nil {
		t.Fatal(err)
	}
	var x edge.Exchange
	x.Request.Authority, x.Request.Query = "example.com:80", "a=b"
	table := mustNew(t, "/{id}/*")
	var captures Captures
	if n := testing.AllocsPerRun(100, func() {
		table.Lookup(&x.Request, "/7/a b", &captures)
		if got := tpl.Expand(&x, &captures); got != "https://example.com/new/7/a%20b?a=b" {
			t.Fatalf("got %q", got)
		}
		x.End()
		x.Request.Authority, x.Request.Query = "example.com:80", "a=b"
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Whatever a client asks for, the result is a URL of the host that the template
// names, in one line.
func FuzzExpand(f *testing.F) {
	f.Add("/a/b", "c=d", "example.com")
	f.Add("//evil.test", "\r\n", "evil.test/@x")
	f.Add("/%0d%0a/%5c%2e%25", "#?", "[::1]:80")
	f.Add("/\\evil.test/", "", "")
	table, problems := New([]Entry[int]{{Path: "/*"}})
	if problems != nil {
		f.Fatal(problems)
	}
	var templates []Template
	for _, s := range []string{"/$1", "{path}?{query}", "https://example.org{path}", "https://example.org/$1?{query}"} {
		tpl, err := ParseTemplate(s, "/*")
		if err != nil {
			f.Fatal(err)
		}
		templates = append(templates, tpl)
	}
	f.Fuzz(func(t *testing.T, path, query, authority string) {
		canonical, err := Canonical(path, nil)
		if err != nil {
			return
		}
		var x edge.Exchange
		x.Request.Path, x.Request.Query, x.Request.Authority = path, query, authority
		var captures Captures
		if _, ok := table.Lookup(&x.Request, canonical.String(), &captures); !ok {
			t.Fatalf("%q matches nothing", canonical)
		}
		for i, tpl := range templates {
			got := tpl.Expand(&x, &captures)
			for _, c := range []byte(got) {
				if c <= ' ' || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
					t.Fatalf("%q has %q", got, c)
				}
			}
			base, _ := url.Parse("https://base.test/")
			u, err := base.Parse(got)
			want := "base.test"
			if i >= 2 {
				want = "example.org"
			}
			// net/url checks the encodings in a query no more than we do.
			if err != nil || u.Host != want || u.Scheme != "https" {
				t.Fatalf("%q: %v, host %q, want %q", got, err, u, want)
			}
		}
	})
}
