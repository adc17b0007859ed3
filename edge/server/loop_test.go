package server_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// What has come through proxies like this one too often is refused, and counted however
// Via is written.
func TestLoop(t *testing.T) {
	addr := port(t)
	app := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Join(r.Header["Via"], ", ")) })
	p := startIn(t, t.TempDir(), `
admin: off
sites: { "http://$ADDR": { routes: { /: $APP, /loop: $ADDR } } }
limits: { hops: 3 }
`, "$ADDR", addr, "$APP", app)
	f := func(path string, status int, via ...string) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Via"] = via
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status || status == 200 && string(b) != strings.Join(append(via, "1.1 sluice"), ", ") {
			t.Errorf("%s %q: got %d %q", path, via, res.StatusCode, b)
		}
		if proxy := res.Header.Get("Proxy-Status"); status == 502 && !strings.Contains(proxy, "proxy_loop_detected") {
			t.Errorf("%s %q: Proxy-Status is %q", path, via, proxy)
		}
	}
	const four = "1.1 sluice, 2.0 sluice, 1.1 sluice, 3.0 sluice"
	f("/", 200)
	f("/", 200, "1.1 sluice, 1.1 sluice, 1.1 sluice")
	f("/", 200, "1.1 sluice", "1.0 fred", "1.1 sluice, 1.1 sluice.example, 1.1 sluice2, sluice, , 1.1 x (sluice)")
	f("/", 502, four)
	f("/", 502, "1.1 sluice", "HTTP/1.1 sluice (a proxy),1.1\tsluice", "  1.0 \t sluice ")
	f("/loop", 502)
	asked := asking("GET " + addr + "/")
	asked.Headers = []api.Field{{Name: "Via", Value: four}}
	e, err := p.Explain(asked)
	if err != nil || e.Answer == nil || e.Answer.Status != 502 || !strings.Contains(e.Answer.Why, "limits.hops") {
		t.Errorf("explained as %+v, %v", e.Answer, err)
	}
}

// A filter whose fetches come back to it ends after as many rounds.
func TestFetchLoop(t *testing.T) {
	dir, addr := t.TempDir(), port(t)
	for _, name := range []string{"sluice-filter", "answer"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := origin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "app") })
	// The page of an error does not fit into the field that the guest puts it into.
	text := strings.Replace(guestsFile, "sluice-filter.wasm,", "sluice-filter.wasm, on-error: skip,", 1) + "limits: { hops: 3 }\n"
	p := startIn(t, dir, text, "$PORT", addr, "$APP", app, "$OTHER", app, "$API", addr)
	if _, body := get(t, http.DefaultClient, "http://"+addr+"/"); body != "app" {
		t.Errorf("got %q\n%s", body, p.log)
	}
	await(t, func() bool { return strings.Count(p.access.String(), "\n") == 5 })
	if log := p.access.String(); strings.Count(log, `"/fetched?x=1"`) != 4 || strings.Count(log, `"loop"`) != 1 {
		t.Errorf("the access log is\n%s", log)
	}
}
