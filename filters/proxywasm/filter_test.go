package proxywasm

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

var engine = sync.OnceValue(func() *wasm.Engine { return wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) })

// load makes a filter of the guest proxy-filter.
func load(t testing.TB, cfg Config) *Filter {
	t.Helper()
	f, err := loading(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if s := f.Stats(); s.Instances != 0 || s.Bytes != 0 {
			t.Errorf("%d instances and %d bytes are left", s.Instances, s.Bytes)
		}
	})
	return f
}

func loading(t testing.TB, cfg Config) (*Filter, error) {
	t.Helper()
	return loadingBytes(t, guests.Read(t, "proxy-filter"), cfg)
}

func loadingBytes(t testing.TB, binary []byte, cfg Config) (*Filter, error) {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	return Load(context.Background(), engine(), binary, cfg)
}

// origin answers with what it got.
type origin struct {
	method, uri, host, body string
	fields, trailers        edge.Fields
	length                  int64
	calls                   int

	answer func(x *edge.Exchange) error // instead
}

func (o *origin) Serve(x *edge.Exchange) error {
	r := &x.Request
	o.calls++
	o.method, o.uri, o.host, o.length, o.fields = strings.Clone(r.Method), pathOf(r), strings.Clone(r.Authority), r.Length, r.Fields.Clone()
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
	return nil
}

func pathOf(r *edge.Request) string { return string(appendPath(nil, r)) }

// streamed is content that arrives in pieces.
type streamed struct {
	pieces []string
	end    func()
	closed bool
}

func (s *streamed) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		if s.end != nil {
			s.end()
		}
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *streamed) Close() error { s.closed = true; return nil }

func request1(method, uri string, body edge.Body, length int64) *edge.Exchange {
	client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:1234"), netip.MustParseAddrPort("192.0.2.2:80"), nil)
	x := new(edge.Exchange)
	x.Begin(nil, &client, time.Now())
	x.Record.ID = "id-1"
	path, query, _ := strings.Cut(uri, "?")
	x.Request = edge.Request{Method: method, Scheme: "http", Authority: "example.org", Path: path, Query: query,
		Proto: "HTTP/1.1", Body: body, Length: length}
	return x
}

// result is what became of an exchange.
type result struct {
	status int
	body   string
	fields edge.Fields
	err    error
}

// try sends a request through a filter to an origin.
func try(t testing.TB, f *Filter, o *origin, method, uri string, pieces ...string) (r result) {
	t.Helper()
	var body edge.Body
	length := int64(0)
	if pieces != nil {
		body, length = &streamed{pieces: slices.Clone(pieces)}, -1
	}
	return exchange(f, o, request1(method, uri, body, length))
}

func exchange(f *Filter, o *origin, x *edge.Exchange) (r result) {
	defer x.End()
	r.err = f.Filter(x, o)
	if r.err == nil {
		r.status, r.fields = x.Response.Status, x.Response.Fields.Clone()
		if x.Response.Body != nil {
			var b []byte
			b, r.err = io.ReadAll(x.Response.Body)
			r.body = string(b)
		}
	}
	return r
}

// status returns what a client gets of an error.
func statusOf(err error) int {
	e := edge.AsError(err)
	if e.Status != 0 {
		return e.Status
	}
	return e.Kind.Status()
}

// api answers a guest's own requests.
func api(name string) (edge.Handler, bool) {
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(201, edge.Content([]byte(x.Request.Method+" "+x.Request.Path)), -1)
		return nil
	}), name == "api"
}

