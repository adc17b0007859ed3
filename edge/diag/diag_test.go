package diag

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func at(line, column int) Place { return Place{"sluice.yaml", line, column, "sites.x"} }

// TestText wants problems in the order of their places, each once, with the line
// that they are about.
func TestText(t *testing.T) {
	var l List
	l.Source("sluice.yaml", []byte("one\r\n\ttwo: \"ü\" x\nthree"))
	l.Errorf(at(3, 6), "late")
	l.Errorf(at(2, 11), "no upstream %q", "x").Hint = `did you mean "y"?`
	l.Warnf(at(1, 1), "careful")
	l.Errorf(at(3, 6), "late")
	l.Errorf(at(9, 1), "beyond the end")
	l.Errorf(Place{Path: "log.level"}, "from nowhere").Hint = "look"
	l.Errorf(Place{File: "other.yaml"}, "cannot be read")
	want := `log.level: from nowhere
      = look
other.yaml: cannot be read
sluice.yaml:1:1: sites.x: warning: careful
    1 | one
      | ^
sluice.yaml:2:11: sites.x: no upstream "x"
    2 |     two: "ü" x
      |              ^
      = did you mean "y"?
sluice.yaml:3:6: sites.x: late
    3 | three
      |      ^
sluice.yaml:9:1: sites.x: beyond the end
`
	if got := l.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if l.Err() == nil || l.Err().Error() != want {
		t.Errorf("Err: %v", l.Err())
	}
}

// TestFailed wants warnings not to fail anything.
func TestFailed(t *testing.T) {
	var l List
	if l.Failed() || l.Warned() || l.Err() != nil || l.String() != "" {
		t.Errorf("an empty list has failed")
	}
	l.Warnf(at(1, 1), "careful")
	if l.Failed() || !l.Warned() || l.Err() != nil {
		t.Errorf("a warning has failed, or is not known")
	}
	l.Errorf(at(1, 1), "wrong")
	if !l.Failed() || !l.Warned() || !errors.As(l.Err(), new(*List)) {
		t.Errorf("an error has not failed")
	}
}

// TestColour wants colour where it is asked for only.
func TestColour(t *testing.T) {
	var l List
	l.Source("sluice.yaml", []byte("abc"))
	l.Errorf(at(1, 2), "wrong").Hint = "right"
	l.Warnf(at(1, 3), "careful")
	var plain, coloured strings.Builder
	if err := errors.Join(l.Write(&plain, false), l.Write(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("colour without being asked: %q", plain.String())
	}
	stripped := coloured.String()
	for _, code := range []string{red, yellow, bold, faint, reset} {
		if !strings.Contains(stripped, code) {
			t.Errorf("no %q in %q", code, coloured.String())
		}
		stripped = strings.ReplaceAll(stripped, code, "")
	}
	if stripped != plain.String() {
		t.Errorf("got %q, want %q", stripped, plain.String())
	}
}

// TestBounds wants few problems and short lines, whatever is wrong.
func TestBounds(t *testing.T) {
	var l List
	l.Source("sluice.yaml", []byte(strings.Repeat("x", 1000)+"HERE"+strings.Repeat("y", 1000)))
	for i := range 70 {
		l.Errorf(at(1, 1001+i), "wrong")
	}
	text := l.String()
	if n := strings.Count(text, "wrong"); n != MaxShown {
		t.Errorf("got %d problems, want %d", n, MaxShown)
	}
	if !strings.HasSuffix(text, "and 20 more\n") {
		t.Errorf("it ends with %q", text[len(text)-40:])
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines {
		if len(line) > 150 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	if i := strings.Index(lines[2], "^"); i < 0 || lines[1][i] != 'H' {
		t.Errorf("the caret is not under the place:\n%s\n%s", lines[1], lines[2])
	}
	b, err := json.Marshal(&l)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := json.Unmarshal(b, &list); err != nil || len(list) != MaxShown {
		t.Errorf("JSON of %d problems, %v", len(list), err)
	}
}

// TestPrintable wants nothing of a file to reach a terminal as a command.
func TestPrintable(t *testing.T) {
	var l List
	l.Source("sluice.yaml", []byte("a\x1b[2J\x00\u202e\xffb"))
	l.Errorf(at(1, 4), "bad \x1b]0;x\x07").Hint = "\x1b[31m"
	want := "sluice.yaml:1:4: sites.x: bad \\x1b]0;x\\x07\n" +
		"    1 | a\\x1b[2J\\x00\\u202e\\ufffdb\n" +
		"      |       ^\n" +
		"      = \\x1b[31m\n"
	if got := l.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestJSON(t *testing.T) {
	var l List
	l.Source("sluice.yaml", []byte("abc"))
	l.Errorf(at(1, 2), "wrong").Hint = "right"
	l.Warnf(Place{}, "careful")
	b, err := json.Marshal(&l)
	want := `[{"severity":"warning","message":"careful"},` +
		`{"file":"sluice.yaml","line":1,"column":2,"path":"sites.x","severity":"error","message":"wrong","hint":"right","excerpt":"abc"}]`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	for _, s := range []Severity{Error, Warning} {
		var back Severity
		text, _ := s.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s: read again %v, %v", text, back, err)
		}
	}
	if new(Severity).UnmarshalText([]byte("fatal")) == nil {
		t.Errorf("fatal is a severity")
	}
}

func TestSuggest(t *testing.T) {
	have := []string{"api", "static", "round-robin", "timeout", "to"}
	for word, want := range map[string]string{
		"apii":                      "api",
		"API":                       "api",
		"statci":                    "static", // two neighbours swapped
		"roundrobin":                "round-robin",
		"time-out":                  "timeout",
		"too":                       "to",
		"xyz":                       "",
		"ab":                        "", // too short to tell
		"":                          "",
		strings.Repeat("api", 1000): "",
	} {
		if got := Suggest(word, have); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
	if got, want := DidYouMean("apii", have), `did you mean "api"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := DidYouMean("xyz", have); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestHave(t *testing.T) {
	names := make([]string, 0, 10)
	for i := range 10 {
		names = append(names, fmt.Sprint("n", i))
	}
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, ""},
		{1, `; have "n0"`},
		{2, `; have "n0", "n1"`},
		{10, `; have "n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7" and 2 more`},
	} {
		if got := Have(names[:c.n]); got != c.want {
			t.Errorf("%d: got %s, want %s", c.n, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "ac", 1}, {"abc", "xabc", 1},
		{"ab", "ba", 1}, {"kitten", "sitting", 3}, {"für", "fur", 1}, {"ca", "abc", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// FuzzWrite wants any problem with any text to be shown on lines of their own.
func FuzzWrite(f *testing.F) {
	f.Add("a: b\n", 1, 3, "wrong", "right")
	f.Add("", 1, 1, "", "")
	f.Add("\t\xff\u0301", 1, 9, "\x1b", "\n")
	f.Fuzz(func(t *testing.T, text string, line, column int, message, hint string) {
		var l List
		l.Source("f", []byte(text))
		l.Errorf(Place{"f", line, column, "p"}, "%s", message).Hint = hint
		if n := strings.Count(l.String(), "\n"); n > 4 {
			t.Errorf("%d lines: %q", n, l.String())
		}
		if _, err := json.Marshal(&l); err != nil {
			t.Error(err)
		}
	})
}
