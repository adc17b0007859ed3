package http1

import (
	"bytes"
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// requestLine is the start line of a request (RFC 9112, section 3).
type requestLine struct {
	method, path, query string
	scheme, authority   string // of a target in absolute form; else ""
	old                 bool   // HTTP/1.0
}

// parse reads line, which has no CRLF.
func (l *requestLine) parse(line []byte, cfg *Config) error {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !token(method) || len(target) == 0 {
		return errStartLine
	}
	switch str(version) {
	case "HTTP/1.1":
		l.old = false
	case "HTTP/1.0":
		l.old = true
	default:
		if len(version) == 8 && str(version[:5]) == "HTTP/" && digit(version[5]) && version[6] == '.' && digit(version[7]) {
			return errVersion
		}
		return errStartLine
	}
	// RFC 9112, section 3: 501 for a method, 414 for a target that is too long.
	if len(method) > cfg.MethodBytes {
		return errMethodTooLong
	}
	if len(target) > cfg.TargetBytes {
		return errTargetTooLong
	}
	if !all(target, &targets) {
		return errTarget
	}
	l.method, l.scheme, l.authority = str(method), "", ""
	return l.setTarget(str(target))
}

// targets holds the characters of a request target: what is visible, but for '#',
// since no target has a fragment (RFC 9112, section 3.2).
var targets = func() (set [256]bool) {
	for c := '!'; c <= '~'; c++ {
		set[c] = c != '#'
	}
	return set
}()

func digit(c byte) bool { return '0' <= c && c <= '9' }

func (l *requestLine) setTarget(target string) error {
	switch {
	case l.method == "CONNECT":
		return errConnect
	case target[0] == '/':
	case target == "*":
		// RFC 9112, section 3.2.4: the asterisk form is for OPTIONS alone.
		if l.method != "OPTIONS" {
			return errTarget
		}
	default:
		// RFC 9112, section 3.2.2: a server must accept the absolute form.
		scheme, rest, ok := strings.Cut(target, "://")
		switch {
		case !ok:
			return errTarget
		case edge.EqualFold(scheme, "http"):
			l.scheme = "http"
		case edge.EqualFold(scheme, "https"):
			l.scheme = "https"
		default:
			return errTarget
		}
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		l.authority, target = rest[:end], rest[end:]
		if !validAuthority(l.authority) {
			return errTarget
		}
		if target == "" && l.method == "OPTIONS" {
			target = "*" // RFC 9112, section 3.2.4
		}
	}
	l.path, l.query, _ = strings.Cut(target, "?")
	if l.path == "" {
		l.path = "/"
	}
	return nil
}

// validAuthority reports whether s is a host with an optional port, as Host and
// targets carry it: RFC 9110, section 7.2. Of what RFC 3986 allows in a name,
// only letters, digits and "-._~" are taken: the rest is what one recipient reads
// as part of the name and another as its end.
func validAuthority(s string) bool {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		host, port = s[:end+1], s[end+1:]
		if !ipLiteral(host[1:end]) {
			return false
		}
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
		if host == "" || len(host) > 255 || !all(host, &hosts) {
			return false
		}
	}
	return port == "" || validPort(port)
}

var hosts = charset("-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

// ipLiteral reports whether s looks like an IPv6 address without a zone: which
// address it is does not matter here.
func ipLiteral(s string) bool {
	return len(s) <= 45 && strings.Count(s, ":") >= 2 && strings.Count(s, ":") <= 7 && all(s, &ipv6)
}

var ipv6 = charset(":.0123456789abcdefABCDEF")

// validPort reports whether s is a colon and a port.
func validPort(s string) bool {
	if s[0] != ':' || len(s) < 2 || len(s) > 6 {
		return false
	}
	n := 0
	for i := 1; i < len(s); i++ {
		if !digit(s[i]) {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// head is a request's head but for what goes into edge.Request as it is.
type head struct {
	requestLine
	framing
	scheme string // the connection's
}

// parseRequest makes r out of the head in block, but for the body.
func (h *head) parseRequest(block []byte, r *edge.Request, cfg *Config) error {
	line, rest, err := cutLine(block)
	if err != nil {
		return err
	}
	if err := h.requestLine.parse(line, cfg); err != nil {
		return err
	}
	h.framing = framing{section: requestHead, max: cfg.Fields}
	if err := h.framing.parse(rest, &r.Fields); err != nil {
		return err
	}
	if h.old && h.coded {
		return errCodingOld // RFC 9112, section 6.1: the framing is faulty
	}
	if err := h.checkHost(); err != nil {
		return err
	}
	r.Method, r.Scheme, r.Authority, r.Path, r.Query = h.method, h.scheme, h.host, h.path, h.query
	r.Proto = "HTTP/1.1"
	if h.old {
		r.Proto = "HTTP/1.0"
		h.expect = false // RFC 9110, section 10.1.1
	} else if h.upgrades && !h.chunked && h.length <= 0 {
		r.Upgrade = h.upgrade // with content before the tunnel it is ignored
	}
	return nil
}

// ParseHead makes req of text, the head of a request with the empty line at its end,
// as a connection of cfg does that has the scheme; content that the head announces is
// a Body that reads as empty. A head that a connection refuses is an *edge.Error. The
// strings of req alias text.
func ParseHead(text []byte, scheme string, cfg Config, req *edge.Request) error {
	full := cfg.withDefaults()
	h := head{scheme: scheme}
	err := error(errHeadTooLarge)
	if len(text) <= full.HeaderBytes {
		err = h.parseRequest(bytes.TrimSuffix(text, []byte("\r\n")), req, full)
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.answer(text, full)
	}
	if h.chunked || h.length > 0 {
		req.Length, req.Body = h.length, edge.Content(nil)
	}
	return nil
}

// checkHost checks Host by itself and against the target: RFC 9112, section 3.2.
func (h *head) checkHost() error {
	switch {
	case h.hosts > 1 || h.hosts == 0 && !h.old:
		return errHosts
	case h.hosts == 1 && !validAuthority(h.host):
		return errHost
	case h.requestLine.scheme == "":
		return nil
	case h.requestLine.scheme != h.scheme:
		return errScheme // RFC 9110, section 7.4
	case h.hosts == 1 && !edge.EqualFold(h.host, h.authority):
		return errHostDiffers
	}
	h.host = h.authority
	return nil
}

// keepsAlive reports whether the client wants the connection to stay open: RFC
// 9112, section 9.3.
func (h *head) keepsAlive() bool { return !h.close && (!h.old || h.keepAlive) }
