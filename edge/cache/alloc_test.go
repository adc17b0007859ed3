package cache

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// An answer from the store allocates nothing.
func TestAllocs(t *testing.T) {
	if edge.Poisons {
		t.Skip("sync.Pool drops at random under -race")
	}
	h, _ := warm(t)
	for _, c := range []struct {
		name   string
		fields []string
		status int
	}{
		{"hit", nil, 200},
		{"not modified", []string{`If-None-Match: "0123456789abcdef"`}, 304},
		{"no-store from the client's max-age", []string{"Cache-Control: max-age=100"}, 200},
	} {
		x := &edge.Exchange{}
		client := &edge.Client{}
		if n := testing.AllocsPerRun(1000, func() {
			lookUp(x, client, h, c.fields)
			if x.Response.Status != c.status || x.Record.Cache != "hit" {
				t.Fatalf("%d %s", x.Response.Status, x.Record.Cache)
			}
			x.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", c.name, n)
		}
	}
}

// warm returns a stage that holds /a, of 1 KiB with the usual fields.
func warm(t testing.TB) (edge.Handler, *Store) {
	store, err := NewStore(Config{Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	h := edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, edge.Content(make([]byte, 1024)), 1024)
		add(&x.Response.Fields, []string{"Date: " + date(0), "Content-Type: text/html; charset=utf-8", "Cache-Control: public, max-age=3600",
			`ETag: "0123456789abcdef"`, "Last-Modified: " + date(-time.Hour), "Vary: Accept-Encoding", "Server: origin"})
		return nil
	}), store.Stage(Policy{}))
	lookUp(&edge.Exchange{}, &edge.Client{}, h, nil)
	return h, store
}

func lookUp(x *edge.Exchange, c *edge.Client, h edge.Handler, fields []string) {
	x.Begin(nil, c, time.Time{})
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Query = "GET", "https", "www.example.org", "/a/path/of/usual/length.html", "query=1"
	r.Fields.Add("User-Agent", "test")
	r.Fields.Add("Accept-Encoding", "identity")
	for _, l := range fields {
		name, value, _ := strings.Cut(l, ": ")
		r.Fields.Add(name, value)
	}
	h.Serve(x)
}

func BenchmarkHit(b *testing.B) {
	h, _ := warm(b)
	x, c := &edge.Exchange{}, &edge.Client{}
	b.ReportAllocs()
	for b.Loop() {
		lookUp(x, c, h, nil)
		x.End()
	}
}

func BenchmarkStore(b *testing.B) {
	h, _ := simple(b, 64<<20)
	x, c := &edge.Exchange{}, &edge.Client{}
	path := make([]byte, 0, 32)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x.Begin(nil, c, time.Time{})
		path = strconv.AppendInt(append(path[:0], "/1024/"...), int64(i), 10)
		x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "h", Path: string(path)}
		h.Serve(x)
		x.End()
	}
}
