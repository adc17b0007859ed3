package config

import (
	"bytes"
	"slices"
	"strings"
)

// part is an entry of a map or an item of a list.
type part struct {
	start, end int
	was        int // index in the map or list that stands in the text
	gone       bool
}

// changeMap changes a map key by key.
func (e *editor) changeMap(old, now *node) bool {
	values := make(map[*node]*node, len(now.entries)) // by key
	for _, x := range now.entries {
		values[x.key] = x.value
	}
	parts := make([]part, len(old.entries))
	for i, x := range old.entries {
		v := values[x.key]
		parts[i] = part{start: e.spans[x.key].start, end: e.spans[x.value].end, was: i, gone: v == nil}
		if v != nil && !e.change(x.key, x.value, v) {
			return false
		}
		delete(values, x.key)
	}
	added := slices.DeleteFunc(slices.Clone(now.entries), func(x entry) bool { return values[x.key] == nil })
	at := len(parts)
	if i := slices.IndexFunc(old.entries, func(x entry) bool { return x.is("routes") }); i >= 0 {
		at = i // a site's routes are long, and come last
	}
	if e.front {
		at = 0
	}
	if s := e.spans[old]; s.braces {
		texts := make([]string, 0, len(added))
		for _, x := range added {
			texts = append(texts, flowEntry(x))
		}
		return e.changeBraces(s, parts, at, texts)
	}
	return e.changeBlock(old, parts, at, len(added), func(i, indent int) []string { return e.write.entry(added[i], indent) })
}

// changeList changes a list: items that both have in common at the beginning and the
// end stay, those between are changed one by one.
func (e *editor) changeList(old, now *node) bool {
	if len(old.items) == 0 || len(now.items) == 0 {
		return false
	}
	n, m := len(old.items), len(now.items)
	begin, end := 0, 0
	for begin < min(n, m) && old.items[begin] == now.items[begin] {
		begin++
	}
	for end < min(n, m)-begin && old.items[n-1-end] == now.items[m-1-end] {
		end++
	}
	s := e.spans[old]
	parts := make([]part, n)
	both := min(n, m) - end // up to here there are items in both
	for i, item := range old.items {
		at := e.spans[item]
		parts[i] = part{start: at.start, end: at.end, was: i, gone: i >= both && i < n-end}
		if !s.braces {
			parts[i].start = at.after - 1 // the dash
		}
		if begin <= i && i < both && !e.change(nil, item, now.items[i]) {
			return false
		}
	}
	added := now.items[both : m-end]
	if s.braces {
		texts := make([]string, 0, len(added))
		for _, item := range added {
			texts = append(texts, flowText(item))
		}
		return e.changeBraces(s, parts, both, texts)
	}
	return e.changeBlock(old, parts, both, len(added), func(i, indent int) []string { return e.write.item(added[i], indent) })
}

// changeBlock takes parts away from a map or list that has a line for each, and adds
// count others in front of the part at.
func (e *editor) changeBlock(n *node, parts []part, at, count int, lines func(i, indent int) []string) bool {
	s := e.spans[n]
	left := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.gone })
	if len(left) == 0 && count == 0 && s.parent >= 0 {
		return e.empty(n, parts)
	}
	if len(left) == 0 && len(parts) > 0 && count > 0 {
		return false // as good as another map
	}
	for i, p := range parts {
		if p.gone && !e.deleteLines(parts, i) {
			return false
		}
	}
	if count == 0 {
		return true
	}
	pos, indent := s.end, 0 // where there is nothing but comments
	if len(parts) > 0 {
		indent = e.column(parts[0].start)
		switch {
		case at > 0:
			end := parts[at-1].end
			if !e.last(end) {
				return false
			}
			pos = e.nextLine(end)
			if at == len(parts) {
				pos = e.behindComments(pos, indent)
			}
		case !e.first(parts[0].start):
			return false
		case s.parent >= 0 && e.last(s.after):
			pos = e.nextLine(s.after) // a comment above the part stays there
		default:
			pos = e.lineStart(parts[0].start)
		}
	}
	// Sections of the file stand apart, and what stands apart elsewhere.
	spaced := at == len(parts) && (s.parent < 0 && n.kind == mapping && pos > 0 || e.spaced(parts))
	for i := range count {
		if spaced && (i > 0 || !e.opens(pos)) {
			e.insertLines(pos, []string{""})
		}
		e.insertLines(pos, lines(i, indent))
	}
	return true
}

// behindComments returns where, from a line on, comments end that are indented deeper
// than a column: they belong to what stands above them.
func (e *editor) behindComments(pos, column int) int {
	for next := pos; next < len(e.src); next = e.nextLine(next) {
		line := e.src[next:e.lineEnd(next)]
		trimmed := bytes.TrimLeft(line, " ")
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case trimmed[0] == '#' && len(line)-len(trimmed) > column:
			pos = e.nextLine(next)
		default:
			return pos
		}
	}
	return pos
}

