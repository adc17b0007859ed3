package rewrite

import "errors"

// usage is what instructions of a module are used that leave more behind than
// memory and globals.
type usage struct {
	tableSet, tableInit, tableCopy, tableGrow, tableFill, elemDrop bool

	dataDrop, memoryInit bool
}

// label is where a branch goes: a block, loop or if, and outermost the function.
type label struct {
	op    int
	arity int // values that a branch carries
	calls bool
	loop  int // of module.loops
	entry int // shape.level where it begins
	level int // of those that branch to its end, the least; dead: none does
	from  int // how many do
}

// readCode reads the bodies of functions.
func (m *module) readCode(s *reader) {
	n := s.atMost(maxFuncs, "functions")
	if n != len(m.funcs)-m.imported {
		s.failf("%d bodies for %d functions", n, len(m.funcs)-m.imported)
	}
	m.carried = maxCarried + carriedPerByte*int64(m.size)
	m.locals = maxLocals + int64(m.size)
	for i := range n {
		if s.err != nil {
			return
		}
		f := &m.funcs[m.imported+i]
		body := reader{b: s.bytes(s.u32())}
		if len(body.b) > maxBody {
			s.failf("a function is %d bytes, more than the %d allowed", len(body.b), maxBody)
		}
		m.readLocals(&body, f)
		m.scan(&body, f)
		f.calls = len(m.calls)
		if body.err != nil {
			s.failf("function %d: %w", m.imported+i, body.err)
		}
	}
}

// readLocals reads the types of local variables (WebAssembly Core, section 5.5.13).
func (m *module) readLocals(r *reader, f *function) {
	t := &m.types[f.typ]
	total := int64(0)
	f.groups = uint32(r.atMost(len(r.b), "groups of local variables"))
	at := r.p
	for range f.groups {
		total += int64(r.u32())
		r.valueType()
	}
	m.locals -= total
	if total > maxLocals || m.locals < 0 {
		r.failf("%d local variables, more than are allowed", total)
	}
	if r.err == nil {
		f.head = r.b[at:r.p]
		f.locals = uint32(total) + uint32(len(t.params))
		f.code = r.b[r.p:]
	}
}

// scan reads the instructions of f. It checks all that could come to mean
// something else when it is written with our additions, see the comment on the
// package.
func (m *module) scan(r *reader, f *function) {
	m.labels = append(m.labels[:0], label{op: opBlock, arity: len(m.types[f.typ].results), level: dead})
	m.shape = shape{}
	m.shape.check()
	var i instruction
	n := int64(0)
	m.widest = 0
	for len(m.labels) > 0 && r.err == nil {
		r.next(&i)
		if n++; n%MaxRun == 0 {
			m.shape.check()
		}
		switch i.op {
		case opBlock, opLoop, opIf:
			m.open(r, &i)
		case opElse:
			if l := &m.labels[len(m.labels)-1]; l.op != opIf {
				r.fail(errors.New("else without if"))
			} else {
				m.shape.reaches(l)
				l.op = opElse
				m.shape.resume(l.entry)
			}
		case opEnd:
			m.close()
		case opBr:
			m.branch(r, i.a)
			m.shape.level = dead
		case opBrIf:
			m.branch(r, i.a)
			m.shape.resume(m.shape.level)
		case opBrTable:
			for range i.a {
				m.branch(r, r.u32())
			}
			m.branch(r, r.u32())
			m.shape.targets += int64(i.a) + 1
			m.shape.level = dead
		case opReturn, opUnreachable:
			m.shape.level = dead
		case opCall:
			if m.exists(r, i.a, len(m.funcs), "function") {
				m.labels[len(m.labels)-1].calls = true
				m.calls = append(m.calls, i.a)
				m.shape.calls++
				m.carry(r, m.funcs[i.a].typ)
			}
		case opCallIndirect:
			if m.exists(r, i.a, len(m.types), "type") {
				m.labels[len(m.labels)-1].calls = true
				m.shape.calls++
				m.shape.instructions += tableCost
				m.calls = append(m.calls, uint32(len(m.funcs)+m.types[i.a].same))
				m.carry(r, i.a)
			}
		case opLocalGet, opLocalSet, opLocalTee:
			m.exists(r, i.a, int(f.locals), "local variable")
		case opGlobalGet, opGlobalSet:
			m.exists(r, i.a, len(m.global), "global")
		case opRefFunc:
			if m.exists(r, i.a, len(m.funcs), "function") {
				m.funcs[i.a].taken = true
				if !m.funcs[i.a].declared {
					r.failf("reference to function %d is not declared", i.a)
				}
			}
		default:
			m.use(i.op, f)
			m.shape.plain(i.op)
		}
	}
	if r.err == nil && r.p != len(r.b) {
		r.fail(errors.New("instructions behind the end"))
	}
	f.frame = m.frame(f, n)
	m.shape.instructions += n
	m.spendFunction(r, f)
}

