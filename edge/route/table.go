// Package route finds the entry of a table that a request belongs to: by path,
// method, fields, query and cookies; and by host. What an entry means is its
// caller's business.
package route

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Entry is one line of a table: what a request must be like, and what it then
// leads to.
type Entry[T any] struct {
	// Methods are the methods that match; none: all do. GET stands for HEAD too
	// (RFC 9110, section 9.3.2), where no entry of the same rank names HEAD.
	Methods []string

	// Path is a pattern: "/exact", "/prefix/*" (that is /prefix/ and below),
	// "/users/{id}", "/files/{path...}", and "/" for everything.
	Path string

	// Header, Query and Cookie are conditions that must all hold. Names of fields
	// compare case-insensitively.
	Header, Query, Cookie []Condition

	Value T
}

// Condition wants a field, a parameter of the query, or a cookie to be equal to
// a value.
//
// A field that comes several times matches nothing, since it stands for the
// list of its values (RFC 9110, section 5.3). Of parameters and cookies the
// first counts.
type Condition struct {
	Name, Value string
	Shown       string // what Explain says instead of a value that is a secret; "" for none
}

// Problem is what is wrong with an entry, or with two.
type Problem struct {
	Entry int // index
	Other int // the entry that it is tied with; -1: none
	Err   error
}

func (p Problem) Error() string { return p.Err.Error() }

// Table maps requests to values. It is immutable.
//
// The most specific entry wins, whatever the order: path segment by segment a
// text before a {name} before a prefix; then more conditions before fewer, the
// methods being one; then methods before fields before parameters before
// cookies. Where conditions fail, less specific entries have their turn.
type Table[T any] struct {
	root  node[T]
	rules int
}

// node is the place that a path has reached after some of its segments.
type node[T any] struct {
	text  map[string]*node[T]
	any   *node[T]  // {name}
	exact []rule[T] // the path ends here; most specific first
	below []rule[T] // whatever follows
}

// rule is an entry at its place.
type rule[T any] struct {
	methods               []string
	header, query, cookie []Condition
	names                 []string // of captures
	value                 T
	index                 int // of the entry
}

// New builds a table. It returns either the table or all that is wrong with the
// entries.
func New[T any](entries []Entry[T]) (*Table[T], []Problem) {
	t := &Table[T]{rules: len(entries)}
	var problems []Problem
	for i := range entries {
		e := &entries[i]
		p, err := parsePattern(e.Path)
		if err == nil {
			err = e.check()
		}
		if err != nil {
			problems = append(problems, Problem{i, -1, err})
			continue
		}
		rules := t.root.place(&p)
		r := rule[T]{e.Methods, e.Header, e.Query, e.Cookie, p.names, e.Value, i}
		for j := range *rules {
			if other := &(*rules)[j]; r.tied(other) {
				first := entries[other.index].describe()
				problems = append(problems, Problem{i, other.index, fmt.Errorf("%s and %s are equally specific and can match the same request", first, e.describe())})
			}
		}
		*rules = append(*rules, r)
	}
	if problems != nil {
		return nil, problems
	}
	t.root.sort()
	return t, nil
}

// place returns the rules of the pattern p, making the nodes that lead there.
func (n *node[T]) place(p *pattern) *[]rule[T] {
	for _, s := range p.segments {
		var next *node[T]
		if s.any {
			next = n.any
		} else {
			next = n.text[s.text]
		}
		if next == nil {
			next = new(node[T])
			switch {
			case s.any:
				n.any = next
			case n.text == nil:
				n.text = map[string]*node[T]{s.text: next}
			default:
				n.text[s.text] = next
			}
		}
		n = next
	}
	if p.below {
		return &n.below
	}
	return &n.exact
}

func (n *node[T]) sort() {
	slices.SortStableFunc(n.exact, compare)
	slices.SortStableFunc(n.below, compare)
	if n.any != nil {
		n.any.sort()
	}
	for _, next := range n.text {
		next.sort()
	}
}

// check returns what is wrong with the conditions of e.
func (e *Entry[T]) check() error {
	for i, m := range e.Methods {
		if !edge.IsToken(m) {
			return fmt.Errorf("%q is not a method", m)
		}
		if slices.Contains(e.Methods[:i], m) {
			return fmt.Errorf("method %s comes twice", m)
		}
	}
	for _, of := range []struct {
		what       string
		conditions []Condition
		same       func(a, b string) bool
	}{
		{"field", e.Header, edge.EqualFold},
		{"parameter", e.Query, equal},
		{"cookie", e.Cookie, equal},
	} {
		for i, c := range of.conditions {
			if c.Name == "" || of.what != "parameter" && !edge.IsToken(c.Name) {
				return fmt.Errorf("%q is not the name of a %s", c.Name, of.what)
			}
			for _, before := range of.conditions[:i] {
				if of.same(before.Name, c.Name) {
					return fmt.Errorf("there are two conditions on the %s %q", of.what, c.Name)
				}
			}
		}
	}
	return nil
}

func equal(a, b string) bool { return a == b }

// describe names the entry as people write it.
func (e *Entry[T]) describe() string {
	s := e.Path
	if len(e.Methods) > 0 {
		s = strings.Join(e.Methods, ",") + " " + s
	}
	n := len(e.Header) + len(e.Query) + len(e.Cookie)
	if n == 0 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q with %d more condition%s", s, n, "s"[:min(n-1, 1)])
}

// rank counts the conditions of r: all, then by kind.
func (r *rule[T]) rank() [5]int {
	m, h, q, c := min(len(r.methods), 1), len(r.header), len(r.query), len(r.cookie)
	return [5]int{m + h + q + c, m, h, q, c}
}

// compare orders rules of one path, the more specific ones first.
func compare[T any](a, b rule[T]) int {
	x, y := a.rank(), b.rank()
	if c := slices.Compare(y[:], x[:]); c != 0 {
		return c
	}
	// Who names HEAD goes before who has it by GET.
	switch named := slices.Contains(a.methods, "HEAD"); {
	case named == slices.Contains(b.methods, "HEAD"):
		return 0
	case named:
		return -1
	}
	return 1
}

// tied reports whether two rules of one path are equally specific although a
// request can match both.
func (r *rule[T]) tied(other *rule[T]) bool {
	if r.rank() != other.rank() {
		return false
	}
	if len(r.methods) > 0 && !slices.ContainsFunc(r.methods, func(m string) bool { return slices.Contains(other.methods, m) }) {
		return false
	}
	return !apart(r.header, other.header, edge.EqualFold) && !apart(r.query, other.query, equal) && !apart(r.cookie, other.cookie, equal)
}

// apart reports whether two lists of conditions cannot hold at once.
func apart(a, b []Condition, same func(a, b string) bool) bool {
	for _, c := range a {
		for _, d := range b {
			if same(c.Name, d.Name) && c.Value != d.Value {
				return true
			}
		}
	}
	return false
}

// Len returns the number of entries.
func (t *Table[T]) Len() int { return t.rules }
