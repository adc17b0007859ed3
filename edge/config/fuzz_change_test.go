package config

import (
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/route"
)

// FuzzTexts wants of any main file and any included one either a result or
// problems with places in them, and what is parsed again to be the same.
func FuzzTexts(f *testing.F) {
	for _, s := range [][2]string{
		{"include: b\nsites: { a: x }", "upstreams: { x: 'a:1' }"},
		{"sites:", "sites: { a: 'b:1' }"},
		{"sites: [a]", "sites: { a: 'b:1' }"},
		{"sites: { a: 'b:1' }", "sites: { a: 'b:1' }\nfilters: x"},
		{"- a", "- b"},
		{"include: [a, ~, {}]", "include: a\nversion: 2\n1: 2\n? a"},
		{"sites: { a: { filters: f@3, to: function:g } }", "filters: { f: { wasm: uploaded } }\nfunctions: { g: { wasm: g.wasm, env: { A: file:token } } }"},
		{"null: ~", "~: ~"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, main, other string) {
		texts := []Text{{"main.yaml", []byte(main)}, {"sub/other.yaml", []byte(other)}}
		file, problems := ParseTexts(texts, world)
		if (file == nil) != problems.Failed() {
			t.Fatalf("file %v, failed %v", file != nil, problems.Failed())
		}
		lines := map[string]int{"main.yaml": strings.Count(main, "\n") + 1, "sub/other.yaml": strings.Count(other, "\n") + 1}
		for _, p := range problems.Problems() {
			if n := lines[p.Place.File]; n == 0 || p.Place.Line < 1 || p.Place.Line > n+1 || p.Place.Column < 1 || p.Message == "" {
				t.Errorf("a problem without its place: %+v", p)
			}
		}
		if file == nil {
			return
		}
		for _, s := range file.Sites {
			if s.Place.File != "main.yaml" && s.Place.File != "sub/other.yaml" {
				t.Errorf("a site without its place: %+v", s)
			}
			for _, r := range s.Routes {
				if r.To.Function != "" && file.Function(r.To.Function) == nil {
					t.Errorf("no function %q", r.To.Function)
				}
				if r.Rewrite != "" && r.Strip+r.AddPrefix != "" {
					t.Errorf("%s: both a rewrite and a prefix", r.Name)
				}
			}
		}
	})
}

func FuzzRotate(f *testing.F) {
	for _, s := range []string{"100MB or 24h", "24h or 100MB", "100MB", "24h", "1h or 1h", "1MB 1h", "or", "0B", "0s or 1MB", "1MB and 1h", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		size, age, err := parseRotate(s)
		if err == nil && (size < 0 || age < 0 || size == 0 && age == 0) {
			t.Errorf("%q: %d, %v", s, size, age)
		}
	})
}

func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "127.0.0.1", "::1", "[::1]", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "fe80::1%x", "10.0.0.1/8", "0.0.0.0/0", "10.0.0.*", "/", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseNetwork(s)
		if err != nil {
			return
		}
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Errorf("%q: %v", s, p)
		}
		if again, err := parseNetwork(p.String()); err != nil || again != p {
			t.Errorf("%q: %v, read again %v, %v", s, p, again, err)
		}
	})
}

// FuzzBegins wants what is said of a pattern and a prefix to hold for the paths
// that the pattern matches.
func FuzzBegins(f *testing.F) {
	for _, s := range [][3]string{
		{"/api/*", "/api", "/api/x"}, {"/api", "/api", "/api"}, {"/", "/api", "/api/x"}, {"/{x}/b", "/a", "/a/b"}, {"/a/{p...}", "/a/b", "/a/b/c"},
		{"/a%41/*", "/aA", "/aA/"}, {"/a//b", "/a", "/a//b"}, {"/a/", "/a", "/a/"}, {"/x", "/x/y", "/x"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, pattern, prefix, path string) {
		table, problems := route.New([]route.Entry[struct{}]{{Path: pattern}})
		c, err := route.Canonical(prefix, nil)
		if problems != nil || err != nil || c.String() != prefix || len(prefix) < 2 || strings.HasSuffix(prefix, "/") {
			return
		}
		got := begins(pattern, prefix)
		for _, p := range []string{path, prefix, prefix + "/x", prefix + path} {
			c, err := route.Canonical(p, nil)
			if err != nil {
				continue
			}
			req := edge.Request{Method: "GET", Path: p}
			if _, ok := table.Lookup(&req, c.String(), &route.Captures{}); !ok {
				continue
			}
			begun := c.String() == prefix || strings.HasPrefix(c.String(), prefix+"/")
			if got == never && begun || got == always && !begun {
				t.Errorf("%s begins with %s: %d, and %s matches", pattern, prefix, got, p)
			}
		}
	})
}

// FuzzPrefix wants a prefix that is put before a path to be one on the wire, and
// one that is taken off to be as paths are compared.
func FuzzPrefix(f *testing.F) {
	for _, s := range []string{"/api", "/a/b", "/%C3%A4", "/ä", "/a b", "/..", "/a/%2e%2e/b", "//a", "/a/", "/$1", "/{x}", "/a%", "/a;b", "/a\\b", "/%2F"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, key := range []string{"strip", "add-prefix"} {
			src := "sites: { a: { to: 'a:1', " + key + ": file:prefix } }"
			o := world
			o.ReadFile = func(string) ([]byte, error) { return []byte(s), nil }
			file, problems := Parse("sluice.yaml", []byte(src), o)
			if file == nil {
				continue
			}
			r := file.Sites[0].Routes[0]
			p := r.Strip + r.AddPrefix
			if c, err := route.Canonical(p+"/x", nil); err != nil || !strings.HasSuffix(c.String(), "/x") || len(c.String()) < 4 {
				t.Errorf("%s %q: %q, %v\n%v", key, s, c, err, problems)
			}
			if strings.ContainsAny(r.AddPrefix, " ?#\\\"<>\x7f") || strings.IndexFunc(r.AddPrefix, func(c rune) bool { return c <= ' ' || c >= 0x7f }) >= 0 {
				t.Errorf("%q cannot stand in a request", r.AddPrefix)
			}
		}
	})
}
