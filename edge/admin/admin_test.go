package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

const file = `
sites:
  "http://127.0.0.1:0":
    name: shop
    filters: [f]
    routes:
      /:      { name: front, split: { one: 90%, two: 10% } }
      /other: { name: other, split: { one: 50%, two: 50% } }
      /plain: { respond: 204 }
upstreams: { one: "127.0.0.1:1", two: "127.0.0.1:2" }
filters:   { f: { wasm: f.wasm, timeout: 10s } }
`

// start serves the admin API of a proxy, and returns where.
func start(t *testing.T, dir string, cfg config.Admin) (*server.Server, string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "f.wasm"), guest(t, "hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(file+"state: "+dir+"/state\n"), config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	log := slog.New(slog.DiscardHandler)
	s, problems, err := server.New(f, server.Options{Log: log, Access: io.Discard})
	if err != nil || problems.Failed() {
		t.Fatal(problems, err)
	}
	if cfg.Listen.Address == "" {
		cfg.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	}
	a, err := admin.New(s, cfg, api.Version{Version: "v1"}, log)
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- a.Serve() }()
	t.Cleanup(func() {
		a.Shutdown(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s, a.Addr().String()
}

func guest(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "wasm-testdata", name, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func client(t *testing.T, addr, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(addr, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// status wants err to be a Problem of that status, and returns it.
func status(t *testing.T, err error, want int) *api.Problem {
	t.Helper()
	p, ok := errors.AsType[*api.Problem](err)
	if !ok || p.Status != want {
		t.Fatalf("got %v, want a problem with status %d", err, want)
	}
	return p
}

func TestFilters(t *testing.T) {
	dir := t.TempDir()
	_, addr := start(t, dir, config.Admin{})
	c, ctx := client(t, addr, ""), context.Background()

	// The file's module is version 1; an upload is another, and live.
	f, err := c.Filter(ctx, "f")
	if err != nil || f.Live != 1 || len(f.Versions) != 1 || f.Versions[0].Source != "file" || !slices.Equal(f.Routes, []string{"shop/front", "shop/other"}) {
		t.Fatalf("%+v, %v", f, err)
	}
	module := guest(t, "header-set")
	v, err := c.PushFilter(ctx, "f", bytes.NewReader(module), int64(len(module)), api.Use{}, nil)
	if err != nil || v.Version != 2 || !v.Live || len(v.Routes) != 2 || len(v.Warnings) != 0 || v.ABI != "http-wasm" || len(v.Imports) == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	// The same bytes are no new version.
	if v, err = c.PushFilter(ctx, "f", bytes.NewReader(module), int64(len(module)), api.Use{}, nil); err != nil || v.Version != 2 {
		t.Fatalf("%+v, %v", v, err)
	}

	// What is no filter is refused, with every reason, and changes nothing.
	for name, reasons := range map[string]int{"unknown-abi": 1, "missing-import": 4} {
		module := guest(t, name)
		_, err := c.PushFilter(ctx, "f", bytes.NewReader(module), int64(len(module)), api.Use{}, nil)
		if p := status(t, err, http.StatusUnprocessableEntity); len(p.Problems) != reasons {
			t.Errorf("%s: %d reasons, want %d: %v", name, len(p.Problems), reasons, p)
		}
	}
	_, err = c.PushFilter(ctx, "f", strings.NewReader("not wasm"), 8, api.Use{}, nil)
	status(t, err, http.StatusUnprocessableEntity)
	_, err = c.PushFilter(ctx, "No/Name", bytes.NewReader(module), int64(len(module)), api.Use{}, nil)
	status(t, err, http.StatusBadRequest)
	if f, err = c.Filter(ctx, "f"); err != nil || f.Live != 2 || len(f.Versions) != 2 {
		t.Fatalf("%+v, %v", f, err)
	}

	// An upload that breaks off leaves nothing.
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	io.WriteString(raw, "PUT /v1/filters/f HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n\x00asm")
	raw.(*net.TCPConn).CloseWrite()
	if b, _ := io.ReadAll(raw); !bytes.Contains(b, []byte("400 Bad Request")) {
		t.Errorf("an upload that breaks off is answered %q", b)
	}
	if left, _ := filepath.Glob(dir + "/state/modules/*/.*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}

	// One that is too large is refused before it is sent.
	large, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	fmt.Fprintf(large, "PUT /v1/filters/f HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", 32<<20+1)
	if b, _ := io.ReadAll(large); !bytes.Contains(b, []byte("413 Request Entity Too Large")) || !bytes.Contains(b, []byte("33554433 bytes, more than the 33554432 allowed")) {
		t.Errorf("an upload that is too large is answered %q", b)
	}

	// A name that no route has is kept, and says so.
	v, err = c.PushFilter(ctx, "unused", bytes.NewReader(module), int64(len(module)), api.Use{}, nil)
	if err != nil || v.Live || len(v.Warnings) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := c.RemoveFilter(ctx, "unused"); err != nil {
		t.Fatal(err)
	}
	status(t, c.RemoveFilter(ctx, "unused"), http.StatusNotFound)
	_, err = c.Filter(ctx, "unused")
	status(t, err, http.StatusNotFound)

	// Without its uploads the filter is what the file names.
	if err := c.RemoveFilter(ctx, "f"); err != nil {
		t.Fatal(err)
	}
	if f, err = c.Filter(ctx, "f"); err != nil || f.Live == 0 || len(f.Versions) != 1 || f.Versions[0].Source != "file" {
		t.Fatalf("%+v, %v", f, err)
	}
}

// What was uploaded is live after a restart too, until the file has another module.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	module := guest(t, "header-set")
	t.Run("before", func(t *testing.T) {
		_, addr := start(t, dir, config.Admin{})
		c := client(t, addr, "")
		if _, err := c.PushFilter(context.Background(), "f", bytes.NewReader(module), int64(len(module)), api.Use{}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.SetSplit(context.Background(), "front", api.SplitChange{Weights: map[string]float64{"one": 60, "two": 40}}, api.Change{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("after", func(t *testing.T) {
		_, addr := start(t, dir, config.Admin{})
		c := client(t, addr, "")
		f, err := c.Filter(context.Background(), "f")
		if err != nil || f.Live != 2 {
			t.Errorf("%+v, %v", f, err)
		}
		s, err := c.Split(context.Background(), "front")
		if err != nil || s.Arms[0].Share != 60 || s.Arms[1].Share != 40 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestSplits(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, ctx := client(t, addr, ""), context.Background()
	s, err := c.Split(ctx, "front")
	if err != nil || s.Route != "shop/front" || s.By != "cookie" || len(s.Arms) != 2 || s.Arms[1].Share != 10 {
		t.Fatalf("%+v, %v", s, err)
	}
	dry := api.SplitChange{Weights: map[string]float64{"one": 30, "two": 70}}
	if s, err = c.SetSplit(ctx, "front", dry, api.Change{DryRun: true}); err != nil || s.Arms[1].Share != 70 {
		t.Errorf("what would be is %+v, %v", s, err)
	}
	if s, err = c.Split(ctx, "front"); err != nil || s.Arms[1].Share != 10 {
		t.Errorf("after a dry run: %+v, %v", s, err)
	}
	if s, err = c.SetSplit(ctx, "shop/front", api.SplitChange{Weights: map[string]float64{"one": 97.5, "two": 2.5}}, api.Change{}); err != nil || s.Arms[1].Share != 2.5 {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, weights := range []map[string]float64{
		{"one": 50, "two": 40},             // too little
		{"one": 150, "two": -50},           // out of range
		{"one": 100},                       // an arm without a share
		{"one": 50, "two": 50, "three": 0}, // an arm that is none
		nil,
	} {
		_, err := c.SetSplit(ctx, "front", api.SplitChange{Weights: weights}, api.Change{})
		status(t, err, http.StatusUnprocessableEntity)
	}
	if s, err = c.Split(ctx, "front"); err != nil || s.Arms[1].Share != 2.5 {
		t.Fatalf("%+v, %v", s, err)
	}
	_, err = c.Split(ctx, "nowhere")
	status(t, err, http.StatusNotFound)
}

func TestStatus(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, ctx := client(t, addr, ""), context.Background()
	st, err := c.Status(ctx)
	if err != nil || !st.Ready || st.Version.Version != "v1" || len(st.Listeners) != 1 || len(st.Upstreams) != 2 || len(st.Filters) != 1 || len(st.Splits) != 2 || st.Cache != nil {
		t.Errorf("%+v, %v", st, err)
	}
	if r, err := c.Ready(ctx); err != nil || !r.Ready {
		t.Errorf("%+v, %v", r, err)
	}
	if v, err := c.Version(ctx); err != nil || v.Version != "v1" {
		t.Errorf("%+v, %v", v, err)
	}
	if all, err := c.Filters(ctx); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// Who may not steer the proxy cannot.
func TestGuard(t *testing.T) {
	_, open := start(t, t.TempDir(), config.Admin{})
	_, guarded := start(t, t.TempDir(), config.Admin{Token: "0123456789abcdef"})
	for _, test := range []struct {
		name, addr, method, path string
		header                   map[string]string
		want                     int
	}{
		{"loopback", open, "GET", "/v1/status", nil, 200},
		{"localhost", open, "GET", "/v1/status", map[string]string{"Host": "localhost:2024"}, 200},
		{"a name that resolves to loopback", open, "GET", "/v1/status", map[string]string{"Host": "evil.example"}, 421},
		{"a page of another site", open, "PUT", "/v1/filters/f", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a page of no site", open, "PUT", "/v1/filters/f", map[string]string{"Origin": "null"}, 403},
		{"a form", open, "PUT", "/v1/splits/front", map[string]string{"Content-Type": "text/plain"}, 415},
		{"unknown", open, "GET", "/v2/status", nil, 404},
		{"another method", open, "POST", "/v1/status", nil, 405},
		{"no token", guarded, "GET", "/v1/status", nil, 401},
		{"no token, nothing is told", guarded, "GET", "/v1/nowhere", nil, 401},
		{"another token", guarded, "GET", "/v1/status", map[string]string{"Authorization": "Bearer 0123456789abcdeg"}, 401},
		{"a part of it", guarded, "GET", "/v1/status", map[string]string{"Authorization": "Bearer 0123456789abcde"}, 401},
		{"the token", guarded, "GET", "/v1/status", map[string]string{"Authorization": "Bearer 0123456789abcdef"}, 200},
	} {
		req, err := http.NewRequest(test.method, "http://"+test.addr+test.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range test.header {
			if name == "Host" {
				req.Host = value
			}
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var p api.Problem
		if res.StatusCode != 200 && (json.NewDecoder(res.Body).Decode(&p) != nil || p.Title == "" || res.Header.Get("Content-Type") != api.ContentType) {
			t.Errorf("%s: no problem in the answer", test.name)
		}
		res.Body.Close()
		if res.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", test.name, res.StatusCode, test.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, config.Admin{Listen: config.Address{Network: "unix", Address: dir + "/admin.sock"}})
	if r, err := client(t, "unix:"+dir+"/admin.sock", "").Ready(context.Background()); err != nil || !r.Ready {
		t.Errorf("%+v, %v", r, err)
	}
}
