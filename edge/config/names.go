package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
)

// defined is the names of one kind that a file defines.
type defined struct {
	kind  string
	names []string // sorted
	known map[string]bool
	uses  []use
	hint  func(name string) string // where to define it
}

func newDefined(kind string, uses []use, hint func(string) string, names []string) defined {
	d := defined{kind: kind, names: names, known: make(map[string]bool, len(names)), uses: uses, hint: hint}
	slices.Sort(d.names)
	for _, name := range names {
		d.known[name] = true
	}
	return d
}

// checkNames reports the names that nothing defines.
func (d *decoder) checkNames(f *File) {
	var upstreams, functions, filters []string
	for i := range f.Upstreams {
		upstreams = append(upstreams, f.Upstreams[i].Name)
	}
	for i := range f.Functions {
		functions = append(functions, f.Functions[i].Name)
	}
	for i := range f.Filters {
		filters = append(filters, f.Filters[i].Name)
	}
	under := func(key string) func(string) string {
		return func(string) string { return "define it under " + key }
	}
	kinds := []defined{
		newDefined("upstream", d.upstreamUses, hintUpstream, upstreams),
		newDefined("function", d.functionUses, under("functions"), functions),
		newDefined("filter", d.filterUses, under("filters"), filters),
	}
	for i := range kinds {
		k := &kinds[i]
		missing := 0
		for _, u := range k.uses {
			if k.known[u.name] {
				continue
			}
			shown := strconv.Quote(shorten(u.name))
			if d.reference(u.at) {
				shown = "of the name in " + shorten(u.at.text)
			}
			p := d.errorf(u.at, "no %s %s%s", k.kind, shown, diag.Have(k.names))
			// A hint looks at all names; nobody reads more than are shown.
			if missing++; missing > diag.MaxShown {
				continue
			}
			if p.Hint = diag.DidYouMean(u.name, k.names); p.Hint == "" && !d.reference(u.at) {
				p.Hint = k.elsewhere(u, kinds)
			}
		}
	}
}

// elsewhere returns what may have been meant by a use of k whose name is like
// none of k.
func (k *defined) elsewhere(u use, kinds []defined) string {
	for i := range kinds {
		if o := &kinds[i]; o.known[u.name] {
			return fmt.Sprintf("the file has the %s %s: write %s", o.kind, u.name, k.written(u, o.kind, u.name))
		}
	}
	for i := range kinds {
		o := &kinds[i]
		if name := diag.Suggest(u.name, o.names); name != "" {
			return fmt.Sprintf("did you mean the %s %q? write %s", o.kind, name, k.written(u, o.kind, name))
		}
	}
	return k.hint(u.name)
}

// written returns how one writes a name of another kind where u names one of k.
func (k *defined) written(u use, kind, name string) string {
	switch {
	case kind == "filter":
		return "filters: [" + name + "]"
	case k.kind == "filter" && kind == "function":
		return "function: " + name
	case kind == "function":
		return "function:" + name
	case strings.HasPrefix(u.at.text, "function:"): // a target, not the key
		return name
	}
	return "to: " + name
}
