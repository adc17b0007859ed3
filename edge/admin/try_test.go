package admin_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// Any stored version of a filter can be tried, whichever is live, and nothing of it is
// seen in what the filter serves.
func TestTryFilter(t *testing.T) {
	s, addr := start(t, t.TempDir(), config.Admin{})
	c, err := api.NewClient(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	push := func(name, module string) {
		t.Helper()
		b := guest(t, module)
		if _, err := c.PushFilter(t.Context(), name, bytes.NewReader(b), int64(len(b)), api.Use{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	push("f", "deny")
	push("unused", "header-set")

	f := func(name string, version int, verdict string, status int) {
		t.Helper()
		got, err := c.TryFilter(t.Context(), name, api.TryRequest{Version: version, Request: api.HTTPRequest{URL: "http://127.0.0.1/"}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Filter != name || version != 0 && got.Version != version || got.Verdict != verdict || got.Response.Status != status {
			t.Errorf("%s@%d: got %+v, want %s with %d", name, version, got, verdict, status)
		}
	}
	f("f", 0, api.TrialAnswered, 401)
	f("f", 1, api.TrialNext, 200)
	f("f", 2, api.TrialAnswered, 401)
	f("unused", 0, api.TrialNext, 200)
	for _, have := range s.Filters() {
		if have.Runs != 0 || have.Failures != 0 {
			t.Errorf("%s has run %d times", have.Name, have.Runs)
		}
	}

	bad := func(name string, q api.TryRequest, status int, want string) {
		t.Helper()
		_, err := c.TryFilter(t.Context(), name, q)
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != status || !strings.Contains(p.Error(), want) {
			t.Errorf("got %v, want %d with %q", err, status, want)
		}
	}
	bad("none", api.TryRequest{}, 404, `there is no filter "none"`)
	bad("f", api.TryRequest{Version: 9}, 404, `the filter "f" has no version 9; it has 1, 2`)
	bad("f", api.TryRequest{Request: api.HTTPRequest{URL: "/"}}, 422, "has no host")
}

// As much content can be tried as a trial takes, whatever it is encoded as, and no more.
func TestTryLarge(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, err := api.NewClient(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := guest(t, "header-set")
	if _, err := c.PushFilter(t.Context(), "f", bytes.NewReader(b), int64(len(b)), api.Use{}, nil); err != nil {
		t.Fatal(err)
	}
	f := func(content string, status int) {
		t.Helper()
		q := api.TryRequest{Request: api.HTTPRequest{Method: "POST", URL: "http://127.0.0.1/"}, Response: new(api.HTTPResponse)}
		q.Request.SetContent([]byte(content))
		q.Response.SetContent([]byte(content))
		got, err := c.TryFilter(t.Context(), "f", q)
		p, refused := errors.AsType[*api.Problem](err)
		switch {
		case status != 200:
			if !refused || p.Status != status {
				t.Errorf("%d bytes: got %v, want %d", len(content), err, status)
			}
		case err != nil || got.Request.Bytes != int64(len(content)) || got.Response.Bytes != int64(len(content)):
			t.Errorf("%d bytes: got %v, %+v", len(content), err, got.Verdict)
		}
	}
	f(strings.Repeat("\x01", 1<<20), 200)
	f(strings.Repeat("\xff", 1<<20), 200)
	f(strings.Repeat("a", 1<<20+1), 422)
	f(strings.Repeat("a", 9<<20), 413)
}

// A trial with nothing but curl; what is not asked in JSON is refused.
func TestTryFunction(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, err := api.NewClient(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := guest(t, "script")
	if _, err := c.PushFunction(t.Context(), "hello", bytes.NewReader(b), int64(len(b)), api.Use{}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.TryFunction(t.Context(), "hello", api.TryRequest{Request: api.HTTPRequest{Method: "POST", URL: "http://127.0.0.1/?hoc", Body: "!"}})
	if err != nil || got.Function != "hello" || got.Version != 1 || got.Verdict != api.TrialAnswered || string(got.Response.Content()) != "ok!" {
		t.Errorf("got %+v, %v", got, err)
	}
	post := func(kind, text string, status int, want string) {
		t.Helper()
		res, err := http.Post("http://"+addr+"/v1/functions/hello/try", kind, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		if res.StatusCode != status || !strings.Contains(string(answer), want) {
			t.Errorf("%s: got %d %s, want %d with %s", text, res.StatusCode, answer, status, want)
		}
	}
	post("application/json", `{"request": {"url": "http://127.0.0.1/?ho"}}`, 200, `"verdict": "answered"`)
	post("text/plain", `{}`, 415, "JSON")
	post("application/json", `{"request": {"uri": "/"}}`, 400, "malformed JSON")
}

// What a module is allowed has no effect when it is tried, unless that is asked for.
func TestTryEffects(t *testing.T) {
	r := startRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, "keeper.wasm"), guest(t, "keeper"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.end()
	r.write(used + "filters: { keeper: { wasm: keeper.wasm, timeout: 10s, allow: { kv: [counts] } } }\n")
	r.start()
	keys, err := r.s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	f := func(effects bool, status int, count string) {
		t.Helper()
		got, err := r.c.TryFilter(t.Context(), "keeper", api.TryRequest{Effects: effects, Request: api.HTTPRequest{URL: "http://127.0.0.1/"}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Response == nil || got.Response.Status != status || len(got.Log) != 1 || got.Log[0] != (api.Field{Name: "kept", Value: "yes"}) {
			t.Errorf("effects %v: got %+v", effects, got)
		}
		e, err := keys.Get("counts", "key")
		if err != nil && count != "" || string(e.Value) != count {
			t.Errorf("effects %v: the count is %q, %v, want %q", effects, e.Value, err, count)
		}
	}
	f(false, 280, "") // -8: unavailable
	f(true, 200, "1")
	f(false, 280, "1")
	f(true, 200, "2")
}
