package rewrite

// The runtime's compiler cannot be interrupted, and for some shapes of code its time
// and memory grow with the square of what there is: its passes walk up the tree of
// dominators from each basic block, and where ways meet there is a parameter for each
// variable. So what a function costs is estimated while it is read. A unit is about
// what one instruction of compilers' output costs: a microsecond at most as a rule,
// and some hundred bytes while its function is compiled. What the meter adds counts.
const (
	typeCost   = 16 // a type of functions, for each of which there is a way in from the host
	valueCost  = 8  // a parameter or result of it
	funcCost   = 32 // a function
	callCost   = 8  // a call, besides; it is where the compiler's memory goes
	tableCost  = 32 // more of a call by a table: nearly a kilobyte of the compiler's memory
	memoryCost = 8  // an access to memory, besides: a quarter of a kilobyte, where its bounds are checked
	trapCost   = 25 // a division, besides: half a kilobyte of the compiler's memory
	truncCost  = 40 // a conversion to an integer that may trap, besides: a kilobyte
	blockCost  = 4  // a basic block
	targetCost = 8  // a label of a br_table, which becomes a basic block
	walkShift  = 6  // 64 steps up the tree of dominators are a unit
	loopWalk   = 4  // how many more walks there are from the beginning of a loop
)

// shape is what the cost of the function that is scanned depends on.
type shape struct {
	instructions int64
	calls        int64
	blocks       int64 // basic blocks
	targets      int64 // of br_tables
	values       int64 // that blocks, branches and calls carry
	walk         int64 // the sum of how deep basic blocks are in the tree of dominators, at most
	joins        int64 // basic blocks with several predecessors
	level        int   // of the present block; dead: code that is not reached
}

// begin begins a basic block that is so deep.
func (s *shape) begin(level int) {
	s.level = level
	s.blocks++
	s.walk += int64(level)
}

// loop begins a loop.
func (s *shape) loop() {
	s.joins++
	if s.resume(s.level); s.level != dead {
		s.walk += loopWalk * int64(s.level)
	}
}

// resume begins a basic block below one that is so deep.
func (s *shape) resume(level int) {
	if s.level = level; level != dead {
		s.begin(level + 1)
	}
}

// check notes a check of the meter, which ends the present block with an if.
func (s *shape) check() {
	if s.level != dead {
		s.begin(s.level + 1)
		s.blocks++ // the call of tick
		s.begin(s.level + 1)
		s.joins++
	}
}

// plain notes an instruction that is more than it looks like.
func (s *shape) plain(op int) {
	switch {
	case op == opMemoryGrow || op == miscTableGrow:
		s.check()
	case op >= miscMemoryInit && op <= miscTableFill:
		for range 3 { // ours, and those of a loop over what is filled or copied
			s.check()
		}
	case accesses(op):
		s.instructions += memoryCost
	case op >= opI32DivS && op <= opI32RemU, op >= opI64DivS && op <= opI64RemU:
		s.instructions += trapCost
	case op >= opI32TruncF32S && op <= opI32TruncF64U, op >= opI64TruncF32S && op <= opI64TruncF64U:
		s.instructions += truncCost
	}
}

// cost returns what a function of so many variables costs.
func (s *shape) cost(locals int64) int64 {
	return funcCost + s.instructions + callCost*s.calls + blockCost*s.blocks + targetCost*s.targets + s.values +
		s.walk>>walkShift + locals + s.joins*(locals+2) // 2 of the meter
}

// reaches notes that a label is reached from the present block. Where ways meet,
// the block is dominated by what dominates all of them.
func (s *shape) reaches(l *label) {
	if s.level == dead {
		return
	}
	if l.level == dead || s.level < l.level {
		l.level = s.level
	}
	l.from++
}

// leave goes on behind a label's block.
func (s *shape) leave(l *label) {
	if l.op == opLoop {
		return // branches go to its beginning
	}
	s.reaches(l)
	if l.op == opIf && l.entry != dead { // without else
		s.level = l.entry
		s.reaches(l)
	}
	if l.from > 1 {
		s.joins++
	}
	if l.level == dead {
		s.level = dead
		return
	}
	s.begin(l.level + 1)
}

// spendType takes what a type costs off the work that there is.
func (m *module) spendType(r *reader, t *funcType) {
	m.spendWork(r, typeCost+valueCost*int64(len(t.params)+len(t.results)))
}

// spendFunction takes what the function that has been scanned costs.
func (m *module) spendFunction(r *reader, f *function) {
	c := m.shape.cost(int64(f.locals))
	if o := &m.options; r.err == nil && c > o.FunctionWork {
		r.fail(exceeded("takes %d units of work to compile, by estimate, more than the %d that one function may take", c, o.FunctionWork))
	}
	m.spendWork(r, c)
}

func (m *module) spendWork(r *reader, c int64) {
	if m.work += c; r.err == nil && m.work > m.options.Work {
		r.fail(exceeded("with it the module takes %d units of work to compile, by estimate, more than the %d allowed", m.work, m.options.Work))
	}
}
