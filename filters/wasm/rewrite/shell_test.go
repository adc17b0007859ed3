package rewrite

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestShell: a shell is as its module from the outside, and has nothing inside.
func TestShell(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	face := func(binary []byte) (functions, memories []string) {
		c, err := r.CompileModule(ctx, binary)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		for name, f := range c.ExportedFunctions() {
			functions = append(functions, name+signature(f))
		}
		for _, f := range c.ImportedFunctions() {
			m, name, _ := f.Import()
			functions = append(functions, m+"."+name+signature(f))
		}
		slices.Sort(functions)
		return functions, slices.Sorted(maps.Keys(c.ExportedMemories()))
	}
	for _, name := range guests.Names(t) {
		m, err := Rewrite(guests.Read(t, name), Options{})
		if err != nil {
			continue
		}
		a, b := Shell(m.Binary, []byte("a")), Shell(m.Binary, []byte("b"))
		if bytes.Equal(a, b) {
			t.Errorf("%s: shells with different marks are equal", name)
		}
		functions, memories := face(m.Binary)
		if f, mem := face(a); !slices.Equal(f, functions) || !slices.Equal(mem, memories) {
			t.Errorf("%s: shell has %v and %v, want %v and %v", name, f, mem, functions, memories)
		}
		if name == "rust" && len(a) > len(m.Binary)/4 {
			t.Errorf("%s: shell has %d bytes, the module %d", name, len(a), len(m.Binary))
		}
	}
}

func signature(f api.FunctionDefinition) string {
	return string(f.ParamTypes()) + " " + string(f.ResultTypes())
}

// TestInspect: what is said of a module without rewriting it is what rewriting it says.
func TestInspect(t *testing.T) {
	for _, name := range guests.Names(t) {
		want, err := Rewrite(guests.Read(t, name), Options{})
		got, err2 := Inspect(guests.Read(t, name), Options{})
		if err != nil || err2 != nil {
			if fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Errorf("%s: %v, want %v", name, err2, err)
			}
			continue
		}
		want.Binary, want.Data, want.Types = nil, nil, 0
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
