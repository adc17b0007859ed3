package config

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDiffText wants diffs as diff -u writes them.
func TestDiffText(t *testing.T) {
	const ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
	for _, c := range []struct {
		old, now string
		context  int
		want     string
	}{
		{ten, ten, 3, ""},
		{"", "", 3, ""},
		{"", "a\n", 3, "@@ -0,0 +1 @@\n+a\n"},
		{"a\nb\n", "", 3, "@@ -1,2 +0,0 @@\n-a\n-b\n"},
		{ten, strings.Replace(ten, "5", "five", 1), 2, "@@ -3,5 +3,5 @@\n 3\n 4\n-5\n+five\n 6\n 7\n"},
		{ten, "0\n" + ten, 1, "@@ -1 +1,2 @@\n+0\n 1\n"},
		{ten, ten + "11", 0, "@@ -10,0 +11 @@\n+11\n\\ No newline at end of file\n"},
		{"a", "a\n", 3, "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"a\r\nb\r\n", "a\r\nc\r\n", -1, "@@ -2 +2 @@\n-b\r\n+c\r\n"},
		{ten, "x" + ten[1:18] + "y\n", 3, "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-10\n+y\n"},
	} {
		want := c.want
		if want != "" {
			want = "--- f\n+++ f\n" + want
		}
		if got := DiffText("f", []byte(c.old), []byte(c.now), c.context); got != want {
			t.Errorf("%q to %q: got\n%s\nwant\n%s", c.old, c.now, got, want)
		}
	}
	if got := DiffText("a\nb", nil, []byte("x\n"), 3); !strings.HasPrefix(got, "--- \"a\\nb\"\n+++ \"a\\nb\"\n@@") {
		t.Errorf("a name with a line feed: %q", got)
	}
}

// applied applies a diff to a text, strictly.
func applied(t *testing.T, old, diff string) string {
	t.Helper()
	if diff == "" {
		return old
	}
	from := splitLines([]byte(old))
	lines := splitLines([]byte(diff))
	if len(lines) < 3 || lines[0] != "--- f\n" || lines[1] != "+++ f\n" {
		t.Fatalf("the head of %q", diff)
	}
	var out []string
	at := 0
	for i := 2; i < len(lines); {
		var head [4]int
		ranges := strings.Split(strings.TrimSuffix(lines[i], "\n"), " ")
		if len(ranges) != 4 || ranges[0] != "@@" || ranges[3] != "@@" {
			t.Fatalf("the hunk %q", lines[i])
		}
		for j, r := range []string{strings.TrimPrefix(ranges[1], "-"), strings.TrimPrefix(ranges[2], "+")} {
			start, count, ok := strings.Cut(r, ",")
			if !ok {
				count = "1"
			}
			head[2*j], _ = strconv.Atoi(start)
			head[2*j+1], _ = strconv.Atoi(count)
			if head[2*j+1] > 0 {
				head[2*j]-- // of the first line, from 0
			}
		}
		if head[0] < at {
			t.Fatalf("hunks overlap: %q", diff)
		}
		out = append(out, from[at:head[0]]...)
		at = head[0]
		if len(out) != head[2] {
			t.Fatalf("%q begins at line %d", lines[i], len(out))
		}
		for i++; i < len(lines) && lines[i][0] != '@'; i++ {
			mark, line := lines[i][0], lines[i][1:]
			if i+1 < len(lines) && lines[i+1][0] == '\\' {
				line = strings.TrimSuffix(line, "\n")
				i++
			}
			if mark != '+' {
				if at == len(from) || from[at] != line {
					t.Fatalf("%q is not in the text: %q", line, diff)
				}
				at, head[1] = at+1, head[1]-1
			}
			if mark != '-' {
				out, head[3] = append(out, line), head[3]-1
			}
		}
		if head[1] != 0 || head[3] != 0 {
			t.Fatalf("a hunk has not as many lines as it says: %q", diff)
		}
	}
	return strings.Join(append(out, from[at:]...), "")
}

// edited returns lines, some of them changed.
func edited(r *rand.Rand, lines []string, alphabet int) []string {
	var out []string
	for _, line := range lines {
		switch r.IntN(8) {
		case 0:
		case 1:
			out = append(out, strconv.Itoa(r.IntN(alphabet))+"\n", line)
		case 2:
			out = append(out, strconv.Itoa(r.IntN(alphabet))+"\n")
		default:
			out = append(out, line)
		}
	}
	return out
}

// TestDiffTextApplies wants a diff to lead from one text to the other, and to be as
// short as that of diff(1) where it promises to be.
func TestDiffTextApplies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var old, now string
	for range 3000 {
		alphabet := 1 + r.IntN(30)
		var lines []string
		for range r.IntN(40) {
			lines = append(lines, strconv.Itoa(r.IntN(alphabet))+"\n")
		}
		old = strings.Join(lines, "")
		now = strings.Join(edited(r, lines, alphabet), "")
		if r.IntN(4) == 0 {
			old = strings.TrimSuffix(old, "\n")
		}
		if r.IntN(4) == 0 {
			now = strings.TrimSuffix(now, "\n")
		}
		diff := DiffText("f", []byte(old), []byte(now), r.IntN(5))
		if got := applied(t, old, diff); got != now || (diff == "") != (old == now) {
			t.Fatalf("%q to %q: got %q by\n%s", old, now, got, diff)
		}
	}
}

