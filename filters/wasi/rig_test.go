package wasi

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// quiet is a logger for tests that do not look at it.
var quiet = slog.New(slog.DiscardHandler)

// load makes a function of a guest of wasm-testdata. Times are long, since the
// machine may be slow; a test of times sets its own.
func load(t testing.TB, name string, cfg Config) *Function {
	t.Helper()
	return loadBytes(t, guests.Read(t, name), cfg)
}

func loadBytes(t testing.TB, binary []byte, cfg Config) *Function {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	if cfg.Log == nil {
		cfg.Log = quiet
	}
	for _, d := range []*time.Duration{&cfg.Timeout, &cfg.Start, &cfg.Wait} {
		if *d == 0 {
			*d = 30 * time.Second
		}
	}
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute})
	f, err := Load(context.Background(), e, binary, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		e.Close()
		if s := f.Stats(); s.Instances != 0 || s.Bytes != 0 {
			t.Errorf("%d instances and %d bytes of memory are left", s.Instances, s.Bytes)
		}
	})
	return f
}

// request begins an exchange.
func request(method, uri string, body edge.Body, length int64, fields ...string) *edge.Exchange {
	client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:1234"), netip.MustParseAddrPort("192.0.2.2:80"), nil)
	x := new(edge.Exchange)
	x.Begin(nil, &client, time.Now())
	x.Record.ID = "id-1"
	path, query, _ := strings.Cut(uri, "?")
	x.Request = edge.Request{Method: method, Scheme: "http", Authority: "example.org:8080", Path: path, Query: query,
		Proto: "HTTP/1.1", Body: body, Length: length}
	for i := 0; i < len(fields); i += 2 {
		x.Request.Fields.Add(fields[i], fields[i+1])
	}
	x.Parsed()
	return x
}

// run lets the guest "script" do what script says, with body on standard input.
func run(t testing.TB, f *Function, script, body string) (*edge.Exchange, error) {
	t.Helper()
	var content edge.Body
	if body != "" {
		content = edge.Content([]byte(body))
	}
	x := request("GET", "/?"+script, content, int64(len(body)))
	t.Cleanup(x.End)
	return x, f.Serve(x)
}

// output returns what the guest answers that writes raw to standard output.
func output(t testing.TB, f *Function, raw string) (*edge.Exchange, error) {
	t.Helper()
	return run(t, f, "c", raw)
}

// content reads the response's content.
func content(x *edge.Exchange) (string, error) {
	if x.Response.Body == nil {
		return "", nil
	}
	b, err := io.ReadAll(x.Response.Body)
	return string(b), err
}

// streamed is content that arrives in pieces.
type streamed struct {
	pieces []string
	err    error  // instead of io.EOF
	before func() // each Read
}

func (s *streamed) Read(p []byte) (int, error) {
	if s.before != nil {
		s.before()
	}
	if len(s.pieces) == 0 {
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

func (s *streamed) Close() error { return nil }
