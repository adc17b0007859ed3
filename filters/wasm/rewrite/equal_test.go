package rewrite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
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

// machine runs generated modules, and counts what the meter should.
type machine struct {
	funcs  []*program
	global [2]int32
	memory [1 << 16]byte
	steps  int
	depth  int
	used   int64
}

// program is a function's instructions.
type program struct {
	ops    []step
	result int
	cost   int
}

type step struct {
	name   string
	args   []int
	end    int // of a block, loop, if: where it ends
	other  int // of an if: its else, or 0
	cost   int // of a loop
	arity  int // values that a branch to it carries
	params int
}

var errSteps = errors.New("takes too long")

func newMachine(m *mod) *machine {
	x := &machine{global: [2]int32{7, 40}}
	for i, f := range m.funcs {
		p := &program{result: 1 + i%2}
		p.cost, _ = p.parse(strings.Split(f.code, ";"), 0)
		p.cost = clip(p.cost)
		x.funcs = append(x.funcs, p)
	}
	return x
}

func clip(cost int) int { return min(max(cost, 1), MaxCost) }

// parse reads instructions up to the end of a block, and returns how many there are
// but for those in loops. Behind an unconditional branch there are none.
func (p *program) parse(code []string, at int) (cost, end int) {
	for at < len(code) {
		w := strings.Fields(code[at])
		s := step{name: w[0]}
		for _, a := range w[1:] {
			var n int
			fmt.Sscan(a, &n)
			s.args = append(s.args, n)
		}
		i := len(p.ops)
		p.ops = append(p.ops, s)
		at++
		switch s.name {
		case "block", "loop", "if":
			if len(s.args) > 0 {
				s.params, s.arity = 2, 2
			}
			if s.name == "if" {
				cost++
			}
			inner, next := p.parse(code, at)
			at = next
			if p.ops[len(p.ops)-1].name == "else" {
				s.other = len(p.ops) - 1
				c, next := p.parse(code, at)
				inner, at = inner+c, next
			}
			s.end = len(p.ops) - 1
			if s.name == "loop" {
				s.cost = clip(inner)
			} else {
				cost += inner
			}
			p.ops[i] = s
		case "else", "end":
			return cost, at
		default:
			cost++
		}
	}
	return cost, at
}

// call runs a function. It returns an error for what takes too long, or traps.
func (x *machine) call(f int, args []int32) ([]int32, error) {
	p := x.funcs[f]
	if x.depth++; x.depth > 500 {
		return nil, errSteps
	}
	defer func() { x.depth-- }()
	x.used += int64(p.cost)
	locals := make([]int32, genLocals)
	copy(locals, args)
	var stack []int32
	push := func(v int32) { stack = append(stack, v) }
	pop := func() int32 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return v
	}
	type open struct{ at, height int }
	blocks := []open{}
	pc := 0
	branch := func(depth int) bool { // whether it leaves the function
		if depth == len(blocks) {
			return true
		}
		b := blocks[len(blocks)-1-depth]
		s := &p.ops[b.at]
		stack = append(stack[:b.height], stack[len(stack)-s.arity:]...)
		if s.name == "loop" {
			blocks = blocks[:len(blocks)-depth]
			x.used += int64(s.cost)
			pc = b.at
		} else {
			blocks = blocks[:len(blocks)-depth-1]
			pc = s.end
		}
		return false
	}
	for ; pc < len(p.ops); pc++ {
		if x.steps++; x.steps > 200_000 {
			return nil, errSteps
		}
		s := &p.ops[pc]
		leave := false
		switch s.name {
		case "nop":
		case "block", "loop", "if":
			yes := s.name != "if" || pop() != 0
			if s.name == "loop" {
				x.used += int64(s.cost)
			}
			blocks = append(blocks, open{pc, len(stack) - s.params})
			if !yes {
				if pc = s.end - 1; s.other != 0 {
					pc = s.other
				}
			}
		case "else":
			pc = p.ops[blocks[len(blocks)-1].at].end - 1
		case "end":
			blocks = blocks[:len(blocks)-1]
		case "br":
			leave = branch(s.args[0])
		case "br_if":
			if pop() != 0 {
				leave = branch(s.args[0])
			}
		case "br_table":
			leave = branch(s.args[min(uint32(pop()), uint32(len(s.args)-1))])
		case "return":
			leave = true
		case "call", "call_indirect":
			f := s.args[0]
			if s.name == "call_indirect" {
				f = int(pop())
			}
			b := pop()
			results, err := x.call(f, []int32{pop(), b})
			if err != nil {
				return nil, err
			}
			stack = append(stack, results...)
		case "local.get":
			push(locals[s.args[0]])
		case "local.set":
			locals[s.args[0]] = pop()
		case "global.get":
			push(x.global[s.args[0]])
		case "global.set":
			x.global[s.args[0]] = pop()
		case "i32.const":
			push(int32(s.args[0]))
		case "i32.load":
			at := uint32(pop()) + uint32(s.args[1])
			push(int32(binary.LittleEndian.Uint32(x.memory[at:])))
		case "i32.store":
			v := pop()
			binary.LittleEndian.PutUint32(x.memory[uint32(pop())+uint32(s.args[1]):], uint32(v))
		case "memory.fill":
			n, v, at := pop(), byte(pop()), pop()
			x.used += int64(n >> bulkShift)
			for i := range n {
				x.memory[at+i] = v
			}
		case "drop":
			pop()
		default:
			b, a := pop(), pop()
			is := map[bool]int32{true: 1}
			switch s.name {
			case "i32.add":
				push(a + b)
			case "i32.sub":
				push(a - b)
			case "i32.mul":
				push(a * b)
			case "i32.xor":
				push(a ^ b)
			case "i32.and":
				push(a & b)
			case "i32.lt_u":
				push(is[uint32(a) < uint32(b)])
			case "i32.gt_s":
				push(is[a > b])
			default:
				panic("no instruction " + s.name)
			}
		}
		if leave {
			break
		}
	}
	return slices.Clone(stack[len(stack)-p.result:]), nil
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
		worlds[1].used, x.used = 0, 0
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
