package server_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// What cannot be deployed is said to be so, and changes nothing; nor does what is only
// tried.
func TestDeploymentInputs(t *testing.T) {
	at := port(t)
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", "127.0.0.1:1")
	for _, name := range []string{"hello", "deny", "peek"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.deploy(alone)
	before, tag := deployed(t, p.Server), p.ETag()
	unchanged := func(what any) {
		t.Helper()
		if now := deployed(t, p.Server); now != before || p.ETag() != tag {
			t.Fatalf("%v: %s became %s", what, before, now)
		}
	}
	share := func(version int, percent float64) api.DeployedShare {
		return api.DeployedShare{Version: version, Percent: percent}
	}
	type shares = []api.DeployedShare
	bad := func(want string, shadow int, guard string, all ...api.DeployedShare) {
		t.Helper()
		c := api.DeploymentChange{Versions: all, Shadow: shadow}
		if guard != "" {
			c.Guard = &guard
		}
		for _, dry := range []bool{true, false} {
			_, err := p.DeployFilter("f", c, dry)
			problem, ok := errors.AsType[*api.Problem](err)
			if !ok || !strings.Contains(err.Error(), want) || problem.Status < 400 || problem.Status >= 500 {
				t.Errorf("%+v, dry %v: %v, want %q", c, dry, err, want)
			}
			unchanged(c)
		}
	}
	bad("0 versions", 0, "")
	bad("3 versions", 0, "", share(1, 50), share(2, 25), share(3, 25))
	bad("no version 9", 0, "", share(9, 100))
	bad("no version -1", 0, "", share(-1, 100))
	bad("no version 0", 0, "", share(0, 100))
	bad("no version 9", 9, "", share(1, 100))
	bad("no version -2", -2, "", share(1, 100))
	bad("cannot run in shadow of itself", 1, "", share(1, 100))
	bad("there twice", 0, "", share(1, 50), share(1, 50))
	bad("add up to 99", 0, "", share(1, 50), share(2, 49))
	bad("add up to 50", 0, "", share(1, 50))
	bad("not between", 0, "", share(1, -1), share(2, 101))
	bad("not between", 0, "", share(1, math.NaN()), share(2, 100))
	bad("not between", 0, "", share(1, math.Inf(1)), share(2, 1))
	bad("is no guard", 0, "roll back if luck > 1%", share(1, 100))
	bad("is no guard", 0, strings.Repeat("x", 1000), share(1, 100))

	for _, c := range []api.DeploymentChange{
		{Versions: shares{share(2, 100)}},
		{Versions: shares{share(2, 50), share(1, 50)}, Shadow: 3, Guard: &trapGuard},
	} {
		if _, err := p.DeployFilter("f", c, true); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		unchanged(c)
	}

	// Shares that nobody would write are rounded, and still one hundred together.
	for _, c := range []shares{{share(2, math.Copysign(0, -1)), share(1, 100)}, {share(1, 0.0005), share(2, 99.9995)}, {share(2, 33.3335), share(1, 66.6665)}, {share(1, 1e-300), share(2, 100)}, {share(1, 49.99999), share(2, 50.00001)}, {share(1, 99.9996), share(2, 0.0009)}} {
		p.deploy(api.DeploymentChange{Versions: c})
		f, err := p.Filter("f")
		if err != nil || len(f.Deployment.Versions) != 2 {
			t.Fatalf("%v: %+v, %v", c, f, err)
		}
		if sum := f.Deployment.Versions[0].Percent + f.Deployment.Versions[1].Percent; math.Abs(sum-100) > 1e-9 {
			t.Errorf("%v: together %v", c, sum)
		}
	}

	for _, name := range []string{"", "..", "a/b", "F", strings.Repeat("a", 1000), "a\x00b", "\u202e", "g"} {
		_, err := p.DeployFilter(name, alone, false)
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusNotFound && problem.Status != http.StatusBadRequest {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Who says what is to run now does not overwrite what somebody else has made run since.
func TestDeployIfMatch(t *testing.T) {
	p, _, ask := trapping(t)
	p.deploy(alone)
	look := func() string {
		t.Helper()
		d, err := p.FilterDeployment("f")
		if err != nil {
			t.Fatal(err)
		}
		return d.ETag()
	}
	seen := look()
	if ask(); look() != seen {
		t.Error("the ETag changes with what is served")
	}
	c := half
	c.IfMatch = seen
	p.deploy(c)
	was := deployed(t, p.Server)
	for _, dry := range []bool{true, false} {
		_, err := p.DeployFilter("f", c, dry)
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusPreconditionFailed {
			t.Errorf("dry %v: %v", dry, err)
		}
	}
	if got := deployed(t, p.Server); got != was {
		t.Errorf("%s became %s", was, got)
	}
	c.IfMatch = look()
	p.rolledBack(ask)
	if _, err := p.DeployFilter("f", c, false); err == nil {
		t.Error("what a guard has rolled back is deployed again, by who has not seen that")
	}
}

// Of two who deploy at the same time each succeeds, and one of both is what runs.
func TestTwoDeploy(t *testing.T) {
	at := port(t)
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", "127.0.0.1:1")
	for _, name := range []string{"hello", "deny", "peek"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	changes := []api.DeploymentChange{
		{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}, Shadow: 2},
		{Versions: []api.DeployedShare{{Version: 2, Percent: 30}, {Version: 3, Percent: 70}}},
	}
	want := map[string]bool{"@1 100% @2 off": true, "@2 30% @3 70% @0 off": true}
	for range 10 {
		failed := make(chan error)
		for _, c := range changes {
			go func() {
				_, err := p.DeployFilter("f", c, false)
				failed <- err
			}()
		}
		for range changes {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		if got := deployed(t, p.Server); !want[got] {
			t.Errorf("what runs is %s", got)
		}
	}
}

// What a route is pinned to goes on, whatever is deployed.
func TestPinnedWhileDeployed(t *testing.T) {
	at := port(t)
	addr := origin(t, func(http.ResponseWriter, *http.Request) {})
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", addr)
	for _, name := range []string{"hello", "deny"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.apply(strings.Replace(underLoad, "filters: [f]", "filters: [f@1]", 1), "$AT", at, "$ORIGIN", addr)
	p.deploy(api.DeploymentChange{Versions: []api.DeployedShare{{Version: 2, Percent: 100}}})
	if res, _ := get(t, http.DefaultClient, "http://"+at+"/"); res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	if err := p.RemoveFilter("f", api.Change{}); err == nil {
		t.Error("what a route is pinned to was removed")
	}
}

// What the file deploys by its number is not removed, although the file has a module: the
// file could not be served any more.
func TestRemoveDeployed(t *testing.T) {
	path, err := filepath.Abs("../../wasm-testdata/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	at := port(t)
	for _, says := range []string{`deploy: { "@1": 95%, "@2": 5% }`, `shadow: "@2"`} {
		text := strings.Replace(underLoad, "f: { wasm: uploaded", "f: { wasm: "+path, 1)
		p := startIn(t, t.TempDir(), text, "$AT", at, "$ORIGIN", "127.0.0.1:1")
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, "deny")), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
		text = strings.Replace(text, "timeout: 10s", says, 1)
		p.apply(text, "$AT", at, "$ORIGIN", "127.0.0.1:1")
		was := deployed(t, p.Server)
		for _, dry := range []bool{true, false} {
			err := p.RemoveFilter("f", api.Change{DryRun: dry})
			if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != http.StatusConflict {
				t.Errorf("%s, dry %v: %v", says, dry, err)
			}
		}
		if got := deployed(t, p.Server); got != was {
			t.Errorf("%s became %s", was, got)
		}
		p.apply(text+"\n", "$AT", at, "$ORIGIN", "127.0.0.1:1")
		p.Close()
	}
}
