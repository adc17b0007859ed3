package route

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// Rewrite is what a route changes of a request before it goes to the origin, and
// back in the answer. It is immutable.
type Rewrite struct {
	strip, stripWire  string // canonical, and as it is sent; without a slash at the end
	add, addCanonical string // likewise
	template          *Template
	tail              string // name of the capture that the template ends with, or "{path}"; "" for neither
	static            string // what all paths that match begin with, as it is sent
	host              HostKind
	name              string
	keepAnswers       bool
}

// RewriteConfig describes a Rewrite. The zero value changes nothing of requests.
type RewriteConfig struct {
	// Path is the pattern of the route, whose captures Rewrite inserts.
	Path string

	// Strip is taken off paths that begin with it. Canonical; default: none.
	Strip string

	// AddPrefix is put before paths, after Strip. Percent-encoded; default: none.
	AddPrefix string

	// Rewrite is a template, see ParsePathTemplate, in place of Strip and
	// AddPrefix. Without a ? in it the client's query stays. Default: none.
	Rewrite string

	// Host is which host the origin is asked for.
	Host     HostKind
	HostName string // of HostNamed: "example.com" or "example.com:8080"

	// KeepAnswers leaves the fields of answers as the origin has sent them.
	KeepAnswers bool
}

// HostKind is a kind of host to ask for.
type HostKind uint8

const (
	// HostKeep asks for the host that the client has asked for.
	HostKeep HostKind = iota
	// HostEndpoint asks for the endpoint's address: the authority is left empty,
	// for the pool to fill in.
	HostEndpoint
	// HostNamed asks for HostName.
	HostNamed
)

// NewRewrite returns the Rewrite of cfg.
func NewRewrite(cfg RewriteConfig) (*Rewrite, error) {
	r := &Rewrite{host: cfg.Host, name: cfg.HostName, keepAnswers: cfg.KeepAnswers}
	if cfg.Host == HostNamed && cfg.HostName == "" {
		return nil, fmt.Errorf("the host to ask for is empty")
	}
	if cfg.Rewrite != "" {
		if cfg.Strip != "" || cfg.AddPrefix != "" {
			return nil, fmt.Errorf("rewrite %q excludes strip and add-prefix: it is the whole path", cfg.Rewrite)
		}
		return r, r.setTemplate(cfg.Rewrite, cfg.Path)
	}
	var err error
	if r.strip, err = prefix(cfg.Strip); err != nil {
		return nil, err
	}
	if r.addCanonical, err = prefix(cfg.AddPrefix); err != nil {
		return nil, err
	}
	r.add = strings.TrimSuffix(cfg.AddPrefix, "/")
	r.stripWire = string(appendEncoded(nil, r.strip, inPath))
	return r, nil
}

// prefix returns a prefix of paths in canonical form and without a slash at its
// end.
func prefix(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	p, err := Canonical(s, nil)
	if err != nil {
		return "", fmt.Errorf("prefix %q: %w", s, err)
	}
	if p.unclear != strict || strings.ContainsAny(s, "?#") {
		return "", fmt.Errorf("prefix %q: servers read it differently; leave queries, encoded slashes, backslashes and empty segments out", s)
	}
	return strings.TrimSuffix(p.canonical, "/"), nil
}

func (r *Rewrite) setTemplate(s, path string) error {
	t, err := ParsePathTemplate(s, path)
	if err != nil {
		return err
	}
	p, err := parsePattern(path)
	if err != nil {
		return err
	}
	r.template = &t
	for _, s := range p.segments {
		if s.any {
			break
		}
		r.static += "/" + string(appendEncoded(nil, s.text, inPath))
	}
	// What the path ends with can be found again in an answer's paths if it is
	// what the pattern ends with, and stands for whole segments.
	last := len(t.parts) - 1
	before := part{}
	if last > 0 {
		before = t.parts[last-1]
	}
	switch {
	case t.query:
	case t.parts[last].insert == wholePath && !strings.HasSuffix(before.text, "/"):
		r.tail = "{path}"
	case t.parts[last].insert == capture && p.below && t.parts[last].text == p.names[len(p.names)-1] && strings.HasSuffix(before.text, "/"):
		r.tail = t.parts[last].text
	}
	return nil
}

