package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// A dry run leaves what the API has changed as it is, and what is taken back does not
// come again with a restart.
func TestRemoveFilterOfOverlays(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if _, err := r.c.SetRoute(ctx, "shop/made", []byte("{ respond: { body: made }, filters: [] }"), api.Change{}); err != nil {
		t.Fatal(err)
	}
	for _, on := range []string{"shop/api/*", "shop"} {
		if _, err := r.pushFilter("deny", "deny", api.Use{Route: on}); err != nil {
			t.Fatal(err)
		}
	}
	before := r.config()
	req, err := http.NewRequest("DELETE", r.url+"/v1/filters/deny?dry_run=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Fatal(res.Status)
	}
	if now := r.config(); fmt.Sprint(now.Overlays) != fmt.Sprint(before.Overlays) {
		t.Errorf("a dry run has changed %s to %s", fmt.Sprint(before.Overlays), fmt.Sprint(now.Overlays))
	}
	if err := r.c.RemoveFilter(ctx, "deny"); err != nil {
		t.Fatal(err)
	}
	serves := func(when string) {
		t.Helper()
		if status, _, _ := r.get("/api/x"); status != http.StatusBadGateway {
			t.Errorf("%s: got %d", when, status)
		}
		if _, _, body := r.get("/made"); body != "made" {
			t.Errorf("%s: got %q", when, body)
		}
		c := r.config()
		for _, o := range c.Overlays {
			if strings.Contains(string(o.Value), "deny") {
				t.Errorf("%s: overlay %s %s is %s", when, o.Kind, o.Name, o.Value)
			}
		}
		// What only the filter was put to use by is nothing any more.
		if len(c.Overlays) != 1 || c.Overlays[0].Name != "shop/made" {
			t.Errorf("%s: overlays %+v", when, c.Overlays)
		}
	}
	serves("at once")
	r.restart()
	serves("after a restart")
}

// A route that was made for a function goes with it, also after a filter was on it.
func TestRemoveFunctionOfRoute(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if _, err := r.pushFunction("say", "script", api.Use{Route: "shop/say"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/say"}); err != nil {
		t.Fatal(err)
	}
	if err := r.c.RemoveFilter(ctx, "deny"); err != nil {
		t.Fatal(err)
	}
	if _, _, body := r.get("/say?ho"); body != "ok" {
		t.Errorf("got %q", body)
	}
	if err := r.c.RemoveFunction(ctx, "say"); err != nil {
		t.Fatal(err)
	}
	if c := r.config(); len(c.Overlays) != 0 {
		t.Errorf("overlays %+v", c.Overlays)
	}
}

// What is no request of the API is refused, and says why.
func TestMalformed(t *testing.T) {
	r := startRig(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "splits/split", `{"weights": {"one": 0, "two": 100}} {}`, http.StatusBadRequest},
		{"PUT", "splits/split", `{"weights": {"one": 0, "two": 100}}]`, http.StatusBadRequest},
		{"PUT", "splits/split", `{"weights": {"one": 0, "two": 1e999}}`, http.StatusBadRequest},
		{"PUT", "splits/split", `{"shares": {}}`, http.StatusBadRequest},
		{"PUT", "splits/split", `{"weights": {"` + strings.Repeat("a", 2<<20) + `": 0}}`, http.StatusRequestEntityTooLarge},
		{"POST", "explain", strings.Repeat("[", 100_000), http.StatusBadRequest},
		{"PUT", "routes/shop/deep", strings.Repeat("[", 100_000), http.StatusBadRequest},
		{"PUT", "routes/shop/long", strings.Repeat("a", 2<<20), http.StatusRequestEntityTooLarge},
		{"POST", "config/rollback/99999999999999999999", "", http.StatusBadRequest},
		{"POST", "config/rollback/-1", "", http.StatusBadRequest},
	} {
		req, err := http.NewRequest(c.method, r.url+"/v1/"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s %s %.40s: %d, want %d", c.method, c.path, c.body, res.StatusCode, c.want)
		}
	}
	if c := r.config(); len(c.Overlays) != 0 {
		t.Errorf("overlays %+v", c.Overlays)
	}
}

