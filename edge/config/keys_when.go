package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// when reads the conditions of a match.
func (d *decoder) when(v value, w *When) { d.grammar.when.decode(d, v, w) }

func whenKeys() object[When] {
	at := func(name, doc string, read func(d *decoder, v value) []Pair, where func(*When) *[]Pair) key[When] {
		return key[When]{name, "", freeForm("names", textForm), doc, func(d *decoder, v value, w *When) {
			*where(w) = read(d, v)
		}}
	}
	return object[When]{"when", "What a route asks of a request beyond method and path. A value is compared as it stands.", []key[When]{
		at("header", "Fields and their values.", (*decoder).whenHeader, func(w *When) *[]Pair { return &w.Header }),
		at("query", "Parameters of the query and their values.", (*decoder).whenQuery, func(w *When) *[]Pair { return &w.Query }),
		at("cookie", "Cookies and their values.", (*decoder).whenCookie, func(w *When) *[]Pair { return &w.Cookie }),
	}}
}

// What can never hold is an error: a route that never matches is hard to find.

func (d *decoder) whenHeader(v value) []Pair {
	seen := make(map[string]string, len(v.entries))
	return d.conditions(v, func(name *string, k, child value, text string) bool {
		lower := strings.ToLower(*name)
		first, twice := seen[lower]
		switch {
		case !edge.IsToken(lower):
			d.errorf(k, "%q is no name of a field", shorten(*name))
		case lower == "host":
			d.errorf(k, "the host is no condition of a route").Hint = "it is the key of the site"
		case framing(lower):
			d.errorf(k, "the field %s is about the connection, and no condition of a route", *name)
		case twice:
			d.errorf(k, "%s is the field %s, which stands here already", *name, first)
		case hasControl(text), strings.Trim(text, " \t") != text: // RFC 9110, section 5.5
			d.errorf(child, "no field has the value %s: it begins or ends with a space, or holds control characters", d.quote(child))
		default:
			seen[lower], *name = *name, lower
			return true
		}
		return false
	})
}

func (d *decoder) whenQuery(v value) []Pair {
	return d.conditions(v, func(name *string, k, _ value, _ string) bool {
		if *name == "" {
			d.errorf(k, "%q is no name of a parameter", "")
		}
		return *name != ""
	})
}

func (d *decoder) whenCookie(v value) []Pair {
	return d.conditions(v, func(name *string, k, child value, text string) bool {
		switch {
		case !edge.IsToken(*name):
			d.errorf(k, "%q is no name of a cookie", shorten(*name))
		case hasControl(text), strings.Contains(text, ";"): // RFC 6265, section 4.1.1
			d.errorf(child, "no cookie has the value %s: it holds a semicolon or control characters", d.quote(child))
		default:
			return true
		}
		return false
	})
}

// conditions reads names with the values that they must have, and leaves out what
// check does not accept, which may change the name.
func (d *decoder) conditions(v value, check func(name *string, k, child value, text string) bool) []Pair {
	if v.kind != mapping {
		d.wants(v, "a map of names to values")
		return nil
	}
	if len(v.entries) > maxFew {
		d.errorf(v, "there are %d conditions here, more than %d", len(v.entries), maxFew)
		return nil
	}
	var out []Pair
	d.each(v, func(name string, k, child value) {
		if s, ok := d.text(child, "a text"); ok && check(&name, k, child, s) {
			out = append(out, Pair{name, s, d.from(child)})
		}
	})
	slices.SortFunc(out, func(a, b Pair) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
