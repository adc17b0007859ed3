package filters

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

func TestLoad(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	for _, c := range []struct {
		guest string
		abi   ABI
		err   string
	}{
		{"hello", HTTPWasm, ""},
		{"proxy-filter", ProxyWasm, ""},
		{"unknown-abi", "", "is of no known ABI"},
		{"table-huge", "", "module is more than is allowed: tables have 100000000 entries"},
		{"script", "", "is a WASI command, which can be a function, not a filter"},
		{"missing-import", "", `imports function "env"."foo", which nothing provides`},
		{"spin-start", "", "cannot be initialised"},
	} {
		f, err := Load(context.Background(), e, guests.Read(t, c.guest), Config{Name: c.guest, Start: 100 * time.Millisecond})
		switch {
		case err == nil:
			if c.err != "" || f.ABI() != c.abi {
				t.Errorf("%s is a filter of %s, want %s, and the error %q", c.guest, f.ABI(), c.abi, c.err)
			}
			f.Close()
		case c.err == "" || !strings.Contains(err.Error(), c.err):
			t.Errorf("%s: error is %v, want one with %q", c.guest, err, c.err)
		}
	}
	if _, err := Load(context.Background(), e, []byte("text"), Config{}); err == nil || !strings.Contains(err.Error(), "not a valid WebAssembly module") {
		t.Errorf("text: error is %v", err)
	}
}

// A secret that a filter was granted is in nothing that it logs.
func TestHide(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	log := slog.New(slog.DiscardHandler)
	host := hostmod.New(hostmod.Grants{Secrets: map[string]string{"key": "printed"}}, hostmod.Env{Log: log})
	f, err := Load(context.Background(), e, guests.Read(t, "chatty"), Config{Name: "chatty", Host: host, Log: log, LogBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := new(edge.Exchange)
	x.Begin(nil, new(edge.Client), time.Now())
	x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "example.org", Path: "/", Proto: "HTTP/1.1"}
	f.Filter(x, edge.HandlerFunc(func(*edge.Exchange) error { return nil })) // it fails in the end
	x.End()
	got := ""
	for _, l := range f.Journal().Lines() {
		got += l.Text + "|"
	}
	if want := "[redacted]|half|"; got != want {
		t.Errorf("it has said %s, want %s", got, want)
	}
}
