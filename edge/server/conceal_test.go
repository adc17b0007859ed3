package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

const concealing = `
admin: off
log: { access: off }
sites:
  "http://127.0.0.1:0":
    name: s
    fields: { response: { set: { X-Answer: env:SLUICE_TEST_FIELD } } }
    routes:
      /when:
        - { name: when, when: { header: { X-Key: env:SLUICE_TEST_FIELD }, query: { k: env:SLUICE_TEST_FIELD }, cookie: { c: "file:token" } }, respond: 204 }
        - { name: else, to: shop, host: upstream, fields: { request: { set: { X-Key: env:SLUICE_TEST_FIELD }, add: { X-More: ["file:token", plain] } } } }
      /to/*:      { redirect: env:SLUICE_TEST_PATH }
      /map/*:     { redirect: { map: "$SLUICE_TEST_DIR/map.txt" } }
      /rewrite/*: { to: shop, rewrite: env:SLUICE_TEST_REWRITE, host: env:SLUICE_TEST_HOST }
      /prefix/*:  { to: shop, strip: /prefix, add-prefix: env:SLUICE_TEST_PATH }
      /direct:    env:SLUICE_TEST_BACKEND
      /direct/up: { to: env:SLUICE_TEST_BACKEND, host: upstream }
      /socket:    "unix:$SLUICE_TEST_DIR/app.sock"
      /split:     { split: { "env:SLUICE_TEST_BACKEND": 100%, shop: 0% } }
      /respond:   { respond: { status: 302, fields: { Location: env:SLUICE_TEST_PATH }, body: env:SLUICE_TEST_FIELD } }
      /function:  function:f
upstreams: { shop: ["env:SLUICE_TEST_BACKEND", { address: env:SLUICE_TEST_BACKUP, backup: yes }] }
functions: { f: { wasm: uploaded, env: { KEY: env:SLUICE_TEST_FIELD }, args: ["env:SLUICE_TEST_FIELD"] } }
filters:   { g: { wasm: uploaded, config: { key: env:SLUICE_TEST_FIELD } } }
`

