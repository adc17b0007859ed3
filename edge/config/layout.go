package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// span is where a node stands in a text.
type span struct {
	start, end int  // of a block map or list: from its first key or dash to the end of its last value
	after      int  // behind the colon or dash that a value stands behind
	parent     int  // column of the key or dash that a value stands behind; -1 of the root
	braces     bool // a map or list in { } or [ ]
	flow       bool // something inside of those
}

// layout is a text with the places of its nodes. The places that the parser gives
// are for people: they are off behind tabs, and behind quoted texts of several
// lines that end with carriage returns. So the text is gone through once more, with
// the tree to say what comes next.
type layout struct {
	src   []byte // ends with a line feed
	spans map[*node]span
	pos   int
}

// errLost is the error of a text that is not laid out as its tree says.
var errLost = errors.New("a part of it is written in an unusual way")

// lay finds the places of all nodes of a text, which ends with a line feed.
func lay(src []byte, root *node) (*layout, error) {
	l := &layout{src: src, spans: make(map[*node]span)}
	l.trivia()
	if l.has("---") {
		l.pos += 3
	}
	after := l.pos
	if root.kind == mapping && len(root.entries) == 0 && !l.skipsTo('{') {
		// There is nothing but comments.
		l.spans[root] = span{start: l.pos, end: l.pos, after: after, parent: -1}
	} else if err := l.value(root, -1, false); err != nil {
		return nil, err
	}
	l.trivia()
	if l.has("...") {
		l.pos += 3
		l.trivia()
	}
	if l.pos < len(src) && !l.has("---") {
		return nil, l.lost()
	}
	return l, nil
}

func (l *layout) lost() error {
	line := bytes.Count(l.src[:min(l.pos, len(l.src))], []byte("\n")) + 1
	return fmt.Errorf("%w, in line %d or before", errLost, line)
}

func (l *layout) has(s string) bool { return bytes.HasPrefix(l.src[l.pos:], []byte(s)) }

func (l *layout) skipsTo(c byte) bool {
	l.trivia()
	return l.pos < len(l.src) && l.src[l.pos] == c
}

// trivia skips spaces, line ends and comments.
func (l *layout) trivia() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case isSpace(c):
			l.pos++
		case c == '#' && (l.pos == 0 || strings.IndexByte(beforeComment, l.src[l.pos-1]) >= 0):
			l.pos = l.lineEnd(l.pos)
		default:
			return
		}
	}
}

// beforeComment is what a comment can stand behind. YAML wants a space; the parser
// does not.
const beforeComment = " \t\r\n,[]{}\"'"

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// lineStart returns where the line of a position begins.
func (l *layout) lineStart(pos int) int { return bytes.LastIndexByte(l.src[:pos], '\n') + 1 }

// lineEnd returns where the line of a position ends.
func (l *layout) lineEnd(pos int) int {
	if i := bytes.IndexByte(l.src[pos:], '\n'); i >= 0 {
		return pos + i
	}
	return len(l.src)
}

// nextLine returns where the line behind that of a position begins.
func (l *layout) nextLine(pos int) int { return min(l.lineEnd(pos)+1, len(l.src)) }

func (l *layout) column(pos int) int { return pos - l.lineStart(pos) }

// first reports whether nothing but spaces stands before a position on its line.
func (l *layout) first(pos int) bool {
	return len(bytes.TrimLeft(l.src[l.lineStart(pos):pos], " ")) == 0
}

// last reports whether nothing but spaces and a comment stands behind a position on
// its line.
func (l *layout) last(pos int) bool {
	end := l.lineEnd(pos)
	rest := bytes.TrimLeft(l.src[pos:end], " \t\r")
	return len(rest) == 0 || rest[0] == '#' && strings.IndexByte(beforeComment, l.src[end-len(rest)-1]) >= 0
}

// value finds the places of n, which stands behind a key or dash in the column
// parent, or at the root.
func (l *layout) value(n *node, parent int, flow bool) error {
	s := span{after: l.pos, parent: parent, flow: flow}
	if n.kind == null && n.text == "" {
		s.start, s.end = l.pos, l.pos
		l.spans[n] = s
		return nil
	}
	l.trivia()
	if l.pos == len(l.src) {
		return l.lost()
	}
	s.start = l.pos
	var err error
	switch c := l.src[l.pos]; {
	case n.kind == mapping && c == '{' && (len(n.entries) == 0 || n.entries[0].key.kind == scalar):
		s.braces = true
		err = l.inBraces(n, '}')
	case n.kind == list && c == '[':
		s.braces = true
		err = l.inBraces(n, ']')
	case n.kind == mapping && len(n.entries) > 0:
		for i := range n.entries {
			l.trivia()
			if err = l.entry(&n.entries[i], flow); err != nil {
				break
			}
		}
	case n.kind == list && len(n.items) > 0:
		for _, item := range n.items {
			if !l.skipsTo('-') {
				return l.lost()
			}
			column := l.column(l.pos)
			l.pos++
			if err = l.value(item, column, flow); err != nil {
				break
			}
		}
	default:
		err = l.scalar(n, parent)
	}
	if err != nil {
		return err
	}
	s.end = l.pos
	l.spans[n] = s
	return nil
}

