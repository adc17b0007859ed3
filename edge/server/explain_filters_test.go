package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Modules that nobody has uploaded fail, or are skipped, and so it is explained, until
// there is one. Nothing that is not running can say so.
func TestExplainWithoutModule(t *testing.T) {
	dir, addr := t.TempDir(), port(t)
	if err := os.WriteFile(filepath.Join(dir, "hello.wasm"), module(t, "hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, `
admin: off
sites:
  "http://$ADDR":
    name: s
    routes:
      /hello:  { function: hello }
      /skip:   { function: script, filters: [first, skip] }
      /deny:   { function: script, filters: [first, deny, skip] }
      /pinned: { function: script, filters: [first@1] }
filters:
  first: { wasm: hello.wasm, timeout: 10s }
  skip:  { wasm: uploaded, on-error: skip }
  deny:  { wasm: uploaded, timeout: 10s }
functions:
  hello:  { wasm: uploaded }
  script: { wasm: script.wasm, timeout: 10s }
`, "$ADDR", addr, "hello.wasm", filepath.Join(dir, "hello.wasm"), "script.wasm", scriptFile(t, dir))
	check := func(path, want string) {
		t.Helper()
		e, err := p.Explain(asking("GET " + addr + path + "?ho"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range e.Filters {
			got += fmt.Sprintf("%s %d %s %v %s, ", f.Name, f.Version, f.State, f.Pinned, f.OnError)
		}
		status := 200
		if e.Answer != nil {
			status = e.Answer.Status
			got += fmt.Sprintf("%d %s", status, e.Answer.Why)
		}
		if e.Request != nil {
			got += "asks "
		}
		if got += " " + e.Function; got != want {
			t.Errorf("%s: got\n%s, want\n%s", path, got, want)
		}
		res, err := http.Get("http://" + addr + path + "?ho")
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != status {
			t.Errorf("%s: %d is served, %d explained", path, res.StatusCode, status)
		}
	}
	const none = ", of which no module has been uploaded: proxy_internal_error"
	check("/hello", "500 run the function hello"+none+" hello")
	check("/skip", "first 1 live false deny, skip 0 missing false skip, asks  script@1")
	check("/deny", "first 1 live false deny, deny 0 missing false deny, 500 run the filter deny"+none+" script@1")
	check("/pinned", "first 1 live true deny, asks  script@1")
	if _, _, err := p.PushFilter(context.Background(), "deny", bytes.NewReader(module(t, "hello")), api.Use{}); err != nil {
		t.Fatal(err)
	}
	check("/deny", "first 1 live false deny, deny 1 live false deny, skip 0 missing false skip, asks  script@1")
}

func scriptFile(t testing.TB, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "script.wasm")
	if err := os.WriteFile(name, module(t, "script"), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// What filters make another route's is answered as Explain says of that.
func TestExplainAgreesWithRewritten(t *testing.T) {
	dir, addr := t.TempDir(), port(t)
	if err := os.WriteFile(filepath.Join(dir, "move.wasm"), module(t, "move"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, `
admin: off
sites:
  "http://$ADDR":
    name: s
    fields: { response: { set: { Location: /site } } }
    routes:
      /from:  { respond: 204 }
      /moved: { to: "127.0.0.1:1", filters: [move], fields: { response: { set: { Location: /first } } } }
      /away:  { redirect: /there, fields: { response: { set: { Location: /second } } } }
      /far:   { redirect: /there, fields: { response: { set: { X-Other: a } } } }
      /own:   { respond: 202, fields: { response: { add: { X-Other: a } } } }
      /body:  { respond: 200, body: 1B }
filters: { move: { wasm: $MOVE, timeout: 10s } }
`, "$ADDR", addr, "$MOVE", filepath.Join(dir, "move.wasm"))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(path, move string) string {
		t.Helper()
		req, _ := http.NewRequest("POST", "http://"+addr+path, strings.NewReader("content"))
		if move != "" {
			req.Header.Set("X-Move", move)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return fmt.Sprint(res.StatusCode, " ", res.Header.Get("Location"))
	}
	for _, c := range []struct{ path, want string }{
		{"/away", "308 /second"}, {"/far", "308 /there"}, {"/own", "202 /site"}, {"/body", "413 /site"}, {"/from", "204 /site"},
	} {
		e, err := p.Explain(api.ExplainRequest{Method: "POST", URL: addr + c.path, Headers: []api.Field{{Name: "Content-Length", Value: "7"}}})
		if err != nil || e.Answer == nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		explained := fmt.Sprint(e.Answer.Status, " ", e.Answer.Location)
		if plain, moved := send(c.path, ""), send("/moved", c.path); plain != c.want || moved != c.want || explained != c.want {
			t.Errorf("%s: got %q when asked for, %q when moved to, explained %q, want %q", c.path, plain, moved, explained, c.want)
		}
	}
	if got := send("/moved", ""); got != "502 /first" {
		t.Errorf("not moved: got %q", got)
	}
}
