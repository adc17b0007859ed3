package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// discard is a log that nobody reads.
var discard = slog.New(slog.DiscardHandler)

var update = flag.Bool("update", false, "write the golden files of testdata and docs/reference/cli.md")

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

// golden compares what was printed with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// workspace makes the files that command lines name, and returns where they are.
func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"auth.wasm": "\x00asm module", "unused.wasm": "\x00asm unused", "auth.json": `{"a": 1}`, "full/notes": "mine", "large": strings.Repeat("x", api.MaxValue+1),
		"new.yaml": "new: yes\n", "same.yaml": "same: yes\n", "wrong.yaml": "wrong: yes\n", "raced.yaml": "raced: yes\n",
		"right.yaml": "listen: { http: \"127.0.0.1:80\" }\nsites: { example.com: 127.0.0.1:1 }\n",
		"filters.yaml": "listen: { http: \"127.0.0.1:80\" }\nsites: { example.com: { to: \"function:hello\", filters: [auth, headers@3] } }\n" +
			"filters: { auth: { wasm: uploaded }, headers: { wasm: uploaded, on-error: skip } }\nfunctions: { hello: { wasm: uploaded } }\n",
		"bad.yaml":  "sites:\n  example.com: { routes: { /: api } }\n",
		"warn.yaml": "listen: { http: \"127.0.0.1:80\" }\nsites: { example.com: 127.0.0.1:1 }\ntrust: [0.0.0.0/0]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each file of testdata/cli is a command line, and all that it prints where there is