// inBraces finds the places in a map or list that ends with a bracket.
func (l *layout) inBraces(n *node, end byte) error {
	commas := func() {
		for l.skipsTo(',') { // the parser takes {,} for {}
			l.pos++
		}
	}
	l.pos++
	commas()
	for i := range n.entries {
		if err := l.entry(&n.entries[i], true); err != nil {
			return err
		}
		commas()
	}
	for _, item := range n.items {
		if err := l.value(item, 0, true); err != nil {
			return err
		}
		commas()
	}
	if !l.skipsTo(end) {
		return l.lost()
	}
	l.pos++
	return nil
}

// entry finds the places of a key and its value.
func (l *layout) entry(e *entry, flow bool) error {
	if e.key.kind != scalar {
		return l.lost()
	}
	k := span{start: l.pos, flow: flow}
	if err := l.scalar(e.key, -1); err != nil {
		return err
	}
	k.end = l.pos
	l.spans[e.key] = k
	behind := l.pos
	for l.pos < len(l.src) && (l.src[l.pos] == ' ' || l.src[l.pos] == '\t' || flow && isSpace(l.src[l.pos])) {
		l.pos++
	}
	if l.pos == len(l.src) || l.src[l.pos] != ':' {
		if !flow || e.value.kind != null || e.value.text != "" {
			return l.lost()
		}
		l.pos = behind // {a} is {a: null}
		return l.value(e.value, 0, flow)
	}
	l.pos++
	return l.value(e.value, l.column(k.start), flow)
}

// scalar goes to the end of a text, a number or a null that is written out.
func (l *layout) scalar(n *node, parent int) error {
	if n.kind != scalar && n.kind != null || l.pos == len(l.src) {
		return l.lost()
	}
	switch c := l.src[l.pos]; c {
	case '"', '\'':
		return l.quoted(c)
	case '|', '>':
		return l.block(parent)
	}
	// The text says how far it goes: where it has a space the file may have the end
	// of a line.
	text := n.text
	if text == "" {
		return l.lost()
	}
	for text != "" {
		c, size := utf8.DecodeRuneInString(text)
		switch {
		case l.pos == len(l.src):
			return l.lost()
		case l.has(text[:size]) && c != '\n' && !(c == ' ' && l.atLineEnd()):
			l.pos += size
			text = text[size:]
		case (c == ' ' || c == '\n') && isSpace(l.src[l.pos]):
			for l.pos < len(l.src) && isSpace(l.src[l.pos]) {
				l.pos++
			}
			text = strings.TrimLeft(text, " \n")
		default:
			return l.lost()
		}
	}
	return nil
}

// atLineEnd reports whether nothing but spaces is left on the line.
func (l *layout) atLineEnd() bool {
	return len(bytes.TrimSpace(l.src[l.pos:l.lineEnd(l.pos)])) == 0
}

// quoted goes behind the quote that ends a text.
func (l *layout) quoted(quote byte) error {
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch c := l.src[l.pos]; {
		case c == '\\' && quote == '"':
			l.pos++
		case c == quote && quote == '\'' && l.pos+1 < len(l.src) && l.src[l.pos+1] == quote:
			l.pos++
		case c == quote:
			l.pos++
			return nil
		}
	}
	return l.lost()
}

// block goes to the end of the last line of a text that is on lines of its own, as
// YAML 1.2.2 has it in section 8.1: all that are indented deeper than its parent.
// Empty ones at the end belong to it if its header says so.
func (l *layout) block(parent int) error {
	end := l.lineEnd(l.pos)
	header, _, _ := strings.Cut(string(l.src[l.pos:end]), " ")
	least, found := parent+1, false
	if i := strings.IndexAny(header, "123456789"); i > 0 {
		least, found = max(parent, 0)+int(header[i]-'0'), true
	}
	keep := strings.Contains(header, "+")
	for next := end + 1; next < len(l.src); {
		to := l.lineEnd(next)
		line := strings.TrimRight(string(l.src[next:to]), "\r")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case strings.TrimLeft(line, " ") == "":
			if keep {
				end = to
			}
		case indent < least || parent < 0 && (strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...")):
			next = len(l.src)
			continue
		default:
			if !found { // the first line says it
				least, found = indent, true
			}
			end = to
		}
		next = to + 1
	}
	if end > 0 && l.src[end-1] == '\r' {
		end--
	}
	l.pos = end
	return nil
}
