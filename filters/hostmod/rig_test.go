package hostmod

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

var quiet = slog.New(slog.DiscardHandler)

var engine = sync.OnceValue(func() *wasm.Engine { return wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) })

// compiled returns the guest that all tests call.
func compiled(t testing.TB) *wasm.Module {
	t.Helper()
	m, err := engine().Compile(context.Background(), guests.Read(t, "sluice-calls"), Host())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// party is what the guest of a rig serves.
type party struct {
	use    Use
	sleeps int
}

func (p *party) Host() *Use { return &p.use }
func (p *party) Sleep()     { p.sleeps++ }

// client is an engine that has a client.
type client struct{ informed []string }

func (c *client) Block() {}
func (c *client) Inform(status int, f *edge.Fields) error {
	s := ""
	for name, value := range f.All() {
		s += name + ": " + value + ";"
	}
	c.informed = append(c.informed, s)
	return nil
}

// rig is a guest whose functions a test calls.
type rig struct {
	t testing.TB
	*party
	x      *edge.Exchange
	client *client
	pool   *wasm.Pool
	in     *wasm.Instance
	at     uint32 // where the next text goes
}

// buf is where results go in a guest's memory, of 8 KiB.
const (
	buf   = 100_000
	limit = 8 << 10
)

// all is a grant of everything.
var all = Grants{KV: []string{"a"}, Fetch: []string{"api"}, Metrics: true, Route: true, Hints: true, Secrets: map[string]string{"key": "hunter2"}}

// start returns a guest that serves an exchange, with what is granted.
func start(t testing.TB, g Grants, env Env) *rig {
	t.Helper()
	env.Log = quiet
	r := &rig{t: t, party: new(party), client: new(client), x: new(edge.Exchange)}
	var err error
	r.pool, err = wasm.NewPool(compiled(t), wasm.Options{Limits: wasm.Limits{Call: time.Minute}, State: r.party})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort
	c := edge.NewClient(addr("192.0.2.7:1234"), addr("[2001:db8::1]:443"), nil)
	r.x.Begin(r.client, &c, time.Now())
	r.x.Record.ID = "01JD3N"
	r.x.Request = edge.Request{Method: "GET", Scheme: "https", Authority: "example.org", Path: "/", Proto: "HTTP/2.0"}
	r.use = Use{Guest: New(g, env), Exchange: r.x}
	r.again()
	t.Cleanup(func() {
		r.use.End()
		if r.in != nil {
			r.in.Close()
		}
		r.pool.Close()
		r.x.End()
	})
	return r
}

// again makes a new instance, after one that has failed.
func (r *rig) again() {
	r.t.Helper()
	if r.in != nil {
		r.use.End()
		r.in.Close()
	}
	var err error
	if r.in, err = r.pool.Get(r.party, nil); err != nil {
		r.t.Fatal(err)
	}
}

// store returns a store of a directory of the test's own.
func store(t testing.TB, cfg kv.Config) *kv.Store {
	t.Helper()
	cfg.Log = quiet
	s, err := kv.Open(filepath.Join(t.TempDir(), "kv"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// try calls a function: a text is two parameters, pointer and length.
func (r *rig) try(name string, args ...any) (int64, error) {
	r.at = 10_000
	stack := make([]uint64, 0, 16)
	for _, a := range args {
		switch a := a.(type) {
		case int:
			stack = append(stack, uint64(a))
		case uint64:
			stack = append(stack, a)
		case string:
			copy(r.in.Read(r.at, uint32(len(a))), a)
			stack = append(stack, uint64(r.at), uint64(len(a)))
			r.at += uint32(len(a))
		}
	}
	err := r.in.Call(name, stack[:16])
	if result(name) == wasm.I32 {
		return int64(int32(stack[:1][0])), err
	}
	return int64(stack[:1][0]), err
}

func result(name string) wasm.ValueType {
	for _, f := range functions {
		if f.name == name {
			return f.result
		}
	}
	panic(name)
}

// call calls a function that does not end the guest.
func (r *rig) call(name string, args ...any) int64 {
	r.t.Helper()
	n, err := r.try(name, args...)
	if err != nil {
		r.t.Fatalf("%s%v: %v", name, args, err)
	}
	return n
}

// want calls a function and wants a result.
func (r *rig) want(want int64, name string, args ...any) {
	r.t.Helper()
	if got := r.call(name, args...); got != want {
		r.t.Errorf("%s%q: got %d, want %d", name, args, got, want)
	}
}

// text returns what is at buf.
func (r *rig) text(n int64) string { return r.in.String(buf, uint32(n)) }

// wantText calls a function whose last parameters are a buffer, and wants what is
// there then, or a negative result.
func (r *rig) wantText(want any, name string, args ...any) {
	r.t.Helper()
	n := r.call(name, append(args, buf, limit)...)
	switch want := want.(type) {
	case status:
		if n != int64(want) {
			r.t.Errorf("%s%q: got %d, want %d", name, args, n, want)
		}
	case string:
		if n < 0 {
			r.t.Errorf("%s%q: got %d, want %q", name, args, n, want)
			return
		}
		if got := r.text(int64(uint32(n))); got != want {
			r.t.Errorf("%s%q: got %q, want %q", name, args, got, want)
		}
		if result(name) == wasm.I64 && n>>32 != int64(strings.Count(want, "\x00")) {
			r.t.Errorf("%s%q: got %d texts, want %q", name, args, n>>32, want)
		}
	}
	// What does not fit is not written.
	if s, ok := want.(string); ok && s != "" && name != "fetch_read" && name != "kv_list" {
		b := r.in.Read(buf, limit)
		clear(b)
		short := append(args, buf, len(s)-1)
		if again := r.call(name, short...); again != n || r.text(limit) != strings.Repeat("\x00", limit) {
			r.t.Errorf("%s%q: got %d and %q in a buffer that is too small", name, args, again, r.text(int64(len(s))))
		}
	}
}
