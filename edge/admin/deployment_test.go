package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

const deployed = `
trust: [127.0.0.1]
sites:
  "http://127.0.0.1:0":
    name: shop
    routes:
      /:      { to: ORIGIN, filters: [f] }
      /say/*: { name: say, to: "function:say" }
filters:   { f: { wasm: uploaded } }
functions: { say: { wasm: uploaded } }
`

// startDeployed serves a filter of which the first version goes on and the second
// denies, and a function, before an origin.
func startDeployed(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.write(strings.ReplaceAll(deployed, "ORIGIN", originOf(t)))
	r.start()
	t.Cleanup(func() { r.end() })
	for _, module := range []string{"hello", "deny", "trap"} {
		v := r.store("f", module)
		if v.Live || len(v.Routes) != 0 {
			t.Fatalf("%s is stored, and is %+v", module, v)
		}
	}
	return r
}

// originOf returns the address of an origin that answers everything.
func originOf(t *testing.T) string {
	l := listenLocal(t)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "origin") })}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func (r *rig) store(name, module string) api.ModuleVersion {
	r.t.Helper()
	v, err := r.pushFilter(name, module, api.Use{Store: true})
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rig) deploy(text string) (api.Deployment, error) {
	r.t.Helper()
	var c api.DeploymentChange
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		r.t.Fatal(err)
	}
	return r.c.DeployFilter(context.Background(), "f", c, api.Change{})
}

