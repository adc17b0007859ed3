package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

var update = flag.Bool("update", false, "write the golden files of testdata and docs/reference/cli.md")

// now is the time of these tests.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeAPI is an admin API with fixed answers.
func fakeAPI(t *testing.T) *httptest.Server {
	t.Helper()
	version := api.ModuleVersion{Filter: "auth", Version: 3, Live: true, Digest: "sha256:0f343b0931126a20f133d67c2b018a3b5f1e7a8f8e6f1d1a1f4a0c8f7f6d5e4c", ABI: "http-wasm",
		Bytes: 318_000, Imports: []string{"http_handler.get_header", "http_handler.log"}, CompileMS: 12.345, Uploaded: now.Add(-90 * time.Minute), Source: "upload"}
	first := api.ModuleVersion{Filter: "auth", Version: 2, Digest: "sha256:aa343b0931126a20", ABI: "http-wasm", Bytes: 1000, Uploaded: now.Add(-50 * time.Hour), Source: "sluice.yaml"}
	auth := api.Filter{Name: "auth", Live: 3, Routes: []string{"shop/checkout", "shop/cart"}, Runs: 1234567, Failures: 3, Versions: []api.ModuleVersion{version, first}}
	filters := []api.Filter{auth, {Name: "evil\x1b[2J", Versions: []api.ModuleVersion{first}}}
	split := api.Split{Route: "checkout", By: "cookie sid", Arms: []api.Arm{{Name: "shop", Share: 95, Requests: 9500, Errors: 19}, {Name: "shop-v2", Share: 5}}}
	three := api.Split{Route: "three", By: "chance", Arms: []api.Arm{{Name: "a", Share: 50}, {Name: "b", Share: 30}, {Name: "c", Share: 20}}}

	mux := http.NewServeMux()
	handle := func(pattern string, status int, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if _, ok := v.(*api.Problem); ok {
				w.Header().Set("Content-Type", api.ContentType)
			}
			w.WriteHeader(status)
			if v != nil {
				json.NewEncoder(w).Encode(v)
			}
		})
	}
	handle("GET /v1/status", 200, api.Status{
		Version: api.Version{Version: "v0.1.0", Revision: "0123456", Go: "go1.26", Platform: "linux/amd64"},
		Started: now.Add(-3*time.Hour - 4*time.Minute), Ready: true, Requests: 1234567, Errors: 12,
		Config: api.Config{File: "/etc/sluice.yaml", Loaded: now.Add(-5 * time.Minute), Reloads: 1,
			Problem: &api.Problem{Title: "the file is wrong", Problems: []api.Problem{{File: "sluice.yaml", Line: 14, Column: 15, Detail: `no upstream "api-v3"`, Hint: "have api"}}}},
		Listeners:   []api.Listener{{Name: ":443", Address: "https://[::]:443", Protocols: []string{"http/1.1", "h2", "h3"}}},
		Connections: []api.Connections{{Protocol: "h2", Open: 12, Active: 3}, {Protocol: "http/1.1", Open: 4, Tunnels: 1}},
		Upstreams: []api.Upstream{{Name: "shop", Endpoints: []api.Endpoint{
			{Address: "10.0.0.11:8080", Weight: 1, Active: 2, Idle: 7, Requests: 999_999},
			{Address: "10.0.9.1:8080", Weight: 1, Backup: true, Errors: 1}}}},
		Splits: []api.Split{split}, Filters: filters,
		Cache: &api.Cache{Bytes: 300 << 20, Limit: 512 << 20, Entries: 4321, Hits: 100_000, Misses: 1},
	})
	handle("GET /v1/filters", 200, filters)
	handle("GET /v1/filters/auth", 200, auth)
	handle("GET /v1/filters/{f}", 404, &api.Problem{Title: "no such filter", Detail: `no filter "none"`, Hint: "have auth"})
	handle("DELETE /v1/filters/auth", 204, nil)
	handle("PUT /v1/filters/locked", 401, &api.Problem{Title: "a token is needed"})
	handle("GET /v1/splits/checkout", 200, split)
	handle("GET /v1/splits/three", 200, three)
	mux.HandleFunc("PUT /v1/splits/{route}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(api.Split{Route: r.PathValue("route"), By: "asked: " + string(body)})
	})
	mux.HandleFunc("PUT /v1/filters/auth", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v := version
		v.Bytes, v.Routes = int64(len(body)), auth.Routes
		if strings.Contains(string(body), "unused") {
			v.Routes, v.Warnings = nil, []string{"no route uses the filter\x07"}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	})
	mux.HandleFunc("PUT /v1/filters/broken", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", api.ContentType)
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(&api.Problem{Title: "not a module", Detail: "the module does not fit", Problems: []api.Problem{{Detail: "import env.\x1b[2Jabort is unknown", Hint: "http-wasm has http_handler"}}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// sluice runs a command line, and returns what it prints and its exit code.
func sluice(t *testing.T, args ...string) string {
	t.Helper()
	return sluiceAt(t, 0, args...)
}

// sluiceAt is sluice on a terminal of some columns; 0: on none.
func sluiceAt(t *testing.T, columns int, args ...string) string {
	t.Helper()
	g := &globals{now: func() time.Time { return now }, width: func(io.Writer) int { return columns }}
	root := newRootOf(g)
	var out, stderr bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&stderr)
	root.SetIn(strings.NewReader(""))
	code := execute(root, args)
	text := out.String()
	if stderr.Len() > 0 {
		text += "--- stderr\n" + stderr.String()
	}
	return fmt.Sprintf("%s--- exit %d\n", text, code)
}

// Each file of testdata/cli is a command line, and all that it prints.
func TestCommandLines(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"auth.wasm": "\x00asm module", "unused.wasm": "\x00asm unused"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server := fakeAPI(t)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	for name, line := range map[string]string{
		"status":           "status",
		"filter-list":      "filter list",
		"filter-list-json": "filter list -o json",
		"filter-show":      "filter show auth",
		"filter-show-v":    "filter show auth -v",
		"filter-show-none": "filter show none",
		"filter-rm":        "filter rm auth",
		"push":             "filter push auth DIR/auth.wasm",
		"push-json":        "filter push auth DIR/auth.wasm -o json",
		"push-quiet":       "filter push auth DIR/auth.wasm -q",
		"push-unused":      "filter push auth DIR/unused.wasm",
		"push-refused":     "filter push broken DIR/auth.wasm",
		"push-locked":      "filter push locked DIR/auth.wasm",
		"push-no-file":     "filter push auth DIR/none.wasm",
		"push-directory":   "filter push auth DIR",
		"push-no-args":     "filter push auth",
		"split":            "split checkout",
		"split-json":       "split checkout -o json",
		"split-percent":    "split checkout 12.5%",
		"split-arm":        "split three b=60",
		"split-arms":       "split three a=10% c=20%",
		"split-sum":        "split three a=60% b=60%",
		"split-short":      "split checkout shop=10% shop-v2=10%",
		"split-which":      "split three 5%",
		"split-no-arm":     "split three d=5%",
		"split-twice":      "split three a=5% a=6%",
		"split-nan":        "split three NaN",
		"split-negative":   "split three -- a=-1%",
		"no-command":       "filter",
		"wrong-command":    "filter pusch",
		"wrong-flag":       "status --admn x",
		"wrong-format":     "status -o xml",
		"wrong-address":    "status --admin ftp://x",
		"unreachable":      "status --admin unix:DIR/none.sock",
		"fetch-both":       "fetch --http1 --http3 example.org",
	} {
		t.Run(name, func(t *testing.T) {
			got := sluice(t, strings.Fields(strings.ReplaceAll(line, "DIR", dir))...)
			got = "$ sluice " + line + "\n" + strings.NewReplacer(dir, "DIR", server.URL, "SERVER").Replace(got)
			golden := filepath.Join("testdata", "cli", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The flag goes before the environment, and the token reaches the API.
func TestAdminAndToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", api.ContentType)
		w.WriteHeader(403)
		json.NewEncoder(w).Encode(api.Problem{Title: "got " + r.Header.Get("Authorization")})
	}))
	defer server.Close()
	f := func(envAdmin, envToken, want string, args ...string) {
		t.Helper()
		t.Setenv("SLUICE_ADMIN", envAdmin)
		t.Setenv("SLUICE_TOKEN", envToken)
		if got := sluice(t, append(args, "status")...); got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	f(server.URL, "env", "--- stderr\nsluice: got Bearer env\n--- exit 1\n")
	f("http://127.0.0.1:1", "env", "--- stderr\nsluice: got Bearer flag\n--- exit 1\n", "--admin", server.URL, "--token", "flag")
	f(server.URL, "", "--- stderr\nsluice: got \n--- exit 1\n")
}

func TestVersion(t *testing.T) {
	if got := sluice(t, "version"); !strings.HasPrefix(got, "sluice ") || !strings.HasSuffix(got, ")\n--- exit 0\n") {
		t.Errorf("got %q", got)
	}
	if got := sluice(t, "version", "-o", "json"); !strings.Contains(got, `"platform": "`) {
		t.Errorf("got %q", got)
	}
}
