package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

const explained = `
admin: off
trust: [10.0.0.0/8]
tls: { internal: {} }
cache: { memory: 16MB }
sites:
  shop.test:
    name: shop
    aliases: [www.shop.test]
    routes:
      /:                { name: rest, to: one }
      GET /a:           { name: a, to: one }
      /a/:              { name: slash, to: one }
      /users/{id}:      { name: user, to: one }
      /users/me:        { name: me, when: { header: { X-Beta: "1" } }, to: one }
      POST /form:       { name: form, to: one, body: 10B }
      /stored/*:        { name: stored, to: one, cache: on }
      /split:           { name: split, split: { one: 100%, function:hello: 0% } }
      /hello:           { name: hello, function: hello }
      /pinned:          { name: pinned, function: hello@3 }
      /old/*:           { name: old, redirect: "https://new.test/$1" }
      /own:             { name: own, to: one, host: upstream, strip: /own }
      /filtered:        { name: filtered, to: one, filters: [f, f@3] }
  "*.apps.test":        { name: apps, to: one }
  "[2001:db8::1]":     { name: six, to: one }
  xn--caf-dma.test:    { name: cafe, to: one }
  "http://*:8081":     { name: any, to: one }
  "http://127.0.0.2:8082": { name: two, to: one }
  "http://127.0.0.3:8082": { name: three, to: one }
upstreams: { one: "127.0.0.1:7" }
filters:   { f: { wasm: uploaded } }
functions: { hello: { wasm: uploaded } }
listen:    { http: ":8080", https: ":8443" }
`

func explainedFile(t testing.TB) *config.File {
	t.Helper()
	dir := t.TempDir()
	file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(explained+"state: "+dir+"\n"), config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	return file
}

// asking reads "METHOD URL [Name=value]..." with @ADDRESS for the client.
func asking(line string) api.ExplainRequest {
	words := strings.Fields(line)
	r := api.ExplainRequest{Method: words[0], URL: words[1]}
	for _, w := range words[2:] {
		if client, ok := strings.CutPrefix(w, "@"); ok {
			r.Client = client
			continue
		}
		name, value, _ := strings.Cut(w, "=")
		r.Headers = append(r.Headers, api.Field{Name: name, Value: value})
	}
	return r
}

