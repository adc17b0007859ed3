package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzParse wants of any file either a result or problems with places in it.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	for _, s := range []string{
		"sites: {a: function:b@2}\nfunctions: {b: {wasm: uploaded}}", "log: {access: {file: x, rotate: 1MB or 1h}}", "sites: {a: {to: b:1, strip: /x, fields: {request: {remove: [A]}}}}",
		"", "\ufeffsites: x", "- - - a", "a:\r\n  b:\r\n", "{a: [b: {c: d}]}", "[[", "? a", "--- |\n x", "%YAML 1.2\n---\n", "a: >-\n b\n\n c\n",
		"sites: {a: {b}, c}", "{a:b:c: d}", "{:: :}", "{a:1: 2}", "{[a:b]: c}", "{a: 'b':c}", "a: !!binary x", "x: \"\\u0000\"", "sites:\n- a\n-\n", "null: ~\n~: 1\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, problems := Parse("f.yaml", []byte(src), world)
		if (file == nil) != problems.Failed() {
			t.Fatalf("file %v, failed %v", file != nil, problems.Failed())
		}
		lines := strings.Count(src, "\n") + 1
		for _, p := range problems.Problems() {
			if p.Place.File != "f.yaml" || p.Place.Line < 1 || p.Place.Line > lines+1 || p.Place.Column < 1 || p.Message == "" {
				t.Errorf("a problem without its place: %+v", p)
			}
		}
		if strings.ContainsAny(strings.ReplaceAll(problems.String(), "\n", ""), "\x00\x1b\r\t") {
			t.Errorf("control characters in %q", problems.String())
		}
		if file == nil {
			return
		}
		for _, s := range file.Sites {
			if s.Name == "" || s.Host == "" || len(s.Routes) == 0 {
				t.Errorf("an incomplete site: %+v", s)
			}
			for _, r := range s.Routes {
				targets := 0
				for _, has := range []bool{r.To != (Target{}), r.Redirect != nil, r.Respond != nil, r.Split != nil} {
					if has {
						targets++
					}
				}
				if targets != 1 || r.Name == "" || r.Match.Path == "" {
					t.Errorf("an incomplete route: %+v", r)
				}
				if r.To.Upstream != "" && file.Upstream(r.To.Upstream) == nil {
					t.Errorf("no upstream %q", r.To.Upstream)
				}
				for _, use := range r.Filters {
					if file.Filter(use.Name) == nil {
						t.Errorf("no filter %q", use.Name)
					}
				}
			}
		}
		for _, u := range file.Upstreams {
			if len(u.Endpoints) == 0 {
				t.Errorf("an upstream without endpoints: %+v", u)
			}
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"250ms", "10s", "5m", "1.5h", "30d", "", "s", "1", "-1s", "1e9s", "9999999999999999999d", "..s", "1.s", "0.0000001ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDuration(s)
		if err != nil {
			return
		}
		if d < 0 || d > maxDuration {
			t.Fatalf("%q: %v", s, d)
		}
		if again, err := parseDuration(formatDuration(d)); d%time.Millisecond == 0 && (err != nil || again != d) {
			t.Errorf("%q: %v, written %q, read again %v, %v", s, d, formatDuration(d), again, err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"0B", "512B", "64KB", "1.5GB", "1TB", "10MiB", "KB", "1", "99999999999999999999TB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseSize(s)
		if err != nil {
			return
		}
		if n < 0 || n > maxSize {
			t.Fatalf("%q: %d", s, n)
		}
		if again, err := parseSize(FormatSize(n)); err != nil || again != n {
			t.Errorf("%q: %d, written %q, read again %d, %v", s, n, FormatSize(n), again, err)
		}
	})
}

func FuzzPercent(f *testing.F) {
	for _, s := range []string{"0%", "2.5%", "100%", "100.1%", "%", "5", "1e1%", "NaN%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePercent(s); err == nil && !(p >= 0 && p <= 100) {
			t.Errorf("%q: %v", s, p)
		}
	})
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"10.0.0.1:80", "a:1 weight 3", "a:1 backup", "a:1 weight 3 backup", "unix:/x", "[::1]:80 weight", "", "http://a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseEndpoint(s)
		if err != nil {
			return
		}
		if e.address == "" || strings.ContainsAny(e.address, " \t\n") || e.weight < 0 || e.weight > maxWeight {
			t.Errorf("%q: %+v", s, e)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"10.0.0.1:80", "[::1]:80", "unix:/run/x", "a.b:0", "::1", ":80", "http://a/b", "a:b:c", "[fe80::1%eth0]:80", "A:080"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if network, address, err := parseAddress(s); err == nil && network == "tcp" {
			if n, again, err := parseAddress(address); err != nil || n != network || again != address {
				t.Errorf("%q: %q, read again %q, %v", s, address, again, err)
			}
		}
		if address, err := parseListen(s); err == nil {
			if again, err := parseListen(address); err != nil || again != address {
				t.Errorf("%q: %q, read again %q, %v", s, address, again, err)
			}
		}
	})
}

func FuzzSiteKey(f *testing.F) {
	for _, s := range []string{"example.com", "*.example.com", "*", "http://a:80", "https://[::1]", "HTTP://A", "http://*:8080", "a:80", "::1", "http://http://a", "https://*.a.b:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseSiteKey(s)
		if err != nil {
			return
		}
		if k.host == "" || k.host != strings.ToLower(k.host) || (k.scheme == "") != (k.bind == "") || k.name() == "" {
			t.Errorf("%q: %+v, named %q", s, k, k.name())
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"/", "GET /x", "GET,POST /x/*", "/u/{id}", " /x", "GET  /x", "GET", "/x y", ",/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMatch(s)
		if err != nil {
			return
		}
		if !strings.HasPrefix(m.Path, "/") {
			t.Fatalf("%q: path %q", s, m.Path)
		}
		again := m.Path
		if len(m.Methods) > 0 {
			again = strings.Join(m.Methods, ",") + " " + again
		}
		if n, err := parseMatch(again); err != nil || n.Path != m.Path || len(n.Methods) != len(m.Methods) {
			t.Errorf("%q: %+v, read again %+v, %v", s, m, n, err)
		}
	})
}

func FuzzRetry(f *testing.F) {
	for _, s := range []string{"off", "2 times", "1 time on connect", "2 times on connect 502", "-1 times", "2 times on"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseRetry(s); err == nil && (n < 0 || n > 10) {
			t.Errorf("%q: %d", s, n)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"$HOME/x", "${HOME}/x", "${HOME", "$", "a$$b", "${}", "$NONE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := expand(s, world.Env)
		if err == nil && !strings.Contains(s, "$") && got != s {
			t.Errorf("%q: %q", s, got)
		}
	})
}
