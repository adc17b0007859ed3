package route

import (
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// rewriteRig is what one test case is about: a route, and a client who asks
// shop.test over https.
type rewriteRig struct {
	cfg   RewriteConfig
	table *Table[*Rewrite]
}

func newRewriteRig(t testing.TB, cfg RewriteConfig) *rewriteRig {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = "/"
	}
	rw, err := NewRewrite(cfg)
	if err != nil {
		t.Fatal(err)
	}
	table, problems := New([]Entry[*Rewrite]{{Path: cfg.Path, Value: rw}})
	if problems != nil {
		t.Fatal(problems)
	}
	return &rewriteRig{cfg, table}
}

// ask runs a request for a URL through the route; origin says what is done with it
// in between, x having what the origin is asked for.
func (r *rewriteRig) ask(t testing.TB, target string, origin func(x *edge.Exchange)) (*edge.Exchange, error) {
	t.Helper()
	x := &edge.Exchange{}
	req := &x.Request
	req.Method, req.Scheme, req.Authority = "GET", "https", "shop.test"
	if rest, ok := strings.CutPrefix(target, "http://"); ok {
		var path string
		req.Scheme = "http"
		req.Authority, path, _ = strings.Cut(rest, "/")
		target = "/" + path
	}
	req.Path, req.Query, _ = strings.Cut(target, "?")
	path, query, authority := req.Path, req.Query, req.Authority
	p, err := Canonical(req.Path, nil)
	if err != nil {
		return x, err
	}
	var captures Captures
	rw, ok, err := r.table.LookupPath(req, p, &captures)
	if err != nil {
		return x, err
	}
	if !ok {
		t.Fatalf("%s does not match %s", target, r.cfg.Path)
	}
	was, err := rw.Request(x, &captures)
	if err == nil {
		origin(x)
	}
	rw.Answer(x, &was)
	if req.Path != path || req.Query != query || req.Authority != authority {
		t.Errorf("%s: the request is left as %s %s?%s", target, req.Authority, req.Path, req.Query)
	}
	return x, err
}