// What is explained, as one line: what is found, and how it ends.
func TestExplainFinds(t *testing.T) {
	file := explainedFile(t)
	check := func(ask, want string) {
		t.Helper()
		e, problems, err := server.Explain(file, asking(ask))
		if err != nil || problems.Failed() {
			t.Fatalf("%s: %v, %v", ask, err, problems)
		}
		got := fmt.Sprintf("%s %s/%s", e.Listener, e.Site, e.Route)
		if e.Answer != nil {
			got += fmt.Sprintf(" %d", e.Answer.Status)
			if e.Answer.Location != "" {
				got += " to " + e.Answer.Location
			}
		}
		if e.Request != nil {
			got += fmt.Sprintf(" asks %s%s %s%s", e.Function, upstreamOf(e.Upstream), e.Request.Host, e.Request.URI)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", ask, got, want)
		}
	}
	// URLs in all forms.
	check("GET http://shop.test/a", ":8080 shop/a asks one shop.test/a")
	check("GET shop.test/a", ":8080 shop/a asks one shop.test/a")
	check("GET //shop.test/a", ":8080 shop/a asks one shop.test/a")
	check("GET HTTP://SHOP.test/a", ":8080 shop/a asks one SHOP.test/a")
	check("GET shop.test:8080/a", ":8080 shop/a asks one shop.test:8080/a") // not a scheme
	check("GET localhost:8081/a", ":8081 any// asks one localhost:8081/a")
	check("GET 127.0.0.1:8081", ":8081 any// asks one 127.0.0.1:8081/")
	check("GET 127.0.0.2:8082/", "127.0.0.2:8082 two// asks one 127.0.0.2:8082/")
	check("GET 127.0.0.3:8082/", "127.0.0.3:8082 three// asks one 127.0.0.3:8082/")
	check("GET shop.test", ":8080 shop/rest asks one shop.test/")
	check("GET shop.test?q", ":8080 shop/rest asks one shop.test/?q")
	check("GET shop.test/x?u=http://other.test/a", ":8080 shop/rest asks one shop.test/x?u=http://other.test/a")
	check("GET shop.test/a#http://other.test/", ":8080 shop/a asks one shop.test/a")
	check("GET shop.test#/a", ":8080 shop/rest asks one shop.test/")
	check("GET shop.test./a", ":8080 shop/a asks one shop.test./a")
	check("GET http://[2001:db8::1]/", ":8080 six// asks one [2001:db8::1]/")
	check("GET http://[2001:db8::1]:8080/", ":8080 six// asks one [2001:db8::1]:8080/")
	check("GET xn--caf-dma.test/", ":8080 cafe// asks one xn--caf-dma.test/")
	check("GET https://shop.test/a", ":8443 shop/a asks one shop.test/a")
	check("GET http://shop.test:9999/a", ":8080 shop/a asks one shop.test:9999/a") // nobody listens there: a note
	check("GET http://127.0.0.1:8080/a Host=shop.test", ":8080 shop/a asks one shop.test/a")

	// Sites.
	check("GET www.shop.test/a?q=1", ":8080 shop/ 308 to http://shop.test/a?q=1")
	check("GET https://www.shop.test:8443/a", ":8443 shop/ 308 to https://shop.test:8443/a")
	check("GET x.y.apps.test/", ":8080 apps// asks one x.y.apps.test/")
	check("GET apps.test/", ":8080 / 404")
	check("GET https://nobody.test/", ":8443 / 421")

	// Routes, and what methods do.
	check("HEAD shop.test/a", ":8080 shop/a asks one shop.test/a")
	check("POST shop.test/a", ":8080 shop/rest asks one shop.test/a")
	check("get shop.test/a", ":8080 shop/rest asks one shop.test/a")
	check("OPTIONS shop.test", ":8080 shop/rest asks one shop.test*")
	check("OPTIONS shop.test/", ":8080 shop/rest asks one shop.test/")
	check("CONNECT shop.test:443", ":8080 / 501")
	check("GET shop.test/x/../a", ":8080 shop/a asks one shop.test/x/../a")
	check("GET shop.test/%61", ":8080 shop/a asks one shop.test/%61")
	check("GET shop.test/old/b?q=1", ":8080 shop/old 308 to https://new.test/b?q=1")
	check("GET shop.test/own", ":8080 shop/own asks one 127.0.0.1:7/")
	check("GET shop.test/users/me", ":8080 shop/user asks one shop.test/users/me")
	check("GET shop.test/users/me X-Beta=1", ":8080 shop/me asks one shop.test/users/me")
	check("GET shop.test/hello", ":8080 shop/hello asks hello shop.test/hello")
	check("GET shop.test/pinned", ":8080 shop/pinned asks hello@3 shop.test/pinned")
	check("GET shop.test/split", ":8080 shop/split asks one shop.test/split")
	check("GET shop.test/stored/x", ":8080 shop/stored asks one shop.test/stored/x")
	check("GET shop.test/stored/x Cache-Control=only-if-cached", ":8080 shop/stored 504")
	check("GET shop.test/filtered", ":8080 shop/filtered asks one shop.test/filtered")

	// What an engine refuses, and a limit.
	check("GET shop.test/%", ":8080 shop/ 400")
	check("GET shop.test/users/..%2fa", ":8080 shop/ 400")
	check("GET shop.test/a Host=a Host=b", ":8080 / 400")
	check("GET shop.test/a Host=a/b", ":8080 / 400")
	check("GET http://shop.test:port/a", ":8080 / 400")
	check("GET shop.test/a X(Y=1", ":8080 / 400")
	check("GET shop.test/a Content-Length=x", ":8080 / 400")
	check("GET shop.test/a Transfer-Encoding=gzip", ":8080 / 501")
	check("GET shop.test/a Expect=tea", ":8080 / 417")
	check("GET shop.test/"+strings.Repeat("a", 9000), ":8080 / 414")
	check("GET shop.test/a X="+strings.Repeat("a", 40_000), ":8080 / 431")
	check(strings.Repeat("A", 33)+" shop.test/a", ":8080 / 501")
	check("POST shop.test/form Content-Length=10", ":8080 shop/form asks one shop.test/form")
	check("POST shop.test/form Content-Length=11", ":8080 shop/form 413")
	check("POST shop.test/form Transfer-Encoding=chunked", ":8080 shop/form asks one shop.test/form")

	// A hop that is trusted speaks of the client's scheme.
	check("GET www.shop.test/ @10.0.0.1 X-Forwarded-Proto=https", ":8080 shop/ 308 to https://shop.test/")
	check("GET www.shop.test/ @192.0.2.1 X-Forwarded-Proto=https", ":8080 shop/ 308 to http://shop.test/")
}