// A version that a route is pinned to cannot be removed: no configuration that names
// it could be put in force any more.
func TestRemovePinned(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	const file = `sites:
  "http://127.0.0.1:0":
    name: shop
    routes:
      /:  { to: "127.0.0.1:1", filters: [deny@1] }
      /f: { to: "function:say@1" }
filters:   { deny: { wasm: deny.wasm } }
functions: { say: { wasm: say.wasm } }
`
	for name, module := range map[string]string{"deny": "deny", "say": "script"} {
		if err := os.WriteFile(filepath.Join(r.dir, name+".wasm"), guest(t, module), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.write(file)
	r.reload()
	p := status(t, r.c.RemoveFilter(ctx, "deny"), http.StatusConflict)
	if !strings.Contains(p.Error(), "shop/") {
		t.Errorf("%v does not name the route", p)
	}
	status(t, r.c.RemoveFunction(ctx, "say"), http.StatusConflict)
	r.reload()
	r.restart()
}

// What the file names counts again once an upload is removed, with its ABI.
func TestRemoveUpload(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if err := os.WriteFile(filepath.Join(r.dir, "say.wasm"), guest(t, "script"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(used + "functions: { say: { wasm: say.wasm } }\n")
	r.reload()
	if _, err := r.pushFunction("say", "environ", api.Use{}); err != nil {
		t.Fatal(err)
	}
	if err := r.c.RemoveFunction(ctx, "say"); err != nil {
		t.Fatal(err)
	}
	f, err := r.c.Function(ctx, "say")
	if err != nil || len(f.Versions) != 1 || f.Versions[0].ABI != "wasi" || f.Live != f.Versions[0].Version {
		t.Errorf("%+v, %v", f, err)
	}
}

// Nothing is not a route: what the API says is there to be looked at, and to be taken
// back.
func TestSetRouteToNothing(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	before := r.config().ETag
	for _, value := range []string{"null", "~", "[]", "", "# a comment", "{}"} {
		_, err := r.c.SetRoute(ctx, "shop/api/*", []byte(value), api.Change{})
		status(t, err, http.StatusUnprocessableEntity)
	}
	_, err := r.c.PatchRoute(ctx, "shop/api/*", []byte("null"), api.Change{})
	status(t, err, http.StatusUnprocessableEntity)
	if now := r.config(); now.ETag != before || len(now.Overlays) != 0 {
		t.Errorf("overlays %+v", now.Overlays)
	}
}

// Of many writers that have seen the same one alone is let in.
func TestIfMatch(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	for range 20 {
		tag := r.config().ETag
		var all sync.WaitGroup
		var taken atomic.Int64
		for i := range 8 {
			all.Go(func() {
				value := fmt.Sprintf("{ respond: { body: %q } }", fmt.Sprint(tag, i))
				if _, err := r.c.SetRoute(ctx, fmt.Sprintf("shop/%d", i), []byte(value), api.Change{IfMatch: tag}); err == nil {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if n := taken.Load(); n != 1 {
			t.Fatalf("%d were let in", n)
		}
	}
}

// Uploads at the same time lose nothing of each other.
func TestPushAtOnce(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	var all sync.WaitGroup
	const n = 6
	for i := range n {
		all.Go(func() {
			name := fmt.Sprint("f", i)
			if _, err := r.pushFunction(name, "script", api.Use{Route: "shop/" + name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	routes, err := r.c.Routes(ctx)
	if err != nil || len(routes) != 3+n {
		t.Errorf("%d routes, %v", len(routes), err)
	}
}

// An upload that cannot be put to use is not what goes live with the next reload.
func TestPushRefused(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*"}); err != nil {
		t.Fatal(err)
	}
	r.breakState()
	if v, err := r.pushFilter("deny", "hello", api.Use{Route: "shop/split"}); err == nil {
		t.Fatalf("%+v", v)
	}
	r.mendState()
	if f, err := r.c.Filter(ctx, "deny"); err != nil || f.Live != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	r.reload()
	if f, err := r.c.Filter(ctx, "deny"); err != nil || f.Live != 1 {
		t.Errorf("after a reload: %+v, %v", f, err)
	}
	if status, _, _ := r.get("/api/x"); status != http.StatusUnauthorized {
		t.Errorf("got %d", status)
	}
}

// Shares that cannot be kept are not taken.
func TestSplitRefused(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if err := os.Mkdir(r.kept("splits.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	change := api.SplitChange{Weights: map[string]float64{"one": 25, "two": 75}}
	if _, err := r.c.SetSplit(ctx, "split", change, api.Change{}); err == nil {
		t.Error("taken")
	}
	if s, err := r.c.Split(ctx, "split"); err != nil || s.Arms[0].Share != 90 {
		t.Errorf("%+v, %v", s, err)
	}
	if c := r.config(); len(c.Overlays) != 0 {
		t.Errorf("overlays %+v", c.Overlays)
	}
	if err := os.Remove(r.kept("splits.json")); err != nil {
		t.Fatal(err)
	}
	// What the file says is nothing that the API has changed.
	for n, weights := range []map[string]float64{{"one": 90, "two": 10}, {"one": 25, "two": 75}, {"one": 90, "two": 10}} {
		s, err := r.c.SetSplit(ctx, "split", api.SplitChange{Weights: weights}, api.Change{})
		if err != nil || s.Arms[0].Share != weights["one"] {
			t.Errorf("%+v, %v", s, err)
		}
		if c := r.config(); len(c.Overlays) != n%2 {
			t.Errorf("%v: overlays %+v", weights, c.Overlays)
		}
	}
}

// Routes with conditions that share a path each have shares of their own.
func TestSplitsOfOnePath(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	r.write(strings.Replace(used, "/split:  { name: split, split: { one: 90%, two: 10% } }", `/split:
        - { name: a, when: { header: { X-A: b } }, split: { one: 90%, two: 10% } }
        - { name: b, split: { one: 50%, two: 50% } }`, 1))
	r.reload()
	for name, share := range map[string]float64{"a": 1, "b": 2} {
		if _, err := r.c.SetSplit(ctx, name, api.SplitChange{Weights: map[string]float64{"one": share, "two": 100 - share}}, api.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	c := r.config()
	for _, want := range []string{"{ one: 1%, two: 99% }", "{ one: 2%, two: 98% }"} {
		if !strings.Contains(c.Effective[0].Text, want) {
			t.Errorf("no %s in\n%s", want, c.Effective[0].Text)
		}
	}
	if len(c.Overlays) != 2 {
		t.Errorf("overlays %+v", c.Overlays)
	}
}

// Numbers that a float cannot hold stay what they are.
func TestLargeNumbers(t *testing.T) {
	r := startRig(t)
	const config = `{"id":9007199254740993,"share":0.1}`
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*", Config: config}); err != nil {
		t.Fatal(err)
	}
	says := func(when string) {
		t.Helper()
		if text := r.config().Effective[0].Text; !strings.Contains(text, "9007199254740993") {
			t.Errorf("%s:\n%s", when, text)
		}
	}
	says("at once")
	r.restart()
	says("after a restart")
}

// kept returns the path of a file that is kept about the main file.
func (r *rig) kept(name string) string {
	r.t.Helper()
	all, err := filepath.Glob(filepath.Join(r.dir, "state", "files", "*"))
	if err != nil || len(all) != 1 {
		r.t.Fatal(all, err)
	}
	return filepath.Join(all[0], name)
}

// breakState makes the state directory one where overlays cannot be written, until
// mendState.
func (r *rig) breakState() {
	r.t.Helper()
	path := r.kept("overlays.json")
	if err := os.Rename(path, path+".kept"); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mendState() {
	r.t.Helper()
	path := r.kept("overlays.json")
	if err := os.Remove(path); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".kept", path); err != nil {
		r.t.Fatal(err)
	}
}
