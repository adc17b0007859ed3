package server_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/edgetest"
)

// A filter asks a service of gRPC: a message each way, and many. It is an upstream as any
// other, that is balanced, and also speaks HTTP/1.1. A version that is tried asks nobody.
func TestGRPC(t *testing.T) {
	var calls [2]atomic.Int64
	dir, at := t.TempDir(), port(t)
	if err := os.WriteFile(filepath.Join(dir, "grpc.wasm"), module(t, "proxy-grpc"), 0o644); err != nil {
		t.Fatal(err)
	}
	vars := []string{"$AT", at, "$APP", origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Heard", strings.Join(r.Header.Values("X-Heard"), ", "))
		w.Header().Set("Code", r.Header.Get("X-Code"))
	})}
	for i, name := range []string{"$ONE", "$TWO"} {
		vars = append(vars, name, edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
			calls[i].Add(1)
			c.Head(200, "X-A", "head")
			for {
				m, err := c.Receive()
				if err != nil {
					break
				}
				c.Send(c.Host() + " has " + string(m))
				if c.Path == "/test.Echo/Chat" {
					c.Send("")
				}
			}
			c.Status(0, "")
		}))
	}
	const text = `
admin: off
sites: { "http://$AT": { name: s, routes: { /*: { to: app, filters: [ask] } } } }
upstreams: { app: $APP, api: { endpoints: [$ONE, $TWO] } }
filters: { ask: { wasm: grpc.wasm, timeout: 20s, allow: { fetch: [$GRANTED] } } }
`
	p := startIn(t, dir, text, append(vars, "$GRANTED", "api")...)
	for path, want := range map[string]string{"/u": "api has hello", "/s": "head, api has 1, nothing, api has 2, nothing, closed"} {
		for range 2 {
			if res, _ := get(t, http.DefaultClient, "http://"+at+path); res.Header.Get("Heard") != want {
				t.Errorf("%s: it has heard %q, not %q", path, res.Header.Get("Heard"), want)
			}
		}
	}
	if a, b := calls[0].Load(), calls[1].Load(); a != 2 || b != 2 {
		t.Errorf("one endpoint has had %d calls, the other %d", a, b)
	}
	for _, u := range p.Status().Upstreams {
		for _, e := range u.Endpoints {
			if u.Name == "api" && (e.Active != 0 || e.Idle != 1 || e.Requests != 2) {
				t.Errorf("status says of an endpoint: %+v", e)
			}
		}
	}
	tried, err := p.TryFilter(context.Background(), "ask", api.TryRequest{Request: api.HTTPRequest{URL: "http://" + at + "/c"}})
	if err != nil || tried.Verdict != api.TrialNext {
		t.Errorf("%+v, %v", tried, err)
	}
	if n := calls[0].Load() + calls[1].Load(); n != 4 {
		t.Errorf("there were %d calls", n)
	}
	p.apply(text, append(vars, "$GRANTED", "app")...)
	if res, _ := get(t, http.DefaultClient, "http://"+at+"/n"); res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	await(t, func() bool { return strings.Contains(p.log.String(), "write its allow line") })
}
