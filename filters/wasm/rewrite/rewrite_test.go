package rewrite

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

func mustRewrite(t *testing.T, m mod, o Options) *Module {
	t.Helper()
	out := checkValidity(t, "module", m.binary(), o)
	if out == nil {
		_, err := Rewrite(m.binary(), o)
		t.Fatal(err)
	}
	return out
}

// TestModule looks at all that is said about a module.
func TestModule(t *testing.T) {
	m := mustRewrite(t, mod{
		types:   []string{"->", "i32 i64 -> f32 v128"},
		imports: []string{"env f 1"},
		funcs:   []fn{{0, "", "i32.const 8; i32.const 9; i32.store 0 0"}},
		memory:  []uint32{1, 3},
		tables:  []string{"funcref 1"},
		globals: []string{"i32 i32.const 1", "mut i32 i32.const 2", "mut i64 i64.const -3", "mut externref ref.null externref"},
		exports: []string{"memory memory 0", "f func 1", "env func 0", "g global 1", "t table 0"},
		start:   "1",
		data:    []string{"10 abc", "12 xyz", "- lost", "65536 "},
	}, Options{})
	if got, want := fmt.Sprint(m.Imports), "[{env f function (i32, i64) -> (f32, v128)}]"; got != want {
		t.Errorf("imports are %s", got)
	}
	if got, want := fmt.Sprint(m.Exports), "[{memory memory } {f function ()} {env function (i32, i64) -> (f32, v128)} {g global } {t table }]"; got != want {
		t.Errorf("exports are %s", got)
	}
	if got, want := fmt.Sprint(m.Globals), "[{__sluice_g0 i32 1} {__sluice_g1 i64 2}]"; got != want {
		t.Errorf("globals are %s", got)
	}
	if got, want := fmt.Sprintf("%q", m.Unrestorable), `["has a mutable global that is a reference"]`; got != want {
		t.Errorf("unrestorable is %s", got)
	}
	if m.Memory != (Memory{PageSize, 3 * PageSize}) || !m.Start {
		t.Errorf("memory is %v, start %v", m.Memory, m.Start)
	}
	memory := make([]byte, PageSize)
	if err := m.WriteData(memory); err != nil || string(memory[9:16]) != "\x00abxyz\x00" {
		t.Errorf("data is %q: %v", memory[9:16], err)
	}
	if err := m.WriteData(memory[:14]); err == nil || !strings.Contains(err.Error(), "data of 3 bytes at 12 is out") {
		t.Errorf("error is %v", err)
	}
}

// TestUnrestorable names what leaves more behind than memory and globals.
func TestUnrestorable(t *testing.T) {
	for code, want := range map[string]string{
		"i32.const 0; ref.null funcref; table.set 0":               "changes a table by table.set",
		"i32.const 0; i32.const 0; i32.const 0; table.init 0 0":    "changes a table by table.init",
		"i32.const 0; i32.const 0; i32.const 0; table.copy 0 0":    "changes a table by table.copy",
		"i32.const 0; ref.null funcref; i32.const 0; table.fill 0": "changes a table by table.fill",
		"ref.null funcref; i32.const 0; table.grow 0; drop":        "changes a table by table.grow",
		"elem.drop 0": "drops elements by elem.drop",
		"data.drop 0": "drops data by data.drop",
		"i32.const 0; i32.const 0; i32.const 0; memory.init 0 0":         "",
		"i32.const 0; i32.const 0; i32.const 0; memory.copy 0 0; call 0": "",
	} {
		m := mustRewrite(t, mod{types: []string{"->"}, tables: []string{"funcref 1"}, memory: []uint32{1}, elements: [][]uint32{{0}},
			data: []string{"0 a"}, count: true, funcs: []fn{{0, "", code}}}, Options{})
		if got := strings.Join(m.Unrestorable, ","); got != want {
			t.Errorf("%s: %q", code, got)
		}
		// What instructions refer to is left where it is.
		if refers := strings.Contains(code, "memory.init") || strings.Contains(code, "data.drop"); (m.Data == nil) != refers {
			t.Errorf("%s: data is %v", code, m.Data)
		}
	}
}

