package rewrite

import "errors"

// constant reads a constant expression (WebAssembly Core, section 3.3.10). Without
// instructions that compute, one that is valid is a single instruction.
func (m *module) constant(s *reader) constant {
	var i instruction
	at := s.p
	c := constant{}
	if s.p < len(s.b) {
		c.op = s.b[s.p]
	}
	switch c.op {
	case opI32Const:
		s.p++
		c.v = int32(s.signed(32))
	case opGlobalGet:
		s.p++
		c.a = s.index(m.importedGlobal, "imported global")
	case opRefFunc:
		s.p++
		c.a = s.index(len(m.funcs), "function")
		m.take(c.a, s)
	case opI64Const, opF32Const, opF64Const, opRefNull:
		s.next(&i)
	case opSIMD:
		if s.next(&i); i.op != opSIMD<<8|12 {
			s.failf("instruction 0x%x in a constant expression is not supported", i.op)
		}
	default:
		s.failf("instruction 0x%x in a constant expression is not supported", c.op)
	}
	if s.byte() != opEnd {
		s.fail(errors.New("constant expression of more than one instruction"))
	}
	if s.err == nil {
		c.text = s.b[at:s.p]
	}
	return c
}

// offset reads where a segment goes.
func (m *module) offset(s *reader) constant {
	c := m.constant(s)
	if c.op != opI32Const && c.op != opGlobalGet {
		s.failf("offset of a segment is instruction 0x%x", c.op)
	}
	return c
}

// readElements reads the element section (WebAssembly Core, section 5.5.12).
func (m *module) readElements(s *reader) {
	left := maxElements
	tables := m.importedTables + len(m.tables)
	for range s.atMost(maxSegments, "segments of elements") {
		e := element{flags: s.u32()}
		if e.flags > 7 {
			s.failf("segment of elements %d is not supported", e.flags)
			return
		}
		passive, explicit, expressions := e.flags&1 != 0, e.flags&2 != 0, e.flags&4 != 0
		if !passive {
			if explicit {
				e.table = s.index(tables, "table")
			}
			e.offset = m.offset(s)
		}
		switch {
		case !passive && !explicit:
		case expressions:
			e.kind = s.refType()
		default:
			if e.kind = s.byte(); e.kind != 0 {
				s.failf("kind of elements 0x%x is not supported", e.kind)
			}
		}
		n := s.atMost(left, "elements")
		left -= n
		if expressions {
			e.expressions = make([]constant, n)
			for i := range e.expressions {
				e.expressions[i] = m.constant(s)
			}
		} else {
			e.funcs = make([]uint32, n)
			for i := range e.funcs {
				e.funcs[i] = s.index(len(m.funcs), "function")
				m.take(e.funcs[i], s)
			}
		}
		if s.err != nil {
			return
		}
		m.elements = append(m.elements, e)
	}
}

// readData reads a segment of data (section 5.5.14).
func (m *module) readData(s *reader) {
	var d segment
	switch flags := s.u32(); flags {
	case 1:
		d.passive = true
	case 0, 2:
		if m.memories == 0 {
			s.fail(errors.New("there is no memory for a segment of data"))
		}
		if flags == 2 {
			s.index(m.memories, "memory")
		}
		d.offset = m.offset(s)
	default:
		s.failf("segment of data %d is not supported", flags)
	}
	d.init = s.bytes(s.u32())
	if s.err == nil {
		m.data = append(m.data, d)
	}
}