// Invertible reports whether the paths of an origin's answers can be told from
// those that it is asked for: always without a template, and with one that ends
// with what the pattern ends with (/old/* to /new/$1) or with {path}. Any other
// template's answers keep their paths.
func (r *Rewrite) Invertible() bool { return r.template == nil || r.tail != "" }

// Asked is what the client asks for, and what Answer needs to find the way back.
// It is valid as long as the exchange.
type Asked struct {
	authority, path, query string
	from                   string // prefix of the origin's paths, as it is sent
	to                     string // what it is to the client, unless tail says more
	tail                   int    // bytes at the end of the canonical path that are not part of the prefix; -1: see to
	mapped                 bool   // paths differ
}

// Request changes x.Request to what the origin is asked for. Answer, or Restore,
// is called once the origin has answered or failed.
func (r *Rewrite) Request(x *edge.Exchange, captures *Captures) (Asked, error) {
	req := &x.Request
	was := Asked{authority: req.Authority, path: req.Path, query: req.Query, tail: -1}
	var err error
	switch {
	case !strings.HasPrefix(req.Path, "/"): // "*", of OPTIONS
	case r.template != nil:
		err = r.fill(x, captures, &was)
	case r.strip != "" || r.add != "":
		err = r.prefixes(x, &was)
	}
	if err != nil {
		was.Restore(x)
		return was, &edge.Error{Kind: edge.RequestError, Op: "rewrite the path", Err: err}
	}
	switch r.host {
	case HostEndpoint:
		req.Authority = ""
	case HostNamed:
		req.Authority = r.name
	}
	return was, nil
}

// prefixes strips and adds.
func (r *Rewrite) prefixes(x *edge.Exchange, was *Asked) error {
	req := &x.Request
	was.from = r.add
	if rest, ok := StripPrefix(req.Path, r.strip); ok {
		req.Path = rest
		was.to = r.stripWire
	}
	was.mapped = was.from != was.to
	if err := confined(x, req.Path, ""); err != nil {
		return err
	}
	switch {
	case r.add != "":
		req.Path = x.Concat(r.add, req.Path)
	case was.to != "":
		req.Path = noHost(req.Path) // as it is to some origins, too
	}
	return nil
}

// fill expands the template.
func (r *Rewrite) fill(x *edge.Exchange, captures *Captures, was *Asked) error {
	req := &x.Request
	path, query, hasQuery, err := r.template.ExpandPath(x, captures)
	if err != nil {
		return err
	}
	switch r.tail {
	case "":
		was.mapped = !hasQuery
	case "{path}":
		was.from, was.mapped = strings.CutSuffix(path, req.Path)
	default:
		value, _ := captures.Get(r.tail)
		// Slashes that begin a path are made one, so that "/" and the value may be
		// longer than the path.
		was.from = path[:max(len(path)-encodedLen(value)-1, 0)]
		was.tail, was.mapped = len(value)+1, true
	}
	req.Path = path
	if hasQuery {
		req.Query = query
	}
	return nil
}

// encodedLen returns how long s is once it is encoded as part of a path.
func encodedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if !inPath[s[i]] {
			n += 2
		}
	}
	return n
}

// Restore makes the request what the client has asked for.
func (a *Asked) Restore(x *edge.Exchange) {
	x.Request.Authority, x.Request.Path, x.Request.Query = a.authority, a.path, a.query
}

// splitPort returns the host of an authority, and its port or "".
func splitPort(authority string) (host, port string) {
	host = Hostname(authority)
	if len(host) < len(authority) {
		port = authority[len(host)+1:]
	}
	return host, port
}

// isAddress reports whether a host is an IP address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
