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

// What could not be put in force, since of its modules or versions, is not called right:
// by a check and by dry runs of all that changes the configuration.
func TestModulesAreChecked(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	if err := os.WriteFile(filepath.Join(r.dir, "keeper.wasm"), guest(t, "keeper"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pushFilter("deny", "deny", api.Use{}); err != nil {
		t.Fatal(err)
	}
	dry := api.Change{DryRun: true}
	for _, c := range []struct{ more, says string }{
		{"filters: { f: { wasm: keeper.wasm } }\n", `write "allow: { kv: [NAMESPACE] }"`},
		{"filters: { f: { wasm: keeper.wasm, allow: { kv: [counts] }, abi: proxy-wasm } }\n", "abi says proxy-wasm"},
		{"filters: { deny: { wasm: uploaded, deploy: { '@1': 50%, '@2': 50% } } }\n", `the filter "deny" has no version 2; it has 1`},
		{"filters: { deny: { wasm: uploaded, shadow: '@3' } }\n", `the filter "deny" has no version 3; it has 1`},
		{"functions: { f: { wasm: keeper.wasm } }\n", `write "allow: { kv: [NAMESPACE] }"`},
		{"filters: { f: { wasm: keeper.wasm, allow: { kv: [counts] } } }\n", ""},
		{"filters: { deny: { wasm: uploaded, deploy: { '@1': 100% } } }\n", ""},
	} {
		text := []byte(used + c.more)
		check, err := r.c.CheckConfig(ctx, text)
		if err != nil || check.Right != (c.says == "") || !check.Right && (len(check.Problems) != 1 || !strings.Contains(check.Problems[0].Detail, c.says)) {
			t.Errorf("%s: check: %+v, %v", c.more, check, err)
		}
		_, err = r.c.SetConfig(ctx, text, dry)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: dry run: %v", c.more, err)
			}
			continue
		}
		if p := status(t, err, http.StatusUnprocessableEntity); !strings.Contains(p.Error(), c.says) || !strings.Contains(p.Error(), "sluice.yaml:") {
			t.Errorf("%s: dry run: %v", c.more, p)
		}
	}

	// Of a route, with filters that the configuration has.
	r.write(used + "filters: { deny: { wasm: uploaded } }\n")
	r.reload()
	for filters, says := range map[string]string{"[deny]": "", "['deny@2']": `the filter "deny" has no version 2`} {
		_, err := r.c.SetRoute(ctx, "shop/api/*", []byte("{ to: one, filters: "+filters+" }"), dry)
		if says == "" && err == nil {
			continue
		}
		if p := status(t, err, http.StatusUnprocessableEntity); !strings.Contains(p.Error(), says) {
			t.Errorf("%s: %v", filters, p)
		}
	}
	if c := r.config(); len(c.Overlays) != 0 {
		t.Errorf("overlays %+v", c.Overlays)
	}
}

// When the file loses a filter that the API has put on a route beside others, the route
// keeps those: what guards it does not go for the sake of what does not. The order in
// which the API was used does not matter.
func TestLostFilter(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	r.write(used + "filters: { extra: { wasm: uploaded } }\n")
	r.reload()
	for _, name := range []string{"deny", "extra"} {
		if _, err := r.pushFilter(name, map[string]string{"deny": "deny", "extra": "hello"}[name], api.Use{Route: "shop/api/*"}); err != nil {
			t.Fatal(err)
		}
	}
	guard := "roll back if traps > 1%" // makes the overlay of the filter the last
	if _, err := r.c.DeployFilter(ctx, "deny", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}, Guard: &guard}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if status, _, _ := r.get("/api/x"); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want what deny answers", when, status)
		}
		f, err := r.c.Filter(ctx, "deny")
		if err != nil || len(f.Routes) != 1 || f.Deployment.Guard != guard {
			t.Errorf("%s: %+v, %v", when, f, err)
		}
	}
	check("at first")
	r.write(used)
	r.reload()
	check("after a reload")
	r.restart()
	check("after a restart")
	if f, err := r.c.Filter(ctx, "extra"); err != nil || len(f.Routes) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
