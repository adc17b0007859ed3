package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/server"
)

const guestsFile = `
sites:
  http://$PORT:
    filters: f
    routes:
      /: app
      /cached: { to: app, cache: 1h }
      /split: { split: { a: 100%, b: 0% } }
upstreams: { app: $APP, other: $OTHER, api: $API, a: $APP, b: $OTHER }
functions: { other: { wasm: answer.wasm } }
filters:
  f: { wasm: sluice-filter.wasm, timeout: 10s, allow: { kv: [hits], fetch: [api], metrics: on, route: on, hints: on, secrets: { key: file:key } } }
`

// A filter uses each capability of the module "sluice", of a proxy over sockets, and
// what lasts is there after a restart.
func TestGuests(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sluice-filter", "answer"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says := func(what string) string {
		return origin(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", what, r.Host)
		})
	}
	app, other := says("app"), says("other")
	fetched := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(202)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("Accept"), r.Header.Get("X-Forwarded-For"))
	})
	addr := port(t)
	start := func() *proxy {
		return startIn(t, dir, guestsFile, "$PORT", addr, "$APP", app, "$OTHER", other, "$API", fetched)
	}
	p := start()
	hints := ""
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints += fmt.Sprint(code, " ", h.Get("Link"))
		return nil
	}})
	ask := func(path, field, want, content string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		rec := httptest.NewRecorder()
		if _, err := rec.Body.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get(field); got != want {
			t.Errorf("%s: %s is %q, want %q", path, field, got, want)
		}
		if got, _, _ := strings.Cut(rec.Body.String(), " "); got != content {
			t.Errorf("%s: got content of %q, want %q", path, got, content)
		}
	}
	ask("/", "X-Hits", "1", "app")
	if hints != "103 </a.css>; rel=preload" {
		t.Errorf("hints are %q", hints)
	}
	ask("/", "X-Secret", "hunter2", "app")
	ask("/", "X-Client", "127.0.0.1", "app")
	ask("/", "X-Route", "/", "app")
	ask("/", "X-Fetched", "202 GET api /fetched?x=1 text/plain", "app")
	ask("/?a", "X-Chosen", "-1", "app") // there is no split
	ask("/?u", "X-Chosen", "0", "other")
	ask("/split?a", "X-Chosen", "0", "other")
	ask("/split", "X-Chosen", "0", "app")
	// What a filter has chosen is neither stored nor answered from the store.
	ask("/cached?u", "X-Chosen", "0", "other")
	ask("/cached?u", "Cache-Status", "", "other")
	ask("/cached", "X-Chosen", "0", "app")
	e, err := p.Explain(asking("GET " + addr + "/"))
	if notes := strings.Join(e.Notes, "\n"); err != nil || !strings.Contains(notes, "allow: { route: yes } lets f have another upstream or function answer") {
		t.Errorf("explain notes %s, %v", notes, err)
	}
	if t.Failed() {
		t.Logf("the log is\n%s", p.log)
	}
	scrape := httptest.NewRecorder()
	metrics.Handler(p.Metrics, metrics.Config{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`sluice_guest_seen_total{filter="f",kind="test"} 12`,
		`sluice_guest_sizes_bucket{filter="f",le="4"} 0`,
		`sluice_guest_sizes_bucket{filter="f",le="8"} 12`,
		`sluice_guest_sizes_sum{filter="f"} 60`,
	} {
		if !strings.Contains(scrape.Body.String(), want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if log := p.access.String(); !strings.Contains(log, `"guest":{"user":"ann","late":"-8"}`) || !strings.Contains(log, `"upstream":"other"`) {
		t.Errorf("the access log is\n%s", log)
	}
	p = start()
	ask("/", "X-Hits", "13", "app")
	keys, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if e, err := keys.Get("hits", "n"); err != nil || string(e.Value) != "13" {
		t.Errorf("got %q, %v", e.Value, err)
	}
}

// A module that imports what its filter is not allowed is refused, with the line to
// write.
func TestGuestsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sluice-filter.wasm"), module(t, "sluice-filter"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := "sites: { \"http://127.0.0.1:0\": { respond: 200, filters: f } }\nfilters: { f: { wasm: sluice-filter.wasm, allow: { metrics: on, route: on, hints: on } } }\nstate: " + filepath.Join(dir, "state") + "\n"
	file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	s, problems, err := server.New(file, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !problems.Failed() {
		s.Close()
	}
	for _, want := range []string{"sluice.yaml:2:", "imports sluice.kv_add, and is not allowed to", `allow: { kv: [NAMESPACE] }`, `allow: { fetch: [UPSTREAM] }`, `secrets: { NAME: env:VARIABLE }`} {
		if !strings.Contains(problems.String(), want) {
			t.Errorf("got\n%s\nwant it to have %s", problems, want)
		}
	}
	if text := problems.String(); !strings.Contains(text, "; imports sluice.") || strings.Contains(text, `\x0a`) {
		t.Errorf("got\n%s\nwant the reasons on one line", text)
	}
	if strings.Contains(problems.String(), "metrics: yes") {
		t.Errorf("got\n%s\nwhat is allowed is no problem", problems)
	}
	// So it is when it is uploaded.
	p := startIn(t, t.TempDir(), "sites: { \"http://127.0.0.1:0\": { respond: 200 } }")
	_, _, err = p.PushFilter(context.Background(), "g", strings.NewReader(string(module(t, "sluice-filter"))), api.Use{})
	if err == nil || !strings.Contains(err.Error(), "sluice.kv_add") {
		t.Errorf("uploaded: %v", err)
	}
}

// A store of keys that cannot be opened keeps those from running that are allowed keys, and
// nobody else; who would use it in a running proxy is refused.
func TestKeysDamaged(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"header-set", "answer"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const text = `
sites:
  http://$PORT:
    routes:
      /: { to: $APP, filters: [f] }
      /fn: "function:fn"
      /other: $APP
filters:   { f: { wasm: header-set.wasm, allow: { kv: [a] } } }
functions: { fn: { wasm: answer.wasm, allow: { kv: [a] } } }
`
	addr, app := port(t), origin(t, func(http.ResponseWriter, *http.Request) {})
	status := func(path string) int {
		t.Helper()
		res, _ := get(t, http.DefaultClient, "http://"+addr+path)
		return res.StatusCode
	}
	p := startIn(t, dir, text, "$PORT", addr, "$APP", app)
	if got := status("/"); got != 200 {
		t.Errorf("at first: %d", got)
	}
	keys := filepath.Join(dir, "state", "kv")
	p.Close()
	if err := os.Truncate(keys, 8<<10); err != nil {
		t.Fatal(err)
	}
	p = startIn(t, dir, text, "$PORT", addr, "$APP", app)
	for path, want := range map[string]int{"/": 500, "/fn": 500, "/other": 200} {
		if got := status(path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	f, err := p.Filter("f")
	if err != nil || !strings.Contains(f.Damage, keys+": the file is damaged") {
		t.Errorf("the filter is %+v, %v", f, err)
	}
	if !strings.Contains(p.log.String(), "a filter denies all its requests") {
		t.Errorf("the log is\n%s", p.log)
	}
}
