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

// meter has the parts of our additions to code.
type meter struct {
	slice, setSlice []byte // global.get, global.set
	depth, setDepth []byte
	wrote           []byte // i32.const, global.set
	tick            []byte // call
}

// newMeter makes the parts, for indexes of globals and a function.
func newMeter(slice, depth, wrote, tick uint32) *meter {
	return &meter{
		slice:    appendU32([]byte{opGlobalGet}, slice),
		setSlice: appendU32([]byte{opGlobalSet}, slice),
		depth:    appendU32([]byte{opGlobalGet}, depth),
		setDepth: appendU32([]byte{opGlobalSet}, depth),
		wrote:    appendU32([]byte{opI32Const, 1, opGlobalSet}, wrote),
		tick:     appendU32([]byte{opCall}, tick),
	}
}

// writer writes the bodies of functions.
type writer struct {
	*meter
	m       *module
	out     []byte // the body that is being written
	local   uint32 // the first that is ours: an i64, the slice after a check; behind it an i32, if f.bulk
	settle  []byte // what ends a check, see newSettle
	blocks  []open
	regions []region
	run     int  // instructions since the last check, on the longest way; dead: none comes here
	loops   int  // that have been written, of all functions
	still   int  // how many loops without calls we are in; then the local is the slice
	wrote   bool // whoever is here has set wrote
}

const dead = -1

// open is a block that has not ended.
type open struct {
	op    int
	still bool // a loop without calls
	entry int  // of writer.run
	run   int  // the most of those that branch to its end; dead: none does
}

// region is what a check charges for.
type region struct {
	at   int // where in writer.out the charge is
	cost int
}

// newSettle makes what ends a check: it takes the units off what there is, and asks
// for more if that is less than none.
func (w *writer) newSettle() {
	b := append(w.settle[:0], opI64Sub)
	b = append(w.appendLocal(b, opLocalTee), w.setSlice...)
	b = append(w.appendLocal(b, opLocalGet), opI64Const, 0, opI64LtS, opIf, typeEmpty)
	b = append(w.appendLocal(b, opLocalGet), w.tick...)
	b = append(w.appendLocal(b, opLocalTee), w.setSlice...)
	w.settle = append(b, opEnd)
}

func (w *writer) appendLocal(b []byte, op byte) []byte {
	return appendU32(append(b, op), w.local)
}

// left writes what there is of the slice. To read the global behind where it was
// written would make each turn of a loop wait for the one before.
func (w *writer) left() {
	if w.still > 0 {
		w.out = w.appendLocal(w.out, opLocalGet)
	} else {
		w.out = append(w.out, w.slice...)
	}
}

// charge writes a check for so many units, and returns where they are.
func (w *writer) charge(units int) int {
	w.left()
	w.out = append(w.out, opI64Const, 0, 0)
	at := len(w.out) - 2
	w.setCharge(at, units)
	w.out = append(w.out, w.settle...)
	w.run = 0
	return at
}

func (w *writer) setCharge(at, units int) {
	w.out[at] = byte(units) | 0x80
	w.out[at+1] = byte(units >> 7)
}

// chargeOperand writes a check that charges by the length on top of the stack.
func (w *writer) chargeOperand(shift byte) {
	w.out = appendU32(append(w.out, opLocalTee), w.local+1)
	w.left()
	w.out = appendU32(append(w.out, opLocalGet), w.local+1)
	w.out = append(w.out, opI64ExtendU)
	if shift != 0 {
		w.out = append(w.out, opI64Const, shift, opI64ShrU)
	}
	w.out = append(w.out, w.settle...)
	w.run = 0
}

// openRegion begins a region with its check.
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
	w.local = f.locals
	w.newSettle()
	if f.bulk {
		w.out = append(append(appendU32(w.out[:0], f.groups+2), f.head...), 1, typeI64, 1, typeI32)
	} else {
		w.out = append(append(appendU32(w.out[:0], f.groups+1), f.head...), 1, typeI64)
	}
	w.blocks = append(w.blocks[:0], open{op: opBlock, run: dead})
	if f.counted {
		w.enter(f)
	}
	w.openRegion()
	w.wrote = !w.m.tracked
	if f.counted {
		w.out = append(append(w.out, opBlock), w.m.blockType(w.m.types[f.typ].results)...)
	}
	w.instructions(f)
	if f.counted {
		w.leave(f)
	}
	w.closeRegion()
}

// enter takes the frame of f off the stack that is left, and traps if that is less
// than none.
func (w *writer) enter(f *function) {
	w.out = append(w.out, w.depth...)
	w.out = append(appendSigned(append(w.out, opI64Const), f.frame), opI64Sub)
	w.out = append(w.appendLocal(w.out, opLocalTee), w.setDepth...)
	w.out = append(w.appendLocal(w.out, opLocalGet), opI64Const, 0, opI64LtS, opIf, typeEmpty, opUnreachable, opEnd)
}

// leave gives it back.
func (w *writer) leave(f *function) {
	w.out = append(w.out, w.depth...)
	w.out = append(appendSigned(append(w.out, opI64Const), f.frame), opI64Add)
	w.out = append(append(w.out, w.setDepth...), opEnd)
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
		if !w.wrote && w.run != dead && writes(i.op) {
			flush(i.at)
			w.out = append(w.out, w.meter.wrote...)
			w.wrote = true
		}
		switch i.op {
		case opBlock, opIf:
			w.blocks = append(w.blocks, open{op: i.op, entry: w.run, run: dead})
		case opLoop:
			calls := w.m.loops[w.loops]
			w.loops++
			w.blocks = append(w.blocks, open{op: i.op, entry: w.run, run: dead, still: !calls})
			if w.run == dead {
				break
			}
			if !calls {
				if w.still == 0 {
					flush(i.at)
					w.out = w.appendLocal(append(w.out, w.slice...), opLocalSet)
				}
				w.still++
			}
			flush(r.p)
			w.openRegion()
		case opElse:
			w.wrote = !w.m.tracked
			b := &w.blocks[len(w.blocks)-1]
			b.op = opElse
			b.run = max(b.run, w.run)
			w.run = b.entry
		case opEnd:
			w.wrote = !w.m.tracked // not whoever has branched to here
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
				w.chargeOperand(bulkShift)
			}
		case miscTableInit, miscTableCopy, miscTableFill:
			if w.run != dead {
				flush(i.at)
				w.chargeOperand(0)
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
			if b.still {
				w.still--
			}
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
