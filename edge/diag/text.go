package diag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxShown is how many problems Write shows at most; it counts the others.
const MaxShown = 50

// excerptWidth is how many characters of a line an excerpt shows at most.
const excerptWidth = 120

// tabWidth is how many spaces stand for a tab in an excerpt.
const tabWidth = 4

// source is the text of a file, split into lines on first use.
type source struct {
	text  []byte
	lines [][]byte
}

// line returns the n-th line, from 1, and whether there is one.
func (s *source) line(n int) ([]byte, bool) {
	if s == nil {
		return nil, false
	}
	if s.lines == nil {
		s.lines = bytes.Split(s.text, []byte("\n"))
	}
	if n < 1 || n > len(s.lines) {
		return nil, false
	}
	return bytes.TrimSuffix(s.lines[n-1], []byte("\r")), true
}

// The colours, as terminals have them (ECMA-48 SGR).
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// String returns the text of Write without colour.
func (l *List) String() string {
	var b strings.Builder
	_ = l.Write(&b, false) // a Builder does not fail
	return b.String()
}

// Write writes each problem with the line it is about, a caret under the place,
// and the hint:
//
//	sluice.yaml:14:15: sites.example.com.to: no upstream "api-v3"; have "api", "static"
//	   14 |     to: api-v3
//	      |         ^
//	      = did you mean "api"?
func (l *List) Write(w io.Writer, colour bool) error {
	paint := func(code, s string) string {
		if !colour || s == "" {
			return s
		}
		return code + s + reset
	}
	var b bytes.Buffer
	problems := l.Problems()
	for i, p := range problems {
		if i == MaxShown {
			fmt.Fprintf(&b, "and %d more\n", len(problems)-i)
			break
		}
		tint := red
		if p.Severity == Warning {
			tint = yellow
		}
		if s := p.Place.String(); s != "" {
			b.WriteString(paint(bold, printable(s)) + ": ")
		}
		if p.Place.Path != "" {
			b.WriteString(printable(p.Place.Path) + ": ")
		}
		if p.Severity == Warning {
			b.WriteString(paint(tint, "warning") + ": ")
		}
		b.WriteString(printable(p.Message) + "\n")
		gutter := ""
		if line, ok := l.sources[p.Place.File].line(p.Place.Line); ok {
			number := fmt.Sprintf("%5d", p.Place.Line)
			gutter = strings.Repeat(" ", len(number))
			text, caret := excerpt(line, p.Place.Column)
			b.WriteString(paint(faint, number+" |") + " " + text + "\n")
			b.WriteString(paint(faint, gutter+" |") + " " + strings.Repeat(" ", caret) + paint(tint, "^") + "\n")
		}
		if p.Hint != "" {
			if gutter == "" {
				gutter = "     "
			}
			b.WriteString(paint(faint, gutter+" =") + " " + printable(p.Hint) + "\n")
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// excerpt returns the part of a line to show for a column, which counts
// characters from 1, and the offset of the caret under it.
func excerpt(line []byte, column int) (text string, caret int) {
	column = max(column, 1)
	runes := bytes.Runes(line)
	column = min(column, len(runes)+1)
	from, before, after := 0, "", ""
	if column > excerptWidth*3/4 {
		from, before = column-excerptWidth/2, "..."
	}
	to := len(runes)
	if to > from+excerptWidth {
		to, after = from+excerptWidth, "..."
	}
	var b strings.Builder
	b.WriteString(before)
	width := len(before)
	caret = width
	for i := from; i < to; i++ {
		if i == column-1 {
			caret = width
		}
		s := printable(string(runes[i]))
		if runes[i] == '\t' {
			s = strings.Repeat(" ", tabWidth)
		}
		b.WriteString(s)
		width += utf8.RuneCountInString(s)
	}
	if column-1 >= to {
		caret = width
	}
	return strings.TrimRight(b.String(), " ") + after, caret
}

// printable returns s on one line and without anything that a terminal would act
// upon: files come from anywhere.
func printable(s string) string {
	clean := func(r rune) bool { return r != utf8.RuneError && (r == ' ' || unicode.IsGraphic(r)) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case clean(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shown is a problem as JSON has it.
type shown struct {
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
	Path     string   `json:"path,omitempty"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	Excerpt  string   `json:"excerpt,omitempty"`
}

// MarshalJSON returns the problems as an array, MaxShown of them at most.
func (l *List) MarshalJSON() ([]byte, error) {
	problems := l.Problems()
	list := make([]shown, 0, min(len(problems), MaxShown))
	for _, p := range problems[:min(len(problems), MaxShown)] {
		s := shown{p.Place.File, p.Place.Line, p.Place.Column, p.Place.Path, p.Severity, p.Message, p.Hint, ""}
		if line, ok := l.sources[p.Place.File].line(p.Place.Line); ok {
			s.Excerpt, _ = excerpt(line, p.Place.Column)
		}
		list = append(list, s)
	}
	return json.Marshal(list)
}