func upstreamOf(d *api.Destination) string {
	if d == nil {
		return ""
	}
	return d.Name
}

// The reasons, in the words that people read.
func TestExplainSays(t *testing.T) {
	file := explainedFile(t)
	check := func(ask string, want ...string) {
		t.Helper()
		e, _, err := server.Explain(file, asking(ask))
		if err != nil {
			t.Fatalf("%s: %v", ask, err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s: no %q in\n%s", ask, w, show(e))
			}
		}
	}
	check("GET shop.test/a", `"site_why":"its host shop.test matches"`, `{"route":"rest","match":"/","why":"the path / is less specific than /a"}`,
		`{"route":"slash","match":"/a/","why":"its path /a/ has a slash at the end","near":true}`)
	check("GET shop.test/A", `{"route":"a","match":"GET /a","why":"its path /a is written in another case","near":true}`)
	check("POST shop.test/a", `{"route":"a","match":"GET /a","why":"wants method GET, the request's is POST"}`)
	check("GET shop.test/users/me", `"captures":[{"name":"id","value":"me"}]`, `"why":"wants field x-beta: 1, the request has none"`)
	check("GET shop.test/old/x/y", `"captures":[{"name":"$1","value":"x/y"}]`, `"why":"redirect"`)
	check("GET shop.test/forn", `"why":"its path /form is one letter away"`)
	check("GET www.shop.test/", `"site_why":"the host www.shop.test is an alias of it"`)
	check("GET shoop.test/", `"did you mean shop.test?"`, `"why":"find the site of shoop.test: destination_not_found"`)
	check("GET nobody.test:8081/", `"site_why":"its host * matches"`)
	check("GET other.test Host=127.0.0.2 @10.0.0.1", `find the site of 127.0.0.2`)
	check("GET http://shop.test:9999/a", `"notes":["nothing listens on port 9999: this is what :8080 would do"]`)
	check("GET shop.test/filtered", `"filters":[{"name":"f","version":0,"state":"offline","on_error":"deny"},{"name":"f","version":3,"state":"offline","pinned":true,"on_error":"deny"}]`, `filters are not run here`)
	check("GET shop.test/split", `"arm":"one","arm_why":"a newcomer, without our cookie sluice_split`)
	check("GET shop.test/stored/x", `"does":"miss","why":"nothing is stored under the key"`)
	check("POST shop.test/stored/x", `"does":"pass"`)
	check("GET shop.test/a Accept-Encoding=gzip", `"coding":"gzip"`, `{"name":"Accept-Encoding","value":"identity"}`)
	check("GET shop.test/a X-Forwarded-For=192.0.2.7 @10.0.0.1", `{"name":"X-Forwarded-For","value":"192.0.2.7, 10.0.0.1"}`, `{"name":"X-Real-IP","value":"192.0.2.7"}`)
	check("GET shop.test/a X-Forwarded-For=192.0.2.7", `{"name":"X-Forwarded-For","value":"127.0.0.1"}`)
	check("GET shop.test/a @2001:db8::7", `for=\"[2001:db8::7]\"`)
	check("GET shop.test/a X-Request-Id=mine @10.0.0.1", `{"name":"X-Request-Id","value":"mine"}`)
	check("GET shop.test/a X-Request-Id=mine", `{"name":"X-Request-Id","value":"(new)"}`)
	check("GET shop.test/%zz", `"status":400`, `"why":"find the route: http_request_error`)
}

