package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// near returns entries whose paths a path nearly matches, by their index.
func (t *Table[T]) near(path Path) []Lost {
	rest, ok := strings.CutPrefix(path.canonical, "/")
	if !ok {
		return nil
	}
	s := searcher[T]{reached: map[int]bool{}}
	s.visit(&t.root, rest, nil, same)
	for _, other := range encodedOtherwise(path) {
		s.otherwise = other
		s.visit(&t.root, other[1:], nil, encoding)
	}
	slices.SortFunc(s.found, func(a, b Lost) int { return cmp.Compare(a.Entry, b.Entry) })
	return s.found[:min(len(s.found), maxNear)]
}

// deviation is what keeps a path from being matched.
type deviation uint8

const (
	same deviation = iota
	letterCase
	letter
	encoding
	slash   // the path has one at the end, and the pattern not
	noSlash // the other way round
	below   // the pattern is of what is below the path
)

// minWord is how long names are at least that may be a letter apart: anything is
// near to one or two.
const minWord = 3

// searcher looks for entries that a path matches but for one deviation. Names may
// differ in case in several segments.
type searcher[T any] struct {
	found     []Lost
	reached   map[int]bool // entries that the path matches, or that are found
	otherwise string       // see encoding
}

func (s *searcher[T]) visit(n *node[T], rest string, trail []string, d deviation) {
	text, behind, more := strings.Cut(rest, "/")
	if next := n.text[text]; next != nil {
		s.enter(next, behind, more, append(trail, "/"+text), d)
	}
	if n.any != nil && text != "" {
		s.enter(n.any, behind, more, append(trail, ""), d)
	}
	s.rules(n.below, trail, true, d)
	if d == same || d == letterCase {
		for name, next := range n.text {
			switch {
			case name == text || name == "" || text == "":
			case edge.EqualFold(name, text):
				s.enter(next, behind, more, append(trail, "/"+name), letterCase)
			case d == same && min(len(name), len(text)) >= minWord && oneEdit(name, text):
				s.enter(next, behind, more, append(trail, "/"+name), letter)
			}
		}
	}
	if rest == "" && d == same {
		s.rules(n.exact, trail, false, slash)
	}
}

func (s *searcher[T]) enter(n *node[T], rest string, more bool, trail []string, d deviation) {
	if more {
		s.visit(n, rest, trail, d)
		return
	}
	s.rules(n.exact, trail, false, d)
	if d != same {
		return
	}
	s.rules(n.below, trail, true, below)
	if next := n.text[""]; next != nil {
		s.rules(next.exact, append(trail, "/"), false, noSlash)
	}
}

func (s *searcher[T]) rules(rules []rule[T], trail []string, isBelow bool, d deviation) {
	if isBelow && len(trail) == 0 {
		return // "/" is near to everything
	}
	for i := range rules {
		r := &rules[i]
		if s.reached[r.index] {
			continue
		}
		s.reached[r.index] = true
		if d == same {
			continue
		}
		pattern := r.pattern(trail, isBelow)
		why := ""
		switch d {
		case letterCase:
			why = fmt.Sprintf("its path %s is written in another case", pattern)
		case letter:
			why = fmt.Sprintf("its path %s is one letter away", pattern)
		case encoding:
			why = fmt.Sprintf("its path %s matches %s, which the request's is in another encoding", pattern, shorten(s.otherwise))
		case slash:
			why = fmt.Sprintf("its path %s has no slash at the end", pattern)
		case noSlash:
			why = fmt.Sprintf("its path %s has a slash at the end", pattern)
		case below:
			why = fmt.Sprintf("its path %s is what is below, and not the place itself", pattern)
		}
		s.found = append(s.found, Lost{r.index, why, true})
	}
}

// encodedOtherwise returns what a path would be, in canonical form, had it been
// encoded once less, or read with the usual liberties.
func encodedOtherwise(path Path) []string {
	var list []string
	add := func(s string) {
		if s != path.canonical && strings.HasPrefix(s, "/") && !slices.Contains(list, s) {
			list = append(list, strings.Clone(s))
		}
	}
	if strings.Contains(path.canonical, "%25") {
		if again, err := Canonical(strings.ReplaceAll(path.canonical, "%25", "%"), nil); err == nil {
			add(again.canonical)
		}
	}
	if path.unclear != strict {
		for other, ok := range path.readings {
			if ok {
				add(other)
			}
		}
	}
	return list
}

// oneEdit reports whether a becomes b by one octet that is put in, taken out or
// replaced, or by two neighbours that change places.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch a, b := a[i:], b[i:]; len(b) - len(a) {
	case 0:
		return len(a) > 0 && (a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:])
	case 1:
		return a == b[1:]
	}
	return false
}

// Explain returns the pattern by which Lookup finds the value of an authority: the
// name itself, "*.example.com" or "*", "" for none; and at most ten names of the
// table that are nearly the one asked for: a letter away, or with or without
// "www." or a wildcard's label.
func (h *Hosts[T]) Explain(authority string) (pattern string, near []string) {
	host := strings.ToLower(strings.TrimSuffix(Hostname(authority), "."))
	if _, ok := h.Lookup(authority); ok {
		pattern = h.pattern(host)
	}
	if host == "" || len(host) > maxHost {
		return pattern, nil
	}
	bare := strings.TrimPrefix(host, "www.")
	for name := range h.exact {
		if name != host && (oneEdit(name, host) || strings.TrimPrefix(name, "www.") == bare) {
			near = append(near, name)
		}
	}
	for suffix := range h.wildcard {
		name := "*" + suffix
		if name == pattern {
			continue
		}
		_, above, _ := strings.Cut(host, ".")
		if suffix[1:] == bare || oneEdit(suffix[1:], host) || above != "" && oneEdit(suffix[1:], above) {
			near = append(near, name)
		}
	}
	slices.Sort(near)
	return pattern, near[:min(len(near), maxNear)]
}

// pattern returns the pattern that matches a host, which is in lower case and has
// one.
func (h *Hosts[T]) pattern(host string) string {
	if _, ok := h.exact[host]; ok {
		return host
	}
	for i := 1; i < len(host); i++ {
		if _, ok := h.wildcard[host[i:]]; ok && host[i] == '.' {
			return "*" + host[i:]
		}
	}
	return "*"
}
