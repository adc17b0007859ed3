package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
)

// Overlay is one change to what the texts of a configuration say of one thing.
type Overlay struct {
	Kind  OverlayKind
	Name  string // of the filter or function
	Site  string // key of the site, as the text has it
	Match string // key of the route, likewise: "POST /login"

	// Value is what is said instead, as package encoding/json has it: map[string]any,
	// []any, string, float64 (or json.Number, int), bool and, inside of it, nil. It is
	// not changed. A Value of nil takes away what the texts say.
	Value any
}

// OverlayKind is what an Overlay is of.
type OverlayKind uint8

// The kinds of Overlay.
const (
	OverlayFilter   OverlayKind = iota // an entry of filters
	OverlayFunction                    // an entry of functions
	OverlayRoute                       // an entry of a site's routes: a target, a map, or a list of them
	OverlaySite                        // what a site says for all its routes: a target, or its map without routes, which stay as they are
)

// String names what the overlay is of.
func (o *Overlay) String() string {
	switch o.Kind {
	case OverlayFunction:
		return fmt.Sprintf("function %q", shorten(o.Name))
	case OverlayRoute:
		return fmt.Sprintf("route %q of the site %q", shorten(o.Match), shorten(o.Site))
	case OverlaySite:
		return fmt.Sprintf("site %q", shorten(o.Site))
	}
	return fmt.Sprintf("filter %q", shorten(o.Name))
}

// path returns the keys that lead to the value. That of a site leads to its routes
// too.
func (o *Overlay) path() []string {
	switch o.Kind {
	case OverlayFunction:
		return []string{"functions", o.Name}
	case OverlayRoute:
		return []string{"sites", o.Site, "routes", o.Match}
	case OverlaySite:
		return []string{"sites", o.Site}
	}
	return []string{"filters", o.Name}
}

// Digest returns what stands for the value in the texts that an overlay replaces.
// It is the same for the same value, however it is laid out. It is "" if the texts
// have none.
func Digest(texts []Text, o Overlay) string {
	n := lookUp(texts, &o)
	if n == nil {
		return ""
	}
	h := sha256.New()
	h.Write(canonical(nil, n))
	return hex.EncodeToString(h.Sum(nil))
}

// Value returns what the texts say of the thing that an overlay is of, as package
// encoding/json would. Where the texts have a key and nothing behind it that is an
// empty map. A site that has nothing but routes is an empty map too. It reports
// whether the texts have the thing at all.
func Value(texts []Text, o Overlay) (any, bool) {
	n := lookUp(texts, &o)
	if n == nil {
		return nil, false
	}
	if n.kind == null {
		return map[string]any{}, true
	}
	return plain(n), true
}

// lookUp returns the value that an overlay replaces, or nil.
func lookUp(texts []Text, o *Overlay) *node {
	path := o.path()
	for _, t := range texts {
		n := readText(t, new(diag.List))
		for _, name := range path {
			if n == nil || n.kind != mapping {
				n = nil
				break
			}
			n, _ = n.get(name)
		}
		if n == nil {
			continue
		}
		if o.Kind == OverlaySite && n.kind == mapping {
			own := *n
			own.entries = slices.DeleteFunc(slices.Clone(n.entries), func(e entry) bool { return e.is("routes") })
			return &own
		}
		return n
	}
	return nil
}

// readText reads a text by itself. It returns nil after adding a problem.
func readText(t Text, problems *diag.List) *node {
	root := readTree(t.Name, t.Bytes, problems, new(cost))
	if problems.Failed() {
		return nil
	}
	return root
}

// is reports whether the key is this name.
func (e *entry) is(name string) bool { return e.key.kind == scalar && e.key.text == name }

// get returns the value of a key of the map n and how often the key is there.
func (n *node) get(name string) (v *node, times int) {
	for i := range n.entries {
		if n.entries[i].is(name) {
			if times++; times == 1 {
				v = n.entries[i].value
			}
		}
	}
	return v, times
}

// Fold returns the texts with overlays folded in, in their order. The texts that it
// is given stay as they are; so does, in those that it returns, everything that an
// overlay is not about: comments, order, blank lines, quotes, indentation.
//
// What an overlay is of is changed where it stands. What stands nowhere comes to the
// end of the map that it belongs to; of a section that is missing, to the end of the
// main text. The result has been read again and says what was meant. Where that
// cannot be achieved the error says what to write by hand.
func Fold(texts []Text, overlays ...Overlay) ([]Text, error) {
	out := slices.Clone(texts)
	if err := fold(out, overlays); err != nil {
		if len(overlays) < 2 {
			return nil, err
		}
		// One after the other: one of them is wrong, or they are in each other's way.
		out = slices.Clone(texts)
		for i := range overlays {
			if err := fold(out, overlays[i:i+1]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// fold changes the texts.
func fold(texts []Text, overlays []Overlay) error {
	if len(texts) == 0 {
		return errors.New("there is no text to be edited")
	}
	roots := make([]*node, len(texts))
	for i, t := range texts {
		var problems diag.List
		if roots[i] = readText(t, &problems); roots[i] == nil {
			return fmt.Errorf("%s cannot be edited: %w", t.Name, problems.Err())
		}
	}
	var err error
	for _, w := range []struct{ whole, first bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		var edited []Text
		if edited, err = foldOnce(texts, roots, overlays, w.whole, w.first); err == nil {
			copy(texts, edited)
			return nil
		}
		if _, ok := errors.AsType[*layoutError](err); !ok {
			return err
		}
	}
	return byHand(overlays, err)
}

// foldOnce is one try of fold: whole replaces values that could be changed piece by
// piece, and first puts new entries in front of a map.
func foldOnce(texts []Text, roots []*node, overlays []Overlay, whole, first bool) ([]Text, error) {
	meant := slices.Clone(roots)
	for i := range overlays {
		if err := graft(texts, meant, &overlays[i], whole); err != nil {
			return nil, err
		}
	}
	out := slices.Clone(texts)
	for i, t := range texts {
		if meant[i] == roots[i] {
			continue
		}
		b, err := editText(t.Bytes, roots[i], meant[i], first)
		if err != nil {
			return nil, &layoutError{t.Name, err.Error()}
		}
		out[i].Bytes = b
		var problems diag.List
		switch got := readText(out[i], &problems); {
		case got == nil:
			return nil, &layoutError{t.Name, "it would be wrong: " + problems.Err().Error()}
		case !sameTree(got, meant[i]):
			return nil, &layoutError{t.Name, "it would say something else"}
		}
	}
	return out, nil
}

// layoutError is why a text cannot be edited the way it is laid out.
type layoutError struct{ file, why string }

func (e *layoutError) Error() string { return e.file + " cannot be edited as it is laid out: " + e.why }

// byHand adds to an error what a person can do.
func byHand(overlays []Overlay, err error) error {
	if len(overlays) != 1 {
		return err
	}
	o := &overlays[0]
	path := strings.Join(o.path(), " > ")
	if o.Value == nil {
		return fmt.Errorf("the %s: %w; take away by hand what stands under %s", o, err, path)
	}
	v := fresh(o.Value, nil)
	return fmt.Errorf("the %s: %w; write by hand, under %s: %s", o, err, path, flowText(v))
}

// MergePatch returns v changed by a merge patch (RFC 7396, section 2). Neither is
// changed; the result may share parts with both.
func MergePatch(v, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := make(map[string]any)
	if have, ok := v.(map[string]any); ok {
		for name, x := range have {
			out[name] = x
		}
	}
	for name, x := range changes {
		if x == nil {
			delete(out, name)
			continue
		}
		out[name] = MergePatch(out[name], x)
	}
	return out
}
