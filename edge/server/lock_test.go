package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/metrics"
)

// gate is a log in which whoever logs a line of the guest herald waits.
type gate struct {
	slog.Handler
	closed  chan struct{} // nil: it is open
	reached chan struct{}
}

func (g *gate) Enabled(context.Context, slog.Level) bool { return true }

func (g *gate) WithAttrs([]slog.Attr) slog.Handler { return g }

func (g *gate) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.String() == "herald" && g.closed != nil {
			select {
			case g.reached <- struct{}{}:
				<-g.closed
			case <-g.closed:
			}
		}
		return true
	})
	return nil
}

const locked = `
admin: off
log: { access: off }
sites:
  "http://127.0.0.1:0":
    name: s
    routes:
      /: { respond: { body: %s } }
      /a: { to: "127.0.0.1:1", filters: [%s] }
filters: { %[2]s: { wasm: %[2]s.wasm } }
`

// lockRig is a server that has a filter hello, and waits at the gate when an instance
// of herald is made.
type lockRig struct {
	t    *testing.T
	dir  string
	gate *gate
	*Server
}

func startLocked(t *testing.T) *lockRig {
	r := &lockRig{t: t, dir: t.TempDir(), gate: &gate{reached: make(chan struct{})}}
	for _, name := range []string{"hello", "herald"} {
		if err := os.WriteFile(filepath.Join(r.dir, name+".wasm"), r.module(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, problems, err := New(r.file("one", "hello"), Options{Log: slog.New(r.gate)})
	if err != nil || problems.Failed() {
		t.Fatal(problems, err)
	}
	t.Cleanup(func() { s.Close() })
	r.Server = s
	return r
}

func (r *lockRig) module(name string) []byte {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "wasm-testdata", name, name+".wasm"))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *lockRig) file(body, filter string) *config.File {
	r.t.Helper()
	text := fmt.Sprintf(locked, body, filter) + "state: " + filepath.Join(r.dir, "state") + "\n"
	f, problems := config.Parse(filepath.Join(r.dir, "sluice.yaml"), []byte(text), config.Options{})
	if problems.Failed() {
		r.t.Fatal(problems)
	}
	return f
}

// hold starts change, and returns once it waits at the gate. It is let through by
// release, and all is over when wait returns.
func (r *lockRig) hold(change func()) (all *sync.WaitGroup, release func()) {
	r.gate.closed = make(chan struct{})
	release = sync.OnceFunc(func() { close(r.gate.closed) })
	all = new(sync.WaitGroup)
	r.t.Cleanup(func() {
		release()
		all.Wait()
	})
	all.Go(change)
	<-r.gate.reached
	return all, release
}

// look asks for all that there is to be seen, which waits for no change.
func (r *lockRig) look() {
	r.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.lookAtAll()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		r.t.Fatal("who looks waits for the change")
	}
}

func (r *lockRig) lookAtAll() {
	r.Status()
	r.Ready()
	r.Routes()
	r.Filters()
	r.Functions()
	r.Addresses()
	answer := httptest.NewRecorder()
	metrics.Handler(r.Metrics, metrics.Config{Log: slog.New(slog.DiscardHandler)}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != http.StatusOK {
		r.t.Errorf("metrics: %d", answer.Code)
	}
	if _, err := r.History(); err != nil {
		r.t.Error(err)
	}
	if c, err := r.Configuration(); err != nil || !strings.Contains(c.Effective[0].Text, "body: one") {
		r.t.Errorf("%+v, %v", c, err)
	}
	if _, err := r.Filter("hello"); err != nil {
		r.t.Error(err)
	}
}

// While a reload makes instances, what is in force can be looked at. Who changes it
// meanwhile has his turn after that, and sees what has come of it.
func TestReloadHoldsNobodyUp(t *testing.T) {
	r := startLocked(t)
	tag := r.ETag()
	change := r.file("two", "herald")
	all, release := r.hold(func() {
		if problems, err := r.Apply(change, "test"); err != nil || problems.Failed() {
			t.Error(problems, err)
		}
	})
	r.look()
	all.Go(func() {
		_, err := r.SetRoute("s/old", map[string]any{"respond": 204}, api.Change{IfMatch: tag})
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != http.StatusPreconditionFailed {
			t.Errorf("a change of what is not in force any more: %v", err)
		}
	})
	all.Go(func() {
		if _, err := r.SetRoute("s/new", map[string]any{"respond": 204}, api.Change{}); err != nil {
			t.Error(err)
		}
	})
	r.look()
	release()
	all.Wait()
	c, err := r.Configuration()
	if err != nil {
		t.Fatal(err)
	}
	if text := c.Effective[0].Text; !strings.Contains(text, "body: two") || !strings.Contains(text, "/new:") || strings.Contains(text, "/old:") {
		t.Errorf("in force is %s", text)
	}
}

// So while one goes back to a version; and an upload waits for nobody until it is to go
// live.
func TestModulesHoldNobodyUp(t *testing.T) {
	r, ctx := startLocked(t), context.Background()
	push := func(module string) error {
		_, _, err := r.PushFilter(ctx, "hello", bytes.NewReader(r.module(module)), api.Use{})
		return err
	}
	all, release := r.hold(func() {
		if err := push("herald"); err != nil {
			t.Error(err)
		}
	})
	r.look()
	// Not even changes wait for a module that is being checked.
	if _, err := r.SetRoute("s/new", map[string]any{"respond": 204}, api.Change{}); err != nil {
		t.Error(err)
	}
	release()
	all.Wait()
	r.gate.closed = nil
	if err := push("header-set"); err != nil {
		t.Fatal(err)
	}
	all, release = r.hold(func() {
		if v, err := r.RollBackFilter("hello", api.Change{}); err != nil || v.Version != 2 || !v.Live {
			t.Errorf("%+v, %v", v, err)
		}
	})
	r.look()
	release()
	all.Wait()
	if f, err := r.Filter("hello"); err != nil || f.Live != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}

// What a file brings that is new is compiled ahead of the change, and nothing else.
func TestAhead(t *testing.T) {
	r := startLocked(t)
	for _, c := range []struct {
		filter string
		want   int
	}{{"hello", 0}, {"herald", 1}, {"absent", 0}} {
		held := r.ahead(r.file("one", c.filter))
		if len(held) != c.want {
			t.Errorf("%s: %d modules, want %d", c.filter, len(held), c.want)
		}
		held.release()
	}
}
