package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	return checkValue(o.Value)
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

// unique reports whether all keys of the map n are texts, and different ones.
func unique(n *node) bool {
	seen := make(map[string]bool, len(n.entries))
	for _, e := range n.entries {
		if e.key.kind != scalar || seen[e.key.text] {
			return false
		}
		seen[e.key.text] = true
	}
	return true
}

// same reports whether n says v.
func same(n *node, v any) bool {
	switch v := v.(type) {
	case *node:
		return n == v
	case nil:
		return n.kind == null
	case string:
		return n.kind == scalar && n.json == "" && n.text == v
	case bool:
		return n.kind == scalar && n.json == strconv.FormatBool(v)
	case float64:
		f, err := strconv.ParseFloat(n.json, 64)
		return n.kind == scalar && err == nil && f == v
	case []any:
		if n.kind != list || len(n.items) != len(v) {
			return false
		}
		for i := range v {
			if !same(n.items[i], v[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		if n.kind != mapping || len(n.entries) != len(v) || !unique(n) {
			return false
		}
		for _, e := range n.entries {
			if x, ok := v[e.key.text]; !ok || !same(e.value, x) {
				return false
			}
		}
		return true
	}
	text, ok := numberText(v)
	return ok && n.kind == scalar && sameNumber(n.json, text)
}

// sameNumber reports whether two numbers of JSON are the same.
func sameNumber(a, b string) bool {
	if a == b {
		return a != ""
	}
	if integer(a) && integer(b) {
		return false
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

// integer reports whether a number of JSON is written as a whole one. Such ones
// may be too large to be told apart as floats.
func integer(s string) bool { return s != "" && !strings.ContainsAny(s, ".eE") }

// numberText returns a number as the file writes it: without an exponent, which
// the reader takes for a text.
func numberText(v any) (string, bool) {
	var f float64
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v), true
	case json.Number:
		s := string(v)
		if !json.Valid([]byte(s)) || strings.TrimSpace(s) != s || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
			return "", false
		}
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return strconv.FormatInt(i, 10), true
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return strconv.FormatUint(u, 10), true
		}
		x, err := v.Float64()
		if err != nil {
			return "", false
		}
		f = x
	case float64:
		f = v
	default:
		return "", false
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", false
	}
	if f == 0 {
		return "0", true // not -0
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if math.Abs(f) >= 1<<63 {
		s += ".0" // too large for a whole number
	}
	return s, true
}

// fresh makes a tree of a value, which may hold nodes. The keys of its maps are in the order given, the
// others sorted behind them; those further inside are sorted. It panics if JSON has no
// such value.
func fresh(v any, order []string) *node {
	switch v := v.(type) {
	case *node:
		return v // what is there already
	case nil:
		return &node{kind: null, text: "null"}
	case string:
		return textNode(v)
	case bool:
		s := strconv.FormatBool(v)
		return &node{kind: scalar, text: s, json: s}
	case []any:
		n := &node{kind: list}
		for _, x := range v {
			n.items = append(n.items, fresh(x, order))
		}
		return n
	case map[string]any:
		n := &node{kind: mapping}
		rank := func(name string) int {
			if i := slices.Index(order, name); i >= 0 {
				return i
			}
			return len(order)
		}
		names := slices.Sorted(maps.Keys(v))
		slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
		for _, name := range names {
			n.entries = append(n.entries, entry{textNode(name), fresh(v[name], nil)})
		}
		return n
	}
	s, ok := numberText(v)
	if !ok {
		panic(fmt.Sprintf("BUG: %T is nothing that JSON has", v))
	}
	return &node{kind: scalar, text: s, json: s}
}

// checkValue refuses what is not as package encoding/json has it, and what a text
// cannot hold.
func checkValue(v any) error {
	switch v := v.(type) {
	case nil, bool:
		return nil
	case string:
		return checkString(v)
	case []any:
		for _, x := range v {
			if err := checkValue(x); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for name, x := range v {
			if err := cmp.Or(checkString(name), checkValue(x)); err != nil {
				return err
			}
		}
		return nil
	}
	if _, ok := numberText(v); !ok {
		return fmt.Errorf("%v is nothing that JSON has", v)
	}
	return nil
}

func textNode(s string) *node { return &node{kind: scalar, text: s} }

// checkString refuses what a text cannot hold.
func checkString(s string) error {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("a text holds NUL")
	case !utf8.ValidString(s):
		return errors.New("a text is not UTF-8")
	}
	return nil
}

// plain returns what n says as package encoding/json has it. A number that float64
// cannot hold is a json.Number.
func plain(n *node) any {
	switch n.kind {
	case scalar:
		switch n.json {
		case "":
			return n.text
		case "true", "false":
			return n.json == "true"
		}
		f, err := strconv.ParseFloat(n.json, 64)
		if err == nil && (!integer(n.json) || strconv.FormatFloat(f, 'f', -1, 64) == n.json || strconv.FormatFloat(f, 'f', 0, 64) == n.json) {
			return f
		}
		return json.Number(n.json)
	case list:
		out := make([]any, 0, len(n.items))
		for _, item := range n.items {
			out = append(out, plain(item))
		}
		return out
	case mapping:
		out := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			if _, ok := out[e.key.text]; !ok {
				out[e.key.text] = plain(e.value)
			}
		}
		return out
	}
	return nil
}

// sameTree reports whether two trees say the same. The keys of maps may be in
// another order.
func sameTree(a, b *node) bool {
	if a == b {
		return true
	}
	if a.kind != b.kind || len(a.items) != len(b.items) || len(a.entries) != len(b.entries) {
		return false
	}
	switch a.kind {
	case scalar:
		// A number may be written in another way than it was made in.
		return a.text == b.text && (a.json == b.json || a.json != "" && sameNumber(a.json, b.json))
	case list:
		for i := range a.items {
			if !sameTree(a.items[i], b.items[i]) {
				return false
			}
		}
	case mapping:
		others := make(map[string][]*node, len(b.entries)) // by key, in the order of b
		for _, e := range b.entries {
			k := string(canonical(nil, e.key))
			others[k] = append(others[k], e.value)
		}
		for _, e := range a.entries {
			k := string(canonical(nil, e.key))
			if len(others[k]) == 0 || !sameTree(e.value, others[k][0]) {
				return false
			}
			others[k] = others[k][1:]
		}
	}
	return true
}
