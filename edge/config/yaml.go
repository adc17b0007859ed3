package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// How values are written.
const (
	indentStep = 2  // spaces
	flowWidth  = 80 // characters of the longest map or list that is written on one line
)

// YAML returns how a configuration file writes v, which is like a Value of an
// Overlay: maps with a key a line, and what is small and simple on one line. Reading
// it gives v again, but for texts that are not UTF-8. It panics if JSON has no such
// value.
func YAML(v any) []byte {
	n := fresh(v, nil)
	w := writer{step: indentStep}
	head, body := w.value(n, -indentStep)
	if n.kind == mapping && len(n.entries) > 0 {
		head, body = "", w.entries(n, 0)
	}
	if head != "" {
		body = append([]string{head}, body...)
	}
	return []byte(strings.Join(body, "\n") + "\n")
}

// writer writes trees.
type writer struct {
	step int // of the indentation
}

// value returns how n is written behind a key, or a dash, that is indented by so
// much: what stands on the same line, and the lines below. One of them may be
// missing.
func (w *writer) value(n *node, indent int) (head string, body []string) {
	switch {
	case n.kind == scalar && n.json == "" && isBlock(n.text):
		return w.literal(n.text, indent)
	case n.kind == null || n.kind == scalar || isSmall(n):
		return flowOf(n, false), nil
	case n.kind == list:
		return "", w.items(n, indent+w.step)
	}
	return "", w.entries(n, indent+w.step)
}

// entries returns the lines of the map n.
func (w *writer) entries(n *node, indent int) []string {
	var lines []string
	for _, e := range n.entries {
		lines = append(lines, w.entry(e, indent)...)
	}
	return lines
}

// sections are keys of maps that are written with a key a line, however small they
// are.
var sections = map[string]bool{"sites": true, "routes": true, "upstreams": true, "filters": true, "functions": true}

// under is value of what stands behind a key of this name.
func (w *writer) under(name string, n *node, indent int) (head string, body []string) {
	if sections[name] && n.kind == mapping && len(n.entries) > 0 {
		return "", w.entries(n, indent+w.step)
	}
	return w.value(n, indent)
}

func (w *writer) entry(e entry, indent int) []string {
	head, body := w.under(e.key.text, e.value, indent)
	line := strings.Repeat(" ", indent) + quote(e.key.text, false, true) + ":"
	if head != "" {
		line += " " + head
	}
	return append([]string{line}, body...)
}

// items returns the lines of the list n.
func (w *writer) items(n *node, indent int) []string {
	var lines []string
	for _, item := range n.items {
		lines = append(lines, w.item(item, indent)...)
	}
	return lines
}

func (w *writer) item(n *node, indent int) []string {
	head, body := w.inItem(n, indent)
	return append([]string{strings.Repeat(" ", indent) + "- " + head}, body...)
}

// inItem is value for what stands behind a dash: the first key of a map stands on
// the line of the dash.
func (w *writer) inItem(n *node, indent int) (head string, body []string) {
	switch {
	case n.kind == mapping && !isSmall(n):
		body = w.entries(n, indent+2)
	case n.kind == list && !isSmall(n):
		body = w.items(n, indent+2)
	default:
		return w.value(n, indent)
	}
	return strings.TrimLeft(body[0], " "), body[1:]
}

// literal returns a text of several lines as it stands.
func (w *writer) literal(s string, indent int) (head string, body []string) {
	head = "|"
	if !strings.HasSuffix(s, "\n") {
		head = "|-"
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		if line != "" {
			line = strings.Repeat(" ", indent+w.step) + line
		}
		body = append(body, line)
	}
	return head, body
}

// isBlock reports whether a text is written as it stands, on lines of its own.
// What readers may see differently is not: spaces at the ends of lines, empty lines
// at the ends of the text.
func isBlock(s string) bool {
	if !strings.Contains(strings.TrimSuffix(s, "\n"), "\n") {
		return false
	}
	if s[0] == ' ' || s[0] == '\n' || strings.HasSuffix(s, "\n\n") || strings.Contains(s, " \n") || strings.HasSuffix(s, " ") {
		return false
	}
	for _, c := range s {
		if c != '\n' && !isPrint(c) {
			return false
		}
	}
	return true
}

