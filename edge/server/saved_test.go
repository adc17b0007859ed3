package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

const shared = `
admin: off
log: { access: off }
sites:
  "http://127.0.0.1:0":
    name: s
    routes:
      /:   { respond: 204 }
      $KEY: { name: r, split: { one: $ONE, two: $TWO } }
upstreams: { one: "127.0.0.1:1", two: "127.0.0.1:2" }
`

// Shares that the API has set go with their split: they do not come back with it, and
// do not pile up.
func TestSharesGoWithTheirSplit(t *testing.T) {
	p := startIn(t, t.TempDir(), shared, "$KEY", "/a", "$ONE", "90%", "$TWO", "10%")
	set := func(share float64) {
		t.Helper()
		if _, err := p.SetSplit("r", api.SplitChange{Weights: map[string]float64{"one": share, "two": 100 - share}}, api.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(share float64, overlays int) {
		t.Helper()
		sp, err := p.Split("r")
		if err != nil || sp.Arms[0].Share != share {
			t.Errorf("%+v, %v; want a share of %v%%", sp, err, share)
		}
		if c, err := p.Configuration(); err != nil || len(c.Overlays) != overlays {
			t.Errorf("overlays %+v, %v; want %d", c.Overlays, err, overlays)
		}
	}
	kept := func() string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(p.dir, "state", "files", "*", "splits.json"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}

	set(25)
	want(25, 1)
	p.apply(shared, "$KEY", "/b", "$ONE", "90%", "$TWO", "10%") // the same split elsewhere
	want(25, 1)
	p.apply(shared, "$KEY", "/b", "$ONE", "80%", "$TWO", "20%") // the file wins
	want(80, 0)
	p.apply(shared, "$KEY", "/b", "$ONE", "90%", "$TWO", "10%") // and what was set before is gone
	want(90, 0)
	if got := kept(); got != "{}" {
		t.Errorf("kept is %s", got)
	}
	for i := range 30 {
		p.apply(shared, "$KEY", "/b", "$ONE", fmt.Sprint(50+i, "%"), "$TWO", fmt.Sprint(50-i, "%"))
		set(33)
		want(33, 1)
	}
	if n := strings.Count(kept(), "weights"); n != 1 {
		t.Errorf("%d splits are kept: %s", n, kept())
	}
	if log := p.log.String(); !strings.Contains(log, "shares that the API had changed are gone") {
		t.Errorf("nothing is said of it: %s", log)
	}
}
