package server_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// go test ./edge/server -run TestDeploymentsUnderLoad -v -timeout 2h -args -deployments 10000
var deployments = flag.Int("deployments", 60, "of TestDeploymentsUnderLoad")

const underLoad = `
admin: off
trust: [127.0.0.1]
sites:
  "http://$AT":
    routes:
      /:      { to: $ORIGIN, filters: [f] }
      /fn/*:  "function:say"
filters:   { f: { wasm: uploaded, timeout: 10s } }
functions: { say: { wasm: uploaded, timeout: 30s } }
`

// variant returns a module with something of its own that does nothing, so that it is
// another version.
func variant(t testing.TB, name string, n int) []byte {
	custom := fmt.Sprintf("\x01v%d", n) // WebAssembly, section 5.5.3: the name, and whatever
	return append(bytes.Clone(module(t, name)), append([]byte{0, byte(len(custom))}, custom...)...)
}

// No request fails, and nothing is left behind, however often a filter and a function are
// deployed: uploads, shares, shadows, guards and ways back.
func TestDeploymentsUnderLoad(t *testing.T) {
	at := port(t)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "origin")
	})
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", addr)
	p.access.only, p.log.only = "nothing", "level=ERROR"
	ctx := context.Background()
	next := 0
	upload := func(store bool) error {
		next++
		use := api.Use{Store: store}
		_, _, err := p.PushFilter(ctx, "f", bytes.NewReader(variant(t, []string{"hello", "peek"}[next%2], next)), use)
		_, _, err2 := p.PushFunction(ctx, "say", bytes.NewReader(variant(t, []string{"script", "environ"}[next%2], next)), use)
		return errors.Join(err, err2)
	}
	for range 3 {
		if err := upload(false); err != nil {
			t.Fatal(err)
		}
	}

	stop := make(chan struct{})
	var served, failed atomic.Int64
	var clients sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	for i := range 4 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		clients.Go(func() {
			c := &http.Client{Transport: transport}
			for {
				select {
				case <-stop:
					return
				default:
				}
				path := []string{"/", "/fn/x?hw5", "/fn/y?hw200"}[random.IntN(3)]
				req, err := http.NewRequest("POST", "http://"+at+path, strings.NewReader(strings.Repeat("x", random.IntN(20)*100)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", random.IntN(256), random.IntN(256)))
				res, err := c.Do(req)
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					if failed.Add(1) < 10 {
						t.Errorf("%s: %d, %v", path, res.StatusCode, err)
					}
				}
				res.Body.Close()
				served.Add(1)
			}
		})
	}

	random := rand.New(rand.NewPCG(3, 4))
	change := func(versions []api.ModuleVersion) api.DeploymentChange {
		pick := random.Perm(len(versions))
		share := float64(random.IntN(101))
		c := api.DeploymentChange{Versions: []api.DeployedShare{{Version: versions[pick[0]].Version, Percent: share}, {Version: versions[pick[1]].Version, Percent: 100 - share}}}
		if random.IntN(3) == 0 {
			c.Versions = []api.DeployedShare{{Version: versions[pick[0]].Version, Percent: 100}}
		}
		if random.IntN(3) == 0 {
			c.Shadow = versions[pick[2]].Version
		}
		if random.IntN(3) == 0 {
			guard := []string{"off", "roll back if traps > 1% or errors > 5% or time > 1000x after 20 requests"}[random.IntN(2)]
			c.Guard = &guard
		}
		return c
	}
	deploy := func() error {
		switch random.IntN(10) {
		case 0:
			return upload(random.IntN(2) == 0)
		case 1:
			_, err := p.RollBackFilter("f", api.Change{})
			_, err2 := p.RollBackFunction("say", api.Change{})
			return unlessFirst(errors.Join(err, err2))
		}
		f, err := p.Filter("f")
		if err != nil {
			return err
		}
		if _, err = p.DeployFilter("f", change(f.Versions[:3]), false); err != nil {
			return err
		}
		fn, err := p.Function("say")
		if err != nil {
			return err
		}
		_, err = p.DeployFunction("say", change(fn.Versions[:3]), false)
		return err
	}
	var before, after footprint
	n := *deployments
	start := time.Now()
	for i := range n {
		if err := deploy(); err != nil {
			t.Fatalf("deployment %d: %v", i, err)
		}
		if i == n/5 { // warm: as many versions are kept as ever are, if there are many
			before = holds(t)
		}
	}
	took := time.Since(start)
	after = holds(t)
	close(stop)
	clients.Wait()
	transport.CloseIdleConnections()
	t.Logf("%d deployments in %v, %d requests, %d failed\nafter %d: %v\nafter all: %v", n, took.Round(time.Millisecond), served.Load(), failed.Load(), n/5, before, after)
	if failed.Load() > 0 || served.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), served.Load())
	}
	if after.goroutines > before.goroutines+60 || after.descriptors > before.descriptors+60 {
		t.Errorf("it grows: %v, then %v", before, after)
	}
	if n >= 1000 && after.heap > before.heap+32<<20 {
		t.Errorf("memory grows: %v, then %v", before, after)
	}
	if strings.Contains(p.log.String(), "level=ERROR") {
		t.Errorf("logged: %s", p.log)
	}
}

