package rewrite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	byTick  = "tick"
	byDepth = "depth"
)

// storms are modules whose export "run" would take what a host has, for ever or
// for minutes.
var storms = []struct {
	name   string
	module mod
	end    string // what ends it
}{
	{"loop", mod{types: []string{"->"}, funcs: []fn{{0, "", "loop; br 0; end"}}}, byTick},
	{"loop with a call", mod{types: []string{"->"}, funcs: []fn{{0, "", "loop; call 1; br 0; end"}, {0, "", ""}}}, byTick},
	{"loop that is left and entered", mod{types: []string{"->"}, funcs: []fn{{0, "",
		"loop; block; loop; br 1; end; end; block; i32.const 1; i32.const 1; br_table 2 1 2; end; br 0; end"}}}, byTick},
	{"loop of parameters", mod{types: []string{"->", "i32 i64 -> i32 i64"}, funcs: []fn{{0, "",
		"i32.const 1; i64.const 2; loop 1; br 0; end; drop; drop"}}}, byTick},
	{"recursion", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 0"}}}, byDepth},
	{"mutual recursion", mod{types: []string{"->", "i32 -> i32"}, funcs: []fn{
		{0, "", "i32.const 0; call 1; drop"}, {1, "", "local.get 0; call 2"}, {1, "", "local.get 0; call 1"}}}, byDepth},
	{"recursion by reference", mod{types: []string{"->", "->"}, tables: []string{"funcref 1"}, elements: [][]uint32{{0}}, funcs: []fn{
		{0, "", "i32.const 0; call_indirect 1 0"}}}, byDepth},
	{"recursion by a reference that is set", mod{types: []string{"->", "i32 ->"}, tables: []string{"funcref 1"}, exports: []string{"f func 1"}, funcs: []fn{
		{0, "", "i32.const 0; ref.func 1; table.set 0; i32.const 0; call 1"}, {1, "", "local.get 0; i32.const 0; call_indirect 1 0"}}}, byDepth},
	{"recursion with large frames", mod{types: []string{"->"}, funcs: []fn{{0, "1000*i64", "call 0"}}}, byDepth},
	{"tree of calls", mod{types: []string{"->"}, funcs: tree(64)}, byTick},
	{"long chain of calls", mod{types: []string{"->"}, funcs: chain(5_000)}, byDepth},
	{"long body", mod{types: []string{"->"}, funcs: []fn{{0, "i32", repeat("local.get 0; i32.const 3; i32.mul; local.set 0", 20_000)}}}, byTick},
	{"long body of blocks", mod{types: []string{"->"}, funcs: []fn{{0, "i32",
		repeat("block; local.get 0; i32.const 3; i32.mul; local.tee 0; br_if 0; local.get 0; br_if 0; end", 2_000)}}}, byTick},
	{"long branch", mod{types: []string{"->"}, funcs: []fn{{0, "i32", repeat("local.get 0; if; nop; else; "+
		repeat("local.get 0; i32.const 3; i32.mul; local.set 0", 20)+"; end", 1_000)}}}, byTick},
	{"memory.fill", mod{types: []string{"->"}, memory: []uint32{512}, funcs: []fn{{0, "",
		repeat("i32.const 0; i32.const 1; i32.const 33554432; memory.fill 0", 100)}}}, byTick},
	{"memory.copy", mod{types: []string{"->"}, memory: []uint32{512}, funcs: []fn{{0, "",
		repeat("i32.const 0; i32.const 1; i32.const 33554431; memory.copy 0 0", 100)}}}, byTick},
	{"memory.init", mod{types: []string{"->"}, memory: []uint32{1}, data: []string{"- " + strings.Repeat("x", 60_000)}, count: true, funcs: []fn{{0, "",
		repeat("i32.const 0; i32.const 0; i32.const 60000; memory.init 0 0", 500)}}}, byTick},
	{"table.fill", mod{types: []string{"->"}, tables: []string{"externref 100000"}, funcs: []fn{{0, "",
		repeat("i32.const 0; ref.null externref; i32.const 100000; table.fill 0", 200)}}}, byTick},
	{"table.copy", mod{types: []string{"->"}, tables: []string{"externref 100000"}, funcs: []fn{{0, "",
		repeat("i32.const 0; i32.const 0; i32.const 100000; table.copy 0 0", 200)}}}, byTick},
	{"memory.grow", mod{types: []string{"->"}, memory: []uint32{1, 1}, funcs: []fn{{0, "", repeat("i32.const 1; memory.grow 0; drop", 500)}}}, byTick},
	{"table.grow", mod{types: []string{"->"}, tables: []string{"externref 1 1"}, funcs: []fn{{0, "",
		repeat("ref.null externref; i32.const 1; table.grow 0; drop", 500)}}}, byTick},
}

// tree is functions of which each calls the next twice.
func use(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func tree(n int) []fn {
	funcs := make([]fn, n+1)
	for i := range n {
		next := use("call %d;", i+1)
		funcs[i] = fn{0, "", next + next}
	}
	return funcs
}

// chain is functions of which each calls the next.
func chain(n int) []fn {
	funcs := make([]fn, n+1)
	for i := range n {
		funcs[i] = fn{0, "", use("call %d", i+1)}
	}
	return funcs
}

// TestStorms ends each storm within a budget that is used up in a moment, by the
// meter or by the stack, and finds the instance usable afterwards.
func TestStorms(t *testing.T) {
	for _, c := range storms {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, &Options{Stack: 1 << 18})
			m := c.module
			m.exports = append([]string{"run func 0", use("idle func %d", len(m.funcs))}, m.exports...)
			m.funcs = append(m.funcs[:len(m.funcs):len(m.funcs)], fn{0, "", ""})
			in, err := w.make(m.binary(), "")
			if err != nil {
				t.Fatal(err)
			}
			budget := int64(2_000)
			if c.end == byDepth {
				budget = 1_000_000
			}
			for range 2 {
				w.used = 0
				w.tick = func(int64) int64 {
					if w.used > budget {
						panic(errBudget)
					}
					return 500
				}
				_, err = in.call("run")
				got := ""
				switch {
				case errors.Is(err, errBudget):
					got = byTick
				case in.exhausted():
					got = byDepth
				}
				if got != c.end {
					t.Errorf("ended by %q, not %q: %v, %d used", got, c.end, err, w.used)
				}
				w.used = 0
				if _, err := in.call("idle"); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
		})
	}
}
