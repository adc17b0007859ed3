package http2

import (
	"errors"
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-edge/sluice/edge"
)

// section is a field section on its way from its frames to the request.
type section struct {
	// Where the section is from.
	id    uint32
	end   bool   // the frames carry END_STREAM
	block []byte // its frames so far, if they are more than one

	// How it is read.
	request *edge.Request // nil: the section is a trailer
	fields  *edge.Fields  // where its fields go
	count   int           // fields, and
	bytes   int           // their size as RFC 9113, section 6.5.2 counts
	maximum int           // of count
	limit   int           // of bytes
	large   bool          // more than one of the two
	regular bool          // a field that is no pseudo-field has come
	pseudo  uint8         // pseudo-fields that have come, as bits
	host    string        // Host
	hosts   int
	length  int64 // Content-Length, or -1
	expect  bool  // 100-continue
	crumbs  int   // cookie fields
	bad     string
	text    *[]byte // arena of the strings that no table keeps; nil: none
}

const (
	hasMethod = 1 << iota
	hasScheme
	hasAuthority
	hasPath
)

// malformed notes the first reason why the message is malformed (RFC 9113,
// section 8.1.1). Decoding goes on, for the sake of the table.
func (t *section) malformed(why string) {
	if t.bad == "" {
		t.bad = why
	}
}

// add takes a field. It is what the decoder calls.
func (t *section) add(f hpack.HeaderField) {
	t.count++
	t.bytes += len(f.Name) + len(f.Value) + entrySize
	if t.count > t.maximum || t.bytes > t.limit {
		t.large = true
	}
	if t.large || t.bad != "" {
		return
	}
	if f.IsPseudo() {
		t.addPseudo(f.Name, f.Value)
		return
	}
	t.regular = true
	// RFC 9113, section 8.2.1.
	if !validLowerName(f.Name) {
		t.malformed("invalid field name")
		return
	}
	if !validValue(f.Value) || !trimmed(f.Value) {
		t.malformed("invalid field value")
		return
	}
	t.addField(f.Name, f.Value)
}

// addPseudo: RFC 9113, sections 8.3 and 8.3.1.
func (t *section) addPseudo(name, value string) {
	r := t.request
	if r == nil {
		t.malformed("pseudo-field in a trailer section")
		return
	}
	if t.regular {
		t.malformed("pseudo-field behind other fields")
		return
	}
	var bit uint8
	switch name {
	case ":method":
		bit, r.Method = hasMethod, value
	case ":scheme":
		bit, r.Scheme = hasScheme, value
	case ":authority":
		bit, r.Authority = hasAuthority, value
	case ":path":
		bit, r.Path = hasPath, value
	default:
		t.malformed("unknown pseudo-field")
	}
	if t.pseudo&bit != 0 {
		t.malformed("a pseudo-field twice")
	}
	t.pseudo |= bit
}

func (t *section) addField(name, value string) {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade": // RFC 9113, section 8.2.2
		t.malformed("connection-specific field")
	case "te":
		if !edge.EqualFold(value, "trailers") {
			t.malformed("TE is not trailers") // RFC 9113, section 8.2.2
		}
	case "host":
		t.hosts++
		t.host = value
	case "content-length":
		n, ok := parseLength(value)
		if !ok || t.length >= 0 {
			t.malformed("invalid Content-Length")
		}
		t.length = n
	case "cookie":
		t.crumbs++
		t.fields.Add(name, value)
	case "expect":
		if edge.EqualFold(value, "100-continue") {
			t.expect = true // we answer it, as hop by hop as HTTP/1 does
			return
		}
		t.fields.Add(name, value)
	default:
		t.fields.Add(name, value)
	}
}

// parseLength: RFC 9110, section 8.6.
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return -1, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1, false
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, true
}

