package httpwasm

import (
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// kind says which fields or content a host function is about.
type kind uint32

const (
	requestFields kind = iota
	responseFields
	requestTrailers
	responseTrailers
)

// exchange returns the exchange, which there is none of during initialisation.
func (g *guest) exchange() *edge.Exchange {
	if g.phase == starting {
		panic(wasm.Trap("there is no request during initialisation"))
	}
	return g.x
}

// asked returns the request, as the guest sees it.
func (g *guest) asked() *edge.Request {
	g.exchange()
	return g.req
}

// changing returns the request for a change.
func (g *guest) changing(what string) *edge.Request {
	g.exchange()
	if g.phase != inRequest {
		panic(wasm.Trap("%s cannot be changed after the next handler", what))
	}
	if g.call != nil {
		g.call.own() // nobody else is to see it
	}
	return g.req
}

// answering returns the exchange for a change to the response.
func (g *guest) answering(what string) *edge.Exchange {
	x := g.exchange()
	if g.phase == inResponse {
		if g.features&bufferResponse == 0 {
			panic(wasm.Trap("%s cannot be changed after the next handler without the feature buffer_response", what))
		}
		g.touched = true
	}
	return x
}

// unsettled makes sure that the head of a function's response is still to come.
func (g *guest) unsettled(what string) {
	if g.call != nil && g.call.stream.Settled() {
		panic(wasm.Trap("%s cannot be changed any more: content has been sent (the feature buffer_response keeps it until all is done)", what))
	}
}

func (g *guest) setMethod(v string) {
	r := g.changing("the method")
	if !edge.IsToken(v) { // RFC 9110, section 9.1
		panic(wasm.Trap("%.80q is not a method", v))
	}
	g.charge(len(v))
	r.Method = g.keep(v)
}

// putURI writes the path and the query, as they are in a request line.
func (g *guest) putURI(ptr, limit uint32) uint32 {
	r := g.asked()
	path := r.Path
	if path == "" {
		path = "/"
	}
	if r.Query == "" {
		return g.put(ptr, limit, path)
	}
	return g.put(ptr, limit, path, "?", r.Query)
}

func (g *guest) setURI(v string) {
	r := g.changing("the URI")
	if v == "" {
		v = "/"
	}
	// RFC 9112, section 3.2.1: what a request can be sent with.
	if v[0] != '/' || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		panic(wasm.Trap("%.80q is not an encoded path and query", v))
	}
	g.charge(len(v))
	r.Path, r.Query, _ = strings.Cut(g.keep(v), "?")
}

func (g *guest) setHost(v string) {
	r := g.changing("the host")
	// RFC 3986, section 3.2.2: no delimiter of another part of a URI.
	if v == "" || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/?#@\<>"`, c) }) {
		panic(wasm.Trap("%.80q is not a host", v))
	}
	g.charge(len(v))
	r.Authority = g.keep(v)
}

// source returns the address and the port of the client, until source or number is
// called again.
func (g *guest) source() string {
	c := g.exchange().Client
	if c == nil {
		return ""
	}
	return asText(netip.AddrPortFrom(c.Addr.Addr().Unmap(), c.Addr.Port()).AppendTo(g.text[:0]))
}

// number returns n in digits, until source or number is called again.
func (g *guest) number(n int64) string { return asText(strconv.AppendInt(g.text[:0], n, 10)) }

// asText returns bytes as text that is what they are.
func asText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// status returns the response's status: what the guest has set, or 200, as long
// as there is no other.
func (g *guest) status() int {
	x := g.exchange()
	switch {
	case g.phase == inResponse:
		return x.Response.Status
	case g.early.status != 0:
		return g.early.status
	}
	return 200
}

func (g *guest) setStatus(code uint32) {
	x := g.answering("the status")
	g.unsettled("the status")
	if code < 200 || code > 999 {
		panic(wasm.Trap("%d is not the status of a final response", int32(code)))
	}
	if g.phase == inResponse {
		x.Response.Status = int(code)
	} else {
		g.early.status = int(code)
	}
}

// readBody fills the guest's buffer with content, and returns how much it is,
// with whether it was the last in the high half.
func (g *guest) readBody(k kind, ptr, n uint32) uint64 {
	x := g.exchange()
	if n == 0 {
		panic(wasm.Trap("content is read into an empty buffer"))
	}
	p := g.in.Read(ptr, n)
	const last = 1 << 32
	switch k {
	case requestFields:
		if g.phase == inResponse {
			return last // it has gone on
		}
		if g.call != nil {
			return g.call.read(p)
		}
		c := &g.requested
		read := c.fill(g.in, p, g.features&bufferRequest != 0, g.f.cfg.Body, &x.Request.Trailers)
		return ended(c, read)
	case responseFields:
		if g.phase == inRequest {
			return last // there is none yet
		}
		if g.features&bufferResponse == 0 {
			panic(wasm.Trap("the response's content cannot be read without the feature buffer_response"))
		}
		c := &g.responded
		read := c.fill(g.in, p, true, g.f.cfg.Body, &x.Response.Trailers)
		return ended(c, read)
	}
	panic(wasm.Trap("%d is no kind of content", k))
}

func ended(c *content, n int) uint64 {
	if c.eof {
		return 1<<32 | uint64(n)
	}
	return uint64(n)
}

func (g *guest) writeBody(k kind, p []byte) {
	switch k {
	case requestFields:
		g.changing("the request's content")
		if g.call == nil { // a function's request goes nowhere
			g.requested.write(p, g.f.cfg.Body)
		}
	case responseFields:
		g.answering("the response's content")
		if g.call != nil {
			g.call.write(p)
			return
		}
		if g.phase == inRequest {
			g.early.content.write(p, g.f.cfg.Body)
		} else {
			g.responded.write(p, g.f.cfg.Body)
		}
	default:
		panic(wasm.Trap("%d is no kind of content", k))
	}
}

// contentLength returns the value of Content-Length that a message would have, and
// whether there is one.
func (g *guest) contentLength(length int64) (v string, ok bool) {
	if length <= 0 {
		return "", false
	}
	return g.number(length), true
}

// charge counts bytes that the guest makes us hold.
func (g *guest) charge(n int) {
	g.fields += int64(n)
	if g.fields > g.f.cfg.Fields {
		panic(wasm.Trap("more than the %d bytes of fields that it may set", g.f.cfg.Fields))
	}
}
