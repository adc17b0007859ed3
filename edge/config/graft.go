package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// graft changes what one of the trees says to what an overlay says. Nodes that stay
// are those that were there before, so that one can tell what has changed; none is
// changed.
func graft(texts []Text, roots []*node, o *Overlay, whole bool) error {
	if err := o.check(); err != nil {
		return fmt.Errorf("the %s: %w", o, err)
	}
	path := o.path()
	i := slices.IndexFunc(roots, func(root *node) bool { return hasPath(root, path[:2]) })
	if i < 0 {
		if o.Kind == OverlayRoute && o.Value != nil {
			return fmt.Errorf("the %s: there is no such site", o)
		}
		if o.Value == nil {
			return nil
		}
		i = 0
	}
	g := grafter{overlay: o, whole: whole}
	root, err := g.put(roots[i], path)
	if err != nil {
		return fmt.Errorf("the %s: in %s, %w", o, texts[i].Name, err)
	}
	roots[i] = root
	return nil
}

// check refuses what is not of the form that an overlay has.
func (o *Overlay) check() error {
	for _, key := range o.path() {
		if key == "" {
			return errors.New("it has no name")
		}
		if err := checkString(key); err != nil {
			return err
		}
		if len(key) > maxKey {
			return fmt.Errorf("its name is %d bytes, more than %d", len(key), maxKey)
		}
	}
	if m, ok := o.Value.(map[string]any); ok && o.Kind == OverlaySite {
		if _, ok := m["routes"]; ok {
			return errors.New("routes are changed one by one")
		}
	}
	if o.Kind > OverlaySite {
		return fmt.Errorf("an overlay of the unknown kind %d", o.Kind)
	}
	return checkValue(o.Value, 0)
}

func hasPath(n *node, path []string) bool {
	for _, name := range path {
		if n.kind != mapping {
			return false
		}
		if n, _ = n.get(name); n == nil {
			return false
		}
	}
	return true
}

// grafter puts the value of an overlay into a tree.
type grafter struct {
	overlay *Overlay
	whole   bool
}

// put returns n with the value at the end of the path. Nil is nothing: n may be nil,
// and so may be what is returned.
func (g *grafter) put(n *node, path []string) (*node, error) {
	if len(path) == 0 {
		return g.value(n), nil
	}
	in := n
	switch {
	case n == nil || n.kind == null:
		in = &node{kind: mapping}
	case n.kind == scalar && path[0] == "routes" && g.overlay.Kind == OverlayRoute && len(path) == 2:
		// As a text a site is the target of all its requests.
		in = &node{kind: mapping, entries: []entry{{textNode("to"), n}}}
	case n.kind != mapping:
		return nil, fmt.Errorf("a map is needed that could hold %q, and this is %s", shorten(path[0]), n.kind)
	}
	old, times := in.get(path[0])
	if times > 1 {
		return nil, fmt.Errorf("%q stands twice in a map", shorten(path[0]))
	}
	now, err := g.put(old, path[1:])
	if err != nil || now == old {
		return n, err
	}
	return in.with(path[0], now), nil
}

// value returns what is to stand in the place of old.
func (g *grafter) value(old *node) *node {
	want := g.overlay.Value
	if g.overlay.Kind == OverlaySite && old != nil && old.kind == mapping {
		if routes, _ := old.get("routes"); routes != nil {
			return g.site(old, routes)
		}
	}
	switch m, ok := want.(map[string]any); {
	case want == nil:
		return nil
	case old == nil:
		return fresh(want, g.order())
	case ok && len(m) == 0 && old.kind == null:
		return old // a key with nothing behind it
	}
	return g.merge(old, want, g.order())
}

// site returns what is to stand in the place of a site that has routes, which are
// none of the overlay's business.
func (g *grafter) site(old, routes *node) *node {
	want, ok := g.overlay.Value.(map[string]any)
	switch {
	case ok:
		want = maps.Clone(want)
	case g.overlay.Value == nil:
		want = make(map[string]any)
	default:
		want = map[string]any{"to": g.overlay.Value}
	}
	want["routes"] = routes
	if same(old, want) {
		return old
	}
	made := fresh(want, g.order())
	return g.mergeMap(old, want, made)
}

// order returns the names of the keys of the value, in the order in which the
// reference has them.
func (g *grafter) order() []string {
	all := newGrammar()
	switch g.overlay.Kind {
	case OverlayFunction:
		return all.function.names()
	case OverlayRoute:
		return all.route.names()
	case OverlaySite:
		return all.site.names()
	}
	return all.filter.names()
}

// with returns the map n with another value of a key; nil takes the key away.
func (n *node) with(name string, v *node) *node {
	out := *n
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.is(name) })
	switch {
	case v == nil && i < 0:
		return n
	case v == nil:
		out.entries = slices.Delete(slices.Clone(n.entries), i, i+1)
	case i < 0:
		out.entries = append(slices.Clip(n.entries), entry{textNode(name), v})
	default:
		out.entries = slices.Clone(n.entries)
		out.entries[i].value = v
	}
	return &out
}

// merge returns what says want, made of old as far as possible.
func (g *grafter) merge(old *node, want any, order []string) *node {
	if same(old, want) {
		return old
	}
	made := fresh(want, order)
	if g.whole {
		return made
	}
	switch want := want.(type) {
	case map[string]any:
		switch {
		case old.kind == mapping && unique(old):
			return g.mergeMap(old, want, made)
		case old.kind == scalar && same(old, want["to"]):
			return made.with("to", old)
		}
	case []any:
		if old.kind == list && len(old.items) > 0 && len(want) > 0 {
			return g.mergeList(old, want, made, order)
		}
	}
	return made
}

func (g *grafter) mergeMap(old *node, want map[string]any, made *node) *node {
	out := *old
	out.entries = nil
	for _, e := range old.entries {
		if v, ok := want[e.key.text]; ok {
			out.entries = append(out.entries, entry{e.key, g.merge(e.value, v, nil)})
		}
	}
	for _, e := range made.entries {
		if _, times := old.get(e.key.text); times == 0 {
			out.entries = append(out.entries, e)
		}
	}
	return &out
}

// mergeList keeps what both lists begin and end with.
func (g *grafter) mergeList(old *node, want []any, made *node, order []string) *node {
	out := *old
	out.items = slices.Clone(made.items)
	begin := 0
	for begin < min(len(old.items), len(want)) && same(old.items[begin], want[begin]) {
		out.items[begin] = old.items[begin]
		begin++
	}
	end := 0
	for end < min(len(old.items), len(want))-begin && same(old.items[len(old.items)-1-end], want[len(want)-1-end]) {
		end++
		out.items[len(want)-end] = old.items[len(old.items)-end]
	}
	for i := begin; i < min(len(old.items), len(want))-end; i++ {
		out.items[i] = g.merge(old.items[i], want[i], order)
	}
	return &out
}