func TestRewriteRequest(t *testing.T) {
	check := func(cfg RewriteConfig, target, want string) {
		t.Helper()
		got := ""
		if _, err := newRewriteRig(t, cfg).ask(t, target, func(x *edge.Exchange) {
			got = x.Request.Authority + x.Request.Path
			if x.Request.Query != "" {
				got += "?" + x.Request.Query
			}
		}); err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%+v %s: got %s, want %s", cfg, target, got, want)
		}
	}
	check(RewriteConfig{}, "/a?b", "shop.test/a?b")
	// nginx: location /api/ { proxy_pass http://up/; }
	strip := RewriteConfig{Path: "/api/*", Strip: "/api"}
	check(strip, "/api/x?q=1", "shop.test/x?q=1")
	check(strip, "/api/", "shop.test/")
	check(strip, "/api/%41%2520", "shop.test/%41%2520") // as received
	check(strip, "/api//evil.test/x", "shop.test/evil.test/x")
	check(strip, "/api/..;/x", "refused")
	check(RewriteConfig{Strip: "/api"}, "/other/x", "shop.test/other/x")
	check(RewriteConfig{Strip: "/api"}, "/api", "shop.test/")
	check(RewriteConfig{Strip: "/api"}, "/api/..;/x", "refused") // to some servers /api/..;/x is /x, of the same route
	check(RewriteConfig{Strip: "/api"}, "/api/%2e.%5cx", "refused")
	check(RewriteConfig{Strip: "/api"}, "/api/..%2fx", "refused")
	check(RewriteConfig{AddPrefix: "/v2"}, "/x?q", "shop.test/v2/x?q")
	check(RewriteConfig{AddPrefix: "/v2"}, "/", "shop.test/v2/")
	check(RewriteConfig{AddPrefix: "/v2"}, "/a/..%2f..%2fx", "refused")
	check(RewriteConfig{AddPrefix: "/v2"}, "/a/..%2fx", "shop.test/v2/a/..%2fx") // stays in /v2
	check(RewriteConfig{AddPrefix: "/caf%C3%A9/"}, "/x", "shop.test/caf%C3%A9/x")
	check(RewriteConfig{Strip: "/api", AddPrefix: "/v2"}, "/api/x", "shop.test/v2/x")
	check(RewriteConfig{Strip: "/api", AddPrefix: "/v2"}, "/api", "shop.test/v2/")
	check(RewriteConfig{Strip: "/api", AddPrefix: "/v2"}, "/x", "shop.test/v2/x")
	// nginx: rewrite ^/old/(.*)$ /new/$1 break;
	re := RewriteConfig{Path: "/old/*", Rewrite: "/new/$1"}
	check(re, "/old/a/b?q", "shop.test/new/a/b?q")
	check(re, "/old/", "shop.test/new/")
	check(re, "/old/a%20b%2Fc%25", "shop.test/new/a%20b%2Fc%25")
	check(re, "/old/a/../b", "shop.test/new/b")
	check(RewriteConfig{Path: "/old/*", Rewrite: "/new/$1?x=1"}, "/old/a?q", "shop.test/new/a?x=1")
	check(RewriteConfig{Path: "/old/*", Rewrite: "/new/$1?x=1&{query}"}, "/old/a?q", "shop.test/new/a?x=1&q")
	check(RewriteConfig{Path: "/old/*", Rewrite: "/new/$1?x=1&{query}"}, "/old/a", "shop.test/new/a?x=1")
	check(RewriteConfig{Path: "/old/*", Rewrite: "/new?"}, "/old/a?q", "shop.test/new")
	check(RewriteConfig{Path: "/u/{id}", Rewrite: "/user?id={id}"}, "/u/1&admin=1", "shop.test/user?id=1%26admin%3D1") // one parameter
	check(RewriteConfig{Path: "/u/{id}", Rewrite: "/user?id={id}"}, "/u/c++", "shop.test/user?id=c%2B%2B")
	check(RewriteConfig{Path: "/u/{id}/*", Rewrite: "/{id}/app/$1"}, "/u/7/x", "shop.test/7/app/x")
	check(RewriteConfig{Rewrite: "/v2{path}"}, "/a/b?q", "shop.test/v2/a/b?q")
	check(RewriteConfig{Rewrite: "{path}"}, "//a", "shop.test/a")
	check(RewriteConfig{Path: "/*", Rewrite: "/$1"}, "//evil.test", "shop.test/evil.test")
	check(RewriteConfig{Path: "/*", Rewrite: "/h/{host}/$1"}, "http://../x", "refused")
	// Out of the directory that is written, or of one that another part is in.
	check(RewriteConfig{Path: "/{a}/*", Rewrite: "/{a}/app/$1"}, "/p/..;x/q/r", "refused")
	check(RewriteConfig{Path: "/{a}/*", Rewrite: "/{a}/app/$1"}, `/p/..%5Cq/r`, "refused")
	check(RewriteConfig{Path: "/{a}/*", Rewrite: "/{a}/app/$1"}, "/p/q/..;x/r", "shop.test/p/app/q/..;x/r") // stays
	check(RewriteConfig{Path: "/{a}/*", Rewrite: "/app/.{a}/$1"}, "/.;x/r", "refused")
	check(RewriteConfig{Path: "/{a}/*", Rewrite: "/app/.{a}/$1"}, "/x/r", "shop.test/app/.x/r")
	// Hosts.
	check(RewriteConfig{Host: HostNamed, HostName: "in.test:81"}, "/a", "in.test:81/a")
	check(RewriteConfig{Host: HostEndpoint}, "/a", "/a")
	check(RewriteConfig{Host: HostNamed, HostName: "in.test", Strip: "/api"}, "/api/a", "in.test/a")
}

func TestRewriteStar(t *testing.T) {
	rw, err := NewRewrite(RewriteConfig{Strip: "/a", AddPrefix: "/b", Host: HostNamed, HostName: "in.test"})
	if err != nil {
		t.Fatal(err)
	}
	x := &edge.Exchange{Request: edge.Request{Method: "OPTIONS", Path: "*", Authority: "shop.test"}}
	was, err := rw.Request(x, nil)
	if err != nil || x.Request.Path != "*" || x.Request.Authority != "in.test" {
		t.Errorf("got %v, %s%s", err, x.Request.Authority, x.Request.Path)
	}
	rw.Answer(x, &was)
}

