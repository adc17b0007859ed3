package route

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MapLine is a line of a map of redirects.
type MapLine struct {
	Line    int    // from 1
	Pattern string // of paths, see Entry
	Target  string // see ParseTemplate
	Status  int    // 301, 302, 303, 307 or 308; 0: not said
}

// MapProblem is what is wrong with a line of a map.
type MapProblem struct {
	File         string
	Line, Column int // from 1; 0: of the file as a whole
	Other        int // the line that it conflicts with; 0: none
	Err          error
}

func (p MapProblem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %v", p.File, p.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", p.File, p.Line, p.Column, p.Err)
}

func (p MapProblem) Unwrap() error { return p.Err }

// What a map may have at most. A million redirects take about a gigabyte once they
// are a table.
const (
	MaxMapLines    = 1_000_000 // with something on them
	MaxMapLine     = 16 << 10  // bytes of a line
	MaxMapBytes    = 256 << 20 // of all
	maxMapProblems = 100       // more are not looked for
)

// ParseMap reads a map of redirects, which is called name where there is something
// to say about it:
//
//	# comment
//	PATTERN TARGET [STATUS]
//
// White space separates the words. It returns either the lines or what is wrong
// with them.
func ParseMap(r io.Reader, name string) ([]MapLine, []MapProblem) {
	return parseMap(r, name, MaxMapLines, MaxMapBytes)
}

func parseMap(r io.Reader, name string, maxLines, maxBytes int) ([]MapLine, []MapProblem) {
	m := mapReader{name: name, max: maxLines, first: map[string]int{}}
	limited := &io.LimitedReader{R: r, N: int64(maxBytes) + 1}
	in := bufio.NewReaderSize(limited, MaxMapLine+len("\r\n"))
	for len(m.problems) < maxMapProblems {
		text, err := in.ReadSlice('\n')
		long := false
		for err == bufio.ErrBufferFull { // to the end of the line
			long = true
			_, err = in.ReadSlice('\n')
		}
		if limited.N == 0 {
			m.problems = append(m.problems, MapProblem{File: name, Err: fmt.Errorf("it is longer than %d bytes", maxBytes)})
			break
		}
		if len(text) > 0 {
			m.line++
			m.read(string(text), long)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			m.problems = append(m.problems, MapProblem{File: name, Err: fmt.Errorf("read: %w", err)})
			break
		}
	}
	if m.problems != nil {
		return nil, m.problems
	}
	return m.lines, nil
}

type mapReader struct {
	name     string
	max      int // lines
	line     int
	text     string // of the line
	lines    []MapLine
	first    map[string]int // canonical pattern to line
	problems []MapProblem
}

// bad notes a problem at the octet of the current line with that index.
func (m *mapReader) bad(at, other int, err error) {
	m.problems = append(m.problems, MapProblem{m.name, m.line, 1 + utf8.RuneCountInString(m.text[:at]), other, err})
}

// read reads one line, or the beginning of one that is too long.
func (m *mapReader) read(s string, long bool) {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if m.line == 1 {
		s = strings.TrimPrefix(s, "\ufeff") // a byte order mark
	}
	m.text = s
	if long || len(s) > MaxMapLine {
		m.bad(0, 0, fmt.Errorf("the line is longer than %d bytes", MaxMapLine))
		return
	}
	var words [4]string
	var at [4]int
	n, rest := 0, s
	for n < len(words) {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" || rest[0] == '#' {
			break
		}
		at[n] = len(s) - len(rest)
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		words[n], rest = rest[:end], rest[end:]
		n++
	}
	switch {
	case n == 0:
		return
	case n == 1:
		m.bad(at[0]+len(words[0]), 0, fmt.Errorf("after %q comes where it leads to", words[0]))
		return
	case n == len(words):
		m.bad(at[3], 0, fmt.Errorf("%q is one word too many: a line is PATTERN TARGET [STATUS]", words[3]))
		return
	case len(m.lines) == m.max:
		m.bad(0, 0, fmt.Errorf("there are more than %d lines", m.max))
		return
	}
	l := MapLine{Line: m.line, Pattern: words[0], Target: words[1]}
	before := len(m.problems)
	p, err := parsePattern(l.Pattern)
	if err != nil {
		m.bad(at[0], 0, err)
	} else {
		key := p.key()
		if first, twice := m.first[key]; twice {
			m.bad(at[0], first, fmt.Errorf("%q matches what line %d does", l.Pattern, first))
		} else {
			m.first[key] = m.line
		}
		if _, err := parseTemplate(l.Target, &p); err != nil {
			m.bad(at[1], 0, err)
		}
	}
	if n == 3 {
		l.Status, err = strconv.Atoi(words[2])
		if err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, l.Status) {
			m.bad(at[2], 0, fmt.Errorf("%q is no status of a redirect; have 301, 302, 303, 307, 308", words[2]))
		}
	}
	if len(m.problems) == before {
		m.lines = append(m.lines, l)
	}
}

// key is the same for patterns that match the same paths.
func (p *pattern) key() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.any {
			b.WriteByte(0) // no path has it
		} else {
			b.WriteString(s.text)
		}
	}
	if p.below {
		b.WriteString("/\x00*")
	}
	return b.String()
}
