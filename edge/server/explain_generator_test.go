package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// generator makes configurations, requests and answers.
type generator struct {
	*rand.Rand
	seed    uint64
	files   map[string]string
	paths   [ports][]string // patterns of the routes behind each
	port    int             // of the site that is made
	before  []*request      // of this configuration
	cookies []string        // that the proxy has set
	ids     int             // request ids of trusted hops
}

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

// valid returns a configuration without a mistake: what does not go together is
// thrown away.
func (g *generator) valid(t testing.TB, y *party) string {
	t.Helper()
	var err error
	for range 50 {
		text := g.file()
		full := strings.NewReplacer(y.vars...).Replace(text) + "\nstate: " + filepath.Join(y.dir, "state") + "\n"
		_, problems := config.Parse(filepath.Join(y.dir, "sluice.yaml"), []byte(full), config.Options{})
		if !problems.Failed() {
			return text
		}
		err = problems.Err()
	}
	t.Fatalf("seed %d: no configuration is valid; the last: %v", g.seed, err)
	return ""
}

func (g *generator) file() string {
	g.files, g.paths, g.before = make(map[string]string), [ports][]string{}, nil
	var b strings.Builder
	b.WriteString("admin: off\nlisten: { http: \"127.0.0.1:$P3\" }\n")
	if g.one(2) {
		b.WriteString("trust: [127.0.0.0/8]\n")
	}
	b.WriteString(`functions: { script: { wasm: script.wasm, timeout: 10s } }
upstreams:
  one: $E0
  turns: [$E0, $E1 weight 3, $E2]
  idlest: { endpoints: [$E2, $E3, $E4 backup], balance: least-requests }
sites:
`)
	keys := []string{"http://*:$P0", "http://shop.test:$P1", "http://*.shop.test:$P1", "http://deep.a.shop.test:$P1", "http://*:$P1", "http://127.0.0.1:$P2", "plain.test", "*.plain.test"}
	g.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	used := keys[:1+g.IntN(5)]
	// Every port has somebody behind it.
	for _, must := range []string{"http://*:$P0", "http://*.shop.test:$P1", "http://127.0.0.1:$P2", "plain.test"} {
		if !slices.Contains(used, must) {
			used = append(slices.Clip(used), must)
		}
	}
	for i, key := range used {
		g.site(&b, i, key)
	}
	return b.String()
}

func (g *generator) site(b *strings.Builder, i int, key string) {
	fmt.Fprintf(b, "  %q:\n    name: s%d\n", key, i)
	g.port = ports - 1
	if _, n, ok := strings.Cut(key, ":$P"); ok {
		g.port = int(n[0] - '0')
	}
	if g.one(3) {
		fmt.Fprintf(b, "    aliases: [www%d.shop.test, %q]\n", i, pick(g, "old.test", "*.old.test", fmt.Sprintf("a%d.test", i)))
	}
	if g.one(4) {
		b.WriteString("    fields: { request: { set: { X-Set: site } }, response: { set: { X-Site: yes } } }\n")
	}
	if g.one(4) {
		fmt.Fprintf(b, "    compress: %s\n", pick(g, "off", "{ prefer: [gzip], min: 10B }"))
	}
	b.WriteString("    routes:\n")
	if g.one(2) {
		g.route(b, "rest", pick(g, "/", "/*"))
	}
	routes := []string{"/a", "/a/", "/a/*", "GET /a", "/users/{id}", "/users/me", "/users/{id}/posts/*", "/files/{path...}", "GET,POST /form", "DELETE /form", "/b/c", "/b/{x}/d", "/B/c", "/x%20y", "/b/*"}
	g.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
	for n, key := range routes[:2+g.IntN(8)] {
		g.route(b, fmt.Sprintf("r%d", n), key)
	}
}

