package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// memory is a connection whose peer has sent data, and closed.
type memory struct {
	net.Conn
	data  []byte
	piece int // most bytes of a read
}

func (m *memory) Read(p []byte) (int, error) {
	if len(m.data) == 0 {
		return 0, io.EOF
	}
	if len(p) > m.piece {
		p = p[:m.piece]
	}
	n := copy(p, m.data)
	m.data = m.data[n:]
	return n, nil
}

// reader is the owner of an input that reads from memory.
type reader struct {
	in   input
	body body
}

func newReader(data []byte, piece int, cfg *Config) *reader {
	r := &reader{}
	r.in.src, r.in.owner = &memory{data: data, piece: piece}, r
	r.in.limit, r.in.room = cfg.HeaderBytes, cfg.TrailerBytes
	r.in.buf = make([]byte, minBuffer)
	return r
}

func (r *reader) enlarge(size int) {
	b := make([]byte, size)
	copy(b, r.in.buf[:r.in.w])
	r.in.buf = b
}
func (r *reader) waits() error           { return nil }
func (r *reader) broken(err error) error { return err }
func (r *reader) complete()              {}

// message is what a parser made of some bytes.
type message struct {
	request edge.Request
	body    []byte
	end     int // offset behind it
}

// ours reads one request from data, as a connection does.
func readOurs(data []byte, piece int, cfg *Config) (m message, err error) {
	r := newReader(data, piece, cfg)
	block, err := r.in.readHead()
	if err != nil {
		return m, err
	}
	h := head{scheme: "http"}
	if err := h.parseRequest(block, &m.request, cfg); err != nil {
		return m, err
	}
	r.body.none()
	if h.chunked || h.length > 0 {
		r.body.start(&r.in, &h.framing, &m.request.Trailers)
		if m.body, err = io.ReadAll(&r.body); err != nil {
			return m, err
		}
	}
	m.end = len(data) - len(r.in.src.(*memory).data) - (r.in.w - r.in.r)
	return m, nil
}

// seeds are requests good and bad; the differences between parsers are in the
// bad ones.
var seeds = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nhello",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\n\r\nGET",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n000a \r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\nGET",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\nhello",
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket, h2c\r\nConnection: upgrade, X\r\nX: y\r\n\r\n",
}

func FuzzRequestHead(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 3)
	}
	cfg := Config{HeaderBytes: 20 << 10}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		m, err := readOurs(data, 1<<20, cfg)
		r := &m.request
		// In what pieces the bytes come makes no difference.
		m2, err2 := readOurs(data, max(1, piece&0xfff), cfg)
		if (err == nil) != (err2 == nil) || err == nil && (m.end != m2.end || !bytes.Equal(m.body, m2.body)) {
			t.Fatalf("in pieces of %d: got %d %v, want %d %v", piece&0xfff, m2.end, err2, m.end, err)
		}
		if err != nil {
			return
		}
		if !token(r.Method) || r.Path == "" || r.Path[0] != '/' && r.Path != "*" || !all(r.Path, &targets) || !all(r.Query, &targets) {
			t.Fatalf("accepted %q %q %q", r.Method, r.Path, r.Query)
		}
		if r.Proto == "HTTP/1.1" && !validAuthority(r.Authority) {
			t.Fatalf("accepted Host %q", r.Authority)
		}
		for _, fields := range []*edge.Fields{&r.Fields, &r.Trailers} {
			for name, value := range fields.All() {
				if !token(name) || ours(name) || strings.Contains(name, "_") || !all(value, &values) || strings.Trim(value, " \t") != value {
					t.Fatalf("accepted %q: %q", name, value)
				}
			}
		}
		// What goes on to an origin is read there as it was here.
		b, ok := appendRequestLine(nil, r)
		if ok {
			b, ok = appendFields(b, &r.Fields)
		}
		if !ok {
			t.Fatalf("cannot be forwarded: %q", data)
		}
		b = append(b, "\r\n"...)
		again, err := readOurs(b, 1<<20, Config{HeaderBytes: 1 << 20, TargetBytes: 1 << 20}.withDefaults())
		if r.Authority == "" {
			return // of HTTP/1.0, which we do not speak to origins
		}
		if err != nil || again.end != len(b) || again.request.Path != r.Path || again.request.Query != r.Query || again.request.Fields.Len() != r.Fields.Len() {
			t.Fatalf("%q is forwarded as %q, which reads differently: %v", data, b, err)
		}
	})
}

// FuzzDifferential: when we accept a message, net/http does not see another end
// or other content.
func FuzzDifferential(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	cfg := Config{}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readOurs(data, 1<<20, cfg)
		if err != nil {
			return
		}
		src := bytes.NewReader(data)
		r := bufio.NewReader(src)
		req, err := http.ReadRequest(r)
		if err != nil {
			return // it refuses: nobody is deceived
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		req.Body.Close()
		if end := len(data) - src.Len() - r.Buffered(); end != m.end || !bytes.Equal(body, m.body) {
			t.Fatalf("%q:\nours ends at %d with content %q,\nnet/http's at %d with %q", data, m.end, m.body, end, body)
		}
	})
}

func FuzzResponseHead(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200\r\n\r\n",
		"HTTP/1.0 404 Not Found\r\nConnection: keep-alive, X\r\nX: y\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/9.9 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	} {
		f.Add([]byte(s))
	}
	cfg := Config{}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReader(data, 1<<20, cfg)
		block, err := r.in.readHead()
		if err != nil {
			return
		}
		var fields edge.Fields
		fr := framing{section: responseHead, max: 100}
		status, err := parseResponse(block, &fields, &fr)
		if err != nil {
			return
		}
		if status < 100 || status > 599 || fr.chunked && fr.length >= 0 || fr.coded && !fr.chunked || fields.Len() > 100 {
			t.Fatalf("accepted %q as %d with length %d", block, status, fr.length)
		}
		b, ok := appendFields(nil, &fields)
		if !ok {
			t.Fatalf("cannot be delivered: %q", block)
		}
		// Where net/http accepts it too, it is the same to it.
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			return
		}
		if res.StatusCode != status {
			t.Fatalf("%q: got status %d, net/http's is %d", block, status, res.StatusCode)
		}
		bodiless := status/100 == 1 || status == 204 || status == 304
		if !bodiless && (len(res.TransferEncoding) > 0) != fr.chunked || !bodiless && !fr.chunked && res.ContentLength != fr.length {
			t.Fatalf("%q: got length %d, chunked %v; net/http's are %d, %v", block, fr.length, fr.chunked, res.ContentLength, res.TransferEncoding)
		}
		for name := range fields.All() {
			if !bytes.Contains(b, []byte(name)) {
				t.Fatalf("%q is not delivered", name)
			}
		}
	})
}
