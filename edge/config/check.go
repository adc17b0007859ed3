package config

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/route"
)

// checkRedirect checks what a redirect inserts, given what its route captures.
func (d *decoder) checkRedirect(r *draft) {
	if r.Redirect == nil || r.Redirect.To == "" {
		return
	}
	if _, err := route.New([]route.Entry[struct{}]{{Path: r.Match.Path}}); err != nil {
		return // checkRoutes tells
	}
	if _, err := route.ParseTemplate(r.Redirect.To, r.Match.Path); err != nil {
		v := r.redirectAt
		for _, e := range v.entries {
			if e.key.text == "to" {
				v = v.child("to", e.value)
			}
		}
		if d.reference(v) {
			d.errorf(v, "%s is no target of a redirect", d.quote(v))
			return
		}
		d.errorf(v, "%v", err)
	}
}

// checkRoutes reports paths that are none, and ties: two routes of a site that
// match one request while neither is more specific.
func (d *decoder) checkRoutes(s *Site) {
	entries := make([]route.Entry[struct{}], 0, len(s.Routes))
	routes := make([]*Route, 0, len(s.Routes)) // of the entries
	same := make(map[string]int)
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Redirect != nil && r.Redirect.Map != "" {
			continue // its lines are entries, not the route itself
		}
		m := r.Match
		path := withoutNames(m.Path)
		if same[path]++; same[path] > maxSame {
			d.problems.Errorf(r.Place, "more than %d routes of a site have one path", maxSame)
			return
		}
		routes = append(routes, r)
		entries = append(entries, route.Entry[struct{}]{
			Methods: m.Methods, Path: m.Path,
			Header: conditions(m.When.Header), Query: conditions(m.When.Query), Cookie: conditions(m.When.Cookie),
		})
	}
	_, problems := route.New(entries)
	for _, p := range problems {
		at := routes[p.Entry].Place
		if p.Other < 0 {
			d.problems.Errorf(at, "%v", p.Err)
			continue
		}
		other := routes[p.Other].Place
		if other.Line > at.Line || other.Line == at.Line && other.Column > at.Column {
			at, other = other, at
		}
		d.problems.Errorf(at, "a request can match this route and that of %d:%d, and neither is more specific", other.Line, other.Column).Hint =
			"methods, or conditions under when, tell routes of one path apart"
	}
}

// maxSame is how many routes of a site may have one path: each is compared with
// each.
const maxSame = 1000

// withoutNames returns a pattern without the names of its captures.
func withoutNames(path string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(path, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteByte('{')
		_, path, _ = strings.Cut(rest, "}")
	}
}

func conditions(pairs []Pair) []route.Condition {
	var out []route.Condition
	for _, p := range pairs {
		out = append(out, route.Condition{Name: p.Name, Value: p.Value})
	}
	return out
}

// checkSites reports hosts and names that two sites have.
func (d *decoder) checkSites(f *File) {
	names := make(map[string]diag.Place)
	hosts := make(map[string]diag.Place)
	claim := func(s *Site, host string, at diag.Place) {
		for _, bind := range f.binds(s) {
			if first, ok := hosts[bind+" "+host]; ok && first != at {
				d.problems.Errorf(at, "the host %q stands in %s already", host, where(first, at))
				return
			}
			hosts[bind+" "+host] = at
		}
	}
	for i := range f.Sites {
		s := &f.Sites[i]
		if first, ok := names[s.Name]; ok {
			d.problems.Errorf(s.Place, "the site in %s is called %q too", where(first, s.Place), s.Name).Hint = "give one of them another name"
		}
		names[s.Name] = s.Place
		claim(s, s.Host, s.Place)
		for _, a := range s.Aliases {
			claim(s, a.Host, a.Place)
		}
	}
}

// binds returns the addresses that a site is reached at.
func (f *File) binds(s *Site) []string {
	if s.Bind != "" {
		return []string{s.Bind}
	}
	var out []string
	for _, a := range slices.Concat(f.Listen.HTTP, f.Listen.HTTPS) {
		out = append(out, a.Address)
	}
	return out
}

// listener is an address that something listens on.
type listener struct {
	host, port string
	what       string
	at         diag.Place
}

// clashes reports whether two listeners cannot both have their addresses. A host
// that is empty, or unspecified, is all of them; port 0 is one that is free.
func (a *listener) clashes(b *listener) bool {
	all := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return a.what != b.what && a.port != "0" && (a.host == b.host || all(a.host) || all(b.host))
}

// checkListen reports addresses that are to be two things at once.
func (d *decoder) checkListen(f *File) {
	listeners := make(map[string][]*listener) // by port
	claim := func(address, what string, at diag.Place) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return // reported
		}
		l := &listener{host, port, what, at}
		for _, first := range listeners[port] {
			if first.what == what && first.host == host {
				return
			}
			if !l.clashes(first) {
				continue
			}
			at, other := l, first
			if at.at.Line == 0 { // a default
				at, other = first, l
			}
			p := d.problems.Errorf(at.at, "%s is an address of %s, too", net.JoinHostPort(at.host, port), other.what)
			if other.at.Line > 0 {
				p.Hint = "see " + where(other.at, at.at)
			}
			return
		}
		listeners[port] = append(listeners[port], l)
	}
	if a := f.Admin.Listen; !f.Admin.Off && a.Network == "tcp" {
		claim(a.Address, "the admin API", a.Place)
	}
	if a := f.Metrics.Listen; a != nil {
		claim(a.Address, "the metrics", a.Place)
	}
	for _, a := range f.Listen.HTTP {
		claim(a.Address, "http", a.Place)
	}
	for _, a := range f.Listen.HTTPS {
		claim(a.Address, "https", a.Place)
	}
	for i := range f.Sites {
		if s := &f.Sites[i]; s.Bind != "" {
			claim(s.Bind, s.Scheme, s.Place)
		}
	}
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, errIP := netip.ParseAddr(host)
	return err == nil && errIP == nil && ip.IsLoopback()
}

// checkAdmin refuses an API that anybody may reach without a token.
func (d *decoder) checkAdmin(a *Admin) {
	if a.Off || a.Token != "" || a.Listen.Network == "unix" {
		return
	}
	if isLoopback(a.Listen.Address) {
		return
	}
	d.problems.Errorf(a.Listen.Place, "%s is not a loopback address, and the admin API there needs a token", a.Listen.Address).Hint =
		"write token: env:SLUICE_TOKEN"
}
