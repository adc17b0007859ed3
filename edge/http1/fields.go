package http1

import (
	"bytes"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// section is the kind of a field section.
type section uint8

const (
	requestHead section = iota
	responseHead
	requestTrailers
	responseTrailers
)

func (s section) trailers() bool { return s >= requestTrailers }
func (s section) request() bool  { return s == requestHead || s == requestTrailers }

// framing is what the engines take out of a field section.
type framing struct {
	section   section
	max       int   // of field lines
	length    int64 // -1: no Content-Length
	chunked   bool
	coded     bool // there is a Transfer-Encoding
	close     bool
	keepAlive bool
	upgrades  bool // "upgrade" is a connection option
	named     bool // a connection option names a field
	host      string
	hosts     int
	upgrade   string
	expect    bool
	dropped   int  // fields with an underscore
	http10    bool // of a response: HTTP/1.0
}

// maxOptions bounds the connection options of a message: each costs a walk over
// the fields.
const maxOptions = 64

// parse appends the lines of block, each ended by CRLF, to f, but for those that
// belong to the connection, which it keeps. It refuses what RFC 9112 calls
// ambiguous.
func (fr *framing) parse(block []byte, f *edge.Fields) error {
	fr.length = -1
	lines := block
	for n := 0; len(lines) > 0; n++ {
		line, rest, err := cutLine(lines)
		if err != nil {
			return err
		}
		lines = rest
		if n == fr.max {
			return errTooManyFields
		}
		name, value, err := parseLine(line)
		if err != nil {
			return err
		}
		own, err := fr.take(name, value)
		if err != nil {
			return err
		}
		switch {
		case own && fr.section.trailers():
			return errTrailer // RFC 9110, section 6.5.1
		case own:
		case fr.section.request() && strings.IndexByte(name, '_') >= 0:
			// CGI and its heirs take a_b and a-b for the same variable.
			fr.dropped++
		default:
			f.Add(name, value)
		}
	}
	// RFC 9112, section 6.3, item 3: both ought to be handled as an error, since
	// they might be an attempt to smuggle.
	if fr.coded && fr.length >= 0 {
		return errBothLengths
	}
	if fr.named {
		return fr.dropNamed(block, f)
	}
	return nil
}

// cutLine cuts the first line, without its CRLF, off block.
func cutLine(block []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(block, '\n')
	if i < 1 || block[i-1] != '\r' {
		return nil, nil, errBareLF
	}
	return block[:i-1], block[i+1:], nil
}

func parseLine(line []byte) (name, value string, err error) {
	colon := bytes.IndexByte(line, ':')
	switch {
	case len(line) > 0 && (line[0] == ' ' || line[0] == '\t'):
		return "", "", errFold // RFC 9112, section 5.2
	case colon <= 0:
		return "", "", errFieldLine
	case !token(line[:colon]):
		// RFC 9112, section 5.1: no whitespace before the colon either.
		return "", "", errFieldName
	}
	v := line[colon+1:]
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	if !all(v, &values) {
		return "", "", errFieldValue
	}
	return str(line[:colon]), str(v), nil
}

// values holds the characters of a field value (RFC 9110, section 5.5).
var values = func() (set [256]bool) {
	for c := range set {
		set[c] = c == '\t' || c >= ' ' && c != 0x7f
	}
	return set
}()

// take keeps the field if it belongs to the connection, or is Host or Expect.
func (fr *framing) take(name, v string) (own bool, err error) {
	is := func(s string) bool { return edge.EqualFold(name, s) }
	switch len(name) {
	case 2:
		return is("te"), nil
	case 4:
		if is("host") {
			fr.host = v
			fr.hosts++
			return true, nil
		}
	case 6:
		if fr.section == requestHead && is("expect") {
			if !edge.EqualFold(v, "100-continue") {
				return true, errExpectation // RFC 9110, section 10.1.1
			}
			fr.expect = true
			return true, nil
		}
	case 7:
		if is("upgrade") {
			fr.chooseUpgrade(v)
			return true, nil
		}
		return fr.section.trailers() && is("trailer"), nil
	case 10:
		if is("connection") {
			return true, fr.options(v)
		}
		return is("keep-alive"), nil
	case 14:
		if is("content-length") {
			return true, fr.setLength(v)
		}
		// RFC 7540, section 3.2.1; there is no upgrade to HTTP/2 any more.
		return is("http2-settings"), nil
	case 16:
		return is("proxy-connection"), nil
	case 17:
		if is("transfer-encoding") {
			return true, fr.setCoding(v)
		}
	case 19:
		// RFC 9110, section 11.7.2: it is for the first proxy that asks.
		return fr.section == requestHead && is("proxy-authorization"), nil
	}
	return false, nil
}

// options reads a value of Connection.
func (fr *framing) options(v string) error {
	n := 0
	for option := range strings.SplitSeq(v, ",") {
		switch option = trim(option); {
		case option == "":
		case edge.EqualFold(option, "close"):
			fr.close = true
		case edge.EqualFold(option, "keep-alive"):
			fr.keepAlive = true
		case edge.EqualFold(option, "upgrade"):
			fr.upgrades = true
		default:
			fr.named = true
		}
		if n++; n > maxOptions {
			return errOptions
		}
	}
	return nil
}

// dropNamed removes the fields that Connection names: RFC 9110, section 7.6.1.
func (fr *framing) dropNamed(block []byte, f *edge.Fields) error {
	n := 0
	for len(block) > 0 {
		line, rest, _ := cutLine(block)
		block = rest
		name, value, _ := parseLine(line)
		if !edge.EqualFold(name, "connection") {
			continue
		}
		for option := range strings.SplitSeq(value, ",") {
			if n++; n > maxOptions {
				return errOptions
			}
			f.Del(trim(option))
		}
	}
	return nil
}

// chooseUpgrade picks one protocol of a value of Upgrade: WebSocket if that is
// among them, else the first. HTTP/2 is not to be had this way (RFC 9113,
// section 3.1), and would get past whatever looks at requests.
func (fr *framing) chooseUpgrade(v string) {
	for protocol := range strings.SplitSeq(v, ",") {
		switch protocol = trim(protocol); {
		case protocol == "" || edge.EqualFold(protocol, "h2c") || edge.EqualFold(protocol, "h2"):
		case edge.EqualFold(protocol, "websocket"):
			fr.upgrade = protocol
			return
		case fr.upgrade == "" && protocolName(protocol):
			fr.upgrade = protocol
		}
	}
}

// protocolName reports whether s is a token, or two with a slash between them
// (RFC 9110, section 7.8).
func protocolName(s string) bool {
	name, version, has := strings.Cut(s, "/")
	return token(name) && (!has || token(version))
}

// setLength reads a Content-Length. RFC 9112, section 6.3, item 5: an invalid one
// is an unrecoverable error; a second one is never needed.
func (fr *framing) setLength(v string) error {
	if fr.length >= 0 || len(v) == 0 || len(v) > 18 {
		return errLength
	}
	n := int64(0)
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return errLength
		}
		n = n*10 + int64(v[i]-'0')
	}
	fr.length = n
	return nil
}

// setCoding reads a Transfer-Encoding, in which only chunked may stand, once:
// RFC 9112, section 6.1.
func (fr *framing) setCoding(v string) error {
	if fr.coded {
		return errCodingOrder
	}
	fr.coded = true
	if edge.EqualFold(v, "chunked") {
		fr.chunked = true
		return nil
	}
	first := trim(v[:max(0, strings.IndexByte(v, ','))])
	if edge.EqualFold(first, "chunked") || v == "" {
		return errCodingOrder
	}
	return errCoding
}

// trim removes optional whitespace (RFC 9110, section 5.6.3) around s.
func trim(s string) string { return strings.Trim(s, " \t") }