// headers begins a field section.
func (c *conn) headers(fh http2.FrameHeader, p []byte) (*stream, error) {
	id := fh.StreamID
	if id == 0 {
		return nil, connFault(http2.ErrCodeProtocol, "HEADERS without a stream")
	}
	if id%2 == 0 { // RFC 9113, section 5.1.1
		return nil, connFault(http2.ErrCodeProtocol, "a client's stream has an odd number")
	}
	p, err := unpad(fh, p)
	if err != nil {
		return nil, err
	}
	bad := ""
	if fh.Flags.Has(http2.FlagHeadersPriority) {
		if len(p) < 5 {
			return nil, connFault(http2.ErrCodeFrameSize, "no room for the priority")
		}
		if uint32(p[0]&0x7f)<<24|uint32(p[1])<<16|uint32(p[2])<<8|uint32(p[3]) == id { // RFC 7540, section 5.3.1
			bad = "the stream depends on itself"
		}
		p = p[5:]
	}
	t := &c.sect
	*t = section{id: id, end: fh.Flags.Has(http2.FlagHeadersEndStream), block: t.block[:0], bad: bad}
	if fh.Flags.Has(http2.FlagHeadersEndHeaders) {
		return c.section(p)
	}
	t.block = append(t.block, p...)
	return nil, nil
}

// continuation goes on with it: the Framer has made sure that it is the same.
func (c *conn) continuation(fh http2.FrameHeader, p []byte) (*stream, error) {
	t := &c.sect
	if len(p) == 0 {
		if err := c.nothing(); err != nil {
			return nil, err
		}
	}
	if len(t.block)+len(p) > 2*c.cfg.HeaderBytes { // what it unpacks to is no shorter
		return nil, connFault(http2.ErrCodeEnhanceYourCalm, "the field section is too large")
	}
	t.block = append(t.block, p...)
	if !fh.Flags.Has(http2.FlagContinuationEndHeaders) {
		return nil, nil
	}
	s, err := c.section(t.block)
	if cap(t.block) > 2*maxFrame {
		t.block = nil
	}
	return s, err
}

// section handles a whole field section. It is decoded in any case, since the
// table must stay in step with the client's.
func (c *conn) section(block []byte) (*stream, error) {
	t := &c.sect
	t.length, t.limit, t.maximum = -1, c.cfg.HeaderBytes, c.cfg.Fields
	if t.id > c.last {
		if c.next == nil {
			c.next = c.s.streams.Get().(*stream)
		}
		s := c.next
		t.request, t.fields, t.text = &s.x.Request, &s.x.Request.Fields, &s.text
		if err := c.decode(block); err != nil {
			return nil, err
		}
		c.next = nil
		return c.open(s)
	}
	// Trailers live for as long as the stream, which may end at any time.
	var trailers edge.Fields
	t.fields = &trailers
	if err := c.decode(block); err != nil {
		return nil, err
	}
	return nil, c.trailers(&trailers)
}

// trailers ends a request.
func (c *conn) trailers(f *edge.Fields) error {
	t := &c.sect
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[t.id]
	var r *remnant
	if s == nil {
		r = c.remnant(t.id)
	}
	switch {
	case c.leaving:
		return nil
	case s == nil && r == nil: // RFC 9113, section 5.1.1
		return connFault(http2.ErrCodeStreamClosed, "HEADERS on a closed stream")
	case s == nil && !r.answered, s != nil && s.gone != nil:
		return nil
	case s != nil && s.ended:
		return streamFault(t.id, http2.ErrCodeStreamClosed, "HEADERS behind the end of the stream")
	case !t.end: // RFC 9113, section 8.1
		t.malformed("HEADERS amid content")
	case t.large:
		t.malformed("the trailer section is too large")
	}
	if t.bad != "" {
		return streamFault(t.id, http2.ErrCodeProtocol, t.bad)
	}
	if s == nil {
		return c.late(t.id, 0, true)
	}
	s.trailers = *f
	return s.endContent()
}

var errHPACK = errors.New("invalid HPACK")

// decode runs the section's block through the decoder, except for those literals
// that enter no table: their strings go to the stream's arena, where they cost no
// allocation. Browsers send :path so.
func (c *conn) decode(block []byte) error {
	err := c.decodeAll(block)
	if e := c.dec.Close(); err == nil {
		err = e
	}
	if err != nil { // RFC 9113, section 4.3
		return connFault(http2.ErrCodeCompression, err.Error())
	}
	return nil
}

