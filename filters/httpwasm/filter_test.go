package httpwasm

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// quiet is a logger for tests that do not look at it.
var quiet = slog.New(slog.DiscardHandler)

// load makes a filter of a guest of wasm-testdata. Times are long, since the
// machine may be slow; a test of times sets its own.
func load(t testing.TB, name string, cfg Config) *Filter {
	t.Helper()
	return loadBytes(t, guests.Read(t, name), cfg)
}

// shared is the engine of the modules that tests load, which stay for the next test.
var shared = sync.OnceValue(func() *wasm.Engine {
	return wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) // under -race, on a busy machine
})

var modules sync.Map // of func() (*wasm.Module, error), by what they are compiled of

// compiled compiles a module, once in the process: under -race a guest in Go takes ten
// seconds.
func compiled(t testing.TB, binary []byte) *wasm.Module {
	t.Helper()
	once, _ := modules.LoadOrStore(sha256.Sum256(binary), sync.OnceValues(func() (*wasm.Module, error) {
		return Compile(context.Background(), shared(), binary)
	}))
	m, err := once.(func() (*wasm.Module, error))()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func loadBytes(t testing.TB, binary []byte, cfg Config) *Filter {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	if cfg.Log == nil {
		cfg.Log = quiet
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Start == 0 {
		cfg.Start = 30 * time.Second
	}
	f, err := New(compiled(t, binary), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if n := f.Stats().Instances; n != 0 {
			t.Errorf("%d instances are left", n)
		}
		if n := f.Stats().Bytes; n != 0 {
			t.Errorf("%d bytes of memory are left", n)
		}
	})
	return f
}

// origin answers 200 with what it got, and remembers the request.
type origin struct {
	calls            int
	method, uri      string
	host             string
	fields, trailers edge.Fields
	body             string
	length           int64

	answer func(x *edge.Exchange) error // instead
}

func (o *origin) Serve(x *edge.Exchange) error {
	r := &x.Request
	o.calls++
	o.method, o.host, o.length = r.Method, r.Authority, r.Length
	o.uri = r.Path
	if r.Query != "" {
		o.uri += "?" + r.Query
	}
	o.fields = r.Fields.Clone()
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		o.body = string(b)
	}
	o.trailers = r.Trailers.Clone()
	if o.answer != nil {
		return o.answer(x)
	}
	x.Respond(200, &streamed{pieces: []string{"hello ", "from ", "origin"}}, 17)
	x.Response.Fields.Add("Server", "origin")
	return nil
}

// streamed is content that arrives in pieces.
type streamed struct {
	pieces []string
	err    error  // instead of io.EOF
	end    func() // called at the end
	closed int
}

func (s *streamed) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		if s.end != nil {
			s.end()
		}
		if s.err != nil {
			return 0, s.err
		}
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *streamed) Close() error { s.closed++; return nil }

// request begins an exchange.
func request(method, uri string, body edge.Body, length int64, fields ...string) *edge.Exchange {
	client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:1234"), netip.MustParseAddrPort("192.0.2.2:80"), nil)
	x := new(edge.Exchange)
	x.Begin(nil, &client, time.Now())
	x.Record.ID = "id-1"
	path, query, _ := strings.Cut(uri, "?")
	x.Request = edge.Request{Method: method, Scheme: "http", Authority: "example.org", Path: path, Query: query,
		Proto: "HTTP/1.1", Body: body, Length: length}
	for i := 0; i < len(fields); i += 2 {
		x.Request.Fields.Add(fields[i], fields[i+1])
	}
	return x
}

// content reads a response's content.
func responseBody(t testing.TB, x *edge.Exchange) string {
	t.Helper()
	if x.Response.Body == nil {
		return ""
	}
	b, err := io.ReadAll(x.Response.Body)
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}
	return string(b)
}

func TestHello(t *testing.T) {
	f := load(t, "hello", Config{Name: "hello", Version: 3})
	o := &origin{}
	x := request("GET", "/", nil, 0)
	defer x.End()
	if err := f.Filter(x, o); err != nil {
		t.Fatal(err)
	}
	if got := x.Response.Fields.Get("x-sluice-filter"); got != "hello v1" {
		t.Errorf("field is %q", got)
	}
	if got := responseBody(t, x); got != "hello from origin" || x.Response.Length != 17 {
		t.Errorf("content is %q of %d bytes", got, x.Response.Length)
	}
	run := x.Record.Filters[0]
	if run.Name != "hello" || run.Version != 3 || run.Took <= 0 || run.Failed {
		t.Errorf("record is %+v", run)
	}
}
