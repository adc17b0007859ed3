package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/metrics"
)

// trapping is a filter whose second version traps, and is guarded.
func trapping(t *testing.T) (p *proxy, vars []string, ask func() int) {
	t.Helper()
	at := port(t)
	addr := origin(t, func(http.ResponseWriter, *http.Request) {})
	vars = []string{"$AT", at, "$ORIGIN", addr}
	p = startIn(t, t.TempDir(), underLoad, vars...)
	for _, name := range []string{"hello", "trap"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	return p, vars, func() int {
		n++
		req, err := http.NewRequest("GET", "http://"+at+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.3.%d.%d", n/250, n%250))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
}

// The first version alone, and both with a guard.
var (
	trapGuard = "roll back if traps > 1% after 10 requests"
	alone     = api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}}
	half      = api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 50}, {Version: 2, Percent: 50}}, Guard: &trapGuard}
)

func (p *proxy) deploy(c api.DeploymentChange) {
	p.t.Helper()
	if _, err := p.DeployFilter("f", c, false); err != nil {
		p.t.Fatal(err)
	}
}

// rolledBack asks until the guard has seen enough, and returns what runs then.
func (p *proxy) rolledBack(ask func() int) (d api.Deployment) {
	p.t.Helper()
	await(p.t, func() bool {
		ask()
		f, err := p.Filter("f")
		d = f.Deployment
		return err == nil && d.RolledBack != nil
	})
	return d
}

// A guard rolls back though that cannot be written: at once in memory, over reloads, until
// it can be, or somebody deploys.
func TestRetreatThatIsNotKept(t *testing.T) {
	p, vars, ask := trapping(t)
	p.deploy(alone)
	p.deploy(half)
	dirs, err := filepath.Glob(filepath.Join(p.dir, "state", "files", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	overlays := filepath.Join(dirs[0], "overlays.json")
	block := func() {
		t.Helper()
		os.Remove(overlays)
		if err := os.MkdirAll(filepath.Join(overlays, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	block()
	shown := p.rolledBack(ask)
	if r := shown.RolledBack; r.From != 2 || r.To != 1 || r.Unsaved == "" || !strings.HasPrefix(r.Reason, "traps") {
		t.Errorf("%+v", r)
	}
	if v := shown.Versions; len(v) != 2 || v[0].Percent != 100 || v[1].Percent != 0 {
		t.Errorf("%+v", v)
	}
	all := func(what string) {
		t.Helper()
		for range 40 {
			if status := ask(); status != http.StatusOK {
				t.Fatalf("%s: status %d", what, status)
			}
		}
	}
	all("at once")
	p.apply(strings.Replace(underLoad, "filters: [f] }", "filters: [f], compress: off }", 1), vars...)
	all("after a reload")
	await(t, func() bool { return strings.Count(p.log.String(), "cannot be saved") > 2 })
	if err := os.RemoveAll(overlays); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		f, err := p.Filter("f")
		shown = f.Deployment
		return err == nil && len(shown.Versions) == 1
	})
	if r := shown.RolledBack; r == nil || r.Unsaved != "" || shown.Versions[0].Version != 1 || shown.Versions[0].Percent != 100 {
		t.Errorf("%+v, %+v", shown, r)
	}
	await(t, func() bool {
		return strings.Contains(p.log.String(), "level=WARN msg=\"a version does not do well, and was rolled back by its guard\"")
	})

	rollbacks := func(want int) {
		t.Helper()
		scrape := httptest.NewRecorder()
		metrics.Handler(p.Metrics, metrics.Config{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
		if line := fmt.Sprintf("\nsluice_filter_rollbacks_total{filter=\"f\"} %d\n", want); !strings.Contains(scrape.Body.String(), line) {
			t.Errorf("/metrics has no %q", line)
		}
	}
	rollbacks(1) // once, however often it was tried

	// Somebody deploys the same again, while a retreat is not kept: that is asked for.
	p.deploy(half)
	block()
	p.rolledBack(ask)
	off := "off"
	if _, err := p.DeployFilter("f", api.DeploymentChange{Versions: half.Versions, Guard: &off}, false); err == nil {
		t.Error("it is deployed, and cannot be kept")
	}
	all("somebody has tried to deploy")
	if f, err := p.Filter("f"); err != nil || f.Deployment.RolledBack == nil {
		t.Errorf("%+v, %v", f, err)
	}
	p.deploy(half) // nothing to write
	if f, err := p.Filter("f"); err != nil || f.Deployment.RolledBack != nil || f.Deployment.Versions[1].Percent != 50 {
		t.Errorf("%+v, %v", f, err)
	}
	await(t, func() bool { return ask() != http.StatusOK }) // the newer version serves
}

// After a roll back by a guard the configuration names neither version, and says so.
func TestDiffAfterRetreat(t *testing.T) {
	p, _, ask := trapping(t)
	p.deploy(alone)
	p.deploy(half)
	p.rolledBack(ask)
	c, err := p.Configuration()
	if err != nil {
		t.Fatal(err)
	}
	effective := c.Effective[0].Text
	if strings.Contains(effective, "deploy") || !strings.Contains(effective, `guard: "roll back if traps > 1% after 10 requests"`) {
		t.Errorf("in force is %s", effective)
	}
	p.apply(effective[:strings.Index(effective, "\nstate:")]) // what apply --write has written
	if f, err := p.Filter("f"); err != nil || len(f.Deployment.Versions) != 1 || f.Deployment.Versions[0].Version != 1 || f.Deployment.RolledBack == nil {
		t.Errorf("%+v, %v", f.Deployment, err)
	}
}

// It is told which versions have an instance made for each request, and why.
func TestWhyFresh(t *testing.T) {
	at := port(t)
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", "127.0.0.1:1")
	push := func(name string) string {
		t.Helper()
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{}); err != nil {
			t.Fatal(err)
		}
		f, err := p.Filter("f")
		if err != nil || len(f.Deployment.Versions) != 1 {
			t.Fatalf("%+v, %v", f, err)
		}
		return f.Deployment.Versions[0].WhyFresh
	}
	if why := push("hello"); why != "" {
		t.Errorf("hello: %q", why)
	}
	if why := push("table-bomb"); !strings.Contains(why, "table") {
		t.Errorf("table-bomb: %q", why)
	}
}
