package rewrite

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var specFolder = flag.String("spec", "", "folder of more of the specification's tests, as wast2json makes them")

// runtimeDir returns where the go command keeps the runtime's module, or "".
func runtimeDir() string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// corpusFiles returns the specification's tests as the runtime's module has them,
// if it is here, and those of the folder that is named.
func corpusFiles() []string {
	dir := runtimeDir()
	if dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "internal/integration_test/spectest/v*/testdata/*.json"))
	if err != nil {
		return nil
	}
	if *specFolder != "" {
		more, err := filepath.Glob(filepath.Join(*specFolder, "*.json"))
		if err != nil {
			return nil
		}
		files = append(files, more...)
	}
	return files
}

func corpus(t *testing.T) []string {
	t.Helper()
	files := corpusFiles()
	if len(files) == 0 {
		t.Skip("the specification's tests are not here: the runtime's module has them, where the go command keeps it")
	}
	return files
}

// script is a file of the corpus.
type script struct {
	Commands []struct {
		Type     string
		Line     int
		Name     string
		As       string
		Filename string
		Action   struct {
			Type, Field, Module string
			Args                []value
		}
	}
}

type value struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// bits returns a value as calls take it.
func (v value) bits(t testing.TB) []uint64 {
	parse := func(s string, width int) uint64 {
		switch s {
		case "null", "nan:canonical", "nan:arithmetic":
			return 0
		}
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n < 0 {
			return uint64(n) & (1<<width - 1)
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("value %q: %v", s, err)
		}
		return n
	}
	if v.Type != "v128" {
		s, _ := v.Value.(string)
		if v.Value == nil {
			s = "null"
		}
		width := 64
		if strings.HasSuffix(v.Type, "32") {
			width = 32
		}
		n := parse(s, width)
		if v.Type == "externref" && s != "null" {
			n++ // the runtime's null is 0
		}
		return []uint64{n}
	}
	width, err := strconv.Atoi(v.LaneType[1:])
	if err != nil {
		t.Fatal(err)
	}
	var both [2]uint64
	for i, lane := range v.Value.([]any) {
		at := i * width
		both[at/64] |= parse(lane.(string), width) << (at % 64)
	}
	return both[:]
}

// pair is the same module in both worlds.
type pair [2]*instance

// run runs a script in both worlds, and returns how many calls it has compared.
func run(t *testing.T, file string) (calls int) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	binaryOf := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Tests grow tables without a bound.
	o := Options{Tables: 1 << 26}
	worlds := [2]*world{newWorld(t, nil), newWorld(t, &o)}
	spectest, err := os.ReadFile(filepath.Join(runtimeDir(), "internal/integration_test/spectest/testdata/spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range worlds {
		if _, err := w.make(spectest, "spectest"); err != nil {
			t.Fatalf("world %d: %v", i, err)
		}
	}
	var last pair
	named := make(map[string]pair)
	makeBoth := func(line int, name, as string) (pair, bool) {
		var p pair
		var errs [2]error
		for i, w := range worlds {
			p[i], errs[i] = w.make(binaryOf(name), as)
		}
		if (errs[0] == nil) != (errs[1] == nil) {
			t.Errorf("line %d: made as it is: %v; rewritten: %v", line, errs[0], errs[1])
		}
		return p, errs[0] == nil && errs[1] == nil
	}
	for i, c := range s.Commands {
		switch c.Type {
		case "module":
			as := ""
			if next := i + 1; next < len(s.Commands) && s.Commands[next].Type == "register" {
				as = s.Commands[next].As
			}
			p, ok := makeBoth(c.Line, c.Filename, as)
			if !ok {
				t.Fatalf("line %d: the module is not made", c.Line)
			}
			last = p
			if c.Name != "" {
				named[c.Name] = p
			}
		case "assert_unlinkable", "assert_uninstantiable":
			makeBoth(c.Line, c.Filename, "") // the runtime lets elements be out of bounds
		case "assert_invalid", "assert_malformed":
			if strings.HasSuffix(c.Filename, ".wasm") {
				checkValidity(t, "line "+strconv.Itoa(c.Line), binaryOf(c.Filename), o)
			}
		case "action", "assert_return", "assert_trap", "assert_exhaustion":
			p := last
			if c.Action.Module != "" {
				p = named[c.Action.Module]
			}
			if c.Action.Type == "get" {
				a, b := p[0].ExportedGlobal(c.Action.Field), p[1].ExportedGlobal(c.Action.Field)
				if got, want := b.Get(), a.Get(); got != want {
					t.Errorf("line %d: global %q is %x, not %x", c.Line, c.Action.Field, got, want)
				}
				continue
			}
			var args []uint64
			for _, v := range c.Action.Args {
				args = append(args, v.bits(t)...)
			}
			want, wantErr := p[0].call(c.Action.Field, args...)
			got, gotErr := p[1].call(c.Action.Field, args...)
			calls++
			if c.Type == "assert_exhaustion" {
				if !p[1].exhausted() {
					t.Errorf("line %d: %v: the stack is not exhausted: %v", c.Line, wantErr, gotErr)
				}
				continue
			}
			if !slices.Equal(got, want) && !references(p[0], c.Action.Field) || cause(gotErr) != cause(wantErr) {
				t.Errorf("line %d: %s(%x) is %x, %v, not %x, %v", c.Line, c.Action.Field, args, got, gotErr, want, wantErr)
			}
			if c.Type == "assert_return" && gotErr != nil {
				t.Errorf("line %d: %v", c.Line, gotErr)
			}
			same(t, "line "+strconv.Itoa(c.Line), p[0], p[1])
		}
	}
	return calls
}

// references reports whether a function returns references, which are pointers of
// the runtime.
func references(in *instance, name string) bool {
	return slices.ContainsFunc(in.ExportedFunction(name).Definition().ResultTypes(), func(t byte) bool { return t == typeFuncref })
}

// TestSpecification runs the tests of the specification on modules as they are and
// rewritten, side by side: results, traps and memories are the same. What they say is not valid
// stays so. Those of versions 1 and 2 come with the runtime's module; more come from the
// folder that is named by -args -spec DIR.
func TestSpecification(t *testing.T) {
	total := 0
	for _, file := range corpus(t) {
		version := filepath.Base(filepath.Dir(filepath.Dir(file)))
		t.Run(version+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { total += run(t, file) })
	}
	t.Logf("%d calls are the same", total)
	if total < 10_000 {
		t.Errorf("only %d calls are compared", total)
	}
}
