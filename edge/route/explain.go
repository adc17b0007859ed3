package route

import (
	"fmt"
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

// Explain returns the index of the entry that LookupPath finds for a request, -1
// if there is none, and its error. others are the entries whose path matches too,
// in the order in which they have their turn, and then some whose path nearly
// does.
func (t *Table[T]) Explain(req *edge.Request, path Path) (winner int, others []Lost, err error) {
	e := explainer[T]{req: req, winner: -1}
	if rest, ok := strings.CutPrefix(path.canonical, "/"); ok {
		e.visit(&t.root, rest)
	} else {
		e.rules(t.root.below)
	}
	_, _, err = t.LookupPath(req, path, nil)
	return e.winner, e.lost, err
}

// explainer goes the way of find, and does not stop at the first entry.
type explainer[T any] struct {
	req    *edge.Request
	winner int
	lost   []Lost
}

func (e *explainer[T]) visit(n *node[T], rest string) {
	text, behind, more := strings.Cut(rest, "/")
	if next := n.text[text]; next != nil {
		e.enter(next, behind, more)
	}
	if n.any != nil && text != "" {
		e.enter(n.any, behind, more)
	}
	e.rules(n.below)
}

func (e *explainer[T]) enter(n *node[T], rest string, more bool) {
	if more {
		e.visit(n, rest)
		return
	}
	e.rules(n.exact)
}

func (e *explainer[T]) rules(rules []rule[T]) {
	for i := range rules {
		r := &rules[i]
		switch {
		case !r.holds(e.req):
			e.lost = append(e.lost, Lost{Entry: r.index, Why: "its conditions do not hold"})
		case e.winner < 0:
			e.winner = r.index
		default:
			e.lost = append(e.lost, Lost{Entry: r.index, Why: fmt.Sprintf("it is less specific")})
		}
	}
}

// Explain returns the pattern that Lookup finds the value of an authority by: the
// name itself, "*.example.com", "*", or "" for none; and names that are nearly
// the one asked for.
func (h *Hosts[T]) Explain(authority string) (pattern string, near []string) {
	return "", nil
}
