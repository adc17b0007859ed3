package httpwasm

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/hostmod"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// goGuest is a guest in standard Go, with what its configuration is to be.
type goGuest struct {
	pkg, config string
	tested      bool // for what it holds: each takes a second to compile
}

// goGuests are such guests of this repository.
var goGuests = []goGuest{
	{"wasm-testdata/stateful", "", false},
	{"wasm-testdata/everything", "hi", true},
	{"examples/auth", `{"keys":{"a":"k"}}`, true},
	{"examples/rewrite", `{"rules":[{"match":"^/u/([^/]+)$","to":"/api/users?name=$1"}],"drop":["utm_*"]}`, false},
	{"examples/ab-split", `{"user":"cookie uid","arms":{"app":80,"app-next":20}}`, false},
	{"examples/feature-flags", `{"facts":{"user":"cookie uid"},"flags":{"banner":"on user=ann"},"admin":"/_flags"}`, false},
	{"examples/introspection", `{"upstream":"id","client":"shop","scopes":["read"],"fields":{"X-User":"sub"}}`, false},
	{"examples/pow-challenge", `{"bits":16,"lifetime":"1h"}`, true},
	{"examples/signing", `{"sign":{"key":"edge","algorithm":"ed25519","keyid":"edge-1"}}`, true},
}

func (g goGuest) load(t testing.TB, cfg Config) *Filter {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := kv.Open(filepath.Join(t.TempDir(), "kv"), kv.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	key, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Config, cfg.Log, cfg.Timeout, cfg.Start = []byte(g.config), log, time.Minute, time.Minute
	cfg.Host = hostmod.New(
		hostmod.Grants{KV: []string{"flags", "introspection", "signatures"}, Fetch: []string{"id"}, Metrics: true, Route: true, Secrets: map[string]string{
			"token": "a token that is long enough", "client": "secret", "key": "a key that is long enough for this",
			"edge": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))}},
		hostmod.Env{KV: s, Metrics: hostmod.NewRegistry(hostmod.MeterConfig{}).Of("filter", "f"), Log: log})
	return loadBytes(t, guests.Build(t, "github.com/sluice-edge/sluice/"+g.pkg), cfg)
}

func (g goGuest) serve(t testing.TB, f *Filter, x *edge.Exchange) {
	t.Helper()
	if err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil })); err != nil {
		t.Fatal(g.pkg, err)
	}
}

// TestPrivateMemory: an instance of a filter in standard Go has little memory of its own,
// by what the kernel says is private of it; the rest is the image's. A guest that writes
// more with each request has more.
func TestPrivateMemory(t *testing.T) {
	const most = 300 << 10
	for _, g := range goGuests {
		if !g.tested {
			continue
		}
		f := g.load(t, Config{})
		x := request("GET", "/", nil, 0)
		for range 20 {
			again(x)
			g.serve(t, f, x)
			x.End()
		}
		if each := f.pool.Bytes(); each > most || each < 4<<10 {
			t.Errorf("%s: an instance holds %d bytes, more than %d", g.pkg, each, most)
		}
	}
}

// BenchmarkWarm compares guests that have seen requests before the first one with those
// that have not.
func BenchmarkWarm(b *testing.B) {
	for _, g := range goGuests {
		for _, cold := range []bool{true, false} {
			name := "/warm"
			if cold {
				name = "/cold"
			}
			b.Run(filepath.Base(g.pkg)+name, func(b *testing.B) {
				f := g.load(b, Config{Cold: cold})
				x := request("GET", "/", nil, 0)
				for b.Loop() {
					again(x)
					g.serve(b, f, x)
					x.End()
				}
				b.ReportMetric(float64(f.pool.Bytes()>>10), "KiB")
			})
		}
	}
}
