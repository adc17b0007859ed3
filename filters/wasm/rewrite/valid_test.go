package rewrite

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpusValidity looks at all modules that the runtime's own module has, if it is
// here: the specification's tests, those of proposals, and what has once broken a
// runtime. Each that is valid is rewritten, and stays valid, and no other becomes so.
// What the runtime takes of the proposal of typed references is refused by its type.
func TestCorpusValidity(t *testing.T) {
	corpus(t)
	counts := [2]int{}
	look := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".wasm") {
			return err
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checkValidity(t, path, binary, Options{Tables: 1 << 26})
		_, refused := Rewrite(binary, Options{Tables: 1 << 26})
		if valid(binary) != nil {
			counts[1]++
			return nil
		}
		if refused != nil && !(strings.Contains(path, "typed-function-references") && strings.Contains(refused.Error(), "is not supported")) {
			t.Errorf("%s: valid, and refused: %v", path, refused)
		}
		counts[0]++
		return nil
	}
	for _, dir := range []string{runtimeDir(), *specFolder} {
		if dir == "" {
			continue
		}
		if err := filepath.WalkDir(dir, look); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d valid modules, %d others", counts[0], counts[1])
	if counts[0] < 2_500 || counts[1] < 4_500 {
		t.Errorf("only %d valid modules and %d others have been found", counts[0], counts[1])
	}
}

// evil are modules that are not valid, and would be if what is added were theirs.
var evil = []struct {
	name   string
	module mod
	want   string
}{
	{"the meter's global", mod{types: []string{"->"}, funcs: []fn{{0, "", "i64.const 127; global.set 0"}}}, "global 0 does not exist"},
	{"the meter's global, exported", mod{exports: []string{"g global 0"}}, "global 0 does not exist"},
	{"the meter's local", mod{types: []string{"->"}, funcs: []fn{{0, "", "local.get 0; drop"}}}, "local variable 0 does not exist"},
	{"the local of bulk", mod{types: []string{"->"}, memory: []uint32{1}, funcs: []fn{
		{0, "", "i32.const 0; i32.const 0; i32.const 0; memory.fill 0; local.get 1; drop"}}}, "local variable 1 does not exist"},
	{"the function behind the last", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 1"}}}, "function 1 does not exist"},
	{"the import, exported", mod{exports: []string{"f func 0"}}, "function 0 does not exist"},
	{"the import's type", mod{types: []string{"->"}, tables: []string{"funcref 1"}, funcs: []fn{
		{0, "", "i64.const 0; i32.const 0; call_indirect 1 0; drop"}}}, "type 1 does not exist"},
	{"the import's type of a block", mod{types: []string{"->"}, funcs: []fn{{0, "", "i64.const 0; block 1; end; drop"}}}, "type 1 does not exist"},
	{"the import's type of a function", mod{types: []string{"->"}, funcs: []fn{{1, "", "i64.const 0"}}}, "type 1 does not exist"},
	{"the import's type of an import", mod{types: []string{"->"}, imports: []string{"a b 1"}}, "type 1 does not exist"},
	{"the label of our block", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 0; br 1"}}}, "label 1 does not exist"},
	{"the label of our block, in a table", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 0; i32.const 0; br_table 0 1 0"}}}, "label 1 does not exist"},
	{"our end", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 0; end; i32.const 0; drop"}}}, "instructions behind the end"},
	{"else of our block", mod{types: []string{"->"}, funcs: []fn{{0, "", "call 0; else"}}}, "else without if"},
	{"the start function's reference", mod{types: []string{"->"}, start: "0", funcs: []fn{{0, "", "ref.func 0; drop"}}}, "reference to function 0 is not declared"},
	{"a start function with parameters", mod{types: []string{"i32 ->"}, start: "0", funcs: []fn{{0, "", ""}}}, "start function has parameters"},
	{"data without a memory", mod{data: []string{"0 a"}}, "there is no memory"},
	{"the import as start function", mod{start: "0"}, "function 0 does not exist"},
	{"a maximum that is too small", mod{tables: []string{"funcref 2 1"}}, "maximum is less than its minimum"},
	{"the meter's names", mod{types: []string{"->"}, funcs: []fn{{0, "", ""}}, exports: []string{"__sluice_slice func 0"}}, "the host's"},
	{"the meter's imports", mod{types: []string{"->"}, imports: []string{"__sluice tick 0"}}, "the host's"},
}

func TestEvil(t *testing.T) {
	for _, c := range evil {
		binary := c.module.binary()
		if err := valid(binary); err == nil && !strings.Contains(c.name, "the meter's names") && !strings.Contains(c.name, "the meter's imports") {
			t.Errorf("%s: is valid", c.name)
		}
		if _, err := Rewrite(binary, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, not of %q", c.name, err, c.want)
		}
	}
}

// bombs are modules that say they have more than the machine.
var bombs = [][]byte{
	[]byte("\x00asm\x01\x00\x00\x00\t\x10\xff\xff\xff\xff\x01\x00`\x10\x92\x92\x10\n\x80\x92\x7f\x00"), // segments
	[]byte("\x00asm\x01\x00\x00\x00\x09\x08\x01\x01\x00\xff\xff\xff\xff\x0f"),                          // elements
	[]byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"),                                      // types
	[]byte("\x00asm\x01\x00\x00\x00\x01\x07\x01\x60\xff\xff\xff\xff\x0f"),                              // parameters
	[]byte("\x00asm\x01\x00\x00\x00\x06\x05\xff\xff\xff\xff\x0f"),                                      // globals
	[]byte("\x00asm\x01\x00\x00\x00\x07\x06\x01\xff\xff\xff\xff\x0f"),                                  // name of an export
	[]byte("\x00asm\x01\x00\x00\x00\x0b\x07\x01\x01\xff\xff\xff\xff\x0f"),                              // bytes of data
	[]byte("\x00asm\x01\x00\x00\x00\x0a\x06\x01\xff\xff\xff\xff\x0f"),                                  // bytes of code
	[]byte("\x00asm\x01\x00\x00\x00\x00\x05\xff\xff\xff\xff\x0f"),                                      // name of a custom section
	(&mod{types: []string{"->"}, funcs: []fn{{0, "4294967295*i32", ""}}}).binary(),
	(&mod{types: []string{"->"}, funcs: []fn{{0, "4294967295*i32 4294967295*i64 50001*f32", ""}}}).binary(),
}

func TestBombs(t *testing.T) {
	for _, b := range bombs {
		if _, err := Rewrite(b, Options{}); err == nil || !strings.Contains(err.Error(), "section") {
			t.Errorf("%x: %v", b, err)
		}
	}
	// What is wrong with names does not matter: there are none then.
	names := []byte("\x00asm\x01\x00\x00\x00\x00\x0c\x04name\x01\x05\xff\xff\xff\xff\x0f")
	if _, err := Rewrite(names, Options{}); err != nil {
		t.Error(err)
	}
}
