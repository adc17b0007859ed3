package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/filters/registry"
)

// maxWeight is the largest weight of an endpoint.
const maxWeight = 1000

// namePattern is what names of upstreams, filters, sites and routes look like.
const namePattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"

// isResource reports whether s fits namePattern.
func isResource(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[0] == '.' {
		return false
	}
	return strings.IndexFunc(s, func(c rune) bool { return !isNameRune(c) && c != '-' && c != '.' }) < 0
}

// resource checks a name that a key gives to something.
func (d *decoder) resource(v value, s string) bool {
	if !isResource(s) {
		shown := fmt.Sprintf("%q", shorten(s))
		if v.text != s {
			shown = d.quote(v) // a reference
		}
		d.errorf(v, "%s is no name", shown).Hint = "letters, digits, - _ and . make one of up to 64 characters"
		return false
	}
	return true
}

// module checks a name that a key gives to a filter or function: its modules are kept
// under that name.
func (d *decoder) module(v value, s string) bool {
	if !d.resource(v, s) {
		return false
	}
	if registry.CheckName(s) == nil {
		return true
	}
	d.errorf(v, "%s is no name of a module", d.quote(v)).Hint = "write it with a-z, 0-9, - _ and ., the first a letter or digit, and no two dots together"
	return false
}

func newUpstream(at diag.Place, name string) Upstream {
	return Upstream{Place: at, Name: name, Connections: Connections{Idle: 256}, Speak: "h1"}
}

func newEndpoint(at diag.Place) Endpoint { return Endpoint{Place: at, Weight: 1} }

func upstreamKeys(endpoint form) object[Upstream] {
	connections := object[Connections]{"connections", "How connections to an endpoint are kept.", []key[Connections]{
		{"idle", "256", numberForm(0, 100_000), "How many are kept open per endpoint while they are unused.", func(d *decoder, v value, c *Connections) {
			d.number(v, &c.Idle, 0, 100_000)
		}},
	}}
	return object[Upstream]{"upstream", "A pool of endpoints that do the same. As a list, or one value, it is its endpoints.", []key[Upstream]{
		{"endpoints", "", endpoint, "The addresses.", func(d *decoder, v value, u *Upstream) { d.endpoints(v, u) }},
		{"balance", "round-robin", wordForm("round-robin", "least-requests", "least-connections"),
			"How an endpoint is picked: in turns, or the one with the fewest requests in flight, which has two names; both go by weight.",
			func(d *decoder, v value, u *Upstream) {
				word(d, v, &u.Balance, []string{"round-robin", "least-requests", "least-connections"}, []Balance{RoundRobin, LeastRequests, LeastRequests})
			}},
		{"connections", "", mapForm(connections.section()), "How connections to an endpoint are kept.",
			func(d *decoder, v value, u *Upstream) { connections.decode(d, v, &u.Connections) }},
		{"speak", "h1", wordForm("h1"), "The protocol to the endpoints: `h1` is HTTP/1.1.",
			func(d *decoder, v value, u *Upstream) { word(d, v, &u.Speak, []string{"h1"}, []string{"h1"}) }},
	}}
}

func endpointKeys() object[Endpoint] {
	return object[Endpoint]{"endpoint", "One address of an upstream. As a sentence: `ADDRESS weight N backup`.", []key[Endpoint]{
		{"address", "", addressForm, "Where it is.", func(d *decoder, v value, e *Endpoint) {
			if s, ok := d.text(v, "an address"); ok {
				d.address(v, s, e)
			}
		}},
		{"weight", "1", numberForm(1, maxWeight), "Its part of the requests, relative to the others.", func(d *decoder, v value, e *Endpoint) { d.number(v, &e.Weight, 1, maxWeight) }},
		{"backup", "no", switchForm, "Whether it serves only if no other endpoint can.", func(d *decoder, v value, e *Endpoint) { d.onOff(v, &e.Backup) }},
	}}
}

// onOff reads a switch.
func (d *decoder) onOff(v value, to *bool) {
	s, ok := d.text(v, "on or off")
	if !ok {
		return
	}
	on, ok := isSwitch(s)
	if !ok {
		d.wants(v, "on or off")
		return
	}
	*to = on
}

// address sets where an endpoint is.
func (d *decoder) address(v value, s string, e *Endpoint) bool {
	network, address, err := parseAddress(s)
	if err != nil {
		d.wrong(v, "address", err)
		return false
	}
	if network == "unix" {
		var ok bool
		if address, ok = d.resolve(v, address); !ok {
			return false
		}
		if len(address) > maxUnixPath {
			d.errorf(v, "the path of a unix socket has at most %d bytes", maxUnixPath)
			return false
		}
	}
	e.Network, e.Address, e.From = network, address, d.fromPath(v, s)
	return true
}

// maxUnixPath is how long the path of a unix socket is at most: what all systems
// have room for (sun_path less its NUL, on macOS).
const maxUnixPath = 103

// wrong reports that v is not a what, with the hint that err may bring.
func (d *decoder) wrong(v value, what string, err error) {
	p := d.errorf(v, "%s is no %s: %v", d.quote(v), what, d.hide(v, err))
	if h, ok := errors.AsType[*hinted](err); ok && !d.reference(v) {
		p.Hint = h.hint
	}
}

func (d *decoder) upstreams(v value, f *File) {
	if v.kind != mapping {
		d.wants(v, "a map of names to endpoints")
		return
	}
	d.each(v, func(name string, k, child value) {
		if !d.resource(k, name) {
			return
		}
		u := newUpstream(d.place(k), name)
		if child.kind == mapping {
			d.need(child, d.grammar.upstream.decode(d, child, &u), "endpoints")
		} else {
			d.endpoints(child, &u)
		}
		f.Upstreams = append(f.Upstreams, u)
	})
}