func (g *generator) route(b *strings.Builder, name, key string) {
	path := key[strings.IndexByte(key, '/'):]
	g.paths[g.port] = append(g.paths[g.port], path)
	parts := []string{"name: " + name}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if g.one(4) {
		add("when: %s", pick(g, `{ header: { X-Beta: "1" } }`, `{ query: { v: "2" } }`, `{ cookie: { plan: pro } }`, `{ header: { X-Beta: "1" }, query: { v: "2" } }`))
	}
	if g.one(6) {
		add("fields: %s", pick(g,
			`{ request: { set: { X-Set: route, Authorization: Basic YTpi }, add: { X-Add: [a, b] }, remove: [Cookie, X-Beta] } }`,
			`{ request: { remove: [X-Request-Id, Forwarded, Via] } }`,
			`{ response: { set: { X-From: route }, remove: [Server] } }`,
			`{ response: { set: { Location: /elsewhere } } }`))
	}
	if g.one(6) {
		add("body: %s", pick(g, "4B", "10B", "1KB"))
	}
	switch g.IntN(12) {
	case 0:
		add("redirect: %s", pick(g, `"/new{path}"`, `"https://other.test{path}?x={query}"`, "{ to: /there, status: 302 }", `"http://{host}/new"`))
	case 1:
		n := len(g.files)
		file := fmt.Sprintf("map-%d.txt", n)
		g.files[file] = fmt.Sprintf("/m%d /n\n/old/%d/* /new/$1 301\n/u%d/{id} https://u.test/{id} 302\n", n, n, n)
		parts = append(parts[:1:1], fmt.Sprintf("redirect: { map: %s }", file))
		g.paths[g.port] = append(g.paths[g.port], fmt.Sprintf("/m%d", n), fmt.Sprintf("/old/%d/*", n), fmt.Sprintf("/u%d/{id}", n))
	case 2:
		add("respond: %s", pick(g, "204", "{ status: 418, body: tea }", "{ body: hi, fields: { X-Own: a } }"))
	case 3, 4, 5:
		arms := []string{"one", "turns", "idlest", "function:script"}
		g.Shuffle(len(arms), func(i, j int) { arms[i], arms[j] = arms[j], arms[i] })
		share := pick(g, 50, 70, 100)
		add("split: { %q: %d%%, %q: %d%%, %q: 0%% }", arms[0], share, arms[1], 100-share, arms[2])
		if by := pick(g, "", "cookie", "cookie sid", "header X-User", "client", "chance"); by != "" {
			add("by: %s", by)
		}
		g.behind(add, path)
	default:
		add("to: %s", pick(g, "one", "turns", "turns", "idlest", "idlest", "$E3", "function:script"))
		g.behind(add, path)
	}
	fmt.Fprintf(b, "      %q: { %s }\n", key, strings.Join(parts, ", "))
}

// behind adds what only routes have that ask somebody.
func (g *generator) behind(add func(string, ...any), path string) {
	if !g.one(3) {
		add("cache: %s", pick(g, "on", "1h"))
	}
	if g.one(5) {
		add("compress: %s", pick(g, "off", "{ prefer: [zstd, gzip], min: 10B }"))
	}
	if g.one(4) {
		add("host: %s", pick(g, "upstream", "in.test", "keep"))
	}
	if g.one(6) {
		add("retry: %s", "2 times on connect")
	}
	if g.one(8) {
		add("rewrite-answers: no")
	}
	switch g.IntN(6) {
	case 0:
		if i := strings.IndexByte(path[1:], '/'); i > 0 {
			add("strip: %s", path[:i+1])
		}
	case 1:
		add("add-prefix: %s", pick(g, "/v2", "/caf%C3%A9"))
	case 2:
		tail := pick(g, "/w{path}", "/fixed", "/fixed?own=1")
		switch {
		case strings.Contains(path, "{id}"):
			tail = pick(g, tail, "/person/{id}", "/person?id={id}&{query}")
		case strings.HasSuffix(path, "*"):
			tail = pick(g, tail, "/to/$1")
		}
		add("rewrite: %q", tail)
	}
}

// request returns a request for something near to the routes.
func (g *generator) request() *request {
	if len(g.before) > 0 && !g.one(3) {
		// The same place again, as often it is for the same thing.
		r := *pick(g, g.before...)
		if r.fields, r.body = nil, ""; r.target != "*" && g.one(4) {
			r.method = "GET"
		}
		g.describe(&r)
		return &r
	}
	r := &request{port: g.IntN(ports), inURL: g.one(3)}
	r.method = pick(g, "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", pick(g, "get", "BREW", "CONNECT"))
	hosts := [ports][]string{
		{"any.test", "shop.test", "www0.shop.test", "127.0.0.1:$P0"},
		{"shop.test", "SHOP.test:$P1", "a.shop.test", "deep.a.shop.test", "x.deep.a.shop.test", "shop.test.", "www1.shop.test", "nobody.test", "[::1]:$P1", "a1.test:$P1"},
		{"127.0.0.1:$P2", "127.0.0.1", "nobody.test", "www2.shop.test"},
		{"plain.test", "x.plain.test", "plain.test:$P3", "old.test", "y.old.test", "nobody.test", "a3.test"},
	}
	r.host = pick(g, hosts[r.port]...)
	if r.inURL { // the URL has to lead to the port
		if _, _, ok := strings.Cut(strings.TrimPrefix(r.host, "[::1]"), ":"); !ok {
			r.host += fmt.Sprintf(":$P%d", r.port)
		}
	}
	if r.port == 2 && r.inURL {
		r.host = "127.0.0.1:$P2"
	}
	r.target = g.target(r.port)
	if r.method == "OPTIONS" && g.one(3) {
		r.target = "*"
	}
	g.before = append(g.before, r)
	g.describe(r)
	return r
}

