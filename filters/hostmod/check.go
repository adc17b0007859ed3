package hostmod

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// Capability is what a function belongs to.
type Capability string

// The capabilities.
const (
	KV      Capability = "kv"
	Fetch   Capability = "fetch"
	Metrics Capability = "metrics"
	Route   Capability = "route"
	Hints   Capability = "hints"
	Secrets Capability = "secrets"
	Log     Capability = "log"    // granted to all
	Client  Capability = "client" // likewise
)

// lines says what grants a capability in the file.
var lines = map[Capability]string{
	KV:      "allow: { kv: [NAMESPACE] }",
	Fetch:   "allow: { fetch: [UPSTREAM] }",
	Metrics: "allow: { metrics: yes }",
	Route:   "allow: { route: yes }",
	Hints:   "allow: { hints: yes }",
	Secrets: "allow: { secrets: { NAME: env:VARIABLE } }",
}

func (g *Grants) has(c Capability) bool {
	switch c {
	case KV:
		return len(g.KV) > 0
	case Fetch:
		return len(g.Fetch) > 0
	case Metrics:
		return g.Metrics
	case Route:
		return g.Route
	case Hints:
		return g.Hints
	case Secrets:
		return len(g.Secrets) > 0
	}
	return true
}

// Needs returns the capabilities that a module's imports are of, and that have to be
// granted, in order.
func Needs(i *wasm.Info) []Capability {
	var all []Capability
	for _, im := range i.Imports {
		if c, ok := capabilities[im.Name]; ok && im.Module == Name && lines[c] != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	slices.Sort(all)
	return all
}

// Check says which capabilities a module imports functions of that g does not have,
// with the lines that grant them.
func Check(i *wasm.Info, g *Grants) error {
	var all []error
	for _, c := range Needs(i) {
		if !g.has(c) {
			all = append(all, fmt.Errorf("imports %s, and is not allowed to: write %q", strings.Join(imported(i, c), ", "), lines[c]))
		}
	}
	return errors.Join(all...)
}

// Check says what keeps a module from being used that imports from the module: see the
// function Check. Nothing is granted to a nil g.
func (g *Guest) Check(i *wasm.Info) error {
	if g == nil {
		g = idle
	}
	return Check(i, &g.grants)
}

// imported returns what a module imports of a capability.
func imported(i *wasm.Info, c Capability) []string {
	var names []string
	for _, im := range i.Imports {
		if im.Module == Name && capabilities[im.Name] == c {
			names = append(names, Name+"."+im.Name)
		}
	}
	return names
}
