package admin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// rig is a proxy with its admin API, of a file that can change and a state directory
// that outlives it.
type rig struct {
	t   *testing.T
	dir string
	s   *server.Server
	c   *api.Client
	url string // of the API
	end func()
}

const used = `# The shop.
sites:
  "http://127.0.0.1:0":
    name: shop
    routes:
      /:       { respond: { body: front } } # for everybody
      /api/*:  one
      /split:  { name: split, split: { one: 90%, two: 10% } }
upstreams: { one: "127.0.0.1:1", two: "127.0.0.1:2" }
`

func startRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.write(used)
	r.start()
	t.Cleanup(func() { r.end() })
	return r
}

func (r *rig) path() string { return filepath.Join(r.dir, "sluice.yaml") }

func (r *rig) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(), []byte(text+"state: "+r.dir+"/state\nlog: { access: off }\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) load() *config.File {
	r.t.Helper()
	f, problems := config.Load(r.path(), config.Options{})
	if problems.Failed() {
		r.t.Fatal(problems)
	}
	return f
}

func (r *rig) start() {
	r.t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, problems, err := server.New(r.load(), server.Options{Log: log})
	if err != nil || problems.Failed() {
		r.t.Fatal(problems, err)
	}
	a, err := admin.New(s, config.Admin{Listen: config.Address{Network: "tcp", Address: "127.0.0.1:0"}}, api.Version{Version: "v1"}, log)
	if err != nil {
		s.Close()
		r.t.Fatal(err)
	}
	go a.Serve()
	r.url = "http://" + a.Addr().String()
	r.s, r.c = s, client(r.t, a.Addr().String(), "")
	r.end = func() {
		a.Shutdown(context.Background())
		s.Close()
	}
}

func (r *rig) restart() {
	r.t.Helper()
	r.end()
	r.start()
}

func (r *rig) reload() {
	r.t.Helper()
	if problems, err := r.s.Apply(r.load(), "test"); err != nil || problems.Failed() {
		r.t.Fatal(problems, err)
	}
}

