package admin_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// modules returns the files of the modules that the proxy has, with what is in them.
func (r *rig) modules() map[string]string {
	r.t.Helper()
	all := make(map[string]string)
	for _, dir := range []string{"modules", "functions"} {
		err := filepath.WalkDir(filepath.Join(r.dir, "state", dir), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			all[path] = string(b)
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return all
}

// A push that cannot be put to use leaves everything as it was, the first of a name as
// well as another, whatever keeps it from being used.
func TestPushLeavesNothing(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	redirects := filepath.Join(r.dir, "map")
	writeMap := func() {
		t.Helper()
		if err := os.WriteFile(redirects, []byte("/a /b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeMap()
	r.write(strings.Replace(used, "    routes:\n", "    routes:\n      /old/*: { redirect: { map: map } }\n", 1))
	r.reload()
	if _, err := r.pushFilter("known", "deny", api.Use{Route: "shop/api/*"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pushFunction("known", "script", api.Use{Route: "shop/known"}); err != nil {
		t.Fatal(err)
	}
	before, config := r.modules(), r.config()

	for what, c := range map[string]struct {
		breakIt, mend func()
		status        int // of the answer; 0: any
	}{
		"overlays cannot be kept": {r.breakState, r.mendState, 0},
		"the configuration is refused": {func() {
			if err := os.Remove(redirects); err != nil {
				t.Fatal(err)
			}
		}, writeMap, http.StatusUnprocessableEntity},
	} {
		c.breakIt()
		for _, name := range []string{"known", "new"} {
			_, err := r.pushFilter(name, "hello", api.Use{Route: "shop/split"})
			if c.status != 0 {
				status(t, err, c.status)
			} else if err == nil {
				t.Errorf("%s: the filter %s is taken", what, name)
			}
			if _, err = r.pushFunction(name, "environ", api.Use{Route: "shop/f"}); err == nil {
				t.Errorf("%s: the function %s is taken", what, name)
			}
		}
		c.mend()
		after := r.modules()
		for path, b := range before {
			if after[path] != b {
				t.Errorf("%s: %s is now %.200q", what, path, after[path])
			}
		}
		if len(after) != len(before) {
			t.Errorf("%s: there are %d files of modules, want %d", what, len(after), len(before))
		}
		for _, when := range []string{"at once", "after a reload", "after a restart"} {
			if f, err := r.c.Filter(ctx, "known"); err != nil || f.Live != 1 || len(f.Versions) != 1 {
				t.Errorf("%s: %s: %+v, %v", what, when, f, err)
			}
			if f, err := r.c.Function(ctx, "known"); err != nil || f.Live != 1 || len(f.Versions) != 1 {
				t.Errorf("%s: %s: %+v, %v", what, when, f, err)
			}
			_, err := r.c.Filter(ctx, "new")
			status(t, err, http.StatusNotFound)
			_, err = r.c.Function(ctx, "new")
			status(t, err, http.StatusNotFound)
			if now := r.config(); now.ETag != config.ETag || len(now.Overlays) != len(config.Overlays) {
				t.Errorf("%s: %s: overlays %+v", what, when, now.Overlays)
			}
			if when == "at once" {
				r.reload()
			} else if when == "after a reload" {
				r.restart()
			}
		}
	}
}

// A module that the configuration has no other for stays. Who is to take that out is
// told where it stands: in the file, or in what the API has set in its place.
func TestRemoveNeeded(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	const uploaded = "filters: { f: { wasm: uploaded } }\nfunctions: { f: { wasm: uploaded } }\n"
	if _, err := r.pushFilter("f", "hello", api.Use{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pushFunction("f", "script", api.Use{}); err != nil {
		t.Fatal(err)
	}
	refused := func(says, hint string) {
		t.Helper()
		for _, err := range []error{r.c.RemoveFilter(ctx, "f"), r.c.RemoveFunction(ctx, "f")} {
			if p := status(t, err, http.StatusConflict); !strings.Contains(p.Detail, says) || !strings.Contains(p.Hint, hint) {
				t.Errorf("got %+v, want %q and %q", p, says, hint)
			}
		}
	}
	text := r.config().Texts[0].Text
	if _, err := r.c.SetConfig(ctx, []byte(text+uploaded), api.Change{}); err != nil {
		t.Fatal(err)
	}
	refused("the configuration that the API has set says", "sluice rollback")
	if _, err := r.c.RollBackConfig(ctx, 0, api.Change{}); err != nil { // as it says
		t.Fatal(err)
	}
	if c := r.config(); len(c.Overlays) != 0 {
		t.Errorf("overlays %+v", c.Overlays)
	}
	r.write(used + uploaded)
	r.reload()
	refused("the file says", "out of the file")
	r.write(used)
	r.reload()
	for _, err := range []error{r.c.RemoveFilter(ctx, "f"), r.c.RemoveFunction(ctx, "f")} {
		if err != nil {
			t.Error(err)
		}
	}
}

// A module that fails as it begins, for want of its configuration it may be, is told of
// where that is given; one that has a configuration is not.
func TestPushWithoutConfig(t *testing.T) {
	r := startRig(t)
	// An http-wasm guest whose start function is unreachable.
	const fails = "\x00asm\x01\x00\x00\x00\x01\x0d\x03`\x00\x00`\x00\x01~`\x02\x7f\x7f\x00\x03\x04\x03\x00\x01\x02\x05\x03\x01\x00\x01" +
		"\x07-\x03\x06memory\x02\x00\x0ehandle_request\x00\x01\x0fhandle_response\x00\x02\x08\x01\x00\x0a\x0d\x03\x03\x00\x00\x0b\x04\x00B\x01\x0b\x02\x00\x0b"
	for config, hint := range map[string]string{"": "--config", "given": ""} {
		_, err := r.c.PushFilter(context.Background(), "new", strings.NewReader(fails), int64(len(fails)), api.Use{Config: config}, nil)
		p := status(t, err, http.StatusUnprocessableEntity)
		if hint == "" && p.Hint != "" || !strings.Contains(p.Hint, hint) || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Detail, "initialised") {
			t.Errorf("config %q: got %+v, want the hint %q", config, p, hint)
		}
	}
}
