package function

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

var quiet = slog.New(slog.DiscardHandler)

func TestCheck(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) // under -race, on a busy machine
	defer e.Close()
	good := func(name string, kind Kind, imported string) {
		t.Helper()
		got, imports, err := Check(context.Background(), e, guests.Read(t, name))
		if err != nil || got != kind || !slices.ContainsFunc(imports, func(i wasm.Import) bool { return i.Name == imported }) {
			t.Errorf("%s: %v, %v, %v", name, got, imports, err)
		}
	}
	good("script", Command, "args_sizes_get")
	good("early-body", HTTPWasm, "write_body")
	good("command", HTTPWasm, "set_status_code") // with _start as well
	bad := func(what string, binary []byte, want ...string) {
		t.Helper()
		_, _, err := Check(context.Background(), e, binary)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error is %v, want one with %q", what, err, w)
			}
		}
	}
	bad("unknown-abi", guests.Read(t, "unknown-abi"), `exports neither "_start", which a WASI command does, nor "handle_request"`)
	bad("missing-import", guests.Read(t, "missing-import"), `"http_handler"."get_secrets", which nothing provides`, "handle_response")
	bad("text", []byte("#!/bin/sh\n"), "not a valid WebAssembly module")
	bad("nothing", nil, "not a valid WebAssembly module")
	module := func(exports string) []byte { // of one function, without parameters
		return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + exports + "\x0a\x04\x01\x02\x00\x0b")
	}
	bad("a reactor", module("\x07\x0f\x01\x0b_initialize\x00\x00"), "is a reactor", `"handle_request"`)
	bad("a proxy-wasm module", module("\x07\x1b\x01\x17proxy_abi_version_0_2_1\x00\x00"), "is a proxy-wasm module")
	bad("a command without memory", module("\x07\x0a\x01\x06_start\x00\x00"), `does not export memory "memory"`)
	script := guests.Read(t, "script")
	bad("a cut module", script[:len(script)-3], "not a valid WebAssembly module")
}

func TestFunction(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) // under -race, on a busy machine
	defer e.Close()
	hello, err := os.ReadFile("../../examples/hello/hello.wasm")
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(quiet, journal.Config{})
	check := func(binary []byte, kind Kind, cfg Config, want string) {
		t.Helper()
		cfg.Name, cfg.Version, cfg.Log, cfg.Journal, cfg.Start = "f", 7, quiet, j, time.Minute
		f, err := Load(context.Background(), e, binary, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:80"), nil)
		for n, serve := range []func(*edge.Exchange) error{f.Serve, func(x *edge.Exchange) error { return f.ServeAt(x, "/f") }} {
			x := new(edge.Exchange)
			x.Begin(nil, &client, time.Now())
			x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "example.org", Path: "/f/x", Proto: "HTTP/1.1"}
			if err := serve(x); err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(x.Response.Body)
			if n == 0 {
				b = []byte(strings.Replace(string(b), "f/x", "x", 1)) // without a path of its own
			}
			if string(b) != want || err != nil || x.Record.Function.Name != "f" || x.Record.Function.Version != 7 {
				t.Errorf("got %q, %v, record %+v", b, err, x.Record.Function)
			}
			x.End()
		}
		if s := f.Stats(); f.Kind() != kind || f.Journal() != j || s.Calls != 2 || s.Took <= 0 || s.Instances != 0 {
			t.Errorf("%v, stats are %+v", f.Kind(), s)
		}
	}
	check(hello, Command, Config{Env: []string{"GREETING=Hi"}}, "Hi, x!\n")
	check(guests.Read(t, "environ"), HTTPWasm, Config{Env: []string{"GREETING=Hi"}}, "GREETING=Hi\x00")
	if n := len(j.Lines()); n != 2 {
		t.Errorf("%d lines are kept", n)
	}
	check(hello, Command, Config{Env: []string{"GREETING=Hi"}, Hide: []string{"192.0.2.1"}}, "Hi, x!\n")
	if lines := j.Lines(); lines[0].Text != "greeted 192.0.2.1" || lines[len(lines)-1].Text != "greeted [redacted]" {
		t.Errorf("it has said %v", lines)
	}
	if _, err := Load(context.Background(), e, guests.Read(t, "environ"), Config{Args: []string{"a"}, Log: quiet}); err == nil || !strings.Contains(err.Error(), "is an http-wasm guest, which takes no arguments") {
		t.Errorf("arguments for an http-wasm guest: %v", err)
	}
}