func (d *decoder) endpoints(v value, u *Upstream) {
	seen := make(map[string]bool)
	regular := false
	before := d.problems.Len()
	for _, item := range v.list() {
		e := newEndpoint(d.place(item))
		if item.kind == mapping {
			d.need(item, d.grammar.endpoint.decode(d, item, &e), "address")
		} else if s, ok := d.text(item, "an address like 10.0.0.1:8080"); ok {
			parsed, err := parseEndpoint(s)
			if err != nil {
				d.wrong(item, "endpoint", err)
				continue
			}
			d.address(item, parsed.address, &e)
			e.Weight, e.Backup = max(parsed.weight, 1), parsed.backup
		}
		if e.Address == "" {
			continue
		}
		if seen[e.Network+e.Address] {
			d.errorf(item, "the endpoint %q stands here twice", e.Address).Hint = "give it a weight instead"
		}
		seen[e.Network+e.Address] = true
		regular = regular || !e.Backup
		u.Endpoints = append(u.Endpoints, e)
	}
	switch {
	case d.problems.Len() > before:
	case len(u.Endpoints) == 0:
		d.errorf(v, "an upstream needs an endpoint")
	case !regular:
		d.errorf(v, "every endpoint is a backup").Hint = "take backup from at least one"
	}
}

func filterKeys() object[Filter] {
	return object[Filter]{"filter", "A WebAssembly module that routes may name.", append([]key[Filter]{
		{"wasm", "", wasmForm, "The module.", func(d *decoder, v value, f *Filter) { f.Wasm = d.wasm(v) }},
		{"abi", "", wordForm("http-wasm", "proxy-wasm"), "The ABI that the module must be of. Without it, it is told from the module.", func(d *decoder, v value, f *Filter) {
			word(d, v, &f.ABI, []string{"http-wasm", "proxy-wasm"}, []string{"http-wasm", "proxy-wasm"})
		}},
		{"root", "", textForm, "The id of the root context, for modules of proxy-wasm that have several filters.", func(d *decoder, v value, f *Filter) {
			f.Root, _ = d.text(v, "the id of a root context")
		}},
		{"vm", "", textForm, "The id of the virtual machine, for modules of proxy-wasm: filters of the same id share data and queues. Without it, it is the filter's name.", func(d *decoder, v value, f *Filter) {
			f.VM, _ = d.text(v, "the id of a virtual machine")
		}},
		{"isolation", "request", wordForm("request", "shared"), "Whether each request gets the module's memory as it was after its initialisation, or as requests before it have left it: `shared` is for modules that keep state on purpose.",
			func(d *decoder, v value, f *Filter) {
				word(d, v, &f.Shared, []string{"request", "shared"}, []bool{false, true})
			}},
		{"config", "", form{words: "anything", schema: schema{}}, "What the module gets as its configuration: JSON of the value, or a text as it stands.",
			func(d *decoder, v value, f *Filter) { f.Config = d.guestConfig(v) }},
		{"memory", "32MB", sizeForm, "The most memory that one instance may have.", func(d *decoder, v value, f *Filter) { d.size(v, &f.Memory, 64<<10, 4<<30) }},
		{"timeout", "50ms", durationForm, "The longest that one call into the module may take.", func(d *decoder, v value, f *Filter) {
			d.duration(v, &f.Timeout, time.Millisecond, time.Hour)
		}},
		{"body", "1MB", sizeForm, "The most content that the module may hold at a time.", func(d *decoder, v value, f *Filter) { d.size(v, &f.Body, 0, 4<<30) }},
		{"on-error", "deny", wordForm("deny", "skip"), "What becomes of a request whose filter fails: an error, or it goes on as if the filter were not there.",
			func(d *decoder, v value, f *Filter) {
				word(d, v, &f.OnError, []string{"deny", "skip"}, []OnError{Deny, Skip})
			}},
		allowKey(func(f *Filter) *Allow { return &f.Allow }),
	}, deployKeys(func(f *Filter) *Deploy { return &f.Deploy })...)}
}

// guestConfig returns what a guest gets as its configuration.
func (d *decoder) guestConfig(v value) []byte {
	switch {
	case v.kind == null:
		return nil
	case v.kind == scalar && v.json == "":
		s, _ := d.text(v, "a text")
		return []byte(s)
	}
	var b bytes.Buffer
	d.json(v, &b)
	return b.Bytes()
}

func (d *decoder) filterMap(v value, f *File) {
	if v.kind != mapping {
		d.wants(v, "a map of names to filters")
		return
	}
	d.each(v, func(name string, k, child value) {
		if !d.module(k, name) {
			return
		}
		if name == "none" {
			d.errorf(k, "none is no name of a filter: it means that there are no filters")
			return
		}
		if child.kind == scalar {
			d.wants(child, "a map").Hint = "write { wasm: FILE }"
			return
		}
		filter := Filter{Place: d.place(k), Name: name, Memory: 32 << 20, Timeout: 50 * time.Millisecond, Body: 1 << 20}
		have := d.grammar.filter.decode(d, child, &filter)
		d.need(child, have, "wasm")
		d.checkDeploy(have, &filter.Deploy)
		f.Filters = append(f.Filters, filter)
	})
}

// hintUpstream says what to do about the name of an upstream that there is not.
func hintUpstream(name string) string {
	_, _, err := parseAddress(name)
	if h, ok := errors.AsType[*hinted](err); ok && h.hint != "" {
		return "an address needs a port: " + h.hint
	}
	return "define it under upstreams, or write an address like 127.0.0.1:3000"
}
