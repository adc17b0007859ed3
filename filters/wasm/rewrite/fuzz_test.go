package rewrite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// FuzzRewrite feeds bytes to the rewriter: it does not panic, and what it makes is
// as valid as what it was given.
func FuzzRewrite(f *testing.F) {
	for _, name := range guests.Names(f) {
		f.Add(guests.Read(f, name))
	}
	for _, b := range bombs {
		f.Add(b)
	}
	for _, c := range evil {
		f.Add(c.module.binary())
	}
	for _, c := range storms {
		f.Add(c.module.binary())
	}
	f.Add(hot.binary())
	for _, seed := range specSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, binary []byte) {
		m := checkValidity(t, "input", binary, Options{Tables: 1000})
		if m == nil {
			return
		}
		// What is ours is not there to be rewritten once more.
		if _, err := Rewrite(m.Binary, Options{Tables: 1000}); err == nil || !strings.Contains(err.Error(), Reserved) {
			t.Errorf("rewritten twice: %v", err)
		}
	})
}

// specSeeds returns small modules of the specification's tests, if they are here.
func specSeeds(f *testing.F) (seeds [][]byte) {
	const most = 1 << 10
	for _, name := range []string{"block", "br_table", "bulk", "call_indirect", "elem", "global", "if", "loop", "memory_init", "ref_func", "select", "simd_lane", "start",
		"table_grow"} {
		for _, script := range corpusFiles() {
			if filepath.Base(script) != name+".json" {
				continue
			}
			files, _ := filepath.Glob(strings.TrimSuffix(script, ".json") + ".*.wasm")
			for _, file := range files {
				if b, err := os.ReadFile(file); err == nil && len(b) < most {
					seeds = append(seeds, b)
				}
			}
		}
	}
	return seeds
}