// TestDiffTextTools wants patch(1) to apply what we write, and what we write to be
// what diff(1) writes where lines are different.
func TestDiffTextTools(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 20 {
		var lines []string
		for j := range 5 + 10*i {
			lines = append(lines, fmt.Sprintf("line %d\n", j))
		}
		old, now := strings.Join(lines, ""), strings.Join(edited(r, lines, 1000), "")
		if i%3 == 1 {
			now = strings.TrimSuffix(now, "\n")
		}
		diff := DiffText("f", []byte(old), []byte(now), 3)
		if got, ok := patch(t, []byte(old), diff); ok && string(got) != now {
			t.Errorf("patch: got %q, want %q by\n%s", got, now, diff)
		}
		if want, ok := diffTool(t, old, now); ok && diff != want {
			t.Errorf("got\n%s\nwant\n%s", diff, want)
		}
	}
}

// TestDiffTextBounded wants texts that have nothing in common, or nothing but lines
// that come often, to be compared all the same.
func TestDiffTextBounded(t *testing.T) {
	const n = 50_000
	r := rand.New(rand.NewPCG(5, 6))
	text := func(alphabet int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "%d\n", r.IntN(alphabet))
		}
		return b.String()
	}
	for _, c := range [][2]string{
		{text(2), text(2)},
		{text(n), text(n)},
		{text(1 << 40), text(1 << 40)},
		{strings.Repeat("a\n", n), strings.Repeat("b\n", n)},
		{strings.Repeat("a\n", n), strings.Repeat("a\nb\n", n)},
	} {
		if got := applied(t, c[0], DiffText("f", []byte(c[0]), []byte(c[1]), 3)); got != c[1] {
			t.Error("the diff leads elsewhere")
		}
	}
}

func FuzzDiffText(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\nd", 1)
	f.Add("", "a", 0)
	f.Add("a\n\n\nb", "\n\na\n", 3)
	f.Fuzz(func(t *testing.T, old, now string, context int) {
		if got := applied(t, old, DiffText("f", []byte(old), []byte(now), min(context, 100))); got != now {
			t.Errorf("%q to %q: got %q", old, now, got)
		}
	})
}

// diffTool returns what diff -u writes. It returns false where there is none.
func diffTool(t *testing.T, old, now string) (string, bool) {
	t.Helper()
	tool, err := exec.LookPath("diff")
	if err != nil {
		return "", false
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"old": old, "now": now} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(tool, "-u", "--label", "f", "--label", "f", "old", "now")
	c.Dir = dir
	out, err := c.Output()
	if err != nil && c.ProcessState.ExitCode() != 1 {
		t.Fatal(err)
	}
	return string(out), true
}

// patch applies a diff as patch(1) does. It returns false where there is none.
func patch(t *testing.T, old []byte, diff string) ([]byte, bool) {
	t.Helper()
	tool, err := exec.LookPath("patch")
	if err != nil {
		return nil, false
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tool, "--binary", "-s", "-F0", file)
	c.Stdin = strings.NewReader(diff)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v: %s\n%s", err, out, diff)
	}
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		b, err = nil, nil // what becomes empty is removed
	}
	if err != nil {
		t.Fatal(err)
	}
	return b, true
}
