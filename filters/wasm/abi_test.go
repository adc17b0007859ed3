package wasm

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// docs/abi.md lists the functions of WASI and the causes of failure that there are.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(from, to, name string) []string {
		t.Helper()
		_, rest, _ := strings.Cut(string(page), from)
		text, _, ok := strings.Cut(rest, to)
		if !ok {
			t.Fatalf("docs/abi.md has nothing between %q and %q", from, to)
		}
		var all []string
		for _, m := range regexp.MustCompile("`("+name+")`").FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	b := r.NewHostModuleBuilder(wasi)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	c, err := b.Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	have := slices.Sorted(maps.Keys(c.ExportedFunctions()))
	if said := quoted("Import module `"+wasi+"`", "## When", "(?:args|environ|clock|random|fd|path|poll|proc|sched|sock)_[a-z_]+"); !slices.Equal(said, have) {
		t.Errorf("docs/abi.md says\n%s\nand there are\n%s", said, have)
	}

	have = nil
	for c := range Causes {
		have = append(have, c.String())
	}
	slices.Sort(have)
	if said := quoted("| Cause |", "The cause is", "[a-z]+"); !slices.Equal(said, have) {
		t.Errorf("docs/abi.md says\n%s\nand there are\n%s", said, have)
	}
}
