package httpwasm

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// docs/abi.md lists the host functions that there are, with their types.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "Import module `"+hostName+"`:\n")
	table, _, _ := strings.Cut(rest, "\n\n-")
	var said []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		said = append(said, m[1]+" "+m[2])
	}
	names := func(types []wasm.ValueType) string {
		var all []string
		for _, v := range types {
			all = append(all, map[wasm.ValueType]string{wasm.I32: "i32", wasm.I64: "i64"}[v])
		}
		return strings.Join(all, ", ")
	}
	var have []string
	for _, f := range host.Funcs {
		s := f.Name + " (" + names(f.Params) + ")"
		if len(f.Results) > 0 {
			s += " -> " + names(f.Results)
		}
		have = append(have, s)
	}
	if !slices.Equal(said, have) {
		t.Errorf("docs/abi.md says\n%s\nand there are\n%s", strings.Join(said, "\n"), strings.Join(have, "\n"))
	}
}
