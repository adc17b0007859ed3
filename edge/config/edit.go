package config

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// editText returns src, whose tree is old, changed so that its tree is now. What
// both trees share stays as it is, byte for byte. First puts new keys in front of a
// map rather than behind it.
func editText(src []byte, old, now *node, first bool) ([]byte, error) {
	mark, text := []byte(nil), src
	if rest, ok := bytes.CutPrefix(src, []byte("\ufeff")); ok {
		mark, text = src[:len(src)-len(rest)], rest
	}
	eol := "\n"
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		eol = "\r\n"
	}
	// Lines end with a line feed while we are at work.
	ended := len(text) == 0 || bytes.HasSuffix(text, []byte("\n"))
	if !ended {
		text = append(slices.Clip(text), eol...)
	}
	l, err := lay(text, old)
	if err != nil {
		return nil, err
	}
	e := editor{layout: l, write: writer{step: l.step(old)}, front: first}
	if !e.change(nil, old, now) {
		return nil, errLost
	}
	out := append(slices.Clone(mark), e.apply(eol)...)
	if !ended {
		out = bytes.TrimSuffix(out, []byte(eol))
	}
	return out, nil
}

// step returns by how much the first map is indented that stands in another one.
func (l *layout) step(n *node) int {
	if s := l.spans[n]; n.kind == mapping && s.parent >= 0 && !s.flow && !s.braces {
		if step := l.column(s.start) - s.parent; step > 0 {
			return min(step, 8)
		}
	}
	for _, e := range n.entries {
		if e.value.kind == mapping {
			if step := l.step(e.value); step > 0 {
				return step
			}
		}
	}
	if l.spans[n].parent < 0 {
		return indentStep
	}
	return 0
}

// splice is a piece of a text that is replaced.
type splice struct {
	start, end int
	text       string // with line feeds
}

// editor collects splices.
type editor struct {
	*layout
	write   writer
	front   bool
	splices []splice
}

func (e *editor) splice(start, end int, text string) {
	e.splices = append(e.splices, splice{start, end, text})
}

// insertLines puts lines in front of the line that begins at a position.
func (e *editor) insertLines(pos int, lines []string) {
	if len(lines) > 0 {
		e.splice(pos, pos, strings.Join(lines, "\n")+"\n")
	}
}

// apply returns the text with all splices made.
func (e *editor) apply(eol string) []byte {
	slices.SortStableFunc(e.splices, func(a, b splice) int {
		return cmp.Or(a.start-b.start, a.end-b.end)
	})
	var out []byte
	pos := 0
	for _, s := range e.splices {
		if s.start < pos {
			// Within what has gone already; the result will be found out to be wrong.
			continue
		}
		out = append(out, e.src[pos:s.start]...)
		out = append(out, strings.ReplaceAll(s.text, "\n", eol)...)
		pos = s.end
	}
	return append(out, e.src[pos:]...)
}

// change collects what makes the value old, which stands behind this key if any, say
// what now says. It reports whether that can be done.
func (e *editor) change(key, old, now *node) bool {
	if old == now {
		return true
	}
	mark := len(e.splices)
	s := e.spans[old]
	if old.kind == now.kind && (s.braces || !s.flow) {
		switch {
		case old.kind == mapping && e.changeMap(old, now), old.kind == list && e.changeList(old, now):
			return true
		}
		e.splices = e.splices[:mark]
		if shares(old, now) {
			return false // comments would be lost
		}
	}
	return e.replace(key, old, now)
}

// shares reports whether something is both in old and in now.
func shares(old, now *node) bool {
	had := make(map[*node]bool, len(old.entries)+len(old.items))
	for _, x := range old.entries {
		had[x.key] = true
	}
	for _, x := range old.items {
		had[x] = true
	}
	return slices.ContainsFunc(now.entries, func(x entry) bool { return had[x.key] }) || slices.ContainsFunc(now.items, func(x *node) bool { return had[x] })
}

// replace puts now in the place of old.
func (e *editor) replace(key, old, now *node) bool {
	s := e.spans[old]
	if s.flow {
		text := flowText(now)
		switch {
		case s.start == s.after && e.src[s.after-1] == ':':
			text = " " + text // {a:b} is {a:b: null}
		case s.start == s.end && e.src[s.after-1] != ':':
			text = ": " + text // {a} is {a: null}
		}
		if k := e.spans[key]; key != nil && e.src[k.start] != '"' && e.src[k.start] != '\'' && strings.Contains(key.text, ":") {
			// The reader takes a plain key with colons only in front of a plain value.
			e.splice(k.start, k.end, quote(key.text, true, true))
		}
		e.splice(s.start, s.end, text)
		return true
	}
	if !e.last(s.end) {
		return false
	}
	if old.kind == scalar && e.lineStart(s.start) == e.lineStart(s.end) && e.wrap(old, now) {
		return true
	}
	var head string
	var body []string
	switch {
	case s.parent < 0 && (now.kind != mapping || len(now.entries) == 0):
		return false
	case s.parent < 0:
		body = e.write.entries(now, 0)
	case e.src[s.after-1] == '-':
		head, body = e.write.inItem(now, s.parent)
	case key == nil:
		head, body = e.write.value(now, s.parent)
	default:
		head, body = e.write.under(key.text, now, s.parent)
	}
	switch sameLine := e.lineStart(s.start) == e.lineStart(s.after); {
	case s.start == s.end && head != "":
		e.splice(s.after, s.after, " "+head)
	case s.start == s.end:
	case sameLine && head != "":
		e.splice(s.start, s.end, head)
	case sameLine:
		e.splice(s.after, s.end, "")
	case !e.first(s.start):
		return false
	default:
		if head != "" {
			e.splice(s.after, s.after, " "+head)
		}
		e.splice(e.lineStart(s.start), e.nextLine(s.end), "")
	}
	e.insertLines(e.nextLine(s.end), body)
	return true
}

// wrap makes the target old a map with that target, which stays as it is written,
// unless the map is written on one line.
func (e *editor) wrap(old, now *node) bool {
	to, _ := now.get("to")
	s := e.spans[old]
	if to != old || s.parent < 0 || isSmall(now) {
		return false
	}
	indent := s.parent + e.write.step
	switch sameLine := e.lineStart(s.start) == e.lineStart(s.after); {
	case !sameLine && (!e.first(s.start) || e.column(s.start) <= s.parent):
		return false
	case !sameLine:
		indent = e.column(s.start)
		e.splice(s.start, s.start, "to: ")
	case e.src[s.after-1] == '-':
		indent = e.column(s.start)
		e.splice(s.start, s.start, "to: ")
	default:
		e.splice(s.after, s.start, "\n"+strings.Repeat(" ", indent)+"to: ")
	}
	e.insertLines(e.nextLine(s.end), e.write.entries(now.with("to", nil), indent))
	return true
}