// mustDeploy changes the deployment, and returns how it is shown: "@1 95%, @2 5%".
func (r *rig) mustDeploy(text string) string {
	r.t.Helper()
	d, err := r.deploy(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return shownDeployment(d)
}

func shownDeployment(d api.Deployment) string {
	var all []string
	for _, v := range d.Versions {
		all = append(all, fmt.Sprintf("@%d %v%%", v.Version, v.Percent))
	}
	if d.Shadow != 0 {
		all = append(all, fmt.Sprintf("@%d in shadow", d.Shadow))
	}
	if d.Guard != "off" {
		all = append(all, d.Guard)
	}
	return strings.Join(all, ", ")
}

func (r *rig) deployment() string {
	r.t.Helper()
	f, err := r.c.Filter(context.Background(), "f")
	if err != nil {
		r.t.Fatal(err)
	}
	return shownDeployment(f.Deployment)
}

// share returns how many of 200 clients get the second version, by the addresses that a
// trusted hop tells.
func (r *rig) share() (denied int) {
	r.t.Helper()
	for i := range 200 {
		req, err := http.NewRequest("GET", r.s.Addresses()[0]+"/", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.1.2.%d", i))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode == http.StatusUnauthorized {
			denied++
		}
	}
	return denied
}

// A deployment is in force at once, and stays over a reload and a restart, until the file
// says something else or somebody deploys again.
func TestDeployment(t *testing.T) {
	r := startDeployed(t)
	check := func(want string, least, most int) {
		t.Helper()
		if got := r.deployment(); got != want {
			t.Errorf("deployed is %q, want %q", got, want)
		}
		if n := r.share(); n < least || n > most {
			t.Errorf("%s: %d of 200 are denied, want %d to %d", want, n, least, most)
		}
	}
	r.mustDeploy(`{"versions": [{"version": 1, "percent": 100}]}`)
	check("@1 100%", 0, 0)
	if n := len(r.config().Overlays); n != 0 {
		t.Errorf("%d overlays for what is the current version", n)
	}
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 25.5}, {"version": 1, "percent": 74.5}], "guard": "roll back if traps > 1%"}`)
	check("@1 74.5%, @2 25.5%, roll back if traps > 1%", 25, 80)
	before := r.share()
	text := r.config().Effective[0].Text
	for _, want := range []string{`"@1": 74.5%`, `"@2": 25.5%`, `guard: "roll back if traps > 1%"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	r.restart()
	r.reload()
	if n := r.share(); n != before {
		t.Errorf("after a restart %d of 200 are denied, before it were %d", n, before)
	}
	check("@1 74.5%, @2 25.5%, roll back if traps > 1%", 25, 80)
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 100}], "shadow": 1}`)
	check("@2 100%, @1 in shadow, roll back if traps > 1%", 200, 200)
	r.restart()
	check("@2 100%, @1 in shadow, roll back if traps > 1%", 200, 200)
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 50}, {"version": 1, "percent": 50}], "guard": "off"}`)
	check("@1 50%, @2 50%", 60, 140)
	// Back goes to what served alone before.
	if v, err := r.c.RollBackFilter(context.Background(), "f"); err != nil || v.Version != 2 || !v.Live {
		t.Errorf("back: %+v, %v", v, err)
	}
	check("@2 100%", 200, 200)
	if v, err := r.c.RollBackFilter(context.Background(), "f"); err != nil || v.Version != 1 {
		t.Errorf("back again: %+v, %v", v, err)
	}
	check("@1 100%", 0, 0)
	// An upload serves alone.
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 50}, {"version": 1, "percent": 50}]}`)
	if v, err := r.pushFilter("f", "deny", api.Use{}); err != nil || v.Version != 2 || !v.Live {
		t.Errorf("push: %+v, %v", v, err)
	}
	check("@2 100%", 200, 200)
	if n := len(r.config().Overlays); n != 0 {
		t.Errorf("%d overlays are left: %+v", n, r.config().Overlays)
	}
	// The file wins over what the API has said of the same filter.
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 50}, {"version": 1, "percent": 50}]}`)
	file, err := os.ReadFile(r.path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path(), bytes.Replace(file, []byte("f: { wasm: uploaded }"), []byte(`f: { wasm: uploaded, deploy: { "@1": 100% } }`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload()
	check("@1 100%", 0, 0)
	// And the API over it, until it changes.
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 100}]}`)
	check("@2 100%", 200, 200)
	r.restart()
	check("@2 100%", 200, 200)
}

// What cannot be deployed is refused, and changes nothing.
func TestDeploymentRefused(t *testing.T) {
	r := startDeployed(t)
	r.mustDeploy(`{"versions": [{"version": 1, "percent": 90}, {"version": 2, "percent": 10}], "shadow": 3}`)
	before := r.deployment()
	for _, c := range []struct {
		change string
		status int
		says   string
	}{
		{`{}`, 422, "0 versions: one or two"},
		{`{"versions": [{"version": 1, "percent": 50}, {"version": 2, "percent": 25}, {"version": 3, "percent": 25}]}`, 422, "a third can run in shadow"},
		{`{"versions": [{"version": 4, "percent": 100}]}`, 404, `the filter "f" has no version 4; it has 1, 2, 3`},
		{`{"versions": [{"version": 0, "percent": 100}]}`, 404, "no version 0"},
		{`{"versions": [{"version": 1, "percent": 50}]}`, 422, "add up to 50%"},
		{`{"versions": [{"version": 1, "percent": -1}, {"version": 2, "percent": 101}]}`, 422, "not between"},
		{`{"versions": [{"version": 1, "percent": 50}, {"version": 1, "percent": 50}]}`, 422, "there twice"},
		{`{"versions": [{"version": 1, "percent": 100}], "shadow": 1}`, 422, "in shadow of itself"},
		{`{"versions": [{"version": 1, "percent": 100}], "shadow": 9}`, 404, "no version 9"},
		{`{"versions": [{"version": 1, "percent": 100}], "guard": "never"}`, 422, `"never" is no guard`},
	} {
		_, err := r.deploy(c.change)
		if p := status(t, err, c.status); !strings.Contains(p.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.change, p, c.says)
		}
	}
	for _, body := range []string{"", "[]", `{"versions": "@1"}`, `{"version": 1}`} {
		res := do(t, "PUT", r.url+"/v1/filters/f/deployment", body)
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: got %d", body, res.StatusCode)
		}
	}
	if got := r.deployment(); got != before {
		t.Errorf("deployed is %q, was %q", got, before)
	}
	d, err := r.c.DeployFilter(context.Background(), "f", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 2, Percent: 100}}}, api.Change{DryRun: true})
	if err != nil || shownDeployment(d) != "@2 100%" || r.deployment() != before {
		t.Errorf("dry run: %+v, %v; deployed is %s", d, err, r.deployment())
	}
	if _, err := r.c.DeployFilter(context.Background(), "nobody", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 2, Percent: 100}}}, api.Change{}); err == nil {
		t.Error("an unknown filter is deployed")
	}
	if _, err := r.c.FilterShadow(context.Background(), "nobody"); err == nil {
		t.Error("an unknown filter has a shadow")
	}
}

// Functions are deployed as filters are.
func TestFunctionDeployment(t *testing.T) {
	r, ctx := startDeployed(t), context.Background()
	for _, module := range []string{"script", "environ"} {
		if _, err := r.pushFunction("say", module, api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, _ := r.get("/say/x"); status != http.StatusInternalServerError {
		t.Errorf("nothing is deployed: %d", status)
	}
	deploy := func(versions ...api.DeployedShare) {
		t.Helper()
		if _, err := r.c.DeployFunction(ctx, "say", api.DeploymentChange{Versions: versions}, api.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	deploy(api.DeployedShare{Version: 1, Percent: 100})
	status, _, one := r.get("/say/x?hw5")
	deploy(api.DeployedShare{Version: 2, Percent: 100}, api.DeployedShare{Version: 1, Percent: 0})
	again, _, two := r.get("/say/x?hw5")
	if status != http.StatusOK || again != http.StatusOK || one == two {
		t.Errorf("version 1 answers %d %.80q, version 2 %d %.80q", status, one, again, two)
	}
	r.restart()
	if status, _, got := r.get("/say/x?hw5"); status != http.StatusOK || got == one {
		t.Errorf("after a restart: %d %.80q", status, got)
	}
	var f api.Function
	var err error
	await(t, func() bool {
		f, err = r.c.Function(ctx, "say")
		return err != nil || len(f.Deployment.Versions) != 2 || f.Deployment.Versions[1].Requests > 0
	})
	if err != nil || f.Live != 2 || shownDeployment(f.Deployment) != "@1 0%, @2 100%" || f.Deployment.Versions[1].Requests != 1 {
		t.Errorf("function is %+v, %v", f, err)
	}
	if v, err := r.c.RollBackFunction(ctx, "say"); err != nil || v.Version != 1 {
		t.Errorf("back: %+v, %v", v, err)
	}
	if _, _, got := r.get("/say/x?hw5"); got != one {
		t.Errorf("back it answers %.80q, want %.80q", got, one)
	}
}

// A version in shadow gets copies, changes nothing, and what it would have made of them is
// listed, without what is secret.
func TestShadow(t *testing.T) {
	r, ctx := startDeployed(t), context.Background()
	r.mustDeploy(`{"versions": [{"version": 1, "percent": 100}], "shadow": 2}`)
	for range 30 {
		if status, h, body := r.get("/"); status != http.StatusOK || body != "origin" || h.Get("X-Sluice-Filter") == "" {
			t.Fatalf("got %d %q %v", status, body, h)
		}
	}
	var s api.Shadow
	await(t, func() bool {
		var err error
		if s, err = r.c.FilterShadow(ctx, "f"); err != nil {
			t.Fatal(err)
		}
		return s.Differs == 30
	})
	if s.Version != 2 || s.Same != 0 || s.Failed != 0 || s.Kinds["verdict"] != 30 || len(s.Differences) != 20 {
		t.Errorf("shadow is %+v", s)
	}
	d := s.Differences[0]
	if d.Method != "GET" || d.Target != "/" || d.Live != 1 || !slices.Equal(d.Kinds, []string{"verdict"}) || d.Details[0] != "goes on; in shadow it answers 401" {
		t.Errorf("difference is %+v", d)
	}
	metrics := text(t, r.url+"/metrics")
	if want := `sluice_filter_shadow_total{filter="f",verdict="differs",version="2"} 30`; !strings.Contains(metrics, want) {
		t.Errorf("no %s in the metrics", want)
	}
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 100}], "shadow": 3}`)
	r.get("/")
	await(t, func() bool {
		s, err := r.c.FilterShadow(ctx, "f")
		return err == nil && s.Version == 3 && s.Failed == 1 && s.Differences[0].Kinds[0] == "failed"
	})
	r.mustDeploy(`{"versions": [{"version": 2, "percent": 100}]}`)
	_, err := r.c.FilterShadow(ctx, "f")
	if p := status(t, err, http.StatusNotFound); !strings.Contains(p.Error(), "sluice filter roll f VERSION shadow") {
		t.Error(p)
	}
}

