package rewrite

// What the meter charges, in units: a unit is about one instruction.
const (
	// MaxCost is the most that one check charges. A check is at the beginning of a
	// function and of each turn of a loop, and charges for what is there but for
	// inner loops. Compilers put whole functions into one loop that jumps to and
	// fro, of which a turn runs a small part, so that more would be far too much.
	MaxCost = 64

	// MaxRun is how many instructions there are at most on any way from a check to
	// the next one: where a way is longer there is one more.
	MaxRun = 256

	// GrowCost is charged for memory.grow and table.grow, which go through the host.
	GrowCost = 1000

	// What instructions do that work on a length is charged by it: a unit is so many
	// bytes, by its logarithm. Of elements each is one.
	bulkShift = 4
)

// meter has our additions to code as templates.
type meter struct {
	check   []byte // charge 0, and ask for more if there is no more
	cost    int    // where in check the charge is: two bytes
	less    []byte // begin to charge an operand
	settle  []byte // the end of it
	entry   []byte // what follows the frame's size at the beginning of counted functions
	depth   []byte // global.get
	restore []byte // what follows the frame's size at their end
}

// newMeter makes the templates, for indexes of globals and a function.
func newMeter(slice, depth, tick uint32) *meter {
	get := appendU32([]byte{opGlobalGet}, slice)
	set := appendU32([]byte{opGlobalSet}, slice)
	ask := cat([]byte{opIf, typeEmpty}, get, appendU32([]byte{opCall}, tick), set, []byte{opEnd})
	negative := []byte{opI64Const, 0, opI64LtS}
	w := &meter{less: get}
	w.settle = cat([]byte{opI64Sub}, set, get, negative, ask)
	w.check = cat(get, []byte{opI64Const, 0x80, 0}, w.settle)
	w.cost = len(get) + 1
	w.depth = appendU32([]byte{opGlobalGet}, depth)
	setDepth := appendU32([]byte{opGlobalSet}, depth)
	w.entry = cat([]byte{opI64Sub}, setDepth, w.depth, negative, []byte{opIf, typeEmpty, opUnreachable, opEnd})
	w.restore = cat([]byte{opI64Add}, setDepth)
	return w
}

