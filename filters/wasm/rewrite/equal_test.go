package rewrite

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// gen makes random valid modules that work on i32, from bytes.
type gen struct {
	data   []byte
	labels []int // values that branches carry
	left   int   // statements of the function
	code   []string
	result int // of the function
}

// The types of generated functions and blocks.
var genTypes = []string{"i32 i32 -> i32", "i32 i32 -> i32 i32", "i32 i32 -> i32 i32", "->"}

const (
	genParams = 2
	genLocals = 5 // with parameters
	genFuncs  = 4
)

func (g *gen) n(below int) int {
	if len(g.data) == 0 {
		return 0
	}
	b := g.data[0]
	g.data = g.data[1:]
	return int(b) % below
}

func (g *gen) emit(format string, args ...any) { g.code = append(g.code, fmt.Sprintf(format, args...)) }

func (g *gen) value() {
	switch g.n(6) {
	case 0:
		g.emit("i32.const %d", g.n(256)-100)
	case 1:
		g.emit("global.get 0")
	case 2:
		g.value2()
		g.emit("%s", []string{"i32.add", "i32.sub", "i32.mul", "i32.xor", "i32.lt_u"}[g.n(5)])
	case 3:
		g.emit("local.get %d", g.n(genLocals))
		g.emit("i32.const 255; i32.and; i32.load 0 %d", g.n(64))
	default:
		g.emit("local.get %d", g.n(genLocals))
	}
}

func (g *gen) value2() {
	for range 2 {
		g.emit("local.get %d", g.n(genLocals))
	}
}

// leave branches to a label that may be the function's.
func (g *gen) leave() {
	switch g.n(3) {
	case 0:
		g.values(g.result)
		g.emit("return")
	case 1:
		to := g.n(len(g.labels))
		g.values(g.labels[len(g.labels)-1-to])
		g.emit("br %d", to)
	case 2:
		first := g.n(len(g.labels))
		arity := g.labels[len(g.labels)-1-first]
		list := []int{first}
		for range g.n(4) {
			if to := g.n(len(g.labels)); g.labels[len(g.labels)-1-to] == arity {
				list = append(list, to)
			}
		}
		g.values(arity)
		g.value()
		g.emit("br_table %s", strings.Trim(fmt.Sprint(list), "[]"))
	}
}

func (g *gen) values(n int) {
	for range n {
		g.value()
	}
}

func (g *gen) body(arity int) {
	g.labels = append(g.labels, arity)
	for range 1 + g.n(4) {
		g.statement()
	}
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *gen) statement() {
	if g.left--; g.left < 0 || len(g.labels) > 6 {
		g.emit("nop")
		return
	}
	switch g.n(10) {
	case 0:
		g.value()
		g.emit("local.get %d; i32.const 255; i32.and; local.get %d; i32.store 0 %d; drop", g.n(genLocals), g.n(genLocals), g.n(64))
	case 1:
		g.value()
		g.emit("global.set 0")
	case 2:
		g.emit("block")
		g.body(0)
		g.emit("end")
	case 3: // it ends if it gets to its end often enough
		g.emit("loop")
		g.body(0)
		g.emit("global.get 1; i32.const 1; i32.sub; global.set 1; global.get 1; i32.const 0; i32.gt_s; br_if 0; end")
	case 4:
		g.value()
		g.emit("if")
		g.body(0)
		if g.n(2) == 0 {
			g.emit("else")
			g.body(0)
		}
		g.emit("end")
	case 5:
		g.value()
		g.emit("if")
		g.labels = append(g.labels, 0)
		g.leave()
		g.labels = g.labels[:len(g.labels)-1]
		g.emit("end")
	case 6: // with parameters and results
		g.values(2)
		g.emit("%s 2", []string{"block", "loop"}[g.n(2)])
		g.emit("local.set %d; local.set %d", g.n(genLocals), g.n(genLocals))
		g.body(2)
		g.values(2)
		g.emit("global.get 1; i32.const 1; i32.sub; global.set 1; global.get 1; i32.const 0; i32.gt_s; br_if 0; end")
		g.emit("local.set %d; local.set %d", g.n(genLocals), g.n(genLocals))
	case 7:
		g.values(2)
		f := g.n(genFuncs)
		if g.n(2) == 0 {
			g.emit("i32.const %d; call_indirect %d 0", f, f%2)
		} else {
			g.emit("call %d", f)
		}
		for range 1 + f%2 {
			g.emit("local.set %d", g.n(genLocals))
		}
	case 8:
		g.emit("i32.const %d; local.get 0; i32.const %d; memory.fill 0", g.n(256), g.n(200))
	default:
		g.value()
		g.emit("local.set %d", g.n(genLocals))
	}
}

