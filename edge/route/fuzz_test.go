package route

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// A pattern is refused, or matches the path that it describes, and captures what
// stands for its names.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"/", "/*", "/a", "/a/*", "/a/{id}", "/{a}/{b...}", "/{a}/x/", "/%2A", "/caf%C3%A9", "/{}", "/a{b}", "/..", "/a//b", "/%2f", "/a?b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		table, problems := New([]Entry[bool]{{Path: pattern, Value: true}})
		if problems != nil {
			return
		}
		p, err := parsePattern(pattern)
		if err != nil {
			t.Fatalf("%q is accepted, and %v", pattern, err)
		}
		var path string
		for _, s := range p.segments {
			if s.any {
				s.text = "<" + s.text + ">"
			}
			path += "/" + s.text
		}
		if p.below {
			path += "/<below>/x"
		}
		canonical, err := Canonical(path, nil)
		if err != nil || canonical.String() != path {
			t.Fatalf("%q matches %q, which is not canonical: %q, %v", pattern, path, canonical, err)
		}
		var captures Captures
		if _, ok := table.Lookup(get(""), path, &captures); !ok {
			t.Fatalf("%q does not match %q", pattern, path)
		}
		for i := range captures.Len() {
			name, value := captures.At(i)
			if value != "<"+name+">" && (value != "<below>/x" || i != captures.Len()-1) {
				t.Fatalf("%q of %q: {%s} is %q", pattern, path, name, value)
			}
		}
		// A table with more in it finds it still, unless that is a tie.
		if more, problems := New([]Entry[bool]{{Path: "/"}, {Path: pattern, Value: true}}); problems == nil {
			if got, ok := more.Lookup(get(""), path, nil); !got || !ok {
				t.Fatalf("%q loses %q to /", pattern, path)
			}
		}
	})
}

// A template is refused, or makes URLs whose host no request chooses.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"/$1", "{path}", "https://a.test{path}?{query}", "https://a.test:8/{id}#{id}", "/$$/{id}", "//x", "https://a.test$1", "https://{id}/", "https://[::1]/", "/a?b&{query}", "https://a@{id}", "https://a.test?{query}", "http:///"} {
		f.Add(s)
	}
	const pattern = "/{id}/*"
	table := func(t *testing.T, x *edge.Exchange, captures *Captures) {
		tb, _ := New([]Entry[bool]{{Path: pattern}})
		p, err := Canonical(x.Request.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tb.Lookup(&x.Request, p.String(), captures); !ok {
			t.Fatalf("%q does not match", p)
		}
	}
	f.Fuzz(func(t *testing.T, template string) {
		tpl, err := ParseTemplate(template, pattern)
		if err != nil {
			return
		}
		base, _ := url.Parse("https://base.test/")
		var hosts []string
		for _, r := range []edge.Request{
			{Path: "/a/b", Authority: "h.test"},
			{Path: "/@evil.test//evil.test", Query: "@evil.test/", Authority: "h.test:80"},
			{Path: "/.evil.test/.evil.test%5c%0d%0a", Query: "//evil.test\r\n", Authority: "h.test"},
			{Path: "/:1@evil/:1@evil", Query: ".evil", Authority: "h.test"},
		} {
			var x edge.Exchange
			x.Request = r
			var captures Captures
			table(t, &x, &captures)
			got := tpl.Expand(&x, &captures)
			if got == "" || strings.ContainsAny(got, "\r\n \\") {
				t.Fatalf("%q makes %q", template, got)
			}
			u, err := base.Parse(got)
			if err != nil {
				return // a port or an address that is none: the template's own
			}
			hosts = append(hosts, u.Scheme+u.Host)
		}
		for _, h := range hosts {
			if h != hosts[0] {
				t.Fatalf("%q leads to %q", template, hosts)
			}
		}
	})
}
