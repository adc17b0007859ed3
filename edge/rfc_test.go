package edge_test

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateIndex = flag.Bool("update", false, "write docs/rfc-index.md anew")

// clause is a part of an RFC.
type clause struct {
	rfc     int
	section string // "" for the whole
}

var citation = regexp.MustCompile(`RFC ([0-9]{4})(?:, sections? ([0-9]+(?:\.[0-9]+)*))?`)

// docs/rfc-index.md leads from each clause to the files that cite it.
func TestRFCIndex(t *testing.T) {
	files := make(map[clause][]string)
	for _, dir := range []string{"../edge", "../filters", "../cmd", "../sdk"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			// A citation may go on in the next line of a comment.
			joined := regexp.MustCompile(`\n\s*//`).ReplaceAllString(string(text), "")
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			for _, m := range citation.FindAllStringSubmatch(joined, -1) {
				n, _ := strconv.Atoi(m[1])
				c := clause{n, m[2]}
				if !slices.Contains(files[c], name) {
					files[c] = append(files[c], name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString("# Where clauses of RFCs are cited\n\nGenerated from the source: go test ./edge -run TestRFCIndex -update\n")
	last := 0
	for _, c := range slices.SortedFunc(maps.Keys(files), clause.compare) {
		if c.rfc != last {
			last = c.rfc
			fmt.Fprintf(&b, "\n## RFC %d\n\n", c.rfc)
		}
		section := "as a whole"
		if c.section != "" {
			section = "section " + c.section
		}
		fmt.Fprintf(&b, "- %s: %s\n", section, strings.Join(files[c], ", "))
	}
	const index = "../docs/rfc-index.md"
	if *updateIndex {
		if err := os.WriteFile(index, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/rfc-index.md is not what the source says: run go test ./edge -run TestRFCIndex -update")
	}
}

func (c clause) compare(d clause) int {
	if n := cmp.Compare(c.rfc, d.rfc); n != 0 {
		return n
	}
	number := func(s string) (parts []int) {
		for part := range strings.SplitSeq(s, ".") {
			n, _ := strconv.Atoi(part)
			parts = append(parts, n)
		}
		return parts
	}
	return slices.Compare(number(c.section), number(d.section))
}
