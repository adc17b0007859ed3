package route

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
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

// What a map may have at most.
const (
	MaxMapLines    = 1_000_000
	MaxMapLine     = 16 << 10 // bytes of a line
	maxMapProblems = 100      // more are not looked for
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
	m := mapReader{name: name, first: map[string]int{}}
	in := bufio.NewReaderSize(r, MaxMapLine)
	for !m.full() {
		text, err := in.ReadSlice('\n')
		switch {
		case err == nil || err == io.EOF:
		case errors.Is(err, bufio.ErrBufferFull):
			m.line++
			m.bad(1, 0, fmt.Errorf("the line is longer than %d bytes", MaxMapLine))
			return nil, m.problems
		default:
			m.problems = append(m.problems, MapProblem{File: name, Err: fmt.Errorf("read: %w", err)})
			return nil, m.problems
		}
		if len(text) > 0 {
			m.read(strings.TrimRight(string(text), "\r\n"))
		}
		if err == io.EOF {
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
	line     int
	lines    []MapLine
	first    map[string]int // canonical pattern to line
	problems []MapProblem
}

func (m *mapReader) full() bool { return len(m.problems) >= maxMapProblems }

func (m *mapReader) bad(column, other int, err error) {
	m.problems = append(m.problems, MapProblem{m.name, m.line, column, other, err})
}

// read reads one line.
func (m *mapReader) read(s string) {
	m.line++
	if m.line == 1 {
		s = strings.TrimPrefix(s, "\ufeff") // a byte order mark
	}
	var words [4]string
	var at [4]int // columns
	n, rest := 0, s
	for n < len(words) {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" || n == 0 && rest[0] == '#' || n > 0 && rest[0] == '#' {
			break
		}
		at[n] = len(s) - len(rest) + 1
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
	case len(m.lines) == MaxMapLines:
		m.bad(1, 0, fmt.Errorf("more than %d lines", MaxMapLines))
		return
	}
	l := MapLine{Line: m.line, Pattern: words[0], Target: words[1]}
	ok := true
	if p, err := parsePattern(l.Pattern); err != nil {
		m.bad(at[0], 0, err)
		return
	} else if first, twice := m.first[p.key()]; twice {
		m.bad(at[0], first, fmt.Errorf("%q matches what line %d matches", l.Pattern, first))
		ok = false
	} else {
		m.first[p.key()] = m.line
	}
	if _, err := ParseTemplate(l.Target, l.Pattern); err != nil {
		m.bad(at[1], 0, err)
		ok = false
	}
	if n == 3 {
		status, err := strconv.Atoi(words[2])
		if err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, status) {
			m.bad(at[2], 0, fmt.Errorf("%q is no status of a redirect; have 301, 302, 303, 307, 308", words[2]))
			ok = false
		}
		l.Status = status
	}
	if ok {
		m.lines = append(m.lines, l)
	}
}

// key is the same for patterns that match the same paths.
func (p *pattern) key() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.any {
			b.WriteString("{}") // no text has these
		} else {
			b.WriteString(s.text)
		}
	}
	if p.below {
		b.WriteString("/*")
	}
	return b.String()
}
