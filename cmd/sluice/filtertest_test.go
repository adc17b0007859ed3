package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// timeCode is what is not the same twice.
var timeCode = regexp.MustCompile(`(<1us|\b\d+(\.\d+)?(us|ms|s)\b)|"(ms|start_ms|median_ms|p95_ms|max_ms)": [0-9.e-]+`)

// replay is a capture of three exchanges, of which one has an error.
const replay = `{"v":1,"id":"a","request":{"method":"GET","url":"https://shop.example/a?b=c","headers":[{"name":"Accept","value":"*/*"}]},"response":{"status":200,"headers":[{"name":"Server","value":"origin"}],"body":"one\n"}}

{"v":1,"id":"b","request":{"method":"POST","url":"https://shop.example/cart","headers":[],"body":"item=1"},"response":{"status":303,"headers":[{"name":"Location","value":"/cart"}]}}
{"v":1,"id":"c","request":{"url":"https://shop.example/down"},"response":{"status":502,"error":"connection_refused"}}
`

// Each file of testdata/cli whose name begins with test- is a command line that runs a
// module, and all that it prints.
func TestModuleTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"capture.jsonl": replay, "many.jsonl": strings.Repeat(replay, 5), "old.jsonl": `{"v":2}`, "none.jsonl": "\n\n", "text.jsonl": "GET / HTTP/1.1\n",
		"right.expected": "GET http://example.com/  goes on, 200\n  request  + X-Through: sluice\n  response + X-Sluice-Filter: headers\n",
		"wrong.expected": "GET http://example.com/  goes on, 200\n  request  + X-Through: nginx\n", "body.txt": "a line\nand another\n",
		"keys.json": `{"hits": {"n": 41, "other": {"a": "b"}}}`, "bad-keys.json": `{"hits": 1}`,
		"answers.json": `{"GET /check": [{"body": {"ok": true}}, {"error": "connection_refused"}], "*": {"status": 404}}`, "bad-answers.json": `{"GET check": {}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const headers, guests = "../../examples/headers/headers.wasm", "../../wasm-testdata/"
	for name, line := range map[string]string{
		"one":       "filter test " + headers,
		"fields":    "filter test " + guests + "header-set/header-set.wasm https://shop.example/a?b=c -X PUT -H x-set:zero -H x-add:one --response-header x-set:zero",
		"content":   "filter test " + guests + "upper-buffered/upper-buffered.wasm -d @DIR/body.txt --status 404 --response-data none",
		"answer":    "filter test " + guests + "deny/deny.wasm",
		"trap":      "filter test " + guests + "trap/trap.wasm",
		"skip":      "filter test " + guests + "trap/trap.wasm --on-error skip",
		"count":     "filter test " + headers + " --count 100",
		"replay":    "filter test " + headers + " --replay DIR/capture.jsonl",
		"many":      "filter test " + headers + " --replay DIR/many.jsonl",
		"json":      "filter test " + guests + "deny/deny.wasm -o json",
		"right":     "filter test " + headers + " --expect DIR/right.expected",
		"wrong":     "filter test " + headers + " --expect DIR/wrong.expected",
		"quiet":     "filter test " + headers + " --expect DIR/right.expected -q",
		"missing":   "filter test " + headers + " --expect DIR/none",
		"update":    "filter test " + headers + " --expect DIR/new --update",
		"fn":        "fn test ../../examples/hello/hello.wasm http://example.com/hello?name=you --env GREETING=Hi",
		"fn-http":   "fn test " + guests + "answer/answer.wasm http://example.com/?S404o",
		"memory":    "filter test " + guests + "grow/grow.wasm --memory 4MB --timeout 1m",
		"keys":      "filter test " + guests + "keeper/keeper.wasm",
		"kept":      "filter test " + guests + "keeper/keeper.wasm --kv counts --replay DIR/capture.jsonl",
		"world":     "filter test " + guests + "sluice-filter/sluice-filter.wasm --kv @DIR/keys.json --upstream api=202 --secret key=hunter2",
		"calls":     "filter test " + guests + "proxy-filter/proxy-filter.wasm http://example.com/c --upstream api=@DIR/answers.json --count 2",
		"refused":   "filter test " + guests + "proxy-filter/proxy-filter.wasm http://example.com/c --upstream api=http://127.0.0.1:1",
		"forbidden": "filter test " + guests + "proxy-filter/proxy-filter.wasm http://example.com/c --upstream other=200",
		"fn-kept":   "fn test " + guests + "sluice-command/sluice-command.wasm --kv hits/n=5",
		"bad-kv":    "filter test " + headers + " --kv hits/n",
		"bad-space": "filter test " + headers + " --kv a$b/c=d",
		"bad-keys":  "filter test " + headers + " --kv @DIR/bad-keys.json",
		"bad-up":    "filter test " + headers + " --upstream api",
		"bad-url2":  "filter test " + headers + " --upstream api=https://example.com/",
		"bad-said":  "filter test " + headers + " --upstream api=fine",
		"bad-table": "filter test " + headers + " --upstream api=@DIR/bad-answers.json",
		"bad-what":  "filter test " + headers + " --upstream api=99",
		"timeout":   "filter test " + guests + "spin/spin.wasm --timeout 1ms",
		"no-filter": "filter test " + guests + "script/script.wasm",
		"no-module": "filter test DIR/body.txt",
		"no-file":   "filter test DIR/none.wasm",
		"both":      "filter test " + headers + " http://example.com/ --replay DIR/capture.jsonl",
		"of-none":   "filter test " + headers + " --replay DIR/none.jsonl",
		"of-text":   "filter test " + headers + " --replay DIR/text.jsonl",
		"of-new":    "filter test " + headers + " --replay DIR/old.jsonl",
		"bad-url":   "filter test " + headers + " /only/a/path",
		"bad-field": "filter test " + headers + " -H nothing",
		"bad-count": "filter test " + headers + " --count 0",
		"bad-size":  "filter test " + headers + " --memory much",
		"bad-time":  "filter test " + headers + " --timeout 5",
		"bad-error": "filter test " + headers + " --on-error retry",
		"bad-write": "filter test " + headers + " --update",
	} {
		t.Run(name, func(t *testing.T) {
			got := sluice(t, strings.Fields(strings.ReplaceAll(line, "DIR", dir))...)
			got = timeCode.ReplaceAllString(strings.ReplaceAll(got, dir, "DIR"), "TIME")
			golden(t, filepath.Join("cli", "test-"+name+".txt"), "$ sluice "+line+"\n"+got)
		})
	}
	if b, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(b) != "GET http://example.com/  goes on, 200\n  request  + X-Through: sluice\n  response + X-Sluice-Filter: headers\n" {
		t.Errorf("--update has written %q, %v", b, err)
	}
}

// On a terminal what is added is green; with NO_COLOR nothing is.
func TestModuleTestColours(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	got := sluiceAt(t, 80, "filter", "test", "../../examples/headers/headers.wasm")
	if want := "\x1b[32mrequest  + X-Through: sluice\x1b[0m"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
	t.Setenv("NO_COLOR", "1")
	if got := sluiceAt(t, 80, "filter", "test", "../../examples/headers/headers.wasm"); strings.Contains(got, "\x1b") {
		t.Errorf("with NO_COLOR got %q", got)
	}
}

// What a module says and sets cannot steer the terminal.
func TestTrialTextIsPrintable(t *testing.T) {
	evil := "a\x1b[2Jb\r"
	got := trialText(&tried{
		api.TryRequest{Request: api.HTTPRequest{Method: evil, URL: evil, Body: evil}, Response: &api.HTTPResponse{Body: evil + "\n"}},
		api.Trial{Verdict: api.TrialAnswered, Failure: evil, Request: &api.HTTPRequest{Body: evil + evil},
			Response: &api.HTTPResponse{Headers: []api.Field{{Name: evil, Value: evil}}, Body: evil},
			Changes:  []api.TrialChange{{In: "request", What: "field", Name: evil, Do: "set", From: evil, To: evil}, {In: "request", What: "content", Do: "set"}, {In: "response", What: "content", Do: "set"}},
			Said:     []api.TrialLine{{Level: "INFO", Text: evil}}}}, false)
	if strings.ContainsAny(got, "\x1b\r") {
		t.Errorf("got %q", got)
	}
}

// The running proxy is asked to try, with all that the flags say.
func TestTryCommand(t *testing.T) {
	var asked api.TryRequest
	var path string
	verdict := api.TrialNext
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.Method + " " + r.URL.Path
		asked = api.TryRequest{}
		json.NewDecoder(r.Body).Decode(&asked)
		answer(w, 200, api.Trial{Filter: "auth", Version: 3, ABI: "http-wasm", Verdict: verdict, Response: &api.HTTPResponse{Status: 200},
			Changes: []api.TrialChange{{In: "request", What: "path", Do: "set", From: "/a", To: "/b"}}, Cost: api.TrialCost{MS: 0.0125, StartMS: 2, Memory: 1 << 20, Fresh: true, Why: "it writes to a table"}})
	}))
	defer s.Close()
	t.Setenv("SLUICE_ADMIN", s.URL)
	t.Setenv("SLUICE_TOKEN", "")
	golden(t, "cli/try.txt", sluice(t, strings.Fields("filter try auth http://example.com/a --version 3 -H a:b -d body --status 201 --response-data made --client 192.0.2.1")...))
	got, _ := json.Marshal(asked)
	const want = `{"version":3,"request":{"method":"POST","url":"http://example.com/a","headers":[{"name":"a","value":"b"}],"body":"body"},"response":{"status":201,"body":"made"},"client":"192.0.2.1"}`
	if string(got) != want || path != "POST /v1/filters/auth/try" {
		t.Errorf("asked %s %s\nwant %s", path, got, want)
	}
	sluice(t, "fn", "try", "hello", "-o", "json")
	got, _ = json.Marshal(asked)
	if string(got) != `{"request":{"method":"","url":"http://example.com/"}}` && string(got) != `{"request":{"url":"http://example.com/"}}` || path != "POST /v1/functions/hello/try" {
		t.Errorf("asked %s %s", path, got)
	}
	for what, code := range map[string]string{api.TrialFailed: "exit 4", api.TrialSkipped: "exit 4", api.TrialAnswered: "exit 0"} {
		verdict = what
		if got := sluice(t, "filter", "try", "auth"); !strings.Contains(got, code) {
			t.Errorf("%s: got %s, want %s", what, got, code)
		}
	}
}

// A capture is saved as it comes, only for who has asked, and removed from the proxy.
func TestCaptureCommand(t *testing.T) {
	var calls []string
	var asked api.CaptureRequest
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/captures", func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&asked)
		answer(w, 201, api.Capture{ID: "x1", Asked: asked, State: api.CaptureRuns})
	})
	mux.HandleFunc("GET /v1/captures/x1/exchanges", func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.URL.RawQuery)
		io.WriteString(w, "{\"v\":1,\"id\":\"a\"}\n{\"v\":1,\"id\":\"\u202e\"}\n")
	})
	mux.HandleFunc("DELETE /v1/captures/x1", func(w http.ResponseWriter, _ *http.Request) {
		calls = append(calls, "removed")
		w.WriteHeader(204)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	t.Setenv("SLUICE_ADMIN", s.URL)
	t.Setenv("SLUICE_TOKEN", "")
	path := filepath.Join(t.TempDir(), "c.jsonl")
	got := sluice(t, "capture", "--route", "shop/", "--method", "GET", "--path", "/a*", "--status", "5xx", "--filter", "auth", "--count", "7", "--for", "2m", "--bodies", "1KB", "-o", path)
	if want := "--- stderr\n" + path + ": 2 exchanges\n--- exit 0\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	b, err := os.ReadFile(path)
	if want := "{\"v\":1,\"id\":\"a\"}\n{\"v\":1,\"id\":\"\\u202e\"}\n"; err != nil || string(b) != want {
		t.Errorf("saved %q, %v, want %q", b, err, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if want := (api.CaptureRequest{Route: "shop/", Method: "GET", Path: "/a*", Status: "5xx", Filter: "auth", Count: 7, For: "2m", Bodies: "1KB"}); asked != want {
		t.Errorf("asked %+v, want %+v", asked, want)
	}
	if len(calls) != 2 || calls[0] != "follow=1" || calls[1] != "removed" {
		t.Errorf("calls were %q", calls)
	}
	if got := sluice(t, "capture"); !strings.HasPrefix(got, "{\"v\":1,\"id\":\"a\"}\n") {
		t.Errorf("on standard output: %q", got)
	}
}