// A newer version that traps is rolled back by its guard, which is kept over restarts
// until somebody deploys again.
func TestGuardRollsBack(t *testing.T) {
	r, ctx := startDeployed(t), context.Background()
	r.mustDeploy(`{"versions": [{"version": 1, "percent": 50}, {"version": 3, "percent": 50}], "guard": "roll back if traps > 5% over 1h after 10 requests"}`)
	await(t, func() bool {
		r.share()
		return r.deployment() == "@1 100%, roll back if traps > 5% over 1h after 10 requests"
	})
	for _, when := range []string{"at once", "after a restart"} {
		f, err := r.c.Filter(ctx, "f")
		if err != nil {
			t.Fatal(err)
		}
		b := f.Deployment.RolledBack
		if b == nil || b.From != 3 || b.To != 1 || !strings.HasPrefix(b.Reason, "traps 100% > 5%: ") {
			t.Fatalf("%s: %+v", when, b)
		}
		if status, _, _ := r.get("/"); status != http.StatusOK {
			t.Errorf("%s: got %d", when, status)
		}
		r.restart()
		r.reload()
	}
	r.mustDeploy(`{"versions": [{"version": 1, "percent": 100}]}`)
	if f, _ := r.c.Filter(ctx, "f"); f.Deployment.RolledBack != nil {
		t.Errorf("somebody has deployed, and it is %+v", f.Deployment)
	}
}