// no terminal.
func TestCommandLines(t *testing.T) {
	dir := workspace(t)
	server := fakeAPI(t)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	for name, line := range map[string]string{
		"filter-list-json": "filter list -o json",
		"filter-show-none": "filter show none",
		"filter-rm":        "filter rm auth",
		"filter-back":      "filter back auth",
		"filter-back-json": "filter back auth -o json",
		"filter-back-none": "filter back first",
		"roll":             "filter roll canary 3 10%",
		"roll-json":        "filter roll canary @3 10% -o json",
		"roll-whole":       "filter roll canary 4 100%",
		"roll-none":        "filter roll canary 3 0%",
		"roll-unshadow":    "filter roll canary 4 0%",
		"roll-shadow":      "fn roll canary 5 shadow",
		"roll-guard":       "filter roll canary 3 20% --guard off --dry-run -o yaml",
		"roll-third":       "filter roll canary 4 10%",
		"roll-live":        "filter roll canary 3 shadow",
		"roll-alone":       "filter roll left 2 50%",
		"roll-nothing":     "filter roll auth 3 5%",
		"roll-unknown":     "filter roll canary 99 100%",
		"roll-what":        "filter roll canary 3 some",
		"roll-version":     "filter roll canary three 5%",
		"shadow-json":      "filter shadow canary -o json",
		"shadow-none":      "filter shadow auth",
		"push-store":       "filter push left DIR/auth.wasm --store",
		"push-percent":     "filter push left DIR/auth.wasm --percent 5%",
		"push-shadow":      "fn push left DIR/auth.wasm --shadow",
		"push-third":       "filter push canary DIR/auth.wasm --percent 5",
		"push-both":        "filter push left DIR/auth.wasm --percent 5 --store",
		"push-part":        "filter push left DIR/auth.wasm --percent 5 --on shop",
		"push-what":        "filter push left DIR/auth.wasm --percent shadow",
		"push":             "filter push auth DIR/auth.wasm",
		"push-on":          "filter push auth DIR/auth.wasm --on shop/checkout --config @DIR/auth.json -o json",
		"push-no-config":   "filter push auth DIR/auth.wasm --config @DIR/none.json",
		"push-dry":         "filter push auth DIR/auth.wasm --dry-run",
		"push-dry-unused":  "filter push auth DIR/unused.wasm --dry-run",
		"push-json":        "filter push auth DIR/auth.wasm -o json",
		"push-quiet":       "filter push auth DIR/auth.wasm -q",
		"push-unused":      "filter push auth DIR/unused.wasm",
		"push-refused":     "filter push broken DIR/auth.wasm",
		"push-locked":      "filter push locked DIR/auth.wasm",
		"push-no-file":     "filter push auth DIR/none.wasm",
		"push-directory":   "filter push auth DIR",
		"push-no-args":     "filter push auth",
		"fn-push":          "fn push hello DIR/auth.wasm --route shop/hello -o yaml",
		"fn-back":          "fn back auth",
		"fn-rm":            "fn rm auth",
		"fn-logs-json":     "fn logs auth -o json",
		"fn-logs-yaml":     "fn logs auth -o yaml",
		"fn-logs-follow":   "fn logs auth -f",
		"fn-logs-none":     "fn logs none",
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
		"kv-list-json":     "kv list -o json",
		"kv-list-limit":    "kv list sessions --limit 2",
		"kv-list-prefix":   "kv list sessions --prefix user:2 --after user:1 -o json",
		"kv-list-empty":    "kv list empty",
		"kv-list-negative": "kv list sessions --limit -1",
		"kv-list-what":     "kv list --prefix user:",
		"kv-get":           "kv get flags new-checkout",
		"kv-get-include":   "kv get -i sessions user:1",
		"kv-get-json":      "kv get sessions user:1 -o json",
		"kv-get-binary":    "kv get flags binary -o yaml",
		"kv-get-none":      "kv get flags none",
		"kv-set":           "kv set flags new-checkout off --ttl 30m",
		"kv-set-file":      "kv set flags new-checkout @DIR/auth.json -o json",
		"kv-set-stdin":     "kv set flags new-checkout -",
		"kv-set-if":        "kv set flags new-checkout off --if-version 7",
		"kv-set-absent":    "kv set flags new-checkout off --if-absent",
		"kv-set-dry":       "kv set flags new-checkout off --dry-run",
		"kv-set-quiet":     "kv set flags new-checkout off -q",
		"kv-set-both":      "kv set flags new-checkout off --if-absent --if-version 7",
		"kv-set-ttl":       "kv set flags new-checkout off --ttl 0s",
		"kv-set-version":   "kv set flags new-checkout off --if-version 0",
		"kv-set-no-file":   "kv set flags new-checkout @DIR/none.json",
		"kv-set-large":     "kv set flags new-checkout @DIR/large",
		"kv-rm":            "kv rm flags new-checkout",
		"kv-rm-if":         "kv rm flags new-checkout --if-version 7",
		"kv-rm-dry":        "kv rm flags new-checkout --dry-run",
		"kv-no-namespace":  "kv get",
		"routes-site":      "routes --site api.example.com",
		"routes-no-site":   "routes --site none",
		"diff-file":        "diff DIR/new.yaml",
		"diff-file-json":   "diff DIR/new.yaml -o json",
		"diff-same":        "diff DIR/same.yaml",
		"diff-wrong":       "diff DIR/wrong.yaml",
		"diff-wrong-json":  "diff DIR/wrong.yaml -o json",
		"apply-wrong-json": "apply DIR/wrong.yaml -o json",
		"help-odd":         "help zzz",
		"help-typo":        "help filter pusch",
		"completion-odd":   "completion bsh",
		"completion-none":  "completion",
		"diff-none":        "diff DIR/none.yaml",
		"apply":            "apply DIR/new.yaml",
		"apply-json":       "apply DIR/new.yaml -o json",
		"apply-dry":        "apply DIR/new.yaml --dry-run",
		"apply-same":       "apply DIR/same.yaml",
		"apply-wrong":      "apply DIR/wrong.yaml",
		"apply-raced":      "apply DIR/raced.yaml",
		"apply-nothing":    "apply",
		"rollback":         "rollback",
		"rollback-number":  "rollback 9 --dry-run",
		"rollback-json":    "rollback 9 -o json",
		"rollback-none":    "rollback 99",
		"rollback-word":    "rollback last",
		"check":            "check DIR/right.yaml",
		"check-wrong":      "check DIR/bad.yaml",
		"check-json":       "check DIR/bad.yaml -o json",
		"check-warn":       "check DIR/warn.yaml",
		"check-strict":     "check DIR/warn.yaml --strict",
		"check-quiet":      "check DIR/right.yaml -q",
		"explain-file":     "explain http://example.com/ -c DIR/right.yaml",
		"explain-offline":  "explain http://example.com/ -c DIR/filters.yaml",
		"explain-hit":      "explain https://example.com/hit",
		"explain-only":     "explain https://example.com/only",
		"explain-missing":  "explain https://example.com/missing",
		"explain-down":     "explain https://example.com/chat",
		"explain-wrong":    "explain http://example.com/ -c DIR/bad.yaml",
		"explain-field":    "explain http://example.com/ -H nothing",
		"no-command":       "filter",
		"wrong-command":    "filter pusch",
		"wrong-verb":       "statsu",
		"odd-command":      "zzz",
		"too-many":         "status now",
		"too-many-too":     "filter show auth now",
		"wrong-flag":       "status --admn x",
		"wrong-shorthand":  "status -z",
		"no-value":         "status --admin",
		"wrong-format":     "status -o xml",
		"wrong-address":    "status --admin ftp://x",
		"unreachable":      "status --admin unix:DIR/none.sock",
		"fetch-both":       "fetch --http1 --http3 example.org",
		"new":              "filter new auth --dir DIR/auth",
		"new-json":         "fn new hello --lang c --dir DIR/hello -o json",
		"new-again":        "filter new auth --dir DIR/full",
		"new-lang":         "filter new auth --lang perl --dir DIR/perl",
	} {
		t.Run(name, func(t *testing.T) {
			got := sluice(t, strings.Fields(strings.ReplaceAll(line, "DIR", dir))...)
			got = "$ sluice " + line + "\n" + strings.NewReplacer(dir, "DIR", server.URL, "SERVER", "\x1b", "␛").Replace(got)
			golden(t, filepath.Join("cli", name+".txt"), got)
		})
	}
}