func TestExchanges(t *testing.T) {
	f := load(t, Config{Upstream: api, Fetch: []string{"api"}})
	for _, c := range []struct {
		uri    string
		pieces []string
		got    string // method, URI, host and content of the origin's request
		status int
		body   string
	}{
		{"/", nil, "POST / example.org ", 200, "hello from origin"},
		{"/h", nil, "PUT /new?q other.example ", 200, "hello from origin"},
		{"/l", nil, "", 418, "teapot"},
		{"/c", nil, "POST /c example.org ", 200, "hello from origin"},
		{"/f", nil, "POST /f example.org ", 200, "hello from origin"},
		{"/b", []string{"abc", "def"}, "POST /b example.org <abcdef>", 200, "hello from origin"},
		{"/B", []string{"abc", "def"}, "POST /B example.org |abc|def|", 200, "hello from origin"},
		{"/L", []string{"abc", "def"}, "POST /L example.org ", 413, "too much"},
		{"/C", []string{"abc", "def"}, "POST /C example.org abcdef", 200, "hello from origin"},
		{"/S", nil, "POST /S example.org ", 299, "hello from origin"},
		{"/R", nil, "POST /R example.org ", 500, "hidden"},
		{"/P", nil, "POST /P example.org ", 200, "hello from origin"},
		{"/y", nil, "POST /y example.org ", 200, "replaced"},
		{"/Y", nil, "POST /Y example.org ", 200, "|hello |from |origin|"},
	} {
		o := &origin{}
		r := try(t, f, o, "POST", c.uri, c.pieces...)
		got := ""
		if o.calls > 0 {
			got = o.method + " " + o.uri + " " + o.host + " " + o.body
		}
		if got != c.got || r.status != c.status || r.body != c.body || r.err != nil {
			t.Errorf("%s: the origin got %q, the client %d %q, %v", c.uri, got, r.status, r.body, r.err)
		}
		if o.calls > 0 && o.fields.Get("x-requests") != "01" {
			t.Errorf("%s: the guest has seen %s requests", c.uri, o.fields.Get("x-requests"))
		}
		if c.uri == "/c" && (o.fields.Get("x-call") != "201" || o.fields.Get("x-body") != "GET /check") {
			t.Errorf("the call's response is %v", o.fields)
		}
		if c.uri == "/l" && r.fields.Get("x-a") != "b" {
			t.Errorf("the local response's fields are %v", r.fields)
		}
	}
}