// A state directory that somebody has changed is refused where that matters: the filter
// denies, even if it may be skipped, and everything else is served.
func TestDamagedState(t *testing.T) {
	f := func(what, want string, damage func(dir string) error, mend func(r *rig) error) {
		t.Helper()
		r := startDeployed(t)
		file, err := os.ReadFile(r.path())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.path(), bytes.Replace(file, []byte("f: { wasm: uploaded }"), []byte(`f: { wasm: uploaded, on-error: skip }`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		r.reload()
		if _, err := r.pushFunction("say", "script", api.Use{}); err != nil {
			t.Fatal(err)
		}
		r.mustDeploy(`{"versions": [{"version": 1, "percent": 100}]}`)
		r.end()
		if err := damage(filepath.Join(r.dir, "state", "modules")); err != nil {
			t.Fatal(err)
		}
		r.start()
		if status, _, _ := r.get("/"); status != http.StatusInternalServerError {
			t.Errorf("%s: got %d", what, status)
		}
		if status, _, _ := r.get("/say/x?hw5"); status != http.StatusOK {
			t.Errorf("%s: the function answers with %d", what, status)
		}
		d, err := r.c.Filter(context.Background(), "f")
		if err != nil || !strings.Contains(d.Damage, want) || !strings.Contains(d.Damage, r.dir) {
			t.Errorf("%s: %q, %v; want %q", what, d.Damage, err, want)
		}
		if err := mend(r); err != nil {
			t.Errorf("%s: mend: %v", what, err)
		}
		if status, _, _ := r.get("/"); status != http.StatusOK {
			t.Errorf("%s: mended, got %d", what, status)
		}
		if d, err := r.c.Filter(context.Background(), "f"); err != nil || d.Damage != "" {
			t.Errorf("%s: mended it is %q, %v", what, d.Damage, err)
		}
	}
	push := func(r *rig) error {
		_, err := r.pushFilter("f", "hello", api.Use{})
		return err
	}
	f("modules", "has been changed: the SHA-256 of its content is", func(dir string) error {
		all, err := filepath.Glob(filepath.Join(dir, "modules", "*.wasm"))
		for _, path := range all {
			err = os.WriteFile(path, []byte("\x00asm\x01\x00\x00\x00"), 0o600)
		}
		return err
	}, push)
	f("record", "is no record of a module", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "names", "f.json"), []byte("{"), 0o600)
	}, func(r *rig) error {
		_, err := r.pushFilter("f", "hello", api.Use{})
		status(t, err, http.StatusInternalServerError)
		os.Remove(filepath.Join(r.dir, "state", "modules", "names", "f.json"))
		r.restart()
		return push(r)
	})
}

// await waits until it is so: for what happens behind an answer.
func await(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
		<-time.After(time.Millisecond)
	}
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// do sends a request of JSON.
func do(t *testing.T, method, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// text returns what is at a URL.
func text(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
