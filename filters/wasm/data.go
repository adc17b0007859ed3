package wasm

import "slices"

// maxGap is how many zeros may come between two segments that are made one, in
// bytes.
const maxGap = 128

// mergeData returns a data section in which segments that follow each other
// closely are one, with zeros in between: what it makes of a memory of zeros is
// the same. Go's linker leaves out each eight zeros, so that its programs have
// tens of thousands of segments, and the runtime allocates for each of them in
// each instance.
//
// The section has been read, and nothing refers to its segments: there is no data
// count section, without which no instruction may (WebAssembly Core, section
// 5.5.16).
func mergeData(section []byte) []byte {
	m := merger{out: make([]byte, 0, len(section)+len(section)/8)}
	r := reader{b: section}
	for range r.u32() {
		at := r.p
		if offset, init, ok := r.plainSegment(); ok {
			m.add(offset, init)
			continue
		}
		r.p = at
		r.segment()
		m.addOpaque(r.b[at:r.p])
	}
	m.flush()
	return append(appendU32(nil, m.count), m.out...)
}

type merger struct {
	out    []byte
	count  uint32
	start  int64  // of the segment that is being made; valid if run is not empty
	run    []byte // what it has
	before []span // which cover all segments before that
	lost   bool   // one may be anywhere
}

type span struct{ start, end int64 }

// maxSpans bounds how many spans are remembered one by one.
const maxSpans = 16

// add appends a segment. It goes on the one before if that is near, and nothing
// but zeros is between them.
func (m *merger) add(offset int64, init []byte) {
	end := m.start + int64(len(m.run))
	if len(m.run) > 0 && offset >= end && offset-end <= maxGap && m.isZero(end, offset) {
		m.run = append(m.run, make([]byte, offset-end)...)
	} else {
		m.flush()
		m.start = offset
	}
	if len(init) == 0 && len(m.run) == 0 {
		m.emit(offset, nil) // all that it does is to be out of bounds
		return
	}
	m.run = append(m.run, init...)
}

// isZero reports whether no segment before has written from start to end.
func (m *merger) isZero(start, end int64) bool {
	return !m.lost && !slices.ContainsFunc(m.before, func(s span) bool { return s.start < end && start < s.end })
}

// addOpaque appends a segment as it is.
func (m *merger) addOpaque(segment []byte) {
	m.flush()
	m.out = append(m.out, segment...)
	m.count++
	m.lost = true
}

func (m *merger) flush() {
	if len(m.run) > 0 {
		m.emit(m.start, m.run)
		m.cover(span{m.start, m.start + int64(len(m.run))})
		m.run = m.run[:0]
	}
}

// cover remembers that s is written, in the end more than that.
func (m *merger) cover(s span) {
	if len(m.before) < maxSpans {
		m.before = append(m.before, s)
		return
	}
	last := &m.before[maxSpans-1]
	last.start, last.end = min(last.start, s.start), max(last.end, s.end)
}

func (m *merger) emit(offset int64, init []byte) {
	m.out = append(m.out, 0, opI32Const)
	m.out = append(appendI32(m.out, int32(offset)), opEnd)
	m.out = append(appendU32(m.out, uint32(len(init))), init...)
	m.count++
}

const (
	opEnd      = 0x0b
	opI32Const = 0x41
)

// plainSegment reads a segment of data whose place is a constant that is not
// negative.
func (r *reader) plainSegment() (offset int64, init []byte, ok bool) {
	if r.u32() != 0 || r.byte() != opI32Const {
		return 0, nil, false
	}
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x07 {
			return 0, nil, false // negative, or of more than 32 bits
		}
		offset |= int64(c&0x7f) << shift
		if c < 0x80 {
			if c&0x40 != 0 && shift < 28 {
				return 0, nil, false // negative
			}
			break
		}
	}
	if r.byte() != opEnd {
		return 0, nil, false
	}
	init = r.bytes(r.u32())
	return offset, init, r.err == nil
}

// appendI32 appends an integer that is not negative in signed LEB128.
func appendI32(b []byte, v int32) []byte {
	for v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
