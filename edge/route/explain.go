package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Lost is an entry that a request does not belong to, and why.
type Lost struct {
	Entry int // index
	Why   string
	Near  bool // the path does not match, but nearly does
}

// maxNear is how many entries Explain names of those whose paths nearly match.
const maxNear = 10

// Explain returns the index of the entry that LookupPath finds for a request, or
// -1, and its error. The others are the entries whose paths match too, in the
// order in which they have their turn, and then at most ten whose paths nearly do:
// those that are a letter away, in another case, encoded otherwise, or differ by
// the slash at the end.
func (t *Table[T]) Explain(req *edge.Request, path Path) (winner int, others []Lost, err error) {
	e := explainer[T]{req: req}
	if rest, ok := strings.CutPrefix(path.canonical, "/"); ok {
		e.visit(&t.root, rest, nil)
	} else {
		e.rules(t.root.below, nil, true)
	}
	if _, _, err = t.LookupPath(req, path, nil); err != nil && e.winner != nil {
		e.lost = slices.Insert(e.lost, e.turn, Lost{Entry: e.winner.index, Why: "the path matches, and leads elsewhere where it is read differently"})
		e.winner = nil
	}
	winner = -1
	if e.winner != nil {
		winner = e.winner.index
	}
	return winner, append(e.lost, t.near(path)...), err
}

// explainer goes the way of find, and on behind the entry that find stops at.
type explainer[T any] struct {
	req     *edge.Request
	winner  *rule[T]
	pattern string // of the winner
	turn    int    // how many have had their turn before it
	lost    []Lost
}

// visit is find. trail is the way from the root: the texts of the segments, "" for
// {name}.
func (e *explainer[T]) visit(n *node[T], rest string, trail []string) {
	text, behind, more := strings.Cut(rest, "/")
	if next := n.text[text]; next != nil {
		e.enter(next, behind, more, append(trail, "/"+text))
	}
	if n.any != nil && text != "" {
		e.enter(n.any, behind, more, append(trail, ""))
	}
	e.rules(n.below, trail, true)
}

func (e *explainer[T]) enter(n *node[T], rest string, more bool, trail []string) {
	if more {
		e.visit(n, rest, trail)
		return
	}
	e.rules(n.exact, trail, false)
}

func (e *explainer[T]) rules(rules []rule[T], trail []string, below bool) {
	for i := range rules {
		r := &rules[i]
		missing := r.missing(e.req)
		switch {
		case missing != "":
			e.lost = append(e.lost, Lost{Entry: r.index, Why: missing})
		case e.winner == nil:
			e.winner, e.pattern, e.turn = r, r.pattern(trail, below), len(e.lost)
		default:
			e.lost = append(e.lost, Lost{Entry: r.index, Why: e.lesser(r, r.pattern(trail, below))})
		}
	}
}

// lesser says why a rule that holds has its turn after the winner.
func (e *explainer[T]) lesser(r *rule[T], pattern string) string {
	if pattern != e.pattern {
		return fmt.Sprintf("the path %s is less specific than %s", pattern, e.pattern)
	}
	mine, its := r.rank()[0], e.winner.rank()[0]
	switch {
	case mine == 0:
		return "of the same path, the other has conditions, which hold"
	case mine < its:
		return fmt.Sprintf("of the same path, the other has more conditions, which hold: %d, and not %d", its, mine)
	case r.rank() != e.winner.rank():
		return "of the same path and as many conditions: methods go before fields, these before parameters of the query, and these before cookies"
	}
	return "of the same path, the other names HEAD, and this one has it by GET"
}

// pattern returns the path of the rule as it is written in entries, but for the
// encoding.
func (r *rule[T]) pattern(trail []string, below bool) string {
	var b strings.Builder
	names := r.names
	for _, text := range trail {
		if text == "" {
			b.WriteString("/{" + names[0] + "}")
			names = names[1:]
			continue
		}
		b.WriteString(text)
	}
	switch {
	case !below:
	case len(names) == 0:
		b.WriteString("/")
	case names[0] == "1":
		b.WriteString("/*")
	default:
		b.WriteString("/{" + names[0] + "...}")
	}
	return b.String()
}

// missing says which conditions of the rule do not hold; "" if all do.
func (r *rule[T]) missing(req *edge.Request) string {
	if r.holds(req) {
		return ""
	}
	var list []string
	if !r.allows(req.Method) {
		list = append(list, fmt.Sprintf("method %s, the request's is %s", strings.Join(r.methods, " or "), shorten(req.Method)))
	}
	for i := range r.header {
		one := rule[T]{header: r.header[i : i+1]}
		if c := r.header[i]; !one.hasFields(&req.Fields) {
			list = append(list, fmt.Sprintf("field %s: %s, the request has %s", c.Name, c.shown(), having(slices.Collect(req.Fields.Values(c.Name)))))
		}
	}
	for i := range r.query {
		if c := &r.query[i]; !hasParameter(req.Query, c) {
			list = append(list, fmt.Sprintf("query %s=%s, the request has %s", c.Name, c.shown(), having(parameter(req.Query, c.Name))))
		}
	}
	for _, c := range r.cookie {
		// What it has instead may be a secret.
		switch v, ok := req.Fields.Cookie(c.Name); {
		case !ok:
			list = append(list, fmt.Sprintf("cookie %s=%s, the request has none", c.Name, c.shown()))
		case v != c.Value:
			list = append(list, fmt.Sprintf("cookie %s=%s, the request has another", c.Name, c.shown()))
		}
	}
	return "wants " + strings.Join(list, "; ")
}

// shown returns the value as it is told.
func (c *Condition) shown() string { return cmp.Or(c.Shown, c.Value) }

// having names the values that a request has.
func having(values []string) string {
	switch len(values) {
	case 0:
		return "none"
	case 1:
		return shorten(values[0])
	}
	return fmt.Sprintf("it %d times, which matches nothing", len(values))
}

// parameter returns the first value of a parameter as it came, if there is one.
func parameter(query, name string) []string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if n, value, _ := strings.Cut(pair, "="); decodesTo(n, name) {
			return []string{value}
		}
	}
	return nil
}

// shorten returns a text of a client for people to read.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\ufffd' }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