// TestWrote has each instruction that writes memory say so, and what looks like one not.
func TestWrote(t *testing.T) {
	store := func(typ, name string) string {
		return "i32.const 0; i32.const 0; " + typ + ".load 0 0; " + name + " 0 0"
	}
	lane := "i32.const 0; i32.const 0; v128.load 0 0; v128.store%s_lane 0 0 1"
	w := newWorld(t, &Options{})
	for code, want := range map[string]uint64{
		store("i32", "i32.store"): 1, store("i32", "i32.store8"): 1, store("i32", "i32.store16"): 1,
		store("i64", "i64.store"): 1, store("i64", "i64.store8"): 1, store("i64", "i64.store16"): 1, store("i64", "i64.store32"): 1,
		store("f32", "f32.store"): 1, store("f64", "f64.store"): 1, store("v128", "v128.store"): 1,
		fmt.Sprintf(lane, "8"): 1, fmt.Sprintf(lane, "16"): 1, fmt.Sprintf(lane, "32"): 1, fmt.Sprintf(lane, "64"): 1,
		"i32.const 0; memory.grow 0; drop":                       1,
		"i32.const 0; i32.const 0; i32.const 0; memory.copy 0 0": 1,
		"i32.const 0; i32.const 0; i32.const 0; memory.fill 0":   1,
		"i32.const 0; i32.const 0; i32.const 0; memory.init 0 0": 1,

		"i32.const 0; i32.load 0 0; drop":                                                                              0,
		"i32.const 0; i32.const 0; v128.load 0 0; v128.load8_lane 0 0 1; drop":                                         0,
		"memory.size 0; drop":                                                                                          0,
		"i32.const 0; if; i32.const 0; i32.const 0; i32.store 0 0; else; i32.const 0; drop; end":                       0,
		"block; i32.const 1; br_if 0; i32.const 0; i32.const 0; i32.store 0 0; end":                                    0,
		"block; i32.const 1; br_if 0; i32.const 0; i32.const 0; i32.store 0 0; end; " + store("i32", "i32.store"):      1,
		"i32.const 0; if; i32.const 0; i32.const 0; i32.store 0 0; else; i32.const 0; i32.const 0; i32.store 0 0; end": 1,
		"return; i32.const 0; i32.const 0; i32.store 0 0":                                                              0,
	} {
		m := mod{types: []string{"->"}, memory: []uint32{1}, data: []string{"- x"}, count: true, exports: []string{"run func 0"}, funcs: []fn{{0, "", code}}}
		in, err := w.make(m.binary(), "")
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if _, err := in.call("run"); err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if got := in.global(WroteExport).Get(); got != want {
			t.Errorf("%s: wrote is %d", code, got)
		}
	}
	for from, want := range map[string]bool{"env": true, "wasi_snapshot_preview1": false, "wasi_unstable": false} {
		m := mustRewrite(t, mod{types: []string{"->"}, imports: []string{from + " f 0"}}, Options{})
		if m.Tracked != want {
			t.Errorf("import from %s: tracked is %v", from, m.Tracked)
		}
	}
}

// TestTables spreads what is left over several tables.
func TestTables(t *testing.T) {
	module := mod{tables: []string{"funcref 10", "funcref 1 2", "externref 5 1000"}}
	m := mustRewrite(t, module, Options{Tables: 100})
	want := []byte{secTable, 13, 3, typeFuncref, 1, 10, 10 + 28, typeFuncref, 1, 1, 2, typeExternref, 1, 5, 5 + 28}
	if !bytes.Contains(m.Binary, want) {
		t.Errorf("%x is not in %x", want, m.Binary)
	}
	if _, err := Rewrite(module.binary(), Options{Tables: 15}); err == nil || !strings.Contains(err.Error(), "tables have 16 entries") {
		t.Errorf("error is %v", err)
	}
}