// isSmall reports whether a map or list is written on one line: it holds values, and
// lists of values, and is short.
func isSmall(n *node) bool {
	leaf := func(n *node, depth int) bool {
		switch n.kind {
		case scalar:
			return !isBlock(n.text)
		case list:
			return depth == 0 || len(n.items) == 0
		}
		return len(n.entries) == 0
	}
	for _, e := range n.entries {
		if !leaf(e.value, 0) {
			return false
		}
		for _, item := range e.value.items {
			if !leaf(item, 1) {
				return false
			}
		}
	}
	for _, item := range n.items {
		if !leaf(item, 1) {
			return false
		}
	}
	return utf8.RuneCountInString(flowOf(n, false)) <= flowWidth
}

// flowText returns n on one line, as it can stand inside of { }.
func flowText(n *node) string { return flowOf(n, true) }

// flowOf returns n on one line. Inside reports whether it stands inside of { } or
// [ ].
func flowOf(n *node, inside bool) string {
	switch n.kind {
	case null:
		return "null"
	case scalar:
		if n.json != "" {
			return n.text
		}
		return quote(n.text, inside, false)
	case list:
		items := make([]string, 0, len(n.items))
		for _, item := range n.items {
			items = append(items, flowOf(item, true))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if len(n.entries) == 0 {
		return "{}"
	}
	entries := make([]string, 0, len(n.entries))
	for _, e := range n.entries {
		entries = append(entries, flowEntry(e))
	}
	return "{ " + strings.Join(entries, ", ") + " }"
}

func flowEntry(e entry) string {
	return quote(e.key.text, true, true) + ": " + flowOf(e.value, true)
}

// quote returns a text as YAML, with quotes where it needs them.
func quote(s string, inFlow, key bool) string {
	if isPlainText(s, inFlow, key) {
		return s
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case isPrint(c):
			b.WriteRune(c)
		default: // \xXX, \uXXXX, \UXXXXXXXX
			letter, digits := byte('U'), 8
			if c <= 0xff {
				letter, digits = 'x', 2
			} else if c <= 0xffff {
				letter, digits = 'u', 4
			}
			b.WriteByte('\\')
			b.WriteByte(letter)
			for i := digits - 1; i >= 0; i-- {
				b.WriteByte(hex[c>>(4*i)&0xf])
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isPrint reports whether a character can stand in a file as it is.
func isPrint(c rune) bool { return c == ' ' || unicode.IsPrint(c) && c != '\ufeff' }

// isPlainText reports whether a text needs no quotes. It says no to what this
// reader would take, and others would not.
func isPlainText(s string, inFlow, key bool) bool {
	if s == "" || len(s) > maxKey || token.New(s, s, &token.Position{Line: 1, Column: 1}).Type != token.StringType || looksTyped(s) {
		return false
	}
	if c := s[0]; !isWordByte(c) && c < utf8.RuneSelf && strings.IndexByte("/.$_(", c) < 0 || strings.HasPrefix(s, "..") {
		return false // what ends a document is among that
	}
	for i, c := range s {
		switch {
		case c < utf8.RuneSelf && isWordByte(byte(c)):
		case strings.ContainsRune("/._$-%@+=~()*;^?", c):
		case c == ' ':
			if i+1 == len(s) || s[i+1] == ' ' || inFlow && key {
				return false
			}
		case c == ':':
			// Behind it stands something, and in { } it is no key.
			if i+1 == len(s) || i > 0 && s[i-1] == ' ' || inFlow && key || !isWordByte(s[i+1]) && s[i+1] != '/' {
				return false
			}
		case c == ',' || c == '{' || c == '}':
			if inFlow {
				return false
			}
		case c < utf8.RuneSelf || !unicode.IsLetter(c):
			return false
		}
	}
	return true
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// looksTyped reports whether other readers of YAML could take a plain text for a
// number, a date or nothing. What is on and off in this file is left alone.
func looksTyped(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "null", "y", "n", "nan":
		return true
	}
	digits := 0
	for i := range len(s) {
		if c := s[i]; '0' <= c && c <= '9' {
			digits++
		} else if strings.IndexByte("+-.eE_:tTzZ ", c) < 0 && (i != 1 || strings.IndexByte("xXoObB", c) < 0) {
			return false
		}
	}
	return digits > 0 && (s[0] >= '0' && s[0] <= '9' || s[0] == '.') && !isAddressLike(s)
}

// isAddressLike reports whether a text is an IPv4 address, with or without a port:
// nothing else has three dots and digits between them.
func isAddressLike(s string) bool {
	host, _, _ := strings.Cut(s, ":")
	return strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == ""
}