// What is no request is refused, and said so shortly, whatever it is.
func TestExplainRefuses(t *testing.T) {
	file := explainedFile(t)
	check := func(r api.ExplainRequest, want string) {
		t.Helper()
		_, _, err := server.Explain(file, r)
		p, ok := errors.AsType[*api.Problem](err)
		if !ok || p.Status != 422 || !strings.Contains(p.Detail, want) || len(p.Detail) > 500 {
			t.Errorf("%.200q: got %v, want %q", r.URL, err, want)
		}
	}
	url := func(u string) api.ExplainRequest { return api.ExplainRequest{URL: u} }
	check(url(""), "has no host")
	check(url("/a"), "has no host")
	check(url("http://"), "has no host")
	check(url("http:///a"), "has no host")
	check(url("?q"), "has no host")
	check(url("ftp://shop.test/"), `"ftp://shop.test/" is no URL of http or https`)
	check(url("ftp://"+strings.Repeat("é", 1<<20)), "not ASCII")
	check(url("http://user:secret@shop.test/"), "the URL has a user or a password")
	check(url("http://café.test/"), "is no URL: it is not ASCII")
	check(url("http://shop.test/café"), "is no URL: it is not ASCII")
	check(url("http://shop.test/a b"), "white space or a control character")
	check(url("http://shop.test/a\r\nX: y"), "white space or a control character")
	check(url("http://shop.test/\x00"), "white space or a control character")
	check(api.ExplainRequest{URL: "shop.test", Client: "nobody"}, `"nobody" is no address`)
	check(api.ExplainRequest{URL: "shop.test", Client: strings.Repeat("1", 1<<20)}, "is no address")
	check(api.ExplainRequest{URL: "shop.test", Method: "GET / HTTP/1.1\r\nX: y\r\n"}, "has a line break")
	check(api.ExplainRequest{URL: "shop.test", Headers: []api.Field{{Name: "X: y\r\nZ", Value: "1"}}}, "is no name of a field")
	check(api.ExplainRequest{URL: "shop.test", Headers: []api.Field{{Name: "X", Value: "1\nY: 2"}}}, `the value of "X" has a line break`)
}

// Whatever is asked for, the answer is bounded by the limits of the file.
func FuzzExplainRequest(f *testing.F) {
	file := explainedFile(f)
	p := startIn(f, f.TempDir(), `
admin: off
trust: [10.0.0.0/8]
listen: { http: "127.0.0.1:0" }
sites:
  shop.test:
    aliases: ["*.shop.test"]
    routes:
      /:           { to: one, cache: on, rewrite: "/x{path}" }
      /users/{id}: { split: { one: 50%, two: 50% }, strip: /users, host: upstream }
      POST /form:  { to: one, body: 10B }
      /old/*:      { redirect: "/new/$1?{query}" }
  other.test: one
upstreams: { one: "127.0.0.1:7", two: "127.0.0.1:8" }
`)
	for _, s := range []string{
		"GET http://shop.test/a", "OPTIONS shop.test", "GET //shop.test:8080?q#f", "POST shop.test/form Content-Length=11", "GET http://[::1]:80/%2e%2e Host=x",
		"GET shop.test/users/%00 X-Forwarded-For=1.2.3.4 @10.0.0.1", "\x00 \xff://\xff/ \x01=\x02",
	} {
		r := asking(s)
		name, value := "", ""
		if len(r.Headers) > 0 {
			name, value = r.Headers[0].Name, r.Headers[0].Value
		}
		f.Add(r.Method, r.URL, name, value, r.Client)
	}
	f.Fuzz(func(t *testing.T, method, url, name, value, client string) {
		r := api.ExplainRequest{Method: method, URL: url, Client: client}
		if name != "" {
			r.Headers = []api.Field{{Name: name, Value: value}}
		}
		e, err := p.Explain(r)
		if err != nil {
			if problem, ok := errors.AsType[*api.Problem](err); !ok || len(problem.Error()) > 1000 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if most := 64<<10 + 12*len(url) + 12*len(value); len(text) > most {
			t.Fatalf("%d bytes", len(text))
		}
		if (e.Answer == nil) == (e.Request == nil) {
			t.Fatalf("neither an answer nor a request, or both: %s", text)
		}
		if _, problems, err := server.Explain(file, r); err != nil || problems.Failed() {
			t.Fatal(problems, err)
		}
	})
}

// Explaining a file runs nothing of it, binds nothing, and leaves nothing behind.
func TestExplainFileTouchesNothing(t *testing.T) {
	file := explainedFile(t)
	if _, _, err := server.Explain(file, asking("GET shop.test/")); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(file.State); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