func TestNewRewriteRefuses(t *testing.T) {
	for _, cfg := range []RewriteConfig{
		{Strip: "api"},
		{Strip: "/a?b"},
		{Strip: "/.."},
		{Strip: "/a//b"},
		{Strip: "/a%2Fb"},
		{AddPrefix: "v2"},
		{AddPrefix: "/%zz"},
		{Rewrite: "/x", Strip: "/a"},
		{Rewrite: "x"},
		{Rewrite: "http://a.test/"},
		{Rewrite: "/x#y"},
		{Rewrite: "/x/{query}"},
		{Rewrite: "/x/../y"},
		{Rewrite: "/x/%2e/y"},
		{Rewrite: "/x//y"},
		{Rewrite: "/x/$1"}, // the path has none
		{Host: HostNamed},
	} {
		if cfg.Path == "" {
			cfg.Path = "/"
		}
		if _, err := NewRewrite(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestInvertible(t *testing.T) {
	for _, c := range []struct {
		path, rewrite string
		want          bool
	}{
		{"/", "", true},
		{"/old/*", "/new/$1", true},
		{"/old/{rest...}", "/new/{rest}", true},
		{"/u/{id}/*", "/x/{id}/$1", true},
		{"/", "/v2{path}", true},
		{"/", "{path}", true},
		{"/old/*", "/new", false},
		{"/old/*", "/new/$1/x", false},
		{"/old/*", "/new/x$1", false},
		{"/old/*", "/new/$1?x", false},
		{"/u/{id}", "/x/{id}", false},
		{"/u/{id}/*", "/x/$1/{id}", false},
	} {
		rw, err := NewRewrite(RewriteConfig{Path: c.path, Rewrite: c.rewrite})
		if err != nil {
			t.Fatal(err)
		}
		if got := rw.Invertible(); got != c.want {
			t.Errorf("%s to %s: %v, want %v", c.path, c.rewrite, got, c.want)
		}
	}
}

func TestRewriteAllocs(t *testing.T) {
	for _, c := range []struct {
		name       string
		cfg        RewriteConfig
		path, line string
		most       float64
	}{
		{"nothing", RewriteConfig{}, "/a/b", "Content-Type: text/html", 0},
		{"nothing of a redirect", RewriteConfig{}, "/a/b", "Location: /login", 0},
		{"nothing of a cookie", RewriteConfig{}, "/a/b", "Set-Cookie: a=b; Path=/; HttpOnly", 0},
		{"strip", RewriteConfig{Path: "/api/*", Strip: "/api"}, "/api/x", "Content-Type: text/html", 0},
		{"strip, redirect", RewriteConfig{Path: "/api/*", Strip: "/api"}, "/api/x", "Location: /login", 0},
		{"strip, cookie", RewriteConfig{Path: "/api/*", Strip: "/api"}, "/api/x", "Set-Cookie: a=b; Path=/; Domain=10.0.0.1", 0},
		{"add", RewriteConfig{AddPrefix: "/v2"}, "/x", "Location: /v2/login", 0},
		{"template", RewriteConfig{Path: "/old/*", Rewrite: "/new/$1"}, "/old/x", "Content-Type: text/html", 0},
		{"template, redirect", RewriteConfig{Path: "/old/*", Rewrite: "/new/$1"}, "/old/x", "Location: /new/y", 2},
		{"host", RewriteConfig{Host: HostNamed, HostName: "in.test"}, "/x", "Location: http://in.test/y", 0},
	} {
		rig := newRewriteRig(t, c.cfg)
		x, client := &edge.Exchange{}, &edge.Client{}
		name, value, _ := strings.Cut(c.line, ": ")
		if n := testing.AllocsPerRun(1000, func() {
			x.Begin(nil, client, x.Record.Start)
			req := &x.Request
			req.Method, req.Scheme, req.Authority, req.Path = "GET", "https", "shop.test", c.path
			var captures Captures
			rw, ok := rig.table.Lookup(req, c.path, &captures)
			if !ok {
				t.Fatal("no route")
			}
			was, err := rw.Request(x, &captures)
			if err != nil {
				t.Fatal(err)
			}
			x.Record.Endpoint = endpoint
			x.Response.Fields.Add("Server", "origin")
			x.Response.Fields.Add(name, value)
			rw.Answer(x, &was)
			x.End()
		}); n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  RewriteConfig
		line string
	}{
		{"nothing", RewriteConfig{}, "Content-Type: text/html"},
		{"strip", RewriteConfig{Path: "/api/*", Strip: "/api"}, "Content-Type: text/html"},
		{"strip redirect", RewriteConfig{Path: "/api/*", Strip: "/api"}, "Location: /login"},
		{"template", RewriteConfig{Path: "/api/*", Rewrite: "/v2/$1"}, "Content-Type: text/html"},
	} {
		b.Run(c.name, func(b *testing.B) {
			rig := newRewriteRig(b, c.cfg)
			x, client := &edge.Exchange{}, &edge.Client{}
			name, value, _ := strings.Cut(c.line, ": ")
			var captures Captures
			const path = "/api/users/123/orders"
			rw, ok := rig.table.Lookup(get(""), path, &captures)
			if !ok {
				b.Fatal("no route")
			}
			b.ReportAllocs()
			for b.Loop() {
				x.Begin(nil, client, x.Record.Start)
				req := &x.Request
				req.Method, req.Scheme, req.Authority, req.Path = "GET", "https", "shop.test", path
				was, err := rw.Request(x, &captures)
				if err != nil {
					b.Fatal(err)
				}
				x.Record.Endpoint = endpoint
				for range 8 {
					x.Response.Fields.Add("Cache-Control", "no-store")
				}
				x.Response.Fields.Add(name, value)
				rw.Answer(x, &was)
				x.End()
			}
		})
	}
}
