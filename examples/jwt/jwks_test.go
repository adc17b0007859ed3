package jwt

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/edge/upstream"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// issuer publishes keys over a socket, and counts who asks.
type issuer struct {
	*httptest.Server
	mu    sync.Mutex // guards the following fields
	keys  []key
	asked []string
}

func newIssuer(t *testing.T, keys ...key) *issuer {
	s := &issuer{keys: keys}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Host+r.RequestURI)
		set := []map[string]string{}
		for _, k := range s.keys {
			set = append(set, k.public)
		}
		json.NewEncoder(w).Encode(map[string]any{"keys": set})
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) publish(keys ...key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

func (s *issuer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// fetching makes a filter whose keys come from an issuer.
func fetching(t *testing.T, e *wasm.Engine, s *issuer, store *kv.Store, log *bytes.Buffer) *httpwasm.Filter {
	t.Helper()
	pool := upstream.New(upstream.Config{Name: "id", Endpoints: []upstream.Endpoint{{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://")}}},
		func(at upstream.Endpoint) upstream.Transport {
			return http1.NewTransport(at.Network, at.Address, http1.TransportConfig{Idle: -1})
		})
	t.Cleanup(func() { pool.Retire() })
	logger := slog.New(slog.NewTextHandler(log, nil))
	host := hostmod.New(hostmod.Grants{KV: []string{"jwt"}, Fetch: []string{"id"}}, hostmod.Env{KV: store, Log: logger,
		Upstream: func(name string) (edge.Handler, bool) { return pool, name == "id" }})
	f, err := httpwasm.Load(context.Background(), e, module(t, "jwks"), httpwasm.Config{
		Config: []byte(`{"jwks": {"upstream": "id", "uri": "/keys?v=1", "host": "id.example.org"}, "issuer": "joe", "audience": "api", "forward": false}`),
		Host:   host, Timeout: 10 * time.Second, Log: logger})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(f.Close)
	return f
}

// Keys are fetched once, kept over a restart, and fetched anew for a token that names a new
// one; what others make up fetches nothing more.
func TestPublishedKeys(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	t.Cleanup(e.Close)
	all := keys(t, 2048)
	secret, old, rotated := all[0], all[1:4], all[4]
	id := newIssuer(t, append([]key{secret}, old...)...)
	store, err := kv.Open(filepath.Join(t.TempDir(), "kv"), kv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	log := new(bytes.Buffer)
	f := fetching(t, e, id, store, log)
	x := new(edge.Exchange)
	check := func(k key, want string, requests int) {
		t.Helper()
		if got := ask(t, f, x, k.token("ann")); got != want {
			t.Errorf("%s %s: got %q, want %q\n%s", k.alg, k.public["kid"], got, want, log)
		}
		if got := id.requests(); len(got) != requests {
			t.Errorf("the issuer was asked %q, want %d", got, requests)
		}
	}
	const unknown = "401 401: the token's key is unknown\n"
	for range 3 {
		for _, k := range old {
			check(k, "200 ann", 1)
		}
	}
	if got := id.requests()[0]; got != "id.example.org/keys?v=1" {
		t.Errorf("the issuer was asked %q", got)
	}
	check(secret, unknown, 1) // which was published, and which anybody could sign with; another fetch has to wait

	f = fetching(t, e, id, store, log) // a restart
	check(old[0], "200 ann", 1)
	id.publish(rotated)
	check(rotated, unknown, 1) // it is too soon
	if err := store.Delete("jwt", "asked id/keys?v=1", kv.Any); err != nil {
		t.Fatal(err) // as if time had passed
	}
	check(rotated, "200 ann", 2)
	check(old[0], unknown, 2) // it was taken back
	check(rotated, "200 ann", 2)

	// Tokens that name what does not exist.
	for range 50 {
		check(key{alg: "EdDSA", public: map[string]string{"kid": "none"}, sign: rotated.sign}, unknown, 2)
	}

	// While the issuer is down, what is known counts.
	id.Close()
	for _, k := range []string{"asked id/keys?v=1", "fresh id/keys?v=1"} {
		if err := store.Delete("jwt", k, kv.Any); err != nil {
			t.Fatal(err)
		}
	}
	check(rotated, "200 ann", 2)
	if !strings.Contains(log.String(), "keys of id/keys?v=1") {
		t.Errorf("the log is\n%s", log)
	}
	if err := store.Delete("jwt", "set id/keys?v=1", kv.Any); err != nil {
		t.Fatal(err)
	}
	check(rotated, "503 503: the keys cannot be fetched\n", 2)
}

// What a request costs whose key is in a set of ten.
func BenchmarkPublished(b *testing.B) {
	e := wasm.NewEngine(wasm.Config{})
	b.Cleanup(e.Close)
	all := keys(b, 2048)
	set := []map[string]string{}
	for i := range 10 {
		k := map[string]string{}
		for name, v := range all[1].public {
			k[name] = v
		}
		if i > 0 {
			k["kid"] = strings.Repeat("x", i)
		}
		set = append(set, k)
	}
	served, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		b.Fatal(err)
	}
	store, err := kv.Open(filepath.Join(b.TempDir(), "kv"), kv.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	for name, v := range map[string][]byte{"set id/k": served, "fresh id/k": {}} {
		if _, err := store.Set("jwt", name, v, 0, kv.Any); err != nil {
			b.Fatal(err)
		}
	}
	f, err := httpwasm.Load(context.Background(), e, module(b, "jwks"), httpwasm.Config{
		Config: []byte(`{"jwks": {"upstream": "id", "uri": "/k"}, "issuer": "joe", "audience": "api"}`), Timeout: 10 * time.Second,
		Log: slog.New(slog.DiscardHandler), Host: hostmod.New(hostmod.Grants{KV: []string{"jwt"}, Fetch: []string{"id"}}, hostmod.Env{KV: store})})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.Close)
	x, token := new(edge.Exchange), all[1].token("ann")
	for b.Loop() {
		if got := ask(b, f, x, token); !strings.HasPrefix(got, "200 ann") {
			b.Fatal(got)
		}
	}
}
