package route

import (
	"math/rand/v2"
	"net/url"
	pathpkg "path"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

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

// Whatever a client asks for and an origin answers, the request comes back, no
// field breaks a line that was whole, and a reference of the endpoint is one no
// more.
func FuzzAnswer(f *testing.F) {
	for _, s := range []struct{ path, value string }{
		{"/api/a", "/login"}, {"/api/a/b", "../x"}, {"/api/", "http://10.0.0.1:8080/x?y#z"}, {"/api/a", `http:\\10.0.0.1:8080`},
		{"/api/%2e%2e/a", "//10.0.0.1:8080"}, {"/api/a", "5; url='http://10.0.0.1:8080/"}, {"/api/a", "a=b; Path=/; Domain=10.0.0.1"}, {"/api//a", "?x"},
		{"/api/a", "http://a@10.0.0.1:8080@10.0.0.1:8080/"}, {"/api/..;/a", "./.././/"}, {"/;/..", ""},
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
				under := rig.cfg.AddPrefix + "/"
				if first, _, ok := strings.Cut(strings.TrimPrefix(rig.cfg.Rewrite, "/"), "/"); ok {
					under = "/" + strings.TrimSuffix(first, "{path}") + "/"
				}
				if !strings.HasPrefix(asked.String()+"/", under) || !strings.HasPrefix(liberally(x.Request.Path)+"/", under) {
					t.Fatalf("%+v: %q asks for %q, which is not below %q", rig.cfg, path, x.Request.Path, under)
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

// liberally returns the path that a server which takes every liberty at once finds
// in another.
func liberally(s string) string {
	s, _ = url.PathUnescape(s)
	segments := strings.Split(strings.ReplaceAll(s, `\`, "/"), "/")
	for i := range segments {
		segments[i], _, _ = strings.Cut(segments[i], ";")
	}
	return pathpkg.Clean("/" + strings.Join(segments, "/"))
}