// get returns the status and the content of an answer of the proxy.
func (r *rig) get(path string) (int, http.Header, string) {
	r.t.Helper()
	res, err := http.Get(r.s.Addresses()[0] + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func (r *rig) config() api.Configuration {
	r.t.Helper()
	c, err := r.c.Config(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) pushFilter(name, module string, use api.Use) (api.ModuleVersion, error) {
	b := guest(r.t, module)
	return r.c.PushFilter(context.Background(), name, bytes.NewReader(b), int64(len(b)), use, nil)
}

func (r *rig) pushFunction(name, module string, use api.Use) (api.ModuleVersion, error) {
	b := guest(r.t, module)
	return r.c.PushFunction(context.Background(), name, bytes.NewReader(b), int64(len(b)), use, nil)
}

// One command puts a filter to use; a restart keeps that, and the file wins.
func TestFilterOn(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if status, _, _ := r.get("/api/x"); status != http.StatusBadGateway {
		t.Fatalf("got %d", status)
	}
	for _, use := range []struct {
		route  string
		status int
		says   string
	}{
		{"nowhere/api/*", http.StatusNotFound, `"nowhere"`},
		{"shop/apo/*", http.StatusNotFound, "/api/*"},
		{"shop/../x", http.StatusNotFound, "no route"},
		{"shop/", http.StatusUnprocessableEntity, "respond 200"},
	} {
		_, err := r.pushFilter("deny", "deny", api.Use{Route: use.route})
		if p := status(t, err, use.status); !strings.Contains(p.Error(), use.says) {
			t.Errorf("%s: %v", use.route, p)
		}
	}
	if list, err := r.c.Filters(ctx); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v: something was stored", list, err)
	}
	v, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*", DryRun: true})
	if err != nil || !slices.Equal(v.Routes, []string{"shop/api/*"}) || len(r.config().Overlays) != 0 {
		t.Errorf("dry run: %+v, %v", v, err)
	}

	v, err = r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*", Config: `{"a": [1, "b"]}`})
	if err != nil || !v.Live || !slices.Equal(v.Routes, []string{"shop/api/*"}) || len(v.Warnings) != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	serves := func(when string) {
		t.Helper()
		if status, _, _ := r.get("/api/x"); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", when, status)
		}
	}
	serves("at once")
	c := r.config()
	if len(c.Overlays) != 2 || c.Overlays[0].Name != "deny" || !strings.Contains(c.Overlays[1].Name, "/api/*") {
		t.Errorf("overlays %+v", c.Overlays)
	}
	now := c.Effective[0].Text
	for _, want := range []string{"# The shop.", "# for everybody", "wasm: uploaded", "filters: [deny]"} {
		if !strings.Contains(now, want) {
			t.Errorf("no %q in\n%s", want, now)
		}
	}
	r.restart()
	serves("after a restart")
	r.reload()
	serves("after a reload of the same file")
	r.write(used + "# another comment\n")
	r.reload()
	serves("after a comment has come")

	// What the overlay replaced has changed: it goes. The filter stays, unused.
	r.write(strings.Replace(used, "/api/*:  one", "/api/*:  two", 1))
	r.reload()
	if status, _, _ := r.get("/api/x"); status != http.StatusBadGateway {
		t.Errorf("the file does not win: %d", status)
	}
	if c := r.config(); len(c.Overlays) != 1 || c.Overlays[0].Kind != "filter" {
		t.Errorf("overlays %+v", c.Overlays)
	}
	f, err := r.c.Filter(ctx, "deny")
	if err != nil || f.Live != 1 || len(f.Routes) != 0 {
		t.Errorf("%+v, %v", f, err)
	}

	// A dry run of what cannot be undone does nothing.
	for _, request := range []struct{ method, path string }{{"DELETE", "filters/deny"}, {"POST", "filters/deny/rollback"}, {"PUT", "splits/split"}} {
		req, err := http.NewRequest(request.method, r.url+"/v1/"+request.path+"?dry_run=1", strings.NewReader(`{"weights": {"one": 0, "two": 100}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := map[string]int{"DELETE": 204, "POST": 409, "PUT": 200}[request.method]; res.StatusCode != want {
			t.Errorf("%s %s: %d, want %d", request.method, request.path, res.StatusCode, want)
		}
	}
	if f, err := r.c.Filter(ctx, "deny"); err != nil || f.Live != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	if s, err := r.c.Split(ctx, "split"); err != nil || s.Arms[0].Share != 90 {
		t.Errorf("%+v, %v", s, err)
	}

	// On all of a site, and off again with the filter.
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop"}); err != nil {
		t.Fatal(err)
	}
	serves("on the site")
	if err := r.c.RemoveFilter(ctx, "deny"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := r.get("/api/x"); status != http.StatusBadGateway {
		t.Errorf("the filter is still on: %d", status)
	}
}

// What the effective text says, written into the file, changes nothing and leaves
// no overlays.
func TestFoldedIn(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.SetSplit(ctx, "split", api.SplitChange{Weights: map[string]float64{"one": 25, "two": 75}}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	c := r.config()
	if !strings.Contains(c.Effective[0].Text, "one: 25%") {
		t.Errorf("no shares in\n%s", c.Effective[0].Text)
	}
	if err := os.WriteFile(r.path(), []byte(c.Effective[0].Text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload()
	if c := r.config(); len(c.Overlays) != 0 || c.Effective[0].Text != c.Texts[0].Text {
		t.Errorf("overlays %+v", c.Overlays)
	}
	if status, _, _ := r.get("/api/x"); status != http.StatusUnauthorized {
		t.Errorf("got %d", status)
	}
	if s, err := r.c.Split(ctx, "split"); err != nil || s.Arms[0].Share != 25 {
		t.Errorf("%+v, %v", s, err)
	}
	// A split may be on what is called "/".
	r.write("sites: { \"http://127.0.0.1:0\": { split: { \"127.0.0.1:1\": 100%, \"127.0.0.1:2\": 0% } } }\n")
	r.reload()
	if s, err := r.c.Split(ctx, "/"); err != nil || len(s.Arms) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFunctions(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	v, err := r.pushFunction("say", "script", api.Use{})
	if err != nil || len(v.Warnings) != 1 || v.Live {
		t.Fatalf("%+v, %v", v, err)
	}
	if v, err = r.pushFunction("say", "script", api.Use{Route: "shop/say/*"}); err != nil || !v.Live || !slices.Equal(v.Routes, []string{"shop/say/*"}) {
		t.Fatalf("%+v, %v", v, err)
	}
	if status, _, body := r.get("/say/x?ho"); status != http.StatusOK || body != "ok" {
		t.Errorf("got %d %q", status, body)
	}
	_, err = r.pushFunction("say", "script", api.Use{Route: "shop/api/*"})
	status(t, err, http.StatusConflict)
	_, err = r.pushFunction("say", "script", api.Use{Route: "shop"})
	status(t, err, http.StatusUnprocessableEntity)
	_, err = r.pushFunction("say", "trap", api.Use{})
	if err != nil {
		t.Fatal(err) // an http-wasm guest
	}
	if status, _, _ := r.get("/say/x?ho"); status != http.StatusInternalServerError {
		t.Errorf("the new version does not serve: %d", status)
	}
	if v, err = r.c.RollBackFunction(ctx, "say"); err != nil || v.Version != 1 || !v.Live {
		t.Errorf("%+v, %v", v, err)
	}
	if status, _, _ := r.get("/say/x?ho"); status != http.StatusOK {
		t.Errorf("got %d", status)
	}
	_, err = r.c.RollBackFunction(ctx, "say")
	status(t, err, http.StatusConflict)
	r.restart()
	if status, _, _ := r.get("/say/x?ho"); status != http.StatusOK {
		t.Errorf("after a restart: %d", status)
	}
	r.get("/say/x?ht") // traps
	lines, err := r.c.FunctionLogs(ctx, "say", false)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	if _, err := io.ReadAll(lines); err != nil {
		t.Error(err)
	}
	_, err = r.c.FunctionLogs(ctx, "sy", false)
	if p := status(t, err, http.StatusNotFound); !strings.Contains(p.Error(), "say") {
		t.Error(p)
	}
	f, err := r.c.Function(ctx, "say")
	if err != nil || f.Live != 1 || f.Runs != 2 || f.Failures != 1 || len(f.Versions) != 2 || f.Versions[0].ABI != "http-wasm" || f.Versions[1].ABI != "wasi" {
		t.Errorf("%+v, %v", f, err)
	}
	if err := r.c.RemoveFunction(ctx, "say"); err != nil {
		t.Fatal(err)
	}
	if _, _, body := r.get("/say/x?ho"); body != "front" {
		t.Errorf("the route is still there: %q", body)
	}
	// What the file needs stays.
	if _, err := r.pushFunction("kept", "script", api.Use{}); err != nil {
		t.Fatal(err)
	}
	r.write(used + "functions: { kept: { wasm: uploaded } }\n")
	r.reload()
	status(t, r.c.RemoveFunction(ctx, "kept"), http.StatusConflict)
}

func TestRoutes(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	all, err := r.c.Routes(ctx)
	if err != nil || len(all) != 3 || all[1].ID != "shop/api/*" || all[1].Target != "one" {
		t.Fatalf("%+v, %v", all, err)
	}
	c, err := r.c.SetRoute(ctx, "shop/new", []byte("respond: { status: 201, body: made }"), api.Change{})
	if err != nil || c.ID != "shop/new" || !c.Overlaid {
		t.Fatalf("%+v, %v", c, err)
	}
	if status, _, body := r.get("/new"); status != http.StatusCreated || body != "made" {
		t.Errorf("got %d %q", status, body)
	}
	if _, err := r.c.PatchRoute(ctx, "shop/new", []byte(`{"respond": {"body": "patched"}}`), api.Change{}); err != nil {
		t.Fatal(err)
	}
	if status, _, body := r.get("/new"); status != http.StatusCreated || body != "patched" {
		t.Errorf("got %d %q", status, body)
	}
	_, err = r.c.SetRoute(ctx, "shop/POST /new", []byte("two"), api.Change{DryRun: true})
	if err != nil {
		t.Error(err)
	}
	if all, _ := r.c.Routes(ctx); len(all) != 4 {
		t.Errorf("a dry run has changed something: %+v", all)
	}
	for value, says := range map[string]string{
		"nowhere":             "no upstream",
		"{ to: one, tim: 5 }": "timeout",
		"[":                   "",
		"{ respond: 9 }":      "200",
	} {
		_, err := r.c.SetRoute(ctx, "shop/bad", []byte(value), api.Change{})
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status/100 != 4 || !strings.Contains(p.Error(), says) {
			t.Errorf("%s: %v", value, err)
		}
	}
	if err := r.c.ResetRoute(ctx, "shop/new", api.Change{}); err != nil {
		t.Fatal(err)
	}
	if _, _, body := r.get("/new"); body != "front" {
		t.Errorf("got %q", body)
	}
	status(t, r.c.ResetRoute(ctx, "shop/new", api.Change{}), http.StatusNotFound)
	status(t, r.c.ResetRoute(ctx, "shop/api/*", api.Change{}), http.StatusConflict)

	// Two writers.
	tag := r.config().ETag
	if _, err := r.c.SetRoute(ctx, "shop/first", []byte("{ respond: 204 }"), api.Change{IfMatch: tag}); err != nil {
		t.Fatal(err)
	}
	_, err = r.c.SetRoute(ctx, "shop/second", []byte("{ respond: 204 }"), api.Change{IfMatch: tag})
	status(t, err, http.StatusPreconditionFailed)
}

func TestConfiguration(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	first := r.config()
	other := strings.Replace(first.Texts[0].Text, "body: front", "body: other", 1)
	check, err := r.c.CheckConfig(ctx, []byte(other))
	if err != nil || !check.Right || !strings.Contains(check.Diff, "\n-") || !strings.Contains(check.Diff, "body: other") {
		t.Errorf("%+v, %v", check, err)
	}
	if check, err = r.c.CheckConfig(ctx, []byte("sites: { a.example: nowhere }")); err != nil || check.Right || len(check.Problems) == 0 {
		t.Errorf("%+v, %v", check, err)
	}
	_, err = r.c.SetConfig(ctx, []byte("sites: {"), api.Change{})
	status(t, err, http.StatusUnprocessableEntity)
	if _, _, body := r.get("/"); body != "front" {
		t.Errorf("got %q", body)
	}
	second, err := r.c.SetConfig(ctx, []byte(other), api.Change{IfMatch: first.ETag})
	if err != nil || second.ETag == first.ETag || len(second.Overlays) != 1 {
		t.Fatalf("%+v, %v", second, err)
	}
	if _, _, body := r.get("/"); body != "other" {
		t.Errorf("got %q", body)
	}
	r.restart()
	if _, _, body := r.get("/"); body != "other" {
		t.Errorf("after a restart: %q", body)
	}
	// An overlay on top of it.
	if _, err := r.pushFunction("say", "script", api.Use{Route: "shop/say"}); err != nil {
		t.Fatal(err)
	}
	all, err := r.c.History(ctx)
	if err != nil || len(all) != 3 || !all[0].Current || all[0].Cause != "function say pushed" || all[2].Cause != "start" {
		t.Fatalf("%+v, %v", all, err)
	}
	back, err := r.c.RollBackConfig(ctx, 0, api.Change{DryRun: true})
	if err != nil || back.ETag == second.ETag {
		t.Errorf("dry run: %+v, %v", back, err)
	}
	if back, err = r.c.RollBackConfig(ctx, 0, api.Change{}); err != nil || back.ETag != second.ETag {
		t.Errorf("%+v, %v", back, err)
	}
	if back, err = r.c.RollBackConfig(ctx, 1, api.Change{}); err != nil || back.ETag != first.ETag || len(back.Overlays) != 0 {
		t.Errorf("%+v, %v", back, err)
	}
	if _, _, body := r.get("/"); body != "front" {
		t.Errorf("got %q", body)
	}
	_, err = r.c.RollBackConfig(ctx, 99, api.Change{})
	status(t, err, http.StatusNotFound)
	// The file changes: it wins over a whole one that was set.
	if _, err := r.c.SetConfig(ctx, []byte(other), api.Change{}); err != nil {
		t.Fatal(err)
	}
	r.write(used + "# changed\n")
	r.reload()
	if _, _, body := r.get("/"); body != "front" || len(r.config().Overlays) != 0 {
		t.Errorf("got %q, %+v", body, r.config().Overlays)
	}
}