// unlessFirst returns err, unless it says that there is nothing to go back to.
func unlessFirst(err error) error {
	if err != nil && strings.Contains(err.Error(), "there was no version before it") {
		return nil
	}
	return err
}

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors int
	heap, resident          int64
}

func (f footprint) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MiB of heap, %.1f MiB resident", f.goroutines, f.descriptors, float64(f.heap)/(1<<20), float64(f.resident)/(1<<20))
}

func holds(t testing.TB) footprint {
	t.Helper()
	for range 3 { // what is not reached any more ends by cleanups, which others may wait for
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	f := footprint{goroutines: runtime.NumGoroutine(), descriptors: len(fds), heap: int64(m.HeapAlloc)}
	if b, err := os.ReadFile(filepath.Join("/proc/self", "statm")); err == nil {
		var size, resident int64
		fmt.Sscan(string(b), &size, &resident)
		f.resident = resident * int64(os.Getpagesize())
	}
	return f
}

// A version in shadow changes nothing that others see: no key, no metric.
func TestShadowHasNoEffects(t *testing.T) {
	at := port(t)
	addr := origin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "origin") })
	p := startIn(t, t.TempDir(), `
admin: off
sites: { "http://$AT": { to: $ORIGIN, filters: [f] } }
filters: { f: { wasm: uploaded, timeout: 10s, allow: { kv: [counts] } } }
`, "$AT", at, "$ORIGIN", addr)
	for _, name := range []string{"hello", "keeper"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.DeployFilter("f", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}, Shadow: 2}, false); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, body := get(t, http.DefaultClient, "http://"+at+"/"); body != "origin" {
			t.Fatalf("got %q", body)
		}
	}
	await(t, func() bool { // it has answered each
		s, err := p.FilterShadow("f")
		if err != nil {
			t.Fatal(err)
		}
		return s.Differs == 5
	})
	keys, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if e, err := keys.Get("counts", "key"); err == nil {
		t.Errorf("the key is %+v", e)
	}
	await(t, func() bool { return strings.Count(p.access.String(), "\n") == 5 })
	if strings.Contains(p.access.String(), "kept") {
		t.Errorf("it has logged: %s", p.access)
	}
}

