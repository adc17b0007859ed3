package server

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/route"
)

// find returns the route of an exchange. It returns none, and no error, if it has
// answered by itself, since the host is an alias.
func (e *entrance) find(x *edge.Exchange, captures *route.Captures) (*Route, error) {
	if e == nil {
		return nil, &edge.Error{Kind: edge.InternalError, Op: "find the site: the address is not bound"}
	}
	h, ok := e.hosts.Lookup(x.Request.Authority)
	switch {
	case ok && h.aliased:
		return nil, h.site.alias(x)
	case ok:
		return h.site.find(x, captures)
	case e.only != nil:
		return e.only.find(x, captures)
	case x.Client.TLS != nil:
		// RFC 9110, section 15.5.20: this connection is none of that site's.
		return nil, &edge.Error{Kind: edge.Misdirected, Op: "find the site of " + strings.Clone(x.Request.Authority)}
	}
	return nil, &edge.Error{Kind: edge.NoRoute, Op: "find the site of " + strings.Clone(x.Request.Authority)}
}

// find returns the site's route of an exchange.
func (s *site) find(x *edge.Exchange, captures *route.Captures) (*Route, error) {
	x.Record.Site = s.name
	canonical, err := canonicalPath(x)
	if err != nil {
		return nil, err
	}
	r, ok, err := s.table.LookupPath(&x.Request, canonical, captures)
	if err != nil {
		return nil, &edge.Error{Kind: edge.RequestError, Op: "find the route", Err: err}
	}
	if !ok {
		return nil, &edge.Error{Kind: edge.NoRoute, Op: "find the route"}
	}
	return r, nil
}

// canonicalPath returns the one form of x's path that routes are compared with.
func canonicalPath(x *edge.Exchange) (route.Path, error) {
	path := x.Request.Path
	var scratch []byte
	if strings.IndexByte(path, '%') >= 0 || strings.Contains(path, "/.") {
		scratch = x.Scratch(len(path))
	}
	p, err := route.Canonical(path, scratch)
	if err != nil {
		return p, &edge.Error{Kind: edge.RequestError, Op: "find the route", Err: err}
	}
	return p, nil
}

// alias answers with the way to the site's own host.
func (s *site) alias(x *edge.Exchange) error {
	x.Record.Site = s.name
	r := &x.Request
	port := ""
	if i := strings.LastIndexByte(r.Authority, ':'); i > strings.LastIndexByte(r.Authority, ']') {
		port = r.Authority[i:]
	}
	mark := ""
	if r.Query != "" {
		mark = "?"
	}
	path := r.Path
	if path == "*" { // of OPTIONS; a URL has no such path
		path = ""
	}
	location := x.Concat(r.Scheme, "://", s.host, port, path, mark, r.Query)
	x.Respond(308, nil, 0)
	x.Response.Fields.Add("Location", location)
	return nil
}
