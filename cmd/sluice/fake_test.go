package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// now is the time of these tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	liveVersion = api.ModuleVersion{Filter: "auth", Version: 3, Live: true, Digest: "sha256:0f343b0931126a20f133d67c2b018a3b5f1e7a8f8e6f1d1a1f4a0c8f7f6d5e4c", ABI: "http-wasm",
		Bytes: 318_000, Imports: []string{"http_handler.get_header", "http_handler.log"}, CompileMS: 12.345, Uploaded: now.Add(-90 * time.Minute), Source: "api"}
	firstVersion = api.ModuleVersion{Filter: "auth", Version: 2, Digest: "sha256:aa343b0931126a20", ABI: "http-wasm", Bytes: 1000, Uploaded: now.Add(-50 * time.Hour), Source: "file"}
	authFilter   = api.Filter{Name: "auth", Live: 3, Routes: []string{"shop/checkout", "shop/cart", "a-rather-long-name.example.com/of/a/route/*"}, Runs: 1234567, Failures: 3, Versions: []api.ModuleVersion{liveVersion, firstVersion}}
	evilFilter   = api.Filter{Name: "evil\x1b[2J", Versions: []api.ModuleVersion{firstVersion}}
	helloVersion = api.ModuleVersion{Function: "hello", Version: 1, Live: true, Digest: "sha256:0f343b0931126a20f133d67c2b018a3b5f1e7a8f8e6f1d1a1f4a0c8f7f6d5e4c", ABI: "wasi", Bytes: 18_000, Uploaded: now.Add(-time.Minute), Source: "api"}
	helloFn      = api.Function{Name: "hello", Live: 1, Routes: []string{"shop/hello"}, Runs: 12, Running: 2, Versions: []api.ModuleVersion{helloVersion}}
	sweepFn      = api.Function{Name: "sweep", Live: 1, Runs: 12, Versions: []api.ModuleVersion{helloVersion}, Schedule: &api.Schedule{
		Every: "5m", Next: now.Add(3*time.Minute + 10*time.Second), Runs: 12, Failures: 1, Skipped: 2, Last: &api.ScheduledRun{
			Due: now.Add(-110 * time.Second), Began: now.Add(-110 * time.Second), MS: 12.3, ID: "4c9d21f0e5a7b8c6d1e2f3a4", Version: 1, Status: 503, Error: "it has answered with 503"}}}
	mailFn = api.Function{Name: "mail", Live: 1, Routes: []string{"shop/mail"}, Versions: []api.ModuleVersion{helloVersion}, Schedule: &api.Schedule{
		Every: "1h", Next: now.Add(50 * time.Minute), Running: true}}
	idleFn = api.Function{Name: "日本", Versions: []api.ModuleVersion{helloVersion}}

	canaryDeployment = api.Deployment{Versions: []api.Deployed{{Version: 2, Percent: 95, Requests: 123_456, Errors: 12, Mean: 0.0123, P95: 0.034}, {Version: 3, Percent: 5, Requests: 6500, Errors: 130, Traps: 7, Mean: 0.0251, P95: 1.25, WhyFresh: "changes a table by table.set"}},
		Shadow: 4, Guard: "roll back if traps > 0.1% or errors > 1% or time > 2x over 5m after 200 requests", Since: now.Add(-25 * time.Minute)}
	canaryFilter = api.Filter{Name: "canary", Live: 2, Routes: []string{"shop/checkout"}, Runs: 129_956, Failures: 7, Deployment: canaryDeployment,
		Versions: []api.ModuleVersion{{Version: 4, Shadow: true, ABI: "http-wasm", Bytes: 3000, Uploaded: now.Add(-time.Minute), Source: "api"}, {Version: 3, Live: true, Percent: 5, ABI: "http-wasm", Bytes: 2000, Uploaded: now.Add(-time.Hour), Source: "api"}, {Version: 2, Live: true, Percent: 95, ABI: "http-wasm", Bytes: 1000, Uploaded: now.Add(-50 * time.Hour), Source: "file"}}}
	leftFilter = api.Filter{Name: "left", Live: 2, Routes: []string{"shop/checkout"}, Versions: []api.ModuleVersion{firstVersion},
		Deployment: api.Deployment{Versions: []api.Deployed{{Version: 2, Percent: 100}}, Guard: "roll back if traps > 0.1%", Since: now.Add(-time.Minute),
			RolledBack: &api.RolledBack{From: 3, To: 2, Reason: "traps 4% > 0.1%: 20 of 500 requests, of the older version 0 of 9500", Time: now.Add(-time.Minute), Unsaved: "open /var/lib/sluice/files/0f34/overlays.json: no space left on device"}},
		Damage: "/var/lib/sluice/modules/modules/0f34.wasm: has been changed: upload the module again\x1b[2J"}
	backFilter = api.Filter{Name: "back", Live: 2, Deployment: leftFilter.Deployment}
	shadowed   = api.Shadow{Version: 4, Since: now.Add(-time.Hour), Same: 12_345, Differs: 3, Failed: 1, Dropped: map[string]uint64{"busy": 17, "large": 2}, Kinds: map[string]uint64{"status": 2, "verdict": 1, "fields": 2},
		LiveMean: 0.0123, ShadowMean: 0.25, Differences: []api.Difference{
			{Time: now.Add(-3 * time.Second), ID: "01JX4", Method: "GET", Target: "/checkout/basket?step=2&evil=\x1b[2J", Live: 2, Kinds: []string{"verdict"}, Details: []string{"goes on; in shadow it answers 401"}},
			{Time: now.Add(-90 * time.Second), ID: "01JX3", Method: "POST", Target: "/checkout", Live: 3, Kinds: []string{"status", "fields"}, Details: []string{"status: 200; in shadow 302", `field Location: none; in shadow "/login?back=/checkout/with/a/rather/long/path/that/does/not/fit/on/a/line"`, "field Set-Cookie: (redacted); in shadow none"}},
		}}

	checkoutSplit = api.Split{Route: "checkout", By: "cookie sid", Arms: []api.Arm{{Name: "shop", Share: 95, Requests: 9500, Errors: 19}, {Name: "shop-v2", Share: 5}}}
	threeSplit    = api.Split{Route: "three", By: "chance", Arms: []api.Arm{{Name: "a", Share: 50}, {Name: "b", Share: 30}, {Name: "c", Share: 20}}}

	busy = api.Latest{Requests: 12_600, Rate: 210.04, Errors: 0.0021, P50: 1.234, P95: 8.15, P99: 22.4, Max: 1310.5}

	allRoutes = []api.Route{
		{ID: "shop/", Site: "shop", Route: "/", Match: "/", Target: "shop"},
		{ID: "shop/checkout", Site: "shop", Route: "checkout", Match: "/checkout/*", Target: "shop 95%, shop-v2 5%", Filters: []string{"auth@3", "headers"}, Overlaid: true},
		{ID: "shop/hello", Site: "shop", Route: "hello", Match: "GET,HEAD /hello", When: []string{"header x-beta: 1", "query v: 2"}, Target: "function:hello"},
		{ID: "api.example.com/", Site: "api.example.com", Route: "/", Match: "/", Target: "redirect 308 to https://example.com/a/rather/long/way/$1"},
	}

	explained = api.Explanation{
		Listener: "[::]:443", Site: "shop", SiteWhy: "its host example.com matches", Route: "checkout", Match: "/checkout/*",
		Captures: []api.Field{{Name: "$1", Value: "basket"}},
		Others: []api.Candidate{
			{Route: "/", Match: "/", Why: "the path / is less specific than /checkout/*"},
			{Route: "beta", Match: "POST /checkout/{step}", Why: "wants the method POST, the request has GET; and the field x-beta: 1, which it has not either", Near: true},
		},
		Arm: "shop-v2", ArmWhy: "the cookie sid has the value that is dealt this arm (5%)",
		Filters:  []api.FilterRun{{Name: "auth", Version: 3, Pinned: true, State: api.FilterLive, OnError: "deny"}, {Name: "headers", Version: 1, Why: "the hash of the client's address falls into its 95%", Shadow: 3, State: api.FilterLive, OnError: "skip"}, {Name: "gone", State: api.FilterDamaged, OnError: "skip"}, {Name: "new", State: api.FilterMissing, OnError: "skip"}},
		Coding:   "br",
		Cache:    &api.CacheCase{Key: "shop-v2 https://example.com/checkout/basket", Does: "revalidate", Why: "what is stored is stale since 12s", Age: 612.5, TTL: -12.5},
		Upstream: &api.Destination{Name: "shop-v2", Balance: "least-requests", Endpoints: []api.Eligible{{Address: "10.0.0.11:8080", Usable: true}, {Address: "10.0.9.1:8080", Usable: true, Why: "backup"}, {Address: "10.0.0.12:8080", Why: "suspended for 3s more: connection_refused"}}},
		Request:  &api.Sent{Method: "GET", Host: "example.com", URI: "/v2/basket", Fields: []api.Field{{Name: "X-Forwarded-For", Value: "127.0.0.1"}, {Name: "X-Evil", Value: "\x1b[2J"}}},
		Notes:    []string{"filters are not run here: one may answer, change the request so that it becomes another route's, or choose another arm"},
	}

	// Nothing is asked, for three reasons; and somebody, though none is fit.
	explainedHit = api.Explanation{Listener: "[::]:443", Site: "shop", Route: "/", Match: "/", Coding: "br",
		Cache:    &api.CacheCase{Key: "https://example.com/hit", Does: "hit", Why: "what is stored is fresh", Age: 12.5, TTL: 588},
		Upstream: &api.Destination{Name: "shop", Balance: "round-robin", Endpoints: []api.Eligible{{Address: "10.0.0.11:8080", Usable: true}}}}
	explainedOnly = api.Explanation{Listener: "[::]:443", Site: "shop", Route: "/", Match: "/",
		Cache:    &api.CacheCase{Key: "https://example.com/only", Does: "miss", Why: "nothing is stored under the key; it is answered with 504, since the client wants only what is stored (only-if-cached)"},
		Upstream: explainedHit.Upstream, Answer: &api.Fixed{Status: 504, Why: "only-if-cached"}}
	explainedMissing = api.Explanation{Listener: "[::]:443", Site: "shop", Route: "/", Match: "/", Function: "hello@3",
		Filters: []api.FilterRun{{Name: "new", State: api.FilterMissing, OnError: "deny"}}, Answer: &api.Fixed{Status: 500, Why: "run the filter new, of which no module has been uploaded: proxy_internal_error"}}
	explainedDown = api.Explanation{Listener: "[::]:443", Site: "shop", Route: "/", Match: "/",
		Upstream: &api.Destination{Name: "shop", Balance: "round-robin", Endpoints: []api.Eligible{
			{Address: "10.0.0.12:8080", Why: "suspended for 3s more: connection_refused"}, {Address: "10.0.0.11:8080", Why: "suspended for 4s more: connection_refused"}}},
		Request: &api.Sent{Method: "GET", Host: "example.com", URI: "/chat", Upgrade: "websocket"}}

	configuration = api.Configuration{
		File: "/etc/sluice.yaml", ETag: "e1",
		Texts:     []api.Text{{Name: "/etc/sluice.yaml", Text: "# the shop\nsites:\n  shop: 127.0.0.1:1\n"}, {Name: "/etc/more.yaml", Text: "same: yes\n"}},
		Effective: []api.Text{{Name: "/etc/sluice.yaml", Text: "# the shop\nsites:\n  shop: 127.0.0.1:2 # \x1b[2J\n"}, {Name: "/etc/more.yaml", Text: "same: yes\n"}},
		Overlays:  []api.Overlay{{Kind: "route", Name: "shop/hello", Since: now.Add(-5 * time.Minute), Value: json.RawMessage(`{"function":"hello"}`)}},
	}

	wrong = api.Problem{Title: "error", File: "sluice.yaml", Line: 14, Column: 15, Detail: `no upstream "api-v3"`, Hint: "have api"}
)

