package config

import (
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/kv"
)

// secretForm is where a secret is.
var secretForm = scalarForm("`env:NAME` or `file:/path`", "^(env|file):.+$")

func allowObject() object[Allow] {
	return object[Allow]{"allow", "What a filter or function may use of the proxy besides the exchange that it is for, by the functions of the import module `sluice`. A module that imports one that is not allowed here is refused.", []key[Allow]{
		{"kv", "", listOf(nameForm), "Namespaces of the key-value store.", func(d *decoder, v value, a *Allow) { a.KV = d.grants(v, "the name of a namespace", false) }},
		{"fetch", "", listOf(nameForm), "Upstreams that it may send requests of its own to.", func(d *decoder, v value, a *Allow) { a.Fetch = d.grants(v, "the name of an upstream", true) }},
		{"metrics", "off", switchForm, "Whether it may have metrics, which are shown as `sluice_guest_*`.", func(d *decoder, v value, a *Allow) { d.grant(v, &a.Metrics) }},
		{"route", "off", switchForm, "Whether it may read the names of site, route, arm, upstream and function, and choose the last three.", func(d *decoder, v value, a *Allow) { d.grant(v, &a.Route) }},
		{"hints", "off", switchForm, "Whether it may send 103 Early Hints.", func(d *decoder, v value, a *Allow) { d.grant(v, &a.Hints) }},
		{"secrets", "", freeForm("names", secretForm), "Secrets by the names that it knows them by, and where they are.", func(d *decoder, v value, a *Allow) { a.Secrets = d.secrets(v) }},
	}}
}

// allowKey is the key of a filter or function that says what its module is granted.
func allowKey[T any](of func(*T) *Allow) key[T] {
	o := allowObject()
	return key[T]{"allow", "", mapForm(o.section()), "What it may use of the proxy.", func(d *decoder, v value, t *T) {
		a := of(t)
		a.Place = d.place(v)
		o.decode(d, v, a)
	}}
}

// grant reads a switch.
func (d *decoder) grant(v value, to *bool) {
	s, ok := d.text(v, "on or off")
	if !ok {
		return
	}
	on, is := isSwitch(s)
	if !is {
		d.wants(v, "on or off")
		return
	}
	*to = on
}

// grants reads a list of names, and returns them in order.
func (d *decoder) grants(v value, what string, upstreams bool) []string {
	var out []string
	for _, item := range d.few(v) {
		s, ok := d.text(item, what)
		switch {
		case !ok:
		case upstreams && !isResource(s), !upstreams && kv.CheckNamespace(s) != nil:
			d.wants(item, what)
		case slices.Contains(out, s):
			d.errorf(item, "%s stands here twice", d.quote(item))
		default:
			out = append(out, s)
			if upstreams {
				d.upstreamUses = append(d.upstreamUses, use{item, s})
			}
		}
	}
	slices.Sort(out)
	return out
}

// secrets reads where secrets are, and returns them sorted by name.
func (d *decoder) secrets(v value) []Pair {
	if v.kind != mapping {
		d.wants(v, "a map of names to env:NAME or file:/path").Hint = "write { key: env:KEY }"
		return nil
	}
	if len(v.entries) > maxFew {
		d.errorf(v, "there are %d secrets here, more than %d", len(v.entries), maxFew)
		return nil
	}
	var out []Pair
	d.each(v, func(name string, k, child value) {
		switch {
		case !d.resource(k, name):
		case child.kind != scalar || !d.reference(child):
			d.errorf(child, "a secret does not stand in this file").Hint = "write env:NAME, or file: and a path"
		default:
			if s, ok := d.text(child, "a text"); ok {
				out = append(out, Pair{name, s, d.from(child)})
			}
		}
	})
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	return out
}
