package config

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/diag"
)

// TestHostile gives the reader files that would take the parser hours, all
// memory, or the stack, and wants each refused for its reason before that.
func TestHostile(t *testing.T) {
	repeat := strings.Repeat
	keys := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const (
		deep  = "nested more than"
		slow  = "reasonable time"
		marks = "punctuation marks"
	)
	for _, c := range []struct{ name, src, want string }{
		{"brackets", repeat("[", 100_000), deep},
		{"braces", repeat("{a: ", 100_000), deep},
		{"dashes on a line", repeat("- ", 100_000) + "a", deep},
		{"indentation", func() string {
			var b strings.Builder
			for i := range 200 {
				b.WriteString(repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(), deep},
		{"keys of one map", keys(100_000, "k%d: v\n"), slow},
		{"keys in maps", "a:\n" + keys(100_000, "  k%d: v\n"), slow},
		{"keys in a flow map, a line each", "{" + keys(100_000, "\nk%d: v,") + "}", slow},
		{"keys without values", keys(40_000, "k%d:\n"), slow},
		{"keys without values in a flow map", "{" + keys(60_000, "k%d,") + "}", slow},
		{"dashes without values", repeat("-\n", 60_000), slow},
		{"long paths", repeat("k", 4000) + ":\n" + keys(70_000, " - a%d\n"), slow},
		{"a long key", repeat("k", 5000) + ": v", "the key is 5000 bytes"},
		{"anchors", "a: &a [x]\n" + keys(1000, "b%d: *a\n"), "anchors"},
		{"documents", repeat("---\na\n", 10_000), "second document"},
		{"commas", "[" + repeat(",", maxTokens+1) + "]", marks},
		{"lines", repeat("\n", maxTokens+1), marks},
		{"methods of one path", "sites: { a: { routes: {" + keys(5_000, "\nM%d /x: b,") + "} } }", "more than 1000 routes"},
		{"names of one path", "sites: { a: { routes: {" + keys(5_000, "\n'/{x%d}/y': b,") + "} } }", "more than 1000 routes"},
		{"methods of one match", "sites: { a: { routes: { '" + keys(500, "M%d,") + "X /x': b } } }", "at most 100 methods"},
		{"conditions", "sites: { a: { routes: { /: { to: b, when: { query: { " + keys(500, "k%d: v, ") + "} } } } } }", "more than 100"},
		{"filters of a route", "sites: { a: { to: b, filters: [" + keys(5_000, "f%d,") + "] } }", "more than 100"},
		{"addresses", "sites: { a: b }\nlisten: { http: [" + keys(5_000, "':%d',") + "] }", "more than 100"},
		{"names that nothing defines", "sites: { a: { routes: {" + keys(5_000, "\n/x%[1]d: name%[1]d,") + "} } }\nupstreams: {" + keys(5_000, "u%d: 'a:1', ") + "}", "no upstream"},
		{"variables", "sites: { a: function:f }\nfunctions: { f: { wasm: x, env: {" + keys(5_000, "K%d: v, ") + "} } }", "more than 100"},
		{"a large environment", "sites: { a: function:f }\nfunctions: { f: { wasm: x, args: [" + repeat("y", maxEnvironment) + "], env: { A: b } } }", "more than 1MB"},
		{"arguments", "sites: { a: function:f }\nfunctions: { f: { wasm: x, args: [" + keys(5_000, "a%d,") + "] } }", "more than 100"},
		{"fields of an edit", "sites: { a: { to: b, fields: { request: { set: {" + keys(5_000, "K%d: v, ") + "} } } } }", "more than 100"},
		{"values of a field", "sites: { a: { to: b, fields: { request: { add: { X: [" + keys(5_000, "%d,") + "] } } } } }", "more than 100"},
		{"fields that are removed", "sites: { a: { to: b, fields: { request: { remove: [" + keys(5_000, "K%d,") + "] } } } }", "more than 100"},
		{"networks", "sites: { a: b }\ntrust: [" + keys(20_000, "'::%x',") + "]", "more than 10000"},
		{"patterns", "sites: { a: b }\ninclude: [" + keys(5_000, "a%d,") + "]", "more than 100"},
		{"a long prefix", "sites: { a: { to: b, strip: /" + repeat("x", 5000) + " } }", "at most 1024 bytes"},
		{"a long rewrite", "sites: { a: { to: b, rewrite: /" + repeat("x", 100_000) + " } }", "at most 8192 bytes"},
		{"functions that nothing defines", "sites: { a: { routes: {" + keys(5_000, "\n/x%[1]d: 'function:name%[1]d',") + "} } }\nfunctions: {" + keys(5_000, "u%d: { wasm: x }, ") + "}\nfilters: {" + keys(5_000, "f%d: { wasm: x }, ") + "}", "no function"},
		{"tags", repeat("!!a ", 1000) + "a", "tags"},
		{"complex keys", repeat("? ", 1000) + "a", "complex key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := Parse("sluice.yaml", []byte(c.src), world)
			told := func(p diag.Problem) bool { return strings.Contains(p.Message, c.want) }
			if !slices.ContainsFunc(problems.Problems(), told) {
				t.Errorf("got %.300s, want %q", problems.String(), c.want)
			}
		})
	}
}

// TestLarge reads a file of many sites, which must not be mistaken for a hostile
// one, and takes memory in proportion.
func TestLarge(t *testing.T) {
	const sites = 5_000
	var b strings.Builder
	b.WriteString("upstreams: { shop: [10.0.0.1:80, 10.0.0.2:80 weight 2] }\nsites:\n")
	for i := range sites {
		fmt.Fprintf(&b, "  host%d.example.com:\n    cache: on\n    routes:\n      /: shop\n      /api/*: { to: shop, timeout: 10s }\n      POST /login: { to: shop, body: 1MB }\n", i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := parse(t, b.String())
	runtime.ReadMemStats(&after)
	if got := len(f.Sites); got != sites {
		t.Errorf("got %d sites, want %d", got, sites)
	}
	if n := len(f.Sites[sites-1].Routes); n != 3 {
		t.Errorf("got %d routes, want 3", n)
	}
	t.Logf("%d bytes, %d MB allocated", b.Len(), (after.TotalAlloc-before.TotalAlloc)>>20)
}

// BenchmarkParse reads a file of 1000 sites.
func BenchmarkParse(b *testing.B) {
	var s strings.Builder
	s.WriteString("sites:\n")
	for i := range 1000 {
		fmt.Fprintf(&s, "  host%d.example.com:\n    routes:\n      /: 127.0.0.1:1\n      /api/*: { to: \"127.0.0.1:2\", timeout: 10s }\n", i)
	}
	src := []byte(s.String())
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if f, problems := Parse("sluice.yaml", src, world); f == nil {
			b.Fatal(problems)
		}
	}
}

// BenchmarkParseRoutes reads a site of 10,000 routes, with all that a route can
// say about the path.
func BenchmarkParseRoutes(b *testing.B) {
	var s strings.Builder
	s.WriteString("sites:\n  example.com:\n    routes:\n")
	for i := range 10_000 {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&s, "      /a%d/*: { to: shop, strip: /a%[1]d, add-prefix: /v2, host: upstream }\n", i)
		case 1:
			fmt.Fprintf(&s, "      /a%d/{id}: { to: shop, rewrite: \"/x/{id}?{query}\" }\n", i)
		case 2:
			fmt.Fprintf(&s, "      /a%d/*: { redirect: /b%[1]d/$1 }\n", i)
		case 3:
			fmt.Fprintf(&s, "      GET /a%d: { function: hello, fields: { response: { set: { X-A: b } } } }\n", i)
		}
	}
	s.WriteString("upstreams: { shop: 10.0.0.1:80 }\nfunctions: { hello: { wasm: hello.wasm } }\n")
	src := []byte(s.String())
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if f, problems := Parse("sluice.yaml", src, world); f == nil {
			b.Fatal(problems)
		}
	}
}