// TestNames keeps the names of functions, and of nothing else.
func TestNames(t *testing.T) {
	m := mod{types: []string{"->"}, imports: []string{"env f 0"}, funcs: []fn{{0, "", "call 1"}}}
	names := append(appendName(nil, "name"), 0, 2, 1, 'm', 1, 7, 2, 0, 1, 'a', 1, 1, 'b')
	b := appendSection(m.binary(), secCustom, names)
	b = appendSection(b, secCustom, appendName(nil, "producers"))
	out, err := Rewrite(b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := append(appendName(nil, "name"), 1, 7, 2, 0, 1, 'a', 2, 1, 'b'); !bytes.HasSuffix(out.Binary, want) {
		t.Errorf("ends with %q", out.Binary[len(out.Binary)-20:])
	}
	if err := valid(out.Binary); err != nil {
		t.Error(err)
	}
}

// TestStack finds who is counted: functions on cycles, and all if a chain of calls
// takes too much.
func TestStack(t *testing.T) {
	counted := func(module mod, stack int64) string {
		m, err := read(module.binary(), Options{Work: 1 << 30, FunctionWork: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		deepest := m.callGraph()
		s := ""
		for i := m.imported; i < len(m.funcs); i++ {
			if m.funcs[i].counted || deepest > stack {
				s += fmt.Sprint(i)
			}
		}
		return s
	}
	types := []string{"->", "->", "i32 ->"}
	for _, c := range []struct {
		name   string
		module mod
		want   string
	}{
		{"a chain", mod{types: types, funcs: []fn{{0, "", "call 1"}, {0, "", "call 2"}, {0, "", ""}}}, ""},
		{"itself", mod{types: types, funcs: []fn{{0, "", "call 1"}, {0, "", "call 1"}, {0, "", ""}}}, "1"},
		{"two, and what they call", mod{types: types, funcs: []fn{{0, "", "call 1"}, {0, "", "call 2; call 3"}, {0, "", "call 1"}, {0, "", ""}}}, "12"},
		{"an import", mod{types: types, imports: []string{"a b 0"}, funcs: []fn{{0, "", "call 0"}}}, ""},
		{"an equal type", mod{types: types, tables: []string{"funcref 1"}, elements: [][]uint32{{1}}, funcs: []fn{
			{0, "", "call 1"}, {0, "", "call 2"}, {0, "", "i32.const 0; call_indirect 1 0"}, {0, "", ""}}}, "12"},
		{"another type", mod{types: types, tables: []string{"funcref 1"}, elements: [][]uint32{{1}}, funcs: []fn{
			{0, "", "call 1"}, {0, "", "call 2"}, {0, "", "i32.const 0; i32.const 0; call_indirect 2 0"}}}, ""},
		{"an export", mod{types: types, tables: []string{"funcref 1"}, exports: []string{"f func 0"}, funcs: []fn{
			{0, "", "i32.const 0; call_indirect 0 0"}}}, "0"},
		{"no reference", mod{types: types, tables: []string{"funcref 1"}, funcs: []fn{{0, "", "i32.const 0; call_indirect 0 0"}}}, ""},
	} {
		if got := counted(c.module, math.MaxInt64); got != c.want {
			t.Errorf("%s: %q are counted, not %q", c.name, got, c.want)
		}
		mustRewrite(t, c.module, Options{})
	}
	if got := counted(mod{types: types, funcs: chain(3)}, 3*frameBase); got != "0123" {
		t.Errorf("a long chain: %q are counted", got)
	}
}

func TestOptions(t *testing.T) {
	for _, stack := range []int64{-1, MaxStack + 1} {
		if _, err := Rewrite([]byte(header), Options{Stack: stack}); err == nil || !strings.Contains(err.Error(), "stack of") {
			t.Errorf("stack of %d: %v", stack, err)
		}
	}
	if m := mustRewrite(t, mod{}, Options{Stack: 77}); !bytes.Contains(m.Binary, []byte{typeI64, 1, opI64Const, 0xcd, 0, opEnd}) {
		t.Errorf("the stack is not in %x", m.Binary)
	}
}

// TestRefused names what is not supported.
func TestRefused(t *testing.T) {
	body := func(b ...byte) []byte {
		m := mod{types: []string{"->"}, funcs: []fn{{0, "", ""}}}
		out := m.binary()
		out = out[:len(out)-6] // the code section
		body := append([]byte{0}, append(b, opEnd)...)
		return appendSection(out, secCode, append(appendU32([]byte{1}, uint32(len(body))), body...))
	}
	for _, c := range []struct {
		module []byte
		want   string
	}{
		{[]byte("\x00asm\x02\x00\x00\x00"), "magic number and version 1"},
		{[]byte("\x00asm"), "magic number and version 1"},
		{[]byte("\x00asm\x0d\x00\x01\x00"), "it is a component"},
		{nil, "it is empty"},
		{[]byte("\x1f\x8b\x08\x00"), "by gzip"},
		{[]byte("\n(module (func))"), "as text"},
		{[]byte("\x7fELF\x02"), "for a machine"},
		{[]byte(header + "\x05\x04\x01\x03\x01\x01"), "without threads"},
		{[]byte(header + "\x05\x03\x01\x04\x01"), "for wasm32"},
		{[]byte(header + "\x05\x03\x01\x08\x01"), "flags of limits 0x8"},
		{[]byte(header + "\x05\x05\x02\x00\x01\x00\x01"), "more than one memory"},
		{[]byte(header + "\x0d\x01\x00"), "without exceptions"},
		{[]byte(header + "\x01\x01\x00\x01\x01\x00"), "section 1 is out of order"},
		{[]byte(header + "\x01\x02\x01\x5e"), "form of type 0x5e"},
		{[]byte(header + "\x06\x08\x01\x7f\x00\x41\x01\x41\x01\x0b"), "more than one instruction"},
		{[]byte(header + "\x04\x06\x01\x40\x00\x70\x00\x01"), "type of references 0x40"},
		{body(0x12, 0), "tail calls"},
		{body(0x06, 0x40, opEnd), "exception handling"},
		{body(0xfe, 0x03, 0x00), "threads"},
		{body(0xfb, 0x00), "garbage collection"},
		{body(opSIMD, 0x80, 0x02), "relaxed vector instructions"},
		{body(opSIMD, 0x8c, 0x00), "relaxed vector instructions"},
		{body(opMisc, 0x12), "instruction 0xfc 18"},
		{body(opI32Const, 0xff, 0xff, 0xff, 0xff, 0x1f), "more bits than its type"},
		{body(opBr, 0x80, 0x80, 0x80, 0x80, 0x10), "more bits than its type"},
		{body(opF32Const, 0), "ends too early"},
		{body(bytes.Repeat([]byte{opBlock, typeEmpty}, maxNesting+1)...), "nested deeper"},
	} {
		if _, err := Rewrite(c.module, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40x: error is %v, not of %q", c.module, err, c.want)
		}
	}
}

// TestCarried bounds what two bytes can ask for.
func TestCarried(t *testing.T) {
	m := mod{types: []string{"-> " + strings.Repeat("i32 ", maxTypeItems)}, funcs: []fn{{0, "", "unreachable;" + repeat("call 0", 2000)}}}
	if _, err := Rewrite(m.binary(), Options{}); err == nil || !strings.Contains(err.Error(), "carry more values") {
		t.Errorf("error is %v", err)
	}
	m.funcs[0].code = "unreachable;" + repeat("call 0", 100)
	mustRewrite(t, m, Options{})
}
