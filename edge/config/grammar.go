package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
)

// form is what a value may look like. The decoder, the schema and the reference
// are all made from the same keys with the same forms.
type form struct {
	words  string     // for messages and the reference: "a duration like 10s"
	schema schema     // JSON Schema of the value
	maps   []*section // map forms within it
}

// schema is a piece of JSON Schema.
type schema map[string]any

// key is one key of a map whose value sets something of a T.
type key[T any] struct {
	name string
	def  string // as one would write it; "" for none
	form form
	doc  string // what it does; full sentences
	set  func(d *decoder, v value, to *T)
}

// object is a map of the file. Its keys are decoded in their order here, not in
// that of the file, so that what others inherit comes first.
type object[T any] struct {
	name string // anchor of the reference; "" if it is described where it is used
	doc  string
	keys []key[T]
}

// section is an object without its type, as the reference and the schema see it.
type section struct {
	name, doc string
	keys      []described
	required  []string
	one       []string // of these exactly one is there
}

// either returns the section with names of which exactly one is there.
func (s *section) either(names ...string) *section {
	s.one = names
	return s
}

// described is a key without its type.
type described struct {
	name, def, doc string
	form           form
}

func (o object[T]) section(required ...string) *section {
	s := &section{name: o.name, doc: o.doc, required: required}
	for _, k := range o.keys {
		s.keys = append(s.keys, described{k.name, k.def, k.doc, k.form})
	}
	return s
}

func (o object[T]) names() []string {
	names := make([]string, 0, len(o.keys))
	for _, k := range o.keys {
		names = append(names, k.name)
	}
	return names
}

// decode sets what the map v says. It reports keys that do not exist or come
// twice, and returns the places of the keys that were there.
func (o object[T]) decode(d *decoder, v value, to *T) map[string]value {
	if v.kind != mapping {
		d.wants(v, "a map")
		return nil
	}
	have := make(map[string]value, len(v.entries))
	d.each(v, func(name string, k, child value) {
		if !slices.ContainsFunc(o.keys, func(k key[T]) bool { return k.name == name }) {
			names := o.names()
			p := d.errorf(k, "unknown key %q", shorten(name))
			before, _, colon := strings.Cut(name, ":")
			switch {
			case colon && slices.Contains(names, before):
				p.Hint = "a space is needed behind the colon"
			case diag.Suggest(name, names) != "":
				p.Hint = diag.DidYouMean(name, names)
			case len(names) == 1:
				p.Hint = "the only key here is " + names[0]
			default:
				p.Hint = "the keys here are " + enumerate(names, "and")
			}
			return
		}
		have[name] = child
	})
	for _, k := range o.keys {
		if child, ok := have[k.name]; ok {
			k.set(d, child, to)
		}
	}
	return have
}

// enumerate writes names as a sentence does, with a word before the last.
func enumerate(names []string, last string) string {
	s := ""
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			s += " " + last + " "
		default:
			s += ", "
		}
		s += n
	}
	return s
}

// need reports the names that v lacks.
func (d *decoder) need(v value, have map[string]value, names ...string) {
	if have == nil {
		return // reported
	}
	for _, n := range names {
		if _, ok := have[n]; !ok {
			d.errorf(v, "%s is missing", n)
		}
	}
}

// wants reports that a value is not what its key needs.
func (d *decoder) wants(v value, what string) *diag.Problem {
	if v.kind == scalar {
		return d.errorf(v, "%s is needed, and this is %s", what, d.quote(v))
	}
	return d.errorf(v, "%s is needed, and this is %s", what, v.kind)
}

func (d *decoder) quote(v value) string {
	if d.reference(v) {
		return "the value of " + shorten(v.text)
	}
	return fmt.Sprintf("%q", shorten(v.text))
}
