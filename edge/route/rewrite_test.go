package route

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
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

// endpoint is the address of the origin in the tests of answers.
const endpoint = "10.0.0.1:8080"

// TestAnswer goes through what nginx's proxy_redirect, proxy_cookie_path and
// proxy_cookie_domain are used for, and what they leave to the user.
func TestAnswer(t *testing.T) {
	var rig *rewriteRig
	with := func(cfg RewriteConfig) { rig = newRewriteRig(t, cfg) }
	check := func(target, line, want string) {
		t.Helper()
		name, value, _ := strings.Cut(line, ": ")
		x, err := rig.ask(t, target, func(x *edge.Exchange) {
			x.Record.Endpoint = endpoint
			if x.Request.Authority == "" {
				x.Request.Authority = endpoint // as the pool does
			}
			x.Response.Fields.Add("Server", "origin")
			x.Response.Fields.Add(name, value)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := x.Response.Fields.Lookup(name); got != want || ok != (want != "") {
			t.Errorf("%+v %s: %s becomes %q, want %q", rig.cfg, target, line, got, want)
		}
	}

	// Nothing but the endpoint's address is the origin's own.
	with(RewriteConfig{})
	check("/a", "Location: /login", "/login")
	check("/a", "Location: login?x=http://10.0.0.1:8080/", "login?x=http://10.0.0.1:8080/")
	check("/a", "Location: http://10.0.0.1:8080/login?a#b", "https://shop.test/login?a#b")
	check("/a", "Location: HTTP://10.0.0.1:8080", "https://shop.test/")
	check("/a", "Location: http://10.0.0.1/login", "https://shop.test/login") // an origin that does not know its port
	check("/a", "Location: https://user:secret@10.0.0.1:8080/", "https://shop.test/")
	check("/a", "Location: //10.0.0.1:8080/login", "//shop.test/login")
	check("/a", "Location: http://10.0.0.1:9000/", "http://10.0.0.1:9000/") // something else
	check("/a", "Location: http://other.test/x", "http://other.test/x")
	check("/a", "Location: https://shop.test/x", "https://shop.test/x")
	check("/a", "Location: mailto:me@10.0.0.1:8080", "mailto:me@10.0.0.1:8080")
	check("/a", "content-location: http://10.0.0.1:8080/x", "https://shop.test/x")
	check("http://shop.test:8081/a", "Location: http://10.0.0.1:8080/x", "http://shop.test:8081/x")
	check("http://h/a", "Refresh: 5", "5")
	check("/a", "Refresh: 5; url=http://10.0.0.1:8080/x", "5; url=https://shop.test/x")
	check("/a", "Refresh: 0;URL='http://10.0.0.1:8080/x'", "0;URL='https://shop.test/x'")
	check("/a", "Refresh: 0, http://10.0.0.1:8080/x", "0, https://shop.test/x")
	check("/a", "Refresh: 0; url=/x", "0; url=/x")
	// What is malformed stays, unless it tells the address.
	check("/a", `Location: /a\b`, `/a\b`)
	check("/a", `Location: http:\\10.0.0.1:8080\x`, "")
	check("/a", "Location: http:/10.0.0.1:8080/x", "")
	check("/a", "Location: http://10.0.0.1:8080 /x", "")
	check("/a", "Location: \thttp://10.0.0.1:8080/x", "")
	check("/a", "Location: http:/elsewhere.test/x", "http:/elsewhere.test/x")
	check("/a", "Location: 10.0.0.1:8080/x", "")
	check("/a", `Refresh: 0; url=http:\\10.0.0.1\x`, "")
	check("/a", "Refresh: http://10.0.0.1:8080/", "")
	check("/a", "Set-Cookie: a=b", "a=b")
	check("/a", "Set-Cookie: a=10.0.0.1:8080; Path=/x; HttpOnly", "a=10.0.0.1:8080; Path=/x; HttpOnly") // the origin's own affair
	check("/a", "Set-Cookie: a=b; Domain=10.0.0.1; Path=/", "a=b; Path=/")
	check("/a", "Set-Cookie: a=b;domain=10.0.0.1:8080;Secure", "a=b;Secure")
	check("/a", "Set-Cookie: a=b; Domain=.shop.test; Path=/", "a=b; Domain=.shop.test; Path=/")

	// location /api/ { proxy_pass http://up/; proxy_redirect / /api/; proxy_cookie_path / /api/; }
	with(RewriteConfig{Path: "/api/*", Strip: "/api"})
	check("/api/a", "Location: /login?x", "/api/login?x")
	check("/api/a", "Location: /", "/api/")
	check("/api/a", "Location: http://10.0.0.1:8080/login", "https://shop.test/api/login")
	check("/api/a", "Location: http://10.0.0.1:8080?x", "https://shop.test/api/?x")
	check("/api/a", "Location: https://shop.test/login", "https://shop.test/api/login") // its own, by the name that it is told
	check("/api/a", "Location: http://shop.test/login", "http://shop.test/api/login")
	check("/api/a", "Location: https://shop.test:8443/login", "https://shop.test:8443/login")
	check("/api/a", "Location: https://other.test/login", "https://other.test/login")
	check("/api/a", "Location: b", "b") // /api/b either way
	check("/api/a/", "Location: ../b", "../b")
	check("/api/a", "Location: ../b", "/api/b") // the origin has nothing above /
	check("/api/a", "Location: ../../b?c", "/api/b?c")
	check("/api/a", "Location: ./b", "./b")
	check("/api/a", "Location: ?page=2", "?page=2")
	check("/api/a", "Location: #x", "#x")
	check("/api/a/%2e%2e/b", "Location: c", "c")
	check("/api/a", "Location: //other.test/x", "//other.test/x")
	check("/api/a", "Location: /%2e%2e/x", "/api/%2e%2e/x")
	check("/api/a", "Refresh: 3;url=/x", "3;url=/api/x")
	check("/api/a", "Set-Cookie: a=b; Path=/", "a=b; Path=/api")
	check("/api/a", "Set-Cookie: a=b; Path=/x; Secure; Domain=10.0.0.1", "a=b; Path=/api/x; Secure")
	check("/api/a", "Set-Cookie: a=b; Path=", "a=b; Path=")
	check("/api/a", "Set-Cookie: __Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure") // RFC 6265bis: its path is /
	// The prefix alone is a file to the client and a directory to the origin.
	with(RewriteConfig{Path: "/api", Strip: "/api"})
	check("/api", "Location: b", "/api/b")
	// Where it is not there nothing is stripped, and nothing put back.
	with(RewriteConfig{Strip: "/api"})
	check("/other/a", "Location: /login", "/login")
	check("/api/a", "Location: /login", "/api/login")

	// location / { proxy_pass http://up/v2/; proxy_redirect /v2/ /; proxy_cookie_path /v2/ /; }
	with(RewriteConfig{AddPrefix: "/v2"})
	check("/a", "Location: /v2/login", "/login")
	check("/a", "Location: /v2", "/")
	check("/a", "Location: /%76%32/x", "/x")
	check("/a", "Location: /v2//evil.test/x", "/evil.test/x") // must not become a host
	check("/a", "Location: /v20/x", "/v20/x")
	check("/a", "Location: /other", "/other")
	check("/a", "Location: http://10.0.0.1:8080/v2/x", "https://shop.test/x")
	check("/a", "Location: http://10.0.0.1:8080/other", "https://shop.test/other")
	check("/a/b", "Location: ../../../v2/x", "/x")
	check("/a/b", "Location: ../../../x", "../../../x")
	check("/a", "Set-Cookie: a=b; Path=/v2/", "a=b; Path=/")
	check("/a", "Set-Cookie: a=b; Path=/v2/x", "a=b; Path=/x")
	check("/a", "Set-Cookie: a=b; Path=/", "a=b; Path=/")
	check("/a", "Set-Cookie: a=b; Path=/other", "a=b; Path=/other")

	with(RewriteConfig{Path: "/api/*", Strip: "/api", AddPrefix: "/srv/v2"})
	check("/api/a", "Location: /srv/v2/x", "/api/x")
	check("/api/a", "Location: /srv/v2", "/api")
	check("/api/a", "Set-Cookie: a=b; Path=/srv", "a=b; Path=/api") // all that the client asks is below it
	check("/api/a", "Set-Cookie: a=b; Path=/srv/v2/x", "a=b; Path=/api/x")

	// rewrite ^/old/(.*)$ /new/$1 break; proxy_redirect /new/ /old/;
	with(RewriteConfig{Path: "/old/*", Rewrite: "/new/$1"})
	check("/old/a/b", "Location: /new/c", "/old/c")
	check("/old/a/b", "Location: ../c", "../c")
	check("/old/", "Location: /new/", "/old/")
	check("/old/a/b", "Location: /elsewhere", "/elsewhere")
	check("/old/a", "Set-Cookie: a=b; Path=/new/", "a=b; Path=/old")
	check("/old/a", "Set-Cookie: a=b; Path=/", "a=b; Path=/old")
	with(RewriteConfig{Path: "/shops/{id}/*", Rewrite: "/s/{id}/$1"})
	check("/shops/7/a", "Location: /s/7/b", "/shops/7/b")
	check("/shops/7/a", "Location: /s/8/b", "/s/8/b") // not known to be the client's /shops/8/b
	check("/shops/a%20b/c", "Location: /s/a%20b/d", "/shops/a%20b/d")
	check("/shops/7/a", "Set-Cookie: a=b; Path=/s", "a=b; Path=/shops")
	check("/shops/7/a", "Set-Cookie: a=b; Path=/s/7", "a=b; Path=/shops/7")
	with(RewriteConfig{Rewrite: "/v2{path}"})
	check("/a", "Location: /v2/b", "/b")
	with(RewriteConfig{Path: "/*", Rewrite: "/$1"})
	check("//a", "Location: /b", "/b")
	// What cannot be inverted keeps its paths, but the one that was asked for.
	with(RewriteConfig{Path: "/go/*", Rewrite: "/index.php?q=$1"})
	check("/go/x", "Location: /index.php?q=y", "/index.php?q=y") // not what /go/x asks for
	check("/go/x", "Location: /login", "/login")
	check("/go/x", "Location: http://10.0.0.1:8080/login", "https://shop.test/login")
	check("/go/x", "Set-Cookie: a=b; Path=/login", "a=b; Path=/login")
	with(RewriteConfig{Path: "/go/{x}", Rewrite: "/page"})
	check("/go/x", "Location: /page?2", "/go/x?2")
	check("/go/x", "Location: /page/2", "/page/2")

	// proxy_set_header Host $proxy_host;
	with(RewriteConfig{Host: HostEndpoint})
	check("/a", "Location: http://10.0.0.1:8080/x", "https://shop.test/x")
	check("/a", "Set-Cookie: a=b; Domain=10.0.0.1", "a=b")
	// proxy_set_header Host in.test;
	with(RewriteConfig{Host: HostNamed, HostName: "in.test"})
	check("/a", "Location: http://in.test/x", "https://shop.test/x")
	check("/a", "Location: http://IN.test:8080/x", "https://shop.test/x") // the endpoint's port
	check("/a", "Location: https://in.test:9/x", "https://in.test:9/x")
	check("/a", "Location: http://10.0.0.1:8080/x", "https://shop.test/x")
	check("/a", "Set-Cookie: a=b; Domain=.in.test", "a=b")
	check("/a", "Set-Cookie: a=b; Domain=test", "a=b; Domain=test")

	with(RewriteConfig{Path: "/api/*", Strip: "/api", KeepAnswers: true})
	check("/api/a", "Location: http://10.0.0.1:8080/x", "http://10.0.0.1:8080/x")
}

// Of several cookies each has its own path, and the order stays.
func TestAnswerCookies(t *testing.T) {
	rig := newRewriteRig(t, RewriteConfig{Path: "/api/*", Strip: "/api"})
	x, err := rig.ask(t, "/api/a", func(x *edge.Exchange) {
		for _, v := range []string{"a=1; Path=/", "b=2", "c=3; Path=/x"} {
			x.Response.Fields.Add("Set-Cookie", v)
		}
		x.Response.Fields.Add("Location", "")
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for v := range x.Response.Fields.Values("set-cookie") {
		got = append(got, v)
	}
	if want := "a=1; Path=/api|b=2|c=3; Path=/api/x"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A client of HTTP/1.0 may name no host.
func TestAnswerNoAuthority(t *testing.T) {
	rw, err := NewRewrite(RewriteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	x := &edge.Exchange{Request: edge.Request{Method: "GET", Scheme: "http", Path: "/"}}
	was, _ := rw.Request(x, nil)
	x.Request.Authority, x.Record.Endpoint = endpoint, endpoint
	x.Response.Fields.Add("Location", "http://10.0.0.1:8080//evil.test/x")
	rw.Answer(x, &was)
	if got := x.Response.Fields.Get("Location"); got != "/evil.test/x" {
		t.Errorf("got %q", got)
	}
}

// Where a strip is undone a browser that follows a redirect asks the origin for
// what the origin has named: back and forth is the identity.
func TestAnswerRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	configs := []RewriteConfig{
		{Path: "/api/*", Strip: "/api"},
		{AddPrefix: "/v2"},
		{Path: "/api/*", Strip: "/api", AddPrefix: "/v2/x"},
		{Path: "/old/{id}/*", Rewrite: "/new/{id}/$1"},
		{Path: "/old/*", Rewrite: "/new/$1"},
		{Rewrite: "/v2{path}"},
	}
	followed := 0
	for range 20_000 {
		rig := newRewriteRig(t, configs[r.IntN(len(configs))])
		words := []string{"a", "b", "c d", ".", "..", "%61", "e%2Ff", "", "n\u00e9"}
		start := map[string]string{"/": "", "/api/*": "/api", "/old/*": "/old", "/old/{id}/*": "/old/7"}[rig.cfg.Path] + randomPath(r, []string{"a", "b", "c", "%61"})
		ref := strings.TrimPrefix(randomPath(r, words), "/")
		if strings.HasPrefix(ref, "/") || ref == "" {
			continue
		}
		if i := r.IntN(3); i > 0 {
			ref = []string{"", "http://" + endpoint, ""}[i] + "/" + ref
		}
		var asked string
		x, err := rig.ask(t, start, func(x *edge.Exchange) {
			asked = x.Request.Path
			x.Record.Endpoint = endpoint
			x.Response.Fields.Add("Location", ref)
		})
		if err != nil {
			t.Fatal(err)
		}
		named := follow(t, "http://"+endpoint+asked, ref) // where the origin wants the client
		got := follow(t, "https://shop.test"+start, x.Response.Fields.Get("Location"))
		if got.Host != "shop.test" {
			t.Fatalf("%+v %s: Location %q of %q leads to %q", rig.cfg, start, x.Response.Fields.Get("Location"), ref, got)
		}
		p, err := Canonical(got.EscapedPath(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var captures Captures
		if _, ok := rig.table.Lookup(&x.Request, p.String(), &captures); !ok {
			continue // another route's
		}
		from := map[string]string{"/v2": "/v2/", "/v2/x": "/v2/x/"}[rig.cfg.AddPrefix]
		if rig.cfg.Rewrite != "" {
			from = map[string]string{"/old/*": "/new/", "/old/{id}/*": "/new/7/", "/": "/v2/"}[rig.cfg.Path]
		}
		want, err := Canonical(named.EscapedPath(), nil)
		if err != nil || !strings.HasPrefix(want.String(), from) {
			continue // nothing that the client can ask for
		}
		followed++
		if _, err := rig.ask(t, got.EscapedPath(), func(x *edge.Exchange) {
			if have, _ := Canonical(x.Request.Path, nil); merge(have.String()) != merge(want.String()) {
				t.Fatalf("%+v %s: %q becomes %q, which asks for %q, want %q", rig.cfg, start, ref, x.Response.Fields.Get("Location"), have, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if followed < 3000 {
		t.Errorf("only %d were followed", followed)
	}
}

// merge makes several slashes one: those that begin a path may have got lost, as
// they must not be taken for a host's.
func merge(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// follow resolves a reference as browsers do.
func follow(t *testing.T, base, ref string) *url.URL {
	t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Parse(strings.NewReplacer(" ", "%20", "\u00e9", "%C3%A9").Replace(ref))
	if err != nil {
		t.Fatal(err)
	}
	return u
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

// Whatever a client asks for and an origin answers, the request comes back, no
// field breaks a line that was whole, and a reference of the endpoint is one no
// more.
func FuzzAnswer(f *testing.F) {
	for _, s := range []struct{ path, value string }{
		{"/api/a", "/login"}, {"/api/a/b", "../x"}, {"/api/", "http://10.0.0.1:8080/x?y#z"}, {"/api/a", `http:\\10.0.0.1:8080`},
		{"/api/%2e%2e/a", "//10.0.0.1:8080"}, {"/api/a", "5; url='http://10.0.0.1:8080/"}, {"/api/a", "a=b; Path=/; Domain=10.0.0.1"}, {"/api//a", "?x"},
		{"/api/a", "http://a@10.0.0.1:8080@10.0.0.1:8080/"}, {"/api/..;/a", "./.././/"},
	} {
		f.Add(s.path, s.value)
	}
	var rigs []*rewriteRig
	for _, cfg := range []RewriteConfig{
		{}, {Strip: "/api"}, {AddPrefix: "/v2"}, {Strip: "/api", AddPrefix: "/v2"},
		{Path: "/api/{id}/*", Rewrite: "/new/{id}/$1"}, {Path: "/*", Rewrite: "/x/$1?{query}&p=$1"}, {Host: HostNamed, HostName: "in.test"},
		{Path: "/*", Rewrite: "/v2{path}", Host: HostEndpoint},
	} {
		rigs = append(rigs, newRewriteRig(f, cfg))
	}
	f.Fuzz(func(t *testing.T, path, value string) {
		p, err := Canonical(path, nil)
		if err != nil || path == "*" || strings.ContainsAny(path, "?#") {
			return
		}
		for _, rig := range rigs {
			if _, ok, err := rig.table.LookupPath(get(""), p, nil); !ok || err != nil {
				continue
			}
			x, err := rig.ask(t, path, func(x *edge.Exchange) {
				if q := x.Request.Path; !strings.HasPrefix(q, "/") || strings.HasPrefix(q, "//") && path[1] != '/' {
					t.Fatalf("%+v: %q asks for %q", rig.cfg, path, q)
				}
				asked, err := Canonical(x.Request.Path, nil)
				if err != nil {
					t.Fatalf("%+v: %q asks for %q: %v", rig.cfg, path, x.Request.Path, err)
				}
				if add := rig.cfg.AddPrefix; add != "" && !strings.HasPrefix(asked.String(), add+"/") {
					t.Fatalf("%+v: %q asks for %q", rig.cfg, path, asked)
				}
				x.Record.Endpoint = endpoint
				if x.Request.Authority == "" {
					x.Request.Authority = endpoint
				}
				for _, name := range []string{"Location", "Content-Location", "Refresh", "Set-Cookie"} {
					x.Response.Fields.Add(name, value)
				}
			})
			if err != nil {
				continue
			}
			for name, got := range x.Response.Fields.All() {
				if !strings.ContainsAny(value, "\r\n\x00") && strings.ContainsAny(got, "\r\n\x00") {
					t.Fatalf("%+v %q: %s %q becomes %q", rig.cfg, path, name, value, got)
				}
				if name == "Location" {
					if u, err := url.Parse(got); err == nil && u.Host == endpoint && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "") {
						t.Fatalf("%+v %q: %s %q becomes %q", rig.cfg, path, name, value, got)
					}
				}
			}
		}
	})
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
			t.Fatalf("%q without %q is %q, canonical %q, want %q", path, prefix, rest, got, fmt.Sprint(want))
		}
	})
}