// generate makes a module whose functions call each other.
func generate(data []byte) *mod {
	m := &mod{types: genTypes, memory: []uint32{1, 4}, tables: []string{"funcref 4 4"}, globals: []string{"mut i32 i32.const 7", "mut i32 i32.const 40"},
		exports: []string{"g global 0", "rounds global 1"}}
	g := &gen{data: data}
	for i := range genFuncs {
		g.code, g.labels, g.left, g.result = nil, nil, 12, 1+i%2
		g.body(g.result)
		g.values(g.result)
		m.funcs = append(m.funcs, fn{typ: i % 2, locals: "i32 2*i32", code: strings.Join(g.code, ";")})
		m.exports = append(m.exports, fmt.Sprintf("f%d func %d", i, i))
	}
	m.elements = [][]uint32{{0, 1, 2, 3}}
	return m
}

// equivalent compares a generated module as it is, rewritten, and run by machine:
// results, memories, globals, and what the meter counts. It reports whether there
// was something to compare.
func equivalent(t testing.TB, data []byte) bool {
	m := generate(data)
	x := newMachine(m)
	bin := m.binary()
	worlds := []*world{newWorld(t, nil), newWorld(t, &Options{})}
	defer func() {
		for _, w := range worlds {
			w.r.Close(t.Context())
		}
	}()
	var ins []*instance
	for _, w := range worlds {
		in, err := w.make(bin, "")
		if err != nil {
			t.Fatalf("%v\n%+v", err, m)
		}
		ins = append(ins, in)
	}
	compared := false
	for f := range genFuncs {
		a, b := int32(f+3), int32(len(data))
		worlds[1].used, x.used, x.wrote = 0, 0, 0
		wrote := ins[1].ExportedGlobal(WroteExport).(api.MutableGlobal)
		wrote.Set(0)
		want, err := x.call(f, []int32{a, b})
		if err != nil {
			return compared // such as there are of them does not matter
		}
		compared = true
		for i, in := range ins {
			got, err := in.call(fmt.Sprintf("f%d", f), uint64(uint32(a)), uint64(uint32(b)))
			if err != nil {
				t.Fatalf("function %d: %v\n%+v", f, err, m)
			}
			for j := range want {
				if int32(got[j]) != want[j] {
					t.Fatalf("world %d, function %d: result %d is %d, not %d\n%+v", i, f, j, int32(got[j]), want[j], m)
				}
			}
			if string(in.memory()) != string(x.memory[:]) {
				t.Fatalf("world %d, function %d: memories differ\n%+v", i, f, m)
			}
			for g, name := range []string{"g", "rounds"} {
				if got := int32(in.ExportedGlobal(name).Get()); got != x.global[g] {
					t.Fatalf("world %d, function %d: global %s is %d, not %d", i, f, name, got, x.global[g])
				}
			}
		}
		if got := int32(wrote.Get()); got != x.wrote {
			t.Fatalf("function %d: wrote is %d, not %d\n%+v", f, got, x.wrote, m)
		}
		if worlds[1].used != x.used {
			t.Fatalf("function %d: the meter counts %d, not %d\n%+v", f, worlds[1].used, x.used, m)
		}
	}
	return compared
}

func TestEquivalent(t *testing.T) {
	compared := 0
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 100+r.IntN(500))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if equivalent(t, data) {
			compared++
		}
	}
	t.Logf("%d modules are compared", compared)
	if compared < 100 {
		t.Errorf("only %d modules run to their end", compared)
	}
}

func FuzzEquivalent(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { equivalent(t, data) })
}
