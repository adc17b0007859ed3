package route

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Lookup returns the value for a request whose path has the given canonical
// form, and fills caps, unless that is nil. It allocates nothing.
func (t *Table[T]) Lookup(req *edge.Request, canonical string, caps *Captures) (value T, ok bool) {
	r := t.find(req, canonical, caps)
	if r == nil {
		return value, false
	}
	return r.value, true
}

// LookupPath is Lookup, and refuses a path that leads to another entry where a
// server takes one of the usual liberties with it: %2F, a backslash, an empty
// segment, parameters of a segment that has no name. It allocates only for paths
// that leave such a choice.
func (t *Table[T]) LookupPath(req *edge.Request, path Path, caps *Captures) (value T, ok bool, err error) {
	r := t.find(req, path.canonical, caps)
	if path.unclear != strict {
		for other, ok := range path.readings {
			if !ok || t.find(req, other, nil) != r {
				return value, false, errAmbiguous
			}
		}
	}
	if r == nil {
		return value, false, nil
	}
	return r.value, true, nil
}

func (t *Table[T]) find(req *edge.Request, path string, caps *Captures) *rule[T] {
	var own Captures
	if caps == nil {
		caps = &own
	}
	var r *rule[T]
	if strings.HasPrefix(path, "/") {
		r = t.root.find(req, path[1:], caps, 0)
	} else {
		r = first(t.root.below, req) // "*", of OPTIONS
	}
	if r == nil {
		caps.Reset()
		return nil
	}
	caps.names = r.names
	return r
}

// find descends. rest is the path from here on, captured the number of captures
// so far. A node is visited at most once, and there are no deeper ones than the
// patterns are long.
func (n *node[T]) find(req *edge.Request, rest string, caps *Captures, captured int) *rule[T] {
	text, behind, more := strings.Cut(rest, "/")
	if next := n.text[text]; next != nil {
		if r := next.enter(req, behind, more, caps, captured); r != nil {
			return r
		}
	}
	if n.any != nil && text != "" {
		caps.values[captured] = text
		if r := n.any.enter(req, behind, more, caps, captured+1); r != nil {
			return r
		}
	}
	r := first(n.below, req)
	if r != nil {
		caps.values[captured] = rest
	}
	return r
}

func (n *node[T]) enter(req *edge.Request, rest string, more bool, caps *Captures, captured int) *rule[T] {
	if more {
		return n.find(req, rest, caps, captured)
	}
	return first(n.exact, req)
}

// first returns the first of rules whose conditions hold, or nil.
func first[T any](rules []rule[T], req *edge.Request) *rule[T] {
	for i := range rules {
		if rules[i].holds(req) {
			return &rules[i]
		}
	}
	return nil
}

func (r *rule[T]) holds(req *edge.Request) bool {
	return r.allows(req.Method) && r.hasFields(&req.Fields) && r.hasQuery(req.Query) && r.hasCookies(&req.Fields)
}

func (r *rule[T]) allows(method string) bool {
	if len(r.methods) == 0 {
		return true
	}
	for _, m := range r.methods {
		if m == method || m == "GET" && method == "HEAD" {
			return true
		}
	}
	return false
}

func (r *rule[T]) hasFields(f *edge.Fields) bool {
	for i := range r.header {
		c := &r.header[i]
		n := 0
		for v := range f.Values(c.Name) {
			if n++; n > 1 || v != c.Value {
				return false
			}
		}
		if n == 0 {
			return false
		}
	}
	return true
}

func (r *rule[T]) hasQuery(query string) bool {
	for i := range r.query {
		if !hasParameter(query, &r.query[i]) {
			return false
		}
	}
	return true
}

func (r *rule[T]) hasCookies(f *edge.Fields) bool {
	for i := range r.cookie {
		if v, ok := f.Cookie(r.cookie[i].Name); !ok || v != r.cookie[i].Value {
			return false
		}
	}
	return true
}

// hasParameter reports whether the first parameter of c's name in a query has
// c's value. Without "=" the value is empty.
func hasParameter(query string, c *Condition) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if decodesTo(name, c.Name) {
			return decodesTo(value, c.Value)
		}
	}
	return false
}

// decodesTo reports whether s, a part of a query as forms encode it (+ is a
// space), stands for want. What is malformed stands for nothing.
func decodesTo(s, want string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			var ok bool
			if c, ok = unhex(s, i); !ok {
				return false
			}
			i += 2
		}
		if want == "" || want[0] != c {
			return false
		}
		want = want[1:]
	}
	return want == ""
}
