package wasi

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/abi.md lists the variables that requests bring, and those that are refused.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "The environment has")
	text, _, _ := strings.Cut(rest, "The first argument")
	var said []string
	for _, m := range regexp.MustCompile("`([A-Z][A-Z_]+)`").FindAllStringSubmatch(text, -1) {
		said = append(said, m[1])
	}
	said = slices.DeleteFunc(said, func(s string) bool { return s == "HTTP_" })
	slices.Sort(said)
	have := slices.Sorted(maps.Keys(metaVariables))
	if !slices.Equal(said, have) {
		t.Errorf("docs/abi.md says\n%s\nand there are\n%s", said, have)
	}
}