// use notes the instructions that are of interest for the module.
func (m *module) use(op int, f *function) {
	u := &m.uses
	switch op {
	case miscMemoryInit:
		u.memoryInit, f.bulk = true, true
	case miscMemoryCopy, miscMemoryFill:
		f.bulk = true
	case miscTableInit:
		u.tableInit, f.bulk = true, true
	case miscTableCopy:
		u.tableCopy, f.bulk = true, true
	case miscTableFill:
		u.tableFill, f.bulk = true, true
	case miscTableGrow:
		u.tableGrow = true
	case miscElemDrop:
		u.elemDrop = true
	case miscDataDrop:
		u.dataDrop = true
	case opTableSet:
		u.tableSet = true
	}
}

func (m *module) exists(r *reader, index uint32, n int, what string) bool {
	if uint64(index) >= uint64(n) {
		r.failf("%s %d does not exist", what, index)
	}
	return r.err == nil
}

// open enters a block.
func (m *module) open(r *reader, i *instruction) {
	l := label{op: i.op, entry: m.shape.level, level: dead}
	switch i.b {
	case byValue:
		l.arity = 1
	case byType:
		if !m.exists(r, i.a, len(m.types), "type") {
			return
		}
		m.carry(r, i.a)
		l.arity = len(m.types[i.a].results)
	}
	if i.op == opLoop {
		l.loop = len(m.loops)
		m.loops = append(m.loops, false)
		l.arity = 0
		m.shape.loop()
		m.shape.check()
		if i.b == byType {
			l.arity = len(m.types[i.a].params)
		}
	}
	if i.op == opIf {
		m.shape.resume(m.shape.level)
	}
	if len(m.labels) > maxNesting {
		r.failf("blocks are nested deeper than the %d allowed", maxNesting)
	}
	m.labels = append(m.labels, l)
}

// close leaves one.
func (m *module) close() {
	last := len(m.labels) - 1
	l := m.labels[last]
	m.labels = m.labels[:last]
	if l.op == opLoop {
		m.loops[l.loop] = l.calls
	}
	m.shape.leave(&l)
	if last > 0 && l.calls {
		m.labels[last-1].calls = true
	}
}

func (m *module) branch(r *reader, depth uint32) {
	if m.exists(r, depth, len(m.labels), "label") {
		l := &m.labels[len(m.labels)-1-int(depth)]
		m.spend(r, l.arity)
		m.shape.reaches(l)
	}
}

func (m *module) carry(r *reader, typ uint32) {
	t := &m.types[typ]
	m.widest = max(m.widest, len(t.params)+len(t.results))
	m.spend(r, len(t.params)+len(t.results))
}

func (m *module) spend(r *reader, values int) {
	m.shape.values += int64(values)
	if m.carried -= int64(values); m.carried < 0 {
		r.fail(exceeded("blocks, branches and calls carry more values than are allowed"))
	}
}

// frame estimates the bytes of native stack that a call of f takes: of compilers'
// output the runtime's compiler takes half of that in the middle, and twice that at
// most. It keeps what is live during a call there, and passes operands there.
func (m *module) frame(f *function, instructions int64) int64 {
	return frameBase + frameValue*(int64(f.locals)+int64(len(m.types[f.typ].results))+int64(m.widest)) + instructions
}

const (
	frameBase  = 64
	frameValue = 8
)