// Each file of testdata/screens is a command line, and all that it prints where
// there is no terminal, on a narrow one with colours, on a wide one without, and for
// programs.
func TestScreens(t *testing.T) {
	server := fakeAPI(t)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	t.Setenv("TERM", "xterm")
	for name, line := range map[string]string{
		"status":        "status",
		"filter-list":   "filter list",
		"filter-show":   "filter show auth",
		"filter-show-v": "filter show auth -v",
		"filter-canary": "filter show canary",
		"filter-left":   "filter show left",
		"filter-shadow": "filter shadow canary",
		"fn-list":       "fn list",
		"fn-show":       "fn show idle",
		"fn-show-every": "fn show sweep",
		"fn-logs":       "fn logs auth",
		"split":         "split checkout",
		"routes":        "routes",
		"history":       "history",
		"kv-list":       "kv list",
		"kv-list-keys":  "kv list sessions",
		"explain":       "explain https://example.com/checkout/basket",
		"diff":          "diff",
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(line)
			got := ""
			show := func(how string, columns int, more ...string) {
				out := sluiceAt(t, columns, append(args, more...)...)
				got += "$ sluice " + strings.Join(append(args, more...), " ") + "   # " + how + "\n" + strings.ReplaceAll(out, "\x1b", "␛")
				plain := colourCode.ReplaceAllString(out, "")
				for l := range strings.Lines(plain) {
					stdout, _, _ := strings.Cut(plain, "--- stderr")
					if n := text.Width(strings.TrimSuffix(l, "\n")); columns > 0 && n > columns && strings.Contains(stdout, l) && !strings.HasPrefix(l, "+") {
						t.Errorf("%d columns, want at most %d: %s", n, columns, l)
					}
				}
			}
			t.Setenv("NO_COLOR", "")
			show("no terminal", 0)
			show("80 columns", 80)
			t.Setenv("NO_COLOR", "1")
			show("200 columns, NO_COLOR", 200)
			show("no terminal", 0, "-o", "json")
			show("no terminal", 0, "-o", "yaml")
			golden(t, filepath.Join("screens", name+".txt"), got)
		})
	}
}

// colourCode is what a screen with colours has of its own.
var colourCode = regexp.MustCompile("\x1b\\[[0-9]+m")

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
