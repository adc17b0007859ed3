package trial

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/hostmod"
)

// WorldConfig is what modules that are tried have of a proxy.
type WorldConfig struct {
	Keys      map[string]map[string][]byte // values by namespace and key; the namespaces are allowed
	Upstreams map[string]edge.Handler      // that are allowed
	Secrets   map[string]string            // likewise
}

// World is a proxy of which there is no more than modules may use: keys, upstreams and
// secrets. What they do with it is told by each trial, and has no effect on anything else,
// unless an upstream is a real one. Keys last from trial to trial.
type World struct {
	cfg  WorldConfig
	dir  string
	keys *kv.Store // nil: no namespace is allowed

	mu      sync.Mutex // guards the following fields
	fetches []api.TrialFetch
	missing []string // allow lines
}

// NewWorld makes a world. Who gets it closes it.
func NewWorld(cfg WorldConfig) (_ *World, err error) {
	w := &World{cfg: cfg}
	if len(cfg.Keys) == 0 {
		return w, nil
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "sluice-trial-"); err != nil {
		return nil, err
	}
	if w.keys, err = kv.Open(filepath.Join(w.dir, "kv"), kv.Config{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	for _, namespace := range slices.Sorted(maps.Keys(cfg.Keys)) {
		if err := kv.CheckNamespace(namespace); err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(cfg.Keys[namespace])) {
			if _, err := w.keys.Set(namespace, key, cfg.Keys[namespace][key], 0, kv.Any); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", namespace, key, err)
			}
		}
	}
	return w, nil
}

// Close removes what there is.
func (w *World) Close() error {
	var err error
	if w.keys != nil {
		err = w.keys.Close()
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// Host returns what a module has of the module "sluice": all of it may be imported.
func (w *World) Host() *hostmod.Guest {
	g := hostmod.Grants{KV: []string{""}, Fetch: []string{""}, Metrics: true, Route: true, Hints: true, Secrets: map[string]string{"": ""}}
	g.KV = slices.AppendSeq(g.KV, maps.Keys(w.cfg.Keys))
	g.Fetch = slices.AppendSeq(g.Fetch, maps.Keys(w.cfg.Upstreams))
	maps.Copy(g.Secrets, w.cfg.Secrets)
	return hostmod.New(g, hostmod.Env{KV: w.keys, Upstream: w.upstream, Log: slog.New(w)})
}

// Proxy returns what a filter of proxy-wasm has besides, whose root context has an id.
func (w *World) Proxy(root string) filters.Proxy {
	return filters.Proxy{Root: root, Upstream: w.upstream, Fetch: slices.Sorted(maps.Keys(w.cfg.Upstreams))}
}

// upstream returns an upstream for one request, which is told of.
func (w *World) upstream(name string) (edge.Handler, bool) {
	h, ok := w.cfg.Upstreams[name]
	if !ok {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches = append(w.fetches, api.TrialFetch{Upstream: name})
	return &watched{w, len(w.fetches) - 1, h}, true
}

// watched is an upstream that is asked once.
type watched struct {
	world *World
	at    int // of its fetches
	next  edge.Handler
}

// Serve implements [edge.Handler].
func (f *watched) Serve(x *edge.Exchange) error {
	q := requestOf(&x.Request)
	length := max(x.Request.Length, 0)
	err := f.next.Serve(x)
	w := f.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.at >= len(w.fetches) {
		return err // it has outlived its trial
	}
	told := &w.fetches[f.at]
	told.Method, told.URI, told.Bytes = q.method, q.target(), length
	switch {
	case err == nil:
		told.Status = x.Response.Status
	case errors.Is(err, errGiven):
		told.Error = edge.AsError(err).Kind.String()
	case errors.Is(err, errNoAnswer):
		told.Error = errNoAnswer.Error()
	default:
		told.Error = err.Error()
	}
	return err
}

// Enabled implements [slog.Handler], as Handle, WithAttrs and WithGroup do: of what is
// logged about a guest, the lines that it should be allowed are taken.
func (w *World) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (w *World) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "line" {
			return true
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if line := a.Value.String(); !slices.Contains(w.missing, line) {
			w.missing = append(w.missing, line)
		}
		return false
	})
	return nil
}

// WithAttrs implements [slog.Handler].
func (w *World) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements [slog.Handler].
func (w *World) WithGroup(string) slog.Handler { return w }

// log returns what takes what is logged about a guest; w may be nil.
func (w *World) log() *slog.Logger {
	if w != nil {
		return slog.New(w)
	}
	return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})) // a guest is told which levels are wanted
}

// begin forgets what the trial before has done, and returns the keys as they are. w may
// be nil.
func (w *World) begin() (map[string]kv.Entry, error) {
	if w == nil {
		return nil, nil
	}
	w.mu.Lock()
	w.fetches, w.missing = nil, nil
	w.mu.Unlock()
	return w.entries()
}

// tell adds to a trial what has been done in it since begin returned before. w may be nil.
func (w *World) tell(t *api.Trial, before map[string]kv.Entry, begun time.Time) error {
	if w == nil {
		return nil
	}
	after, err := w.entries()
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(union(before, after))) {
		if c, ok := keyChange(key, before[key], after[key], begun); ok {
			t.Changes = append(t.Changes, c)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Fetches, t.Missing = slices.Clone(w.fetches), slices.Clone(w.missing)
	w.fetches = nil
	return nil
}

func union(a, b map[string]kv.Entry) map[string]kv.Entry {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// entries returns all that is kept, by namespace/key.
func (w *World) entries() (map[string]kv.Entry, error) {
	all := make(map[string]kv.Entry)
	if w.keys == nil {
		return all, nil
	}
	for namespace := range w.cfg.Keys {
		err := w.keys.List(namespace, "", "", func(key []byte, e kv.Entry) bool {
			e.Value = bytes.Clone(e.Value)
			all[namespace+"/"+string(key)] = e
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// keyChange returns what has become of a key, and whether anything has.
func keyChange(key string, from, to kv.Entry, begun time.Time) (api.TrialChange, bool) {
	c := api.TrialChange{In: "kv", What: "key", Name: key, From: valueText(from.Value), To: valueText(to.Value)}
	switch {
	case from.Version == to.Version:
		return c, false
	case from.Version == 0:
		c.Do, c.From = "added", ""
	case to.Version == 0:
		c.Do, c.To = "removed", ""
	default:
		c.Do = "set"
	}
	if to.Version != 0 && !to.Expires.IsZero() {
		c.TTL = max(to.Expires.Sub(begun).Milliseconds(), 0)
	}
	return c, true
}

// valueText returns a value for people, and no more than some of it.
func valueText(v []byte) string {
	const most = 200
	switch {
	case !utf8.Valid(v):
		return fmt.Sprintf("(%d bytes, no text)", len(v))
	case len(v) > most:
		return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(string(v[:most]), ""), len(v))
	}
	return cmp.Or(string(v), `""`)
}