func (g *generator) target(port int) string {
	path := pick(g, g.paths[port]...)
	for strings.Contains(path, "{") {
		i, j := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		path = path[:i] + pick(g, "7", "7", "me", "x%20y", "a%2Fb", "..", "c;d", "caf%C3%A9") + path[j+1:]
	}
	if rest, ok := strings.CutSuffix(path, "*"); ok {
		path = rest + pick(g, "", "z", "x/y", "%7Ea", "a//b", "../up", "./here", "a%2e%2e/b", "..%2fup")
	}
	switch g.IntN(24) {
	case 0:
		path += "/"
	case 1:
		path = "/." + path
	case 2:
		path = "/q/.." + path
	case 3:
		path = "/" + path
	case 4:
		path = strings.ToUpper(path)
	case 5:
		path = strings.Replace(path, "a", "%61", 1)
	case 6:
		path += pick(g, "%", "%zz", "%00", "\\x", "%5c", ";p=1", "%2f", "x")
	}
	return path + pick(g, "", "", "", "?hv", "?hv", "?ho", "?v=2", "?v=2&v=3", "?x=a%20b&v=2", "?")
}

// describe adds fields, and content.
func (g *generator) describe(r *request) {
	add := func(name, value string) { r.fields = append(r.fields, api.Field{Name: name, Value: value}) }
	maybe := func(n int, name string, values ...string) {
		if g.one(n) {
			add(name, pick(g, values...))
		}
	}
	options := "close" // so that its end tells the exchange's
	if g.one(6) {
		options += ", X-Drop"
		add("X-Drop", "1")
	}
	if g.one(15) {
		options += ", upgrade"
		add("Upgrade", pick(g, "chat", "h2c"))
	}
	add("Connection", options)
	maybe(3, "Accept-Encoding", "gzip", "br, gzip;q=0.5", "zstd", "identity", "*", "gzip;q=0", "x-unknown")
	maybe(4, "X-Beta", "1", "2")
	maybe(3, "X-User", "ann", "bob", "")
	maybe(4, "Cookie", "plan=pro", "plan=free; sid=1", "sid=2", "sid=3; plan=pro")
	if len(g.cookies) > 0 && g.one(2) {
		add("Cookie", pick(g, g.cookies...))
	}
	maybe(4, "Cache-Control", "no-cache", "no-store", "max-age=0", "max-stale", "max-stale", "only-if-cached", "no-transform", "min-fresh=999999")
	maybe(8, "Range", "bytes=0-9", "bytes=5-")
	maybe(8, "If-None-Match", `"one"`, `"other"`, "*")
	maybe(12, "If-Match", `"one"`)
	maybe(12, "If-Modified-Since", "Mon, 02 Jan 2023 15:04:05 GMT")
	maybe(5, "X-Forwarded-For", "192.0.2.1", "192.0.2.1, 127.0.0.2", "nonsense", "[2001:db8::1]:80")
	maybe(8, "X-Forwarded-Proto", "https", "http", "gopher")
	maybe(8, "X-Forwarded-Host", "shown.test")
	maybe(8, "Forwarded", "for=192.0.2.9;proto=https", `for="[2001:db8::2]"`)
	maybe(10, "X_Under", "1")
	maybe(10, "X-Sluice-Arm", "one", "turns")
	maybe(12, "TE", "trailers")
	maybe(12, "Proxy", "http://evil.test")
	maybe(40, "Expect", "200-ok")
	maybe(60, "Bad Name", "x")
	if !r.inURL { // a field would replace that host
		maybe(60, "Host", "second.test")
	}
	if g.one(6) {
		g.ids++
		add("X-Request-Id", fmt.Sprintf("hop-%d-%d-%d", g.seed, g.ids, g.Uint32()))
	}
	switch {
	case r.method == "CONNECT": // refused, so that nobody reads it
	case (r.method == "POST" || r.method == "PUT") && g.one(2), g.one(25):
		r.body = pick(g, "abc", "0123456789", strings.Repeat("x", 50))
		add("Content-Length", fmt.Sprint(len(r.body)))
	}
}

// answer returns what the origin is to say next.
func (g *generator) answer() (code int, body string, fields http.Header) {
	code = pick(g, 200, 200, 200, 200, 200, 404, 500, 301)
	body = pick(g, "small", strings.Repeat("large ", 400))
	fields = http.Header{"Content-Type": {pick(g, "text/plain", "text/plain", "image/png")}, "X-Large": {"no"}}
	if len(body) > 1024 {
		fields.Set("X-Large", "yes")
	}
	set := func(name string, values ...string) {
		if v := pick(g, values...); v != "" {
			fields.Set(name, v)
		}
	}
	set("Cache-Control", "", "", "max-age=600", "max-age=600", "max-age=0", "no-store", "private", "no-cache", "max-age=600, must-revalidate")
	set("Etag", "", `"one"`, `"one"`, `"two"`)
	set("Vary", "", "", "", "X-User", "Accept-Encoding", "X-Beta, Cookie")
	set("Last-Modified", "", "", "Mon, 02 Jan 2023 15:04:05 GMT")
	set("Set-Cookie", "", "", "", "sid=9; Path=/")
	if code == 301 {
		fields.Set("Location", pick(g, "/moved", "http://in.test/x"))
	}
	return code, body, fields
}
