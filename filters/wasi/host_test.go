package wasi

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// A command has the module "sluice". What it has written is handed on before it waits.
func TestHost(t *testing.T) {
	keys, err := kv.Open(filepath.Join(t.TempDir(), "kv"), kv.Config{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	host := hostmod.New(hostmod.Grants{KV: []string{"hits"}}, hostmod.Env{KV: keys, Log: quiet})
	f := load(t, "sluice-command", Config{Host: host})
	for range 2 {
		x := request("GET", "/", nil, 0)
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 100)
		n, err := x.Response.Body.Read(p)
		if got := string(p[:n]); got != "from " || err != nil {
			t.Errorf("got %q, %v before it waits", got, err)
		}
		if got, err := content(x); got != "192.0.2.1" || err != nil {
			t.Errorf("then got %q, %v", got, err)
		}
		x.End()
	}
	if e, err := keys.Get("hits", "n"); err != nil || string(e.Value) != "2" {
		t.Errorf("got %q, %v", e.Value, err)
	}
	e := wasm.NewEngine(wasm.Config{})
	defer e.Close()
	_, err = Load(context.Background(), e, guests.Read(t, "sluice-command"), Config{Name: "f", Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "sluice.kv_add, and is not allowed to") {
		t.Errorf("without a grant: %v", err)
	}
}