func (c *conn) decodeAll(b []byte) error {
	start, i := 0, 0 // b[start:i] is for the decoder
	write := func() error {
		_, err := c.dec.Write(b[start:i])
		return err
	}
	first := true
	for i < len(b) {
		var n int // length of the next representation; 0: it is cut
		switch x := b[i]; {
		case x&0x80 != 0: // RFC 7541, section 6.1
			_, n = readInteger(b[i:], 7)
		case x&0xc0 == 0x40: // section 6.2.1
			n, _, _ = literal(b[i:], 6)
		case x&0xe0 == 0x20: // section 6.3
			if !first { // section 4.2
				return errHPACK
			}
			size, n := readInteger(b[i:], 5)
			if n == 0 || size > tableSize {
				return errHPACK
			}
			c.dec.SetMaxDynamicTableSize(uint32(size))
			i += n
			start = i
			continue
		default: // sections 6.2.2 and 6.2.3
			var name uint64
			var value int
			n, name, value = literal(b[i:], 4)
			if n == 0 || c.sect.text == nil || name > staticSize {
				break
			}
			if err := write(); err != nil {
				return err
			}
			if err := c.sect.literal(b[i:i+n], name, value); err != nil {
				return err
			}
			start = i + n
		}
		first = false
		i += n
		if n == 0 {
			i = len(b) // the decoder tells why
		}
	}
	return write()
}

// literal returns the length of a literal representation, the index of its name,
// and where its value begins; or 0 if it is cut.
func literal(b []byte, prefix int) (n int, name uint64, value int) {
	name, n = readInteger(b, prefix)
	if n == 0 {
		return 0, 0, 0
	}
	if name == 0 {
		l := stringLength(b[n:])
		if l == 0 {
			return 0, 0, 0
		}
		n += l
	}
	value = n
	l := stringLength(b[n:])
	if l == 0 {
		return 0, 0, 0
	}
	return n + l, name, value
}

// literal takes a literal whose name is not in the dynamic table.
func (t *section) literal(b []byte, index uint64, value int) (err error) {
	f := hpack.HeaderField{Name: static[index]}
	if index == 0 {
		_, n := readInteger(b, 4)
		if f.Name, err = t.string(b[n:value]); err != nil {
			return err
		}
	}
	if f.Value, err = t.string(b[value:]); err != nil {
		return err
	}
	t.add(f)
	return nil
}

// string decodes a string into the arena.
func (t *section) string(b []byte) (string, error) {
	_, n := readInteger(b, 7)
	start := len(*t.text)
	if b[0]&0x80 == 0 {
		*t.text = append(*t.text, b[n:]...)
	} else if _, err := hpack.HuffmanDecode((*arena)(t.text), b[n:]); err != nil {
		return "", err
	}
	if len(*t.text) == start {
		return "", nil
	}
	return unsafe.String(&(*t.text)[start], len(*t.text)-start), nil
}

// arena is memory for strings. What it has moves when it grows; the strings made
// so far keep the old memory.
type arena []byte

func (a *arena) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// readInteger reads an integer with a prefix of n bits (RFC 7541, section 5.1)
// and returns its length, or 0 if it is cut or too large.
func readInteger(b []byte, n int) (v uint64, length int) {
	if len(b) == 0 {
		return 0, 0
	}
	limit := uint64(1)<<n - 1
	if v = uint64(b[0]) & limit; v < limit {
		return v, 1
	}
	for i := 1; i < len(b) && i <= 5; i++ {
		v += uint64(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// stringLength returns the length of the string literal at the beginning of b
// (RFC 7541, section 5.2), or 0 if it is cut.
func stringLength(b []byte) int {
	l, n := readInteger(b, 7)
	if n == 0 || l > uint64(len(b)-n) {
		return 0
	}
	return n + int(l)
}