// Explain names the version that serves, whoever asks, and why.
func TestExplainVersion(t *testing.T) {
	at := port(t)
	addr := origin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "origin") })
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", addr)
	for _, name := range []string{"hello", "deny", "peek"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.DeployFilter("f", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 60}, {Version: 2, Percent: 40}}, Shadow: 3}, false); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]int)
	for i := range 60 {
		client := fmt.Sprintf("10.2.%d.7", i)
		e, err := p.Explain(api.ExplainRequest{URL: "http://" + at + "/", Client: client})
		if err != nil || len(e.Filters) != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		f := e.Filters[0]
		want := map[int]string{1: "60%", 2: "40%"}[f.Version]
		if f.Why != "the hash of the client's address falls into its "+want || f.Shadow != 3 {
			t.Errorf("%s: %+v", client, f)
		}
		seen[f.Version]++
		req, err := http.NewRequest("GET", "http://"+at+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", client)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if denied := res.StatusCode == http.StatusUnauthorized; denied != (f.Version == 2) {
			t.Errorf("%s: explained is version %d, and the answer is %d", client, f.Version, res.StatusCode)
		}
	}
	if len(seen) != 2 {
		t.Errorf("versions %v", seen)
	}
	await(t, func() bool { return strings.Count(p.access.String(), `"f@2`) == seen[2] })
}

// await waits until it is so: for what happens behind an answer.
func await(t testing.TB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}

// A deployment that cannot be kept is none: what ran goes on.
func TestDeploymentNotKept(t *testing.T) {
	at := port(t)
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", "127.0.0.1:1")
	for _, name := range []string{"hello", "deny"} {
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(n int) []api.DeployedShare { return []api.DeployedShare{{Version: n, Percent: 100}} }
	half := []api.DeployedShare{{Version: 1, Percent: 50}, {Version: 2, Percent: 50}}
	for _, from := range []api.DeploymentChange{{Versions: whole(1)}, {Versions: half}} {
		if _, err := p.DeployFilter("f", from, false); err != nil {
			t.Fatal(err)
		}
		before := deployed(t, p.Server)
		dirs, err := filepath.Glob(filepath.Join(p.dir, "state", "files", "*"))
		if err != nil || len(dirs) != 1 {
			t.Fatal(dirs, err)
		}
		overlays := filepath.Join(dirs[0], "overlays.json")
		os.Remove(overlays)
		if err := os.MkdirAll(filepath.Join(overlays, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, to := range []api.DeploymentChange{{Versions: whole(2), Shadow: 1}, {Versions: whole(1), Shadow: 2}, {Versions: []api.DeployedShare{{Version: 1, Percent: 20}, {Version: 2, Percent: 80}}}} {
			if _, err := p.DeployFilter("f", to, false); err == nil {
				t.Errorf("%s: %+v is deployed", before, to)
			}
			if got := deployed(t, p.Server); got != before {
				t.Errorf("%+v failed, and %s became %s", to, before, got)
			}
			if f, err := p.Filter("f"); err != nil || f.Deployment.Versions[0].Version != 1 {
				t.Errorf("%+v, %v", f, err)
			}
		}
		if err := os.RemoveAll(overlays); err != nil {
			t.Fatal(err)
		}
	}
}

// What is deployed, or in shadow, is kept, however many versions come after it.
func TestDeployedIsKept(t *testing.T) {
	at := port(t)
	p := startIn(t, t.TempDir(), underLoad, "$AT", at, "$ORIGIN", "127.0.0.1:1")
	store := func(n int) {
		t.Helper()
		if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(variant(t, "hello", n)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 4 {
		store(n)
	}
	c := api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 50}, {Version: 3, Percent: 50}}, Shadow: 4}
	if _, err := p.DeployFilter("f", c, false); err != nil {
		t.Fatal(err)
	}
	for n := range 55 {
		store(10 + n)
	}
	f, err := p.Filter("f")
	if err != nil {
		t.Fatal(err)
	}
	var left []int
	for _, v := range f.Versions {
		if v.Version < 5 {
			left = append(left, v.Version)
		}
	}
	if fmt.Sprint(left) != "[4 3 1]" || len(f.Versions) != 50 {
		t.Errorf("of the first four are left %v, %d in all", left, len(f.Versions))
	}
}
