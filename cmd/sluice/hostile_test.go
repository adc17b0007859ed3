package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// evil is what a terminal acts upon: sequences of ECMA-48 with ESC and in one
// character, a bell, a new title, an end of line, a change of direction, NUL, DEL.
const evil = "e\x1b[2J\u009b31m\x1b]0;title\x07\r\nnew line\tz\u202e\x00\x7f 日本\u0301 {a: 'b\"} # &x *y"

// fill makes every text in v evil, and every list one of two.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(1 << 63)
	case reflect.Float64:
		v.SetFloat(1e18)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if v.Type() != reflect.TypeFor[*api.Problem]() {
			fill(v.Elem())
		} else {
			*v.Interface().(*api.Problem) = api.Problem{Title: evil, Detail: evil, File: evil, Hint: evil, Line: 3, Problems: []api.Problem{{Detail: evil}}}
		}
	case reflect.Slice:
		switch v.Type() {
		case reflect.TypeFor[json.RawMessage]():
			v.Set(reflect.ValueOf(json.RawMessage(`{"a": "\u001b[2J\u0000"}`)))
		case reflect.TypeFor[[]api.Problem]():
			v.Set(reflect.ValueOf([]api.Problem{{Title: evil, Detail: evil, File: evil}}))
		default:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(now.Add(-time.Hour)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}

func evilOf[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

// Whatever the API answers, nothing of it reaches a terminal that could steer it.
func TestHostileAnswers(t *testing.T) {
	mux := http.NewServeMux()
	handle := func(pattern string, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, v) })
	}
	handle("GET /v1/status", evilOf[api.Status]())
	handle("GET /v1/filters", evilOf[[]api.Filter]())
	handle("GET /v1/filters/x", evilOf[api.Filter]())
	handle("PUT /v1/filters/x", evilOf[api.ModuleVersion]())
	handle("POST /v1/filters/x/rollback", evilOf[api.ModuleVersion]())
	handle("GET /v1/functions", evilOf[[]api.Function]())
	handle("GET /v1/functions/x", evilOf[api.Function]())
	handle("GET /v1/routes", evilOf[[]api.Route]())
	handle("GET /v1/splits/x", evilOf[api.Split]())
	handle("GET /v1/config", evilOf[api.Configuration]())
	handle("PUT /v1/config", evilOf[api.Configuration]())
	handle("GET /v1/config/history", evilOf[[]api.Revision]())
	handle("POST /v1/config/rollback/0", evilOf[api.Configuration]())
	handle("POST /v1/config/check", api.Check{Right: true, Diff: "-" + evil + "\n", Problems: evilOf[[]api.Problem]()})
	handle("POST /v1/explain", evilOf[api.Explanation]())
	mux.HandleFunc("GET /v1/functions/x/logs", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("2026-03-01T11:59:00Z v1 id " + evil + "\n\xff\xfe" + evil + strings.Repeat("x", 2*maxLogLine)))
	})
	handle("GET /v1/kv", evilOf[[]api.Namespace]())
	handle("GET /v1/kv/x", api.Keys{Keys: evilOf[[]api.Key](), Next: evil})
	handle("PUT /v1/kv/x/x", evilOf[api.Key]())
	mux.HandleFunc("GET /v1/kv/x/{key}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"7"`)
		if r.PathValue("key") == "time" {
			w.Header().Set(api.ExpiresField, evil)
		}
		w.Write([]byte(evil + "\n\xff\xfe" + evil))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 400, &api.Problem{Title: evil, Detail: evil, Hint: evil, File: evil, Problems: []api.Problem{{Detail: evil}}})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	dir := workspace(t)
	for _, line := range []string{
		"status", "filter list", "filter show x", "filter show x -v", "filter push x DIR/auth.wasm", "filter back x", "filter show none",
		"fn list", "fn show x", "fn logs x", "fn call /x", "routes", "routes --site none", "split x", "history", "rollback",
		"diff", "diff DIR/new.yaml", "apply DIR/new.yaml", "apply DIR/new.yaml --dry-run", "apply --write", "explain http://x/",
		"kv list", "kv list x --limit 2", "kv get x x -i", "kv get x time", "kv get y y", "kv set x x v", "kv rm x x",
	} {
		for _, columns := range []int{20, 80, 200} {
			for _, format := range []string{"table", "json", "yaml"} {
				args := append(strings.Fields(strings.ReplaceAll(line, "DIR", dir)), "-o", format)
				if line == "fn call /x" { // has a flag of its own of that name
					args = args[:len(args)-2]
				}
				out := colourCode.ReplaceAllString(sluiceAt(t, columns, args...), "")
				bad := func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
				if i := strings.IndexFunc(out, bad); i >= 0 || !utf8.ValidString(out) {
					t.Errorf("%s -o %s in %d columns: %q at %d of\n%s", line, format, columns, out[i:min(len(out), i+8)], i, out)
				}
				if format == "json" && line != "fn logs x" {
					stdout, _, _ := strings.Cut(strings.TrimSuffix(out, "\n"), "--- ")
					if stdout != "" && !json.Valid([]byte(stdout)) {
						t.Errorf("%s: no JSON: %s", line, stdout)
					}
				}
			}
		}
	}
}

func TestEscapeJSON(t *testing.T) {
	var b strings.Builder
	const odd = "\u009b\u202e\U000e0041\x7f日本"
	if err := printJSON(&b, odd, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), `"\u009b\u202e\udb40\udc41\u007f日本"`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back string
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back != odd {
		t.Errorf("got %q, %v, want %q", back, err, odd)
	}
}
