package route

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParseMap(t *testing.T) {
	got, problems := ParseMap(strings.NewReader("\ufeff# moved in spring\n"+
		"/a /b\r\n"+
		"\n"+
		"  /old/*\t https://new.test/$1   301  # all of it\n"+
		"/u/{id} /users/{id}#top 302 #\n"+
		"   # nothing\n"+
		"/caf\u00e9 /x"), "moved.map")
	for _, p := range problems {
		t.Error(p)
	}
	want := []MapLine{{2, "/a", "/b", 0}, {4, "/old/*", "https://new.test/$1", 301}, {5, "/u/{id}", "/users/{id}#top", 302}, {7, "/caf\u00e9", "/x", 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, empty := range []string{"", "\n", "\n\n#", "\ufeff", "\r\n"} {
		if lines, problems := ParseMap(strings.NewReader(empty), ""); len(lines)+len(problems) != 0 {
			t.Errorf("%q: got %v, %v", empty, lines, problems)
		}
	}
}

// All that is wrong is told, each with its place.
func TestParseMapProblems(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"/a", `f:1:3: after "/a" comes where it leads to`},
		{"/a /b 301 x", `f:1:11: "x" is one word too many: a line is PATTERN TARGET [STATUS]`},
		{"/a /b 200", `f:1:7: "200" is no status of a redirect; have 301, 302, 303, 307, 308`},
		{"/a /b 30l", `f:1:7: "30l" is no status of a redirect; have 301, 302, 303, 307, 308`},
		{"\n a /b", `f:2:2: path "a" does not begin with /`},
		{"/\u00e9 b", `f:1:4: target "b" begins neither with / nor with http:// or https://`}, // in characters
		{"/a /$1", `f:1:4: target "/$1" has $1, but the path ends without *`},
		{"/a?x /b", `f:1:1: path "/a?x" has a query or a fragment; a query is a condition`},
		{"/a /b\n\n/%61 /c", `f:3:1: "/%61" matches what line 1 does`},
		{"/a/* /b\n/a/{x...} /c", `f:2:1: "/a/{x...}" matches what line 1 does`},
		{"/{a} /b\n/{b} /c\n/%7B%7D /d\n/x/%2A /e\n/x/* /f", `f:2:1: "/{b}" matches what line 1 does`},
		{"x y 1\n/a //b 9", `f:1:1: path "x" does not begin with /|f:1:5: "1" is no status of a redirect; have 301, 302, 303, 307, 308|` +
			`f:2:4: target "//b" begins with two slashes: write the scheme|f:2:8: "9" is no status of a redirect; have 301, 302, 303, 307, 308`},
		{"/a /" + strings.Repeat("b", MaxMapLine) + "\nx y", `f:1:1: the line is longer than 16384 bytes|f:2:1: path "x" does not begin with /`},
		{"/a /" + strings.Repeat("b", 5*MaxMapLine), `f:1:1: the line is longer than 16384 bytes`},
		{"/a /" + strings.Repeat("b", MaxMapLine-3), `f:1:1: the line is longer than 16384 bytes`},
		{"/a /" + strings.Repeat("b", MaxMapLine-4) + "\r\nx y", `f:2:1: path "x" does not begin with /`}, // just as long as can be
	} {
		lines, problems := ParseMap(strings.NewReader(c.text), "f")
		var got []string
		for _, p := range problems {
			got = append(got, p.Error())
		}
		if strings.Join(got, "|") != c.want || lines != nil {
			t.Errorf("%.40q:\ngot  %s\nwant %s", c.text, strings.Join(got, "\n     "), c.want)
		}
	}
	_, problems := ParseMap(strings.NewReader("/b /c\n/a /b\n/a /c"), "f")
	if len(problems) != 1 || problems[0].Other != 2 || problems[0].Line != 3 {
		t.Errorf("got %+v, want lines 2 and 3", problems)
	}
	if _, problems = ParseMap(strings.NewReader(strings.Repeat("x\n", 1000)), "f"); len(problems) != maxMapProblems {
		t.Errorf("%d problems, want %d", len(problems), maxMapProblems)
	}
}

func TestParseMapLimits(t *testing.T) {
	broken := errors.New("broken")
	_, problems := ParseMap(io.MultiReader(strings.NewReader("/a /b\n/c"), iotest.ErrReader(broken)), "f")
	if last := problems[len(problems)-1]; !errors.Is(last, broken) || last.Error() != "f: read: broken" {
		t.Errorf("got %v", problems)
	}
	const lines, size = 100, 8 << 10
	if _, problems = parseMap(zeros{}, "f", lines, size); len(problems) != 1 || problems[0].Error() != "f: it is longer than 8192 bytes" {
		t.Errorf("a file without end: %v", problems)
	}
	got, problems := parseMap(numbered(lines), "f", lines, size)
	if len(got) != lines || problems != nil {
		t.Errorf("%d lines, %v", len(got), problems)
	}
	if _, problems = parseMap(numbered(lines+2), "f", lines, size); len(problems) != 2 || problems[0].Line != lines+1 {
		t.Errorf("got %v", problems)
	}
	text := strings.Repeat("#", size)
	if _, problems = parseMap(strings.NewReader(text), "f", lines, size); problems != nil {
		t.Errorf("as many bytes as may be: %v", problems)
	}
	if _, problems = parseMap(strings.NewReader(text+"\n"), "f", lines, size); problems == nil {
		t.Error("one byte more is accepted")
	}
}

// zeros never ends, and has no line.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// numbered returns a map of n lines.
func numbered(n int) io.Reader {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "/products/old-%d https://shop.example.org/p/%d 301\n", i, i)
	}
	return &b
}

func BenchmarkMap(b *testing.B) {
	text := numbered(10_000).(*bytes.Buffer).Bytes()
	b.ReportAllocs()
	for b.Loop() {
		lines, problems := ParseMap(bytes.NewReader(text), "f")
		entries := make([]Entry[Template], len(lines))
		for i, l := range lines {
			t, err := ParseTemplate(l.Target, l.Pattern)
			if err != nil {
				b.Fatal(err)
			}
			entries[i] = Entry[Template]{Path: l.Pattern, Value: t}
		}
		table, tied := New(entries)
		if problems != nil || tied != nil || table.Len() != 10_000 {
			b.Fatal(problems, tied)
		}
	}
}

// What is accepted makes a table, and what is not says where it is wrong.
func FuzzParseMap(f *testing.F) {
	for _, s := range []string{"/a /b", "# x\n\n/a/* /b/$1 301\n", "/a /b\n/%61 /c", "/{x} /{x}\n/{y} /", "\ufeff/a\t/b #", "/a /b 999", "/a", "\r\n\x00", "/%7B%7D /a\n/{x} /b", "/a/%00 /b", "* /a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, problems := ParseMap(strings.NewReader(text), "f")
		if lines != nil && problems != nil {
			t.Fatal("both lines and problems")
		}
		split := strings.Split(text, "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > len(split) || p.Column < 1 || p.Column > len(split[p.Line-1])+1 || p.Other >= p.Line || p.Error() == "" {
				t.Fatalf("%+v", p)
			}
		}
		var entries []Entry[int]
		for i, l := range lines {
			if l.Line < 1 || l.Line > len(split) || i > 0 && l.Line <= lines[i-1].Line || !strings.Contains(split[l.Line-1], l.Pattern) {
				t.Fatalf("%+v", l)
			}
			if _, err := ParseTemplate(l.Target, l.Pattern); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, Entry[int]{Path: l.Pattern})
		}
		if _, tied := New(entries); tied != nil {
			t.Fatal(tied)
		}
	})
}