// What the file takes from the environment or another file is shown as the file has
// it, wherever a configuration is shown.
func TestSecretsAreNotShown(t *testing.T) {
	dir := t.TempDir()
	secretDir := filepath.Join(dir, "hidden-dir")
	if err := os.Mkdir(secretDir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(secretDir, "map.txt"), "/map/x /y\n")
	writeFile(t, filepath.Join(dir, "token"), "hidden-token\n")
	for name, value := range map[string]string{
		"FIELD": "hidden-field", "PATH": "/hidden-path", "REWRITE": "/hidden-rewrite?key=hidden-query", "HOST": "hidden-host.test",
		"BACKEND": "127.0.0.77:1", "BACKUP": "127.0.0.78:1", "DIR": secretDir,
	} {
		t.Setenv("SLUICE_TEST_"+name, value)
	}
	path := writeFile(t, filepath.Join(dir, "sluice.yaml"), concealing)
	s, err := serveFile(t, path, filepath.Join(dir, "state"), new(lines))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetRoute("s/when", map[string]any{"to": "env:SLUICE_TEST_BACKEND", "when": map[string]any{"header": map[string]any{"X-Key": "env:SLUICE_TEST_FIELD"}}}, api.Change{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetRoute("s/new", map[string]any{"to": "env:SLUICE_TEST_BACKEND", "add-prefix": "env:SLUICE_TEST_PATH"}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	file, problems := config.Load(path, config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}

	// look returns what is shown as JSON, without anything that is hidden.
	look := func(what string, v any, err error) string {
		t.Helper()
		b, err2 := json.Marshal(v)
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", what, err, err2)
		}
		for _, secret := range []string{"hidden", "127.0.0.77", "127.0.0.78"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s shows %s:\n%s", what, secret, b)
			}
		}
		return string(b)
	}
	routes := look("routes", s.Routes(), nil)
	for _, want := range []string{
		`"header x-key: env:SLUICE_TEST_FIELD"`, `"query k: env:SLUICE_TEST_FIELD"`, `"cookie c: file:token"`, `"redirect 308 to env:SLUICE_TEST_PATH"`,
		`"redirects of $SLUICE_TEST_DIR/map.txt"`, `"target":"env:SLUICE_TEST_BACKEND"`, `"target":"unix:$SLUICE_TEST_DIR/app.sock"`, `"env:SLUICE_TEST_BACKEND 100%, shop 0%"`,
	} {
		if !strings.Contains(routes, want) {
			t.Errorf("routes have no %s:\n%s", want, routes)
		}
	}
	for _, r := range s.Routes() {
		one, err := s.Route(r.ID)
		look("route "+r.ID, one, err)
	}
	c, err := s.Configuration()
	look("the configuration", c, err)
	all, err := s.History()
	look("history", all, err)
	look("diff", s.Check(t.Context(), []byte(strings.Replace(concealing, "X-Answer", "X-Other", 1))), nil)
	filters := look("filters", s.Filters(), nil)
	functions := look("functions", s.Functions(), nil)
	if !strings.Contains(filters, `"g"`) || !strings.Contains(functions, `"f"`) {
		t.Errorf("got %s, %s", filters, functions)
	}

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	// An endpoint that fails is told by what the file has, too.
	for range 3 {
		if res, _ := get(t, client, s.Addresses()[0]+"/direct"); res.StatusCode != http.StatusBadGateway {
			t.Fatalf("got %s", res.Status)
		}
	}
	for target, want := range map[string][]string{
		"/when":      {"field x-key: env:SLUICE_TEST_FIELD", "query k=env:SLUICE_TEST_FIELD", "cookie c=file:token", `"name":"X-Key","value":"env:SLUICE_TEST_FIELD"`, `"X-More","value":"file:token"`, `"X-More","value":"plain"`, `"host":"env:SLUICE_TEST_BACKEND"`, `"address":"env:SLUICE_TEST_BACKUP"`},
		"/to/x":      {`"location":"env:SLUICE_TEST_PATH"`},
		"/map/x":     {`"location":"/y"`},
		"/rewrite/x": {`"uri":"env:SLUICE_TEST_REWRITE"`, `"host":"env:SLUICE_TEST_HOST"`},
		"/prefix/x":  {`"uri":"env:SLUICE_TEST_PATH/x"`},
		"/prefix/":   {`"uri":"env:SLUICE_TEST_PATH/"`},
		"/new?q=1":   {`"uri":"env:SLUICE_TEST_PATH/new?q=1"`, `"address":"env:SLUICE_TEST_BACKEND"`},
		"/direct":    {`"upstream":{"name":"env:SLUICE_TEST_BACKEND"`, `"address":"env:SLUICE_TEST_BACKEND"`},
		"/direct/up": {`"host":"env:SLUICE_TEST_BACKEND"`},
		"/socket":    {`"address":"unix:$SLUICE_TEST_DIR/app.sock"`},
		"/split":     {`"arm":"env:SLUICE_TEST_BACKEND"`},
		"/respond":   {`"location":"env:SLUICE_TEST_PATH"`},
		"/function":  {`"function":"f`},
	} {
		request := api.ExplainRequest{URL: strings.TrimSuffix(s.Addresses()[0], "/") + target}
		e, err := s.Explain(request)
		got := look("explain "+target, e, err)
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("explain %s has no %s:\n%s", target, part, got)
			}
		}
		e, _, err = server.Explain(file, request)
		look("explain of a file "+target, e, err)
	}

	// What is served is what they stand for.
	res, _ := get(t, client, s.Addresses()[0]+"/to/x")
	if got := []string{res.Header.Get("Location"), res.Header.Get("X-Answer")}; !slices.Equal(got, []string{"/hidden-path", "hidden-field"}) {
		t.Errorf("got %q", got)
	}
	if res, body := get(t, client, s.Addresses()[0]+"/respond"); res.Header.Get("Location") != "/hidden-path" || body != "hidden-field" {
		t.Errorf("got %v, %q", res.Header, body)
	}
}

// What a function has from the environment is in nothing that it logs; what the file says
// is.
func TestSecretsAreNotLogged(t *testing.T) {
	t.Setenv("SLUICE_TEST_FIELD", "greeted")
	dir := t.TempDir()
	module, err := filepath.Abs("../../examples/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	log := new(lines)
	s, err := serveFile(t, writeFile(t, filepath.Join(dir, "sluice.yaml"), `
admin: off
log: { access: off }
sites: { "http://127.0.0.1:0": function:hello }
functions: { hello: { wasm: `+module+`, env: { KEY: env:SLUICE_TEST_FIELD, GREETING: "127.0" } } }
`), filepath.Join(dir, "state"), log)
	if err != nil {
		t.Fatal(err)
	}
	client := new(http.Client)
	defer client.CloseIdleConnections()
	get(t, client, s.Addresses()[0]+"/")
	j, err := s.FunctionJournal("hello")
	if err != nil {
		t.Fatal(err)
	}
	if said := j.Lines(); len(said) != 1 || said[0].Text != "[redacted] 127.0.0.1" {
		t.Errorf("it has said %+v", said)
	}
	if got := log.String(); strings.Contains(got, "greeted") || !strings.Contains(got, "[redacted] 127.0.0.1") {
		t.Errorf("the log is\n%s", got)
	}
}
