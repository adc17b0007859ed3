package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/kv"
)

// Versions in shadow have no effects, whatever their ABI: a command counts nothing, and
// a filter of proxy-wasm asks an upstream, but does not tell it anything.
func TestShadowsAreQuiet(t *testing.T) {
	at := port(t)
	var mu sync.Mutex // guards the following field
	var asked []string
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/check" {
			mu.Lock()
			asked = append(asked, r.Method)
			mu.Unlock()
		}
		io.WriteString(w, "origin")
	})
	p := startIn(t, t.TempDir(), `
admin: off
sites: { "http://$AT": { routes: { /: { to: api, filters: [ask] }, /count: { function: count } } } }
upstreams: { api: $ORIGIN }
filters: { ask: { wasm: uploaded, timeout: 10s, allow: { fetch: [api] } } }
functions: { count: { wasm: uploaded, timeout: 10s, allow: { kv: [hits] } } }
`, "$AT", at, "$ORIGIN", addr)
	ctx := context.Background()
	asks := module(t, "proxy-filter")
	tells := bytes.ReplaceAll(asks, []byte(":method\x00GET"), []byte(":method\x00PUT"))
	for _, binary := range [][]byte{module(t, "hello"), asks, tells} {
		if _, _, err := p.PushFilter(ctx, "ask", bytes.NewReader(binary), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"script", "sluice-command"} {
		if _, _, err := p.PushFunction(ctx, "count", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	first := []api.DeployedShare{{Version: 1, Percent: 100}}
	// run serves some requests, and waits until what is in shadow has had them too.
	const requests = 5
	run := func(path string, shadow func() (api.Shadow, error)) {
		t.Helper()
		for range requests {
			get(t, http.DefaultClient, "http://"+at+path)
		}
		await(t, func() bool {
			s, err := shadow()
			if err != nil {
				t.Fatal(err)
			}
			return s.Same+s.Differs+s.Failed == requests
		})
	}
	wasAsked := func(want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(asked, " "); got != strings.Join(want, " ") {
			t.Errorf("the upstream was asked %s", got)
		}
		asked = nil
	}
	for version, want := range map[int][]string{2: {"GET", "GET", "GET", "GET", "GET"}, 3: nil} {
		if _, err := p.DeployFilter("ask", api.DeploymentChange{Versions: first, Shadow: version}, false); err != nil {
			t.Fatal(err)
		}
		run("/c", func() (api.Shadow, error) { return p.FilterShadow("ask") })
		wasAsked(want...)
	}

	keys, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DeployFunction("count", api.DeploymentChange{Versions: first, Shadow: 2}, false); err != nil {
		t.Fatal(err)
	}
	run("/count", func() (api.Shadow, error) { return p.FunctionShadow("count") })
	if e, err := keys.Get("hits", "n"); !errors.Is(err, kv.ErrNone) {
		t.Errorf("in shadow it has counted %s, %v", e.Value, err)
	}
	// The same version counts when it serves.
	if _, err := p.DeployFunction("count", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 2, Percent: 100}}}, false); err != nil {
		t.Fatal(err)
	}
	get(t, http.DefaultClient, "http://"+at+"/count")
	if e, err := keys.Get("hits", "n"); err != nil || string(e.Value) != "1" {
		t.Errorf("it has counted %s, %v", e.Value, err)
	}
}
