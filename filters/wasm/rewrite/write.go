package rewrite

import "strconv"

// write writes the module with all that is added to it. With stripped it has no
// data.
func (m *module) write(stripped bool) []byte {
	slice := uint32(len(m.global))
	depth, wrote := slice+1, slice+2
	tick := m.typeIndex([]byte{typeI64}, []byte{typeI64})
	code := m.code(newMeter(slice, depth, wrote, uint32(m.imported))) // before the types: it adds some

	out := append(make([]byte, 0, len(code)+2*(m.size-m.codeSize)+1<<10), header...)
	out = appendSection(out, secType, m.typeSection())

	b := append(appendU32(nil, uint32(m.importN)+1), m.importBody...)
	b = appendName(appendName(b, ImportModule), ImportTick)
	out = appendSection(out, secImport, appendU32(append(b, byte(KindFunc)), tick))

	b = appendU32(nil, uint32(len(m.funcs)-m.imported))
	for _, f := range m.funcs[m.imported:] {
		b = appendU32(b, f.typ)
	}
	out = appendSection(out, secFunc, b)
	if len(m.tables) > 0 {
		out = appendSection(out, secTable, m.tableSection())
	}
	if m.memorySection != nil {
		out = appendSection(out, secMemory, m.memorySection)
	}
	out = appendSection(out, secGlobal, m.globalSection())
	out = appendSection(out, secExport, m.exportSection(slice, depth, wrote))
	if len(m.elements) > 0 {
		out = appendSection(out, secElement, m.elementSection())
	}
	if m.dataCount >= 0 && !stripped {
		out = appendSection(out, secDataCount, appendU32(nil, uint32(m.dataCount)))
	}
	out = appendSection(out, secCode, code)
	if m.dataSection != nil && !stripped {
		out = appendSection(out, secData, m.dataSection)
	}
	if names := m.functionNames(); names != nil {
		out = appendSection(out, secCustom, names)
	}
	return out
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}

func (m *module) typeSection() []byte {
	b := appendU32(nil, uint32(len(m.types)))
	for _, t := range m.types {
		b = append(b, typeFunction)
		b = append(appendU32(b, uint32(len(t.params))), t.params...)
		b = append(appendU32(b, uint32(len(t.results))), t.results...)
	}
	return b
}

func (m *module) tableSection() []byte {
	b := appendU32(nil, uint32(len(m.tables)))
	for _, t := range m.tables {
		b = append(b, t.ref, 1)
		b = appendU32(appendU32(b, t.minimum), t.maximum)
	}
	return b
}

func (m *module) globalSection() []byte {
	own := m.global[m.importedGlobal:]
	b := appendU32(nil, uint32(len(own))+3)
	for _, g := range own {
		b = append(b, g.typ, 0)
		if g.mutable {
			b[len(b)-1] = 1
		}
		b = m.appendConstant(b, g.init)
	}
	b = append(b, typeI64, 1, opI64Const, 0, opEnd) // slice: the first check asks for one
	b = append(b, typeI64, 1, opI64Const)
	b = append(appendSigned(b, m.options.Stack), opEnd)
	return append(b, typeI32, 1, opI32Const, 0, opEnd)
}

func (m *module) exportSection(slice, depth, wrote uint32) []byte {
	n := uint32(len(m.exports)) + 3
	var b []byte
	add := func(name string, kind Kind, index uint32) {
		b = appendU32(append(appendName(b, name), byte(kind)), index)
	}
	for _, e := range m.exports {
		if e.kind == KindFunc {
			e.index = m.moved(e.index)
		}
		add(e.name, e.kind, e.index)
	}
	for _, g := range m.restorable() {
		add(g.Export, KindGlobal, g.index)
		n++
	}
	add(SliceExport, KindGlobal, slice)
	add(DepthExport, KindGlobal, depth)
	add(WroteExport, KindGlobal, wrote)
	if m.start >= 0 {
		add(StartExport, KindFunc, m.moved(uint32(m.start)))
		n++
	}
	return append(appendU32(nil, n), b...)
}

// restorable returns the mutable globals that are numbers.
func (m *module) restorable() []Global {
	var list []Global
	for i, g := range m.global {
		if g.mutable && !g.imported && g.typ >= typeF64 && g.typ <= typeI32 {
			list = append(list, Global{Export: Reserved + "_g" + strconv.Itoa(len(list)), Type: ValueType(g.typ), index: uint32(i)})
		}
	}
	return list
}

func (m *module) elementSection() []byte {
	b := appendU32(nil, uint32(len(m.elements)))
	for _, e := range m.elements {
		passive, explicit, expressions := e.flags&1 != 0, e.flags&2 != 0, e.flags&4 != 0
		b = append(b, byte(e.flags))
		if !passive {
			if explicit {
				b = appendU32(b, e.table)
			}
			b = append(b, e.offset.text...)
		}
		if passive || explicit {
			b = append(b, e.kind)
		}
		if expressions {
			b = appendU32(b, uint32(len(e.expressions)))
			for _, c := range e.expressions {
				b = m.appendConstant(b, c)
			}
		} else {
			b = appendU32(b, uint32(len(e.funcs)))
			for _, f := range e.funcs {
				b = appendU32(b, m.moved(f))
			}
		}
	}
	return b
}

func (m *module) appendConstant(b []byte, c constant) []byte {
	if c.op == opRefFunc {
		return append(appendU32(append(b, opRefFunc), m.moved(c.a)), opEnd)
	}
	return append(b, c.text...)
}

// code returns the code section.
func (m *module) code(parts *meter) []byte {
	w := &writer{meter: parts, m: m}
	n := len(m.funcs) - m.imported
	b := appendU32(make([]byte, 0, m.codeSize+m.codeSize/2+n*32), uint32(n))
	for i := range m.funcs[m.imported:] {
		w.body(&m.funcs[m.imported+i])
		b = append(appendU32(b, uint32(len(w.out))), w.out...)
	}
	return b
}

// blockType returns the type of a block that leaves results.
func (m *module) blockType(results []byte) []byte {
	switch len(results) {
	case 0:
		return []byte{typeEmpty}
	case 1:
		return results
	}
	return appendSigned(nil, int64(m.typeIndex(nil, results)))
}

// functionNames returns a custom section that has the functions' names only, for
// the traces of traps, or nil if there are none. What is wrong in a custom section
// does not make a module invalid (WebAssembly Core, section 7.4.1).
func (m *module) functionNames() []byte {
	const functions = 1
	r := reader{b: m.names}
	for r.err == nil && r.p < len(r.b) {
		id := r.byte()
		n := reader{b: r.bytes(r.u32())}
		if id != functions || r.err != nil {
			continue
		}
		count := n.atMost(len(m.funcs), "names")
		b := appendU32(nil, uint32(count))
		for last := -1; count > 0; count-- {
			index := n.index(len(m.funcs), "function")
			name := n.name()
			if n.err != nil || int(index) <= last {
				return nil
			}
			last = int(index)
			b = appendName(appendU32(b, m.moved(index)), name)
		}
		if n.p != len(n.b) {
			return nil
		}
		out := append(appendName(nil, "name"), functions)
		return append(appendU32(out, uint32(len(b))), b...)
	}
	return nil
}
