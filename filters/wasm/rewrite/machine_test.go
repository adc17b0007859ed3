package rewrite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// machine runs generated modules, and counts what the meter should.
type machine struct {
	funcs  []*program
	global [2]int32
	memory [1 << 16]byte
	steps  int
	depth  int
	used   int64
	wrote  int32 // 1 after an instruction that may write
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
			x.wrote = 1
			v := pop()
			binary.LittleEndian.PutUint32(x.memory[uint32(pop())+uint32(s.args[1]):], uint32(v))
		case "memory.fill":
			x.wrote = 1
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
