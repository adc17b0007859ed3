package proxywasm

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/abi.md has all properties and all host functions, and no others.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Properties\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			got = append(got, strings.ReplaceAll(name[1], ".", "\x00"))
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(properties)); !slices.Equal(got, want) {
		t.Errorf("documented are %q, and there are %q", got, want)
	}

	_, section, _ = strings.Cut(string(page), "\n## proxy-wasm\n")
	section, _, _ = strings.Cut(section, "\n### Properties\n")
	for _, f := range host.Funcs {
		if strings.HasPrefix(f.Name, "proxy_") && !strings.Contains(section, "`"+f.Name+"`") {
			t.Errorf("%s is not documented", f.Name)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(foreignFunctions)), slices.Collect(maps.Keys(foreignElsewhere))) {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("the foreign function %s is not documented", name)
		}
	}
}