// fakeAPI is an admin API with fixed answers.
func fakeAPI(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	handle := func(pattern string, status int, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { answer(w, status, v) })
	}
	handle("GET /v1/status", 200, api.Status{
		Version: api.Version{Version: "v0.1.0", Revision: "0123456789abcdef", Go: "go1.26", Platform: "linux/amd64"},
		Started: now.Add(-3*time.Hour - 4*time.Minute), Ready: true, Requests: 1234567, Errors: 12, Latest: busy,
		Config: api.Config{File: "/etc/sluice.yaml", Loaded: now.Add(-5 * time.Minute), Reloads: 1, Overlays: 2,
			Problem: &api.Problem{Title: "the file is wrong", Problems: []api.Problem{wrong}}},
		Listeners:   []api.Listener{{Name: ":443", Address: "https://[::]:443", Protocols: []string{"http/1.1", "h2", "h3"}}},
		Connections: []api.Connections{{Protocol: "h2", Open: 12, Active: 3}, {Protocol: "http/1.1", Open: 4, Tunnels: 1}},
		Routes:      []api.RouteStatus{{Route: "shop/checkout", Requests: 1234567, Errors: 12, Latest: busy}, {Route: "a-rather-long-name.example.com/of/a/route/*", Requests: 1}},
		Upstreams: []api.Upstream{{Name: "shop", Latest: busy, Endpoints: []api.Endpoint{
			{Address: "10.0.0.11:8080", Weight: 1, Active: 2, Idle: 7, Requests: 999_999},
			{Address: "10.0.9.1:8080", Weight: 1, Backup: true, Errors: 1}}}},
		Splits: []api.Split{checkoutSplit}, Filters: []api.Filter{authFilter, evilFilter}, Functions: []api.Function{helloFn, sweepFn, idleFn},
		Cache: &api.Cache{Bytes: 300 << 20, Limit: 512 << 20, Entries: 4321, Hits: 100_000, Misses: 1},
	})
	for _, k := range []struct {
		path      string
		all, live any
		version   api.ModuleVersion
	}{{"filters", []api.Filter{authFilter, canaryFilter, evilFilter, leftFilter, backFilter}, authFilter, firstVersion}, {"functions", []api.Function{helloFn, sweepFn, mailFn, idleFn}, helloFn, helloVersion}} {
		k.version.Live, k.version.Routes = true, []string{"shop/checkout"}
		handle("GET /v1/"+k.path, 200, k.all)
		handle("GET /v1/"+k.path+"/auth", 200, k.live)
		handle("GET /v1/"+k.path+"/idle", 200, idleFn)
		handle("GET /v1/"+k.path+"/sweep", 200, sweepFn)
		handle("GET /v1/"+k.path+"/{name}", 404, &api.Problem{Title: "no such thing", Detail: `no "none"`, Hint: "have auth"})
		handle("GET /v1/"+k.path+"/canary", 200, canaryFilter)
		handle("GET /v1/"+k.path+"/left", 200, leftFilter)
		handle("GET /v1/"+k.path+"/canary/shadow", 200, shadowed)
		handle("GET /v1/"+k.path+"/auth/shadow", 404, &api.Problem{Title: "nothing in shadow", Detail: `no version of the filter "auth" runs in shadow`, Hint: "sluice filter roll auth VERSION shadow"})
		mux.HandleFunc("PUT /v1/"+k.path+"/{name}/deployment", func(w http.ResponseWriter, r *http.Request) {
			var c api.DeploymentChange
			json.NewDecoder(r.Body).Decode(&c)
			if c.Versions[0].Version == 99 {
				answer(w, 404, &api.Problem{Title: "no such version", Detail: `the filter "canary" has no version 99; it has 2, 3, 4`})
				return
			}
			d := api.Deployment{Shadow: c.Shadow, Guard: "asked: " + r.URL.RawQuery}
			if c.Guard != nil {
				d.Guard += " " + *c.Guard
			}
			for _, v := range c.Versions {
				d.Versions = append(d.Versions, api.Deployed{Version: v.Version, Percent: v.Percent})
			}
			answer(w, 200, d)
		})
		mux.HandleFunc("POST /v1/"+k.path+"/{name}/versions", func(w http.ResponseWriter, r *http.Request) {
			v := k.version
			v.Version, v.Live, v.Routes, v.CompileMS = 5, false, nil, 12.345
			answer(w, 201, v)
		})
		handle("DELETE /v1/"+k.path+"/auth", 204, nil)
		handle("POST /v1/"+k.path+"/auth/rollback", 200, k.version)
		handle("POST /v1/"+k.path+"/first/rollback", 409, &api.Problem{Title: "nothing to go back to", Detail: "first has one version only"})
		handle("PUT /v1/"+k.path+"/locked", 401, &api.Problem{Title: "a token is needed"})
		handle("PUT /v1/"+k.path+"/broken", 422, &api.Problem{Title: "not a module", Detail: "the module does not fit", Problems: []api.Problem{{Detail: "import env.\x1b[2Jabort is unknown", Hint: "http-wasm has http_handler"}}})
		mux.HandleFunc("PUT /v1/"+k.path+"/{name}", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			v := k.version
			v.Version, v.Bytes, v.CompileMS, v.Source = 3, int64(len(body)), 12.345, "asked: "+r.URL.RawQuery
			if strings.Contains(string(body), "unused") {
				v.Routes, v.Warnings = nil, []string{"no route uses the filter\x07"}
			}
			answer(w, 200, v)
		})
	}
	mux.HandleFunc("GET /v1/functions/auth/logs", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "2026-03-01T11:59:00.123456789Z v1 01JX hello from the function\n(3 lines were missed)\n2026-03-01T11:59:01Z v1 01JY evil \x1b[2J\n")
		if r.URL.Query().Get("follow") == "1" {
			io.WriteString(w, "2026-03-01T12:00:00Z v1 01JZ and it goes on\n")
		}
	})
	handle("GET /v1/splits/checkout", 200, checkoutSplit)
	handle("GET /v1/splits/three", 200, threeSplit)
	mux.HandleFunc("PUT /v1/splits/{route}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer(w, 200, api.Split{Route: r.PathValue("route"), By: "asked: " + string(body)})
	})
	handle("GET /v1/routes", 200, allRoutes)
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		var asked api.ExplainRequest
		json.NewDecoder(r.Body).Decode(&asked)
		switch path.Base(asked.URL) {
		case "hit":
			answer(w, 200, explainedHit)
		case "only":
			answer(w, 200, explainedOnly)
		case "missing":
			answer(w, 200, explainedMissing)
		case "chat":
			answer(w, 200, explainedDown)
		default:
			answer(w, 200, explained)
		}
	})
	fakeKeys(mux)
	handle("GET /v1/config", 200, configuration)
	handle("GET /v1/config/history", 200, []api.Revision{
		{Number: 12, Time: now.Add(-5 * time.Minute), Cause: "route shop/hello set", Bytes: 2345, Current: true},
		{Number: 9, Time: now.Add(-50 * time.Hour), Cause: "a file has changed\x1b[2J", Bytes: 45}})
	handle("POST /v1/config/rollback/99", 404, &api.Problem{Title: "no such revision", Detail: "there is no revision 99", Hint: "sluice history lists them"})
	mux.HandleFunc("POST /v1/config/rollback/{n}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, api.Configuration{ETag: "back to " + r.PathValue("n") + " " + r.URL.RawQuery, Warnings: []api.Problem{{Title: "warning", Detail: "careful"}}})
	})
	mux.HandleFunc("POST /v1/config/check", func(w http.ResponseWriter, r *http.Request) {
		switch body, _ := io.ReadAll(r.Body); {
		case strings.Contains(string(body), "wrong"):
			answer(w, 200, api.Check{Problems: []api.Problem{wrong}})
		case strings.Contains(string(body), "same"):
			answer(w, 200, api.Check{Right: true})
		default:
			answer(w, 200, api.Check{Right: true, Problems: []api.Problem{{Title: "warning", File: "sluice.yaml", Line: 1, Column: 1, Detail: "careful"}},
				Diff: "--- sluice.yaml\n+++ sluice.yaml\n@@ -1 +1 @@\n-old\n+new \x1b[2J\n"})
		}
	})
	mux.HandleFunc("PUT /v1/config", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("If-Match") != "e1":
			answer(w, 412, &api.Problem{Title: "no If-Match"})
		case strings.Contains(string(body), "raced"):
			answer(w, 412, &api.Problem{Title: "changed meanwhile", Detail: "the configuration has changed since"})
		default:
			answer(w, 200, api.Configuration{ETag: "e2 " + r.URL.RawQuery})
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	if _, ok := v.(*api.Problem); ok {
		w.Header().Set("Content-Type", api.ContentType)
	}
	w.WriteHeader(status)
	if v != nil {
		json.NewEncoder(w).Encode(v)
	}
}