func cat(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// writer writes the bodies of functions.
type writer struct {
	*meter
	m       *module
	out     []byte // the body that is being written
	blocks  []open
	regions []region
	run     int // instructions since the last check, on the longest way; dead: none comes here
}

const dead = -1

// open is a block that has not ended.
type open struct {
	op    int
	entry int // of writer.run
	run   int // the most of those that branch to its end; dead: none does
}

// region is what a check charges for.
type region struct {
	at   int // where in writer.out the charge is
	cost int
}

// charge writes a check for so many units, and returns where they are.
func (w *writer) charge(units int) int {
	at := len(w.out) + w.cost
	w.out = append(w.out, w.check...)
	w.setCharge(at, units)
	w.run = 0
	return at
}

func (w *writer) setCharge(at, units int) {
	w.out[at] = byte(units) | 0x80
	w.out[at+1] = byte(units >> 7)
}

// chargeOperand writes a check that charges by the length on top of the stack.
func (w *writer) chargeOperand(f *function, shift byte) {
	w.out = appendU32(append(w.out, opLocalTee), f.locals) // the first that is ours
	w.out = append(w.out, w.less...)
	w.out = appendU32(append(w.out, opLocalGet), f.locals)
	w.out = append(w.out, opI64ExtendU)
	if shift != 0 {
		w.out = append(w.out, opI64Const, shift, opI64ShrU)
	}
	w.out = append(w.out, w.settle...)
	w.run = 0
}

// open begins a region with its check.
func (w *writer) openRegion() {
	w.regions = append(w.regions, region{at: w.charge(1)})
}

func (w *writer) closeRegion() {
	last := w.regions[len(w.regions)-1]
	w.regions = w.regions[:len(w.regions)-1]
	w.setCharge(last.at, min(max(last.cost, 1), MaxCost))
}

// body writes f into w.out.
func (w *writer) body(f *function) {
	w.out = w.out[:0]
	if f.bulk {
		w.out = append(append(appendU32(w.out, f.groups+1), f.head...), 1, typeI32)
	} else {
		w.out = append(appendU32(w.out, f.groups), f.head...)
	}
	w.blocks = append(w.blocks[:0], open{op: opBlock, run: dead})
	w.openRegion()
	if f.counted {
		w.out = append(w.out, w.depth...)
		w.out = appendSigned(append(w.out, opI64Const), f.frame)
		w.out = append(w.out, w.entry...)
		w.out = append(append(w.out, opBlock), w.m.blockType(w.m.types[f.typ].results)...)
	}
	w.instructions(f)
	if f.counted {
		w.out = append(w.out, w.depth...)
		w.out = appendSigned(append(w.out, opI64Const), f.frame)
		w.out = append(w.out, w.restore...)
		w.out = append(w.out, opEnd)
	}
	w.closeRegion()
}

// instructions writes those of f, which have been scanned.
func (w *writer) instructions(f *function) {
	r := reader{b: f.code}
	var i instruction
	copied := 0
	flush := func(to int) {
		w.out = append(w.out, r.b[copied:to]...)
		copied = to
	}
	for len(w.blocks) > 0 {
		r.next(&i)
		if w.run >= MaxRun {
			flush(i.at)
			w.charge(MaxCost)
		}
		if w.run != dead && i.op != opBlock && i.op != opLoop && i.op != opElse && i.op != opEnd {
			w.run++
			w.regions[len(w.regions)-1].cost++
		}
		switch i.op {
		case opBlock, opIf:
			w.blocks = append(w.blocks, open{op: i.op, entry: w.run, run: dead})
		case opLoop:
			w.blocks = append(w.blocks, open{op: i.op, entry: w.run, run: dead})
			if w.run != dead {
				flush(r.p)
				w.openRegion()
			}
		case opElse:
			b := &w.blocks[len(w.blocks)-1]
			b.op = opElse
			b.run = max(b.run, w.run)
			w.run = b.entry
		case opEnd:
			w.end()
		case opBr:
			w.branch(i.a)
			w.run = dead
		case opBrIf:
			w.branch(i.a)
		case opBrTable:
			for range i.a {
				w.branch(r.u32())
			}
			w.branch(r.u32())
			w.run = dead
		case opReturn:
			if f.counted {
				flush(i.at)
				w.out = appendU32(append(w.out, opBr), uint32(len(w.blocks)-1))
				copied = r.p
			}
			w.run = dead
		case opUnreachable:
			w.run = dead
		case opCall, opRefFunc:
			flush(i.at)
			w.out = appendU32(append(w.out, byte(i.op)), w.m.moved(i.a))
			copied = r.p
		case opMemoryGrow, miscTableGrow:
			if w.run != dead {
				flush(i.at)
				w.charge(GrowCost)
			}
		case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
			if w.run != dead {
				flush(i.at)
				w.chargeOperand(f, bulkShift)
			}
		case miscTableInit, miscTableCopy, miscTableFill:
			if w.run != dead {
				flush(i.at)
				w.chargeOperand(f, 0)
			}
		}
	}
	flush(r.p)
}

// end leaves a block.
func (w *writer) end() {
	b := w.blocks[len(w.blocks)-1]
	w.blocks = w.blocks[:len(w.blocks)-1]
	switch b.op {
	case opLoop:
		if b.entry != dead {
			w.closeRegion()
		}
		return // branches go to its beginning
	case opIf:
		w.run = max(w.run, b.entry)
	}
	w.run = max(w.run, b.run)
}

// branch notes how many instructions come to a label from here.
func (w *writer) branch(depth uint32) {
	b := &w.blocks[len(w.blocks)-1-int(depth)]
	b.run = max(b.run, w.run)
}

// moved returns a function's index behind our import.
func (m *module) moved(index uint32) uint32 {
	if int(index) < m.imported {
		return index
	}
	return index + 1
}