// opens reports whether nothing is above a line that it has to stand apart from.
func (e *editor) opens(pos int) bool {
	line := bytes.TrimSpace(e.src[e.lineStart(pos-1):pos])
	return len(line) == 0 || bytes.Equal(line, []byte("---"))
}

// spaced reports whether there are blank lines between all parts.
func (e *editor) spaced(parts []part) bool {
	for i := 1; i < len(parts); i++ {
		between := e.src[parts[i-1].end:parts[i].start]
		if !bytes.Contains(bytes.ReplaceAll(between, []byte("\r"), nil), []byte("\n\n")) {
			return false
		}
	}
	return len(parts) > 1
}

// deleteLines takes away the lines of a part, with the comment behind it.
func (e *editor) deleteLines(parts []part, i int) bool {
	p := parts[i]
	if !e.last(p.end) {
		return false
	}
	if e.first(p.start) {
		e.splice(e.lineStart(p.start), e.nextLine(p.end), "")
		return true
	}
	// It stands behind a dash. What follows moves there.
	if i+1 == len(parts) || len(bytes.TrimSpace(e.src[p.end:parts[i+1].start])) > 0 {
		return false
	}
	e.splice(p.start, parts[i+1].start, "")
	return true
}

// empty takes away all parts of a map or list, and leaves one that is empty.
func (e *editor) empty(n *node, parts []part) bool {
	s := e.spans[n]
	if !e.first(s.start) {
		return false
	}
	for i := range parts {
		if !e.deleteLines(parts, i) {
			return false
		}
	}
	text := " {}"
	if n.kind == list {
		text = " []"
	}
	e.splice(s.after, s.after, text)
	return true
}

// changeBraces takes parts away from a map or list in brackets, and adds texts in
// front of the part at.
func (e *editor) changeBraces(s span, parts []part, at int, texts []string) bool {
	left := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.gone })
	if len(left) == 0 {
		open, shut := e.src[s.start:s.start+1], e.src[s.end-1:s.end]
		text := strings.Join(texts, ", ")
		if text != "" && open[0] == '{' {
			text = " " + text + " "
		}
		e.splice(s.start, s.end, string(open)+text+string(shut))
		return true
	}
	for i := range parts {
		if parts[i].gone {
			e.deleteInBraces(parts, i)
		}
	}
	if len(texts) == 0 {
		return true
	}
	// The part that is left in front of what is added.
	before := -1
	for i, p := range left {
		if p.was < at {
			before = i
		}
	}
	if before < 0 {
		e.splice(left[0].start, left[0].start, strings.Join(texts, ", ")+", ")
		return true
	}
	p := left[before]
	comma := e.comma(p.end)
	if !e.first(p.start) || !e.last(max(p.end, comma+1)) || comma >= 0 && e.lineStart(comma) != e.lineStart(p.end) {
		e.splice(p.end, p.end, ", "+strings.Join(texts, ", "))
		return true
	}
	// A line for each.
	if comma < 0 {
		e.splice(p.end, p.end, ",")
	}
	indent := string(e.src[e.lineStart(p.start):p.start])
	text := indent + strings.Join(texts, ",\n"+indent)
	if e.comma(parts[len(parts)-1].end) >= 0 || before+1 < len(left) {
		text += ","
	}
	e.insertLines(e.nextLine(p.end), []string{text})
	return true
}

// comma returns where the comma stands behind a position, or -1.
func (e *editor) comma(pos int) int {
	e.pos = pos
	if e.skipsTo(',') {
		return e.pos
	}
	return -1
}

// deleteInBraces takes a part away, with one comma.
func (e *editor) deleteInBraces(parts []part, i int) {
	p := parts[i]
	if comma := e.comma(p.end); e.first(p.start) && e.last(max(p.end, comma+1)) && (comma < 0 || e.lineStart(comma) == e.lineStart(p.end)) {
		e.splice(e.lineStart(p.start), e.nextLine(p.end), "")
		return
	}
	if slices.ContainsFunc(parts[i+1:], func(p part) bool { return !p.gone }) {
		line := e.lineEnd(p.end)
		if next := parts[i+1].start; next < line || e.comma(p.end) > line {
			e.splice(p.start, next, "")
			return
		}
		// What follows stays on its line.
		start := p.start
		if i == 0 || !parts[i-1].gone {
			start = len(bytes.TrimRight(e.src[:start], " "))
		}
		e.splice(start, len(bytes.TrimRight(e.src[:line], "\r")), "")
		return
	}
	if bytes.IndexByte(e.src[parts[i-1].end:p.start], '#') >= 0 {
		e.splice(p.start, p.end, "")
		return
	}
	// Nothing is left behind it: the comma in front of it goes.
	e.splice(parts[i-1].end, p.end, "")
}