func TestFacts(t *testing.T) {
	f := load(t, Config{})
	o := &origin{}
	if r := try(t, f, o, "GET", "/p?q"); r.err != nil || o.uri != "/p?q" {
		t.Fatalf("%v, URI %q", r.err, o.uri)
	}
	for name, want := range map[string]string{"x-source": "192.0.2.1:1234", "x-plugin": "test", "x-unknown": "01", "x-foreign": "00", "x-grpc": "01"} {
		if got := o.fields.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// Content that is all at hand stays so, with its length.
func TestAtHand(t *testing.T) {
	f := load(t, Config{})
	o := &origin{}
	r := exchange(f, o, request1("POST", "/b", edge.Content([]byte("abc")), 3))
	if r.err != nil || o.body != "<abc>" || o.length != 5 {
		t.Errorf("%v: %q of %d bytes", r.err, o.body, o.length)
	}
}

func TestTrailers(t *testing.T) {
	f := load(t, Config{})
	o := &origin{}
	x := request1("POST", "/", nil, -1)
	x.Request.Body = &streamed{pieces: []string{"abc"}, end: func() { x.Request.Trailers.Add("Sum", "1") }}
	if r := exchange(f, o, x); r.err != nil || o.trailers.Get("sum") != "1" || o.trailers.Get("x-trailer") != "seen" {
		t.Errorf("%v: trailers %v", r.err, o.trailers)
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		uri    string
		pieces []string
		cfg    Config
		status int
		skip   string // what the client gets with the policy Skip; "": the same
		sent   string // content that the origin gets then
	}{
		{"/t", []string{"abc"}, Config{}, 500, "hello from origin", "abc"},
		{"/T", []string{"abc"}, Config{}, 500, "hello from origin", "abc"},
		{"/U", nil, Config{}, 500, "hello from origin", ""},
		{"/V", nil, Config{}, 0, "hello from origin", ""},
		{"/mt", nil, Config{}, 500, "hello from origin", ""},
		{"/mm", nil, Config{Timeout: 20 * time.Millisecond}, 500, "hello from origin", ""},
		{"/s", nil, Config{Timeout: 20 * time.Millisecond}, 500, "hello from origin", ""},
		{"/z", nil, Config{Pause: 10 * time.Millisecond}, 500, "hello from origin", ""},
		{"/b", []string{"abc", "defg"}, Config{Body: 6}, 413, "hello from origin", "abcdefg"},
		{"/x", nil, Config{}, 403, "", ""},
		{"/c", nil, Config{}, 503, "", ""}, // not allowed: the guest answers so
	} {
		f := load(t, c.cfg)
		o := &origin{}
		r := try(t, f, o, "POST", c.uri, c.pieces...)
		status := r.status
		if r.err != nil {
			status = statusOf(r.err)
		}
		if c.status == 0 && r.err == nil || c.status != 0 && status != c.status {
			t.Errorf("%s: %d %q, %v", c.uri, status, r.body, r.err)
		}
		if c.skip == "" {
			continue
		}
		c.cfg.OnError = wasm.Skip
		f = load(t, c.cfg)
		o = &origin{}
		if r := try(t, f, o, "POST", c.uri, c.pieces...); r.body != c.skip || r.err != nil || o.body != c.sent {
			t.Errorf("%s, skipped: the origin got %q, the client %d %q, %v", c.uri, o.body, r.status, r.body, r.err)
		}
		if s := f.Stats(); s.Skipped != 1 {
			t.Errorf("%s: %d are skipped", c.uri, s.Skipped)
		}
	}
}

func TestClientGone(t *testing.T) {
	f := load(t, Config{})
	x := request1("GET", "/z", nil, 0)
	x.Cancel(errors.New("gone"))
	if r := exchange(f, &origin{}, x); edge.AsError(r.err).Kind != edge.ClientGone {
		t.Errorf("%v", r.err)
	}
}

func TestSharedDataAndMetrics(t *testing.T) {
	registry := hostmod.NewRegistry(hostmod.MeterConfig{})
	f := load(t, Config{Meters: registry.Of("filter", "test")})
	for _, want := range []string{"1", "2", "3"} {
		o := &origin{}
		try(t, f, o, "GET", "/d")
		if got := o.fields.Get("x-shared"); got != want || o.fields.Get("x-set") != "00" || o.fields.Get("x-cas") != "08" {
			t.Errorf("shared data is %v, not %s", o.fields, want)
		}
	}
	registry.All(func(_, _ string, s *hostmod.Series) {
		if s.Name != "my_requests_total" || s.Value() != 3 {
			t.Errorf("metric %s is %d", s.Name, s.Value())
		}
	})
}

// What the root context does is seen by the exchanges that begin after it.
func TestRoot(t *testing.T) {
	for _, shared := range []bool{false, true} {
		f := load(t, Config{Config: []byte("t"), Tick: time.Millisecond, Shared: shared})
		said(t, f, "ticked")
		o := &origin{}
		until(t, func() bool {
			try(t, f, o, "GET", "/")
			return o.fields.Get("x-ticks") == "03"
		})
		try(t, f, o, "GET", "/")
		if got := o.fields.Get("x-requests") == "01"; got == shared {
			t.Errorf("shared %v: it has seen %s requests", shared, o.fields.Get("x-requests"))
		}
	}
}

func TestQueue(t *testing.T) {
	f := load(t, Config{Config: []byte("q")})
	o := &origin{}
	try(t, f, o, "GET", "/q")
	if o.fields.Get("x-none") != "01" || o.fields.Get("x-queued") != "00" {
		t.Errorf("fields are %v", o.fields)
	}
	said(t, f, "job")
}

// In one instance a request can let another go on.
func TestOneInstance(t *testing.T) {
	f := load(t, Config{Shared: true, Pause: patience})
	done := make(chan result)
	go func() { done <- exchange(f, &origin{}, request1("GET", "/w", nil, 0)) }()
	until(t, func() bool {
		if r := try(t, f, &origin{}, "GET", "/r"); r.err != nil {
			t.Fatal(r.err)
		}
		select {
		case r := <-done:
			if r.err != nil || r.body != "hello from origin" {
				t.Errorf("%q, %v", r.body, r.err)
			}
			return true
		default:
			return false
		}
	})
	if r := try(t, f, &origin{}, "GET", "/t"); r.err == nil {
		t.Error("a trap is no error")
	}
	o := &origin{}
	if r := try(t, f, o, "GET", "/"); r.err != nil || o.fields.Get("x-requests") != "01" {
		t.Errorf("after a trap: %v, %v", r.err, o.fields)
	}
}

func TestRefused(t *testing.T) {
	if _, err := loading(t, Config{Config: []byte("x")}); err == nil || !strings.Contains(err.Error(), "proxy_on_configure refuses its configuration") {
		t.Errorf("%v", err)
	}
	_, err := Load(context.Background(), engine(), guests.Read(t, "hello"), Config{})
	for _, want := range []string{`nothing provides`, "proxy_abi_version_", "malloc"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// until calls f until it returns true.
func until(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// said waits until the guest has logged a line.
func said(t *testing.T, f *Filter, want string) {
	t.Helper()
	kept, next, stop, _ := f.Journal().Follow()
	defer stop()
	for _, l := range kept {
		if l.Text == want {
			return
		}
	}
	end := time.After(patience)
	for {
		select {
		case l := <-next:
			if l.Text == want {
				return
			}
		case <-end:
			t.Fatalf("it does not say %q", want)
		}
	}
}
