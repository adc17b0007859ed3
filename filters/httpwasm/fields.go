package httpwasm

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// fieldLine is what a field line costs beside its text, in bytes.
const fieldLine = 32

// name reads a field name from the guest's memory.
func (g *guest) name(ptr, n uint64) string {
	name := g.in.String(uint32(ptr), uint32(n))
	if !isToken(name) { // RFC 9110, section 5.1
		panic(wasm.Trap("%q is not a field name", name))
	}
	return name
}

// framed reports whether a field is the engine's business: framing, and what is
// about one connection (RFC 9110, section 7.6.1). Guests' changes to it are
// ignored; Content-Length follows from the content.
func framed(name string) bool {
	for _, f := range [...]string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
		"Proxy-Connection", "Upgrade", "TE"} {
		if edge.EqualFold(name, f) {
			return true
		}
	}
	return false
}

// current returns the fields that k means now; nil if there are none yet.
func (g *guest) current(k kind) *edge.Fields {
	x := g.exchange()
	switch k {
	case requestFields:
		return &g.asked().Fields
	case responseFields:
		if g.phase == inRequest {
			return &g.early.fields
		}
		return &x.Response.Fields
	case requestTrailers:
		if g.features&trailers == 0 {
			return nil
		}
		if g.call != nil {
			return g.call.requestTrailers()
		}
		c := &g.requested
		if g.phase == inRequest && g.features&bufferRequest != 0 {
			c.drain(g.in, g.f.cfg.Body, &x.Request.Trailers)
		}
		if !c.eof {
			return nil // still to come, and who reads the content owns them
		}
		list := c.trailers.Clone()
		g.trail.apply(&list) // they are put in when the content is passed on
		return &list
	case responseTrailers:
		if g.features&trailers == 0 {
			return nil
		}
		if g.phase == inRequest {
			return &g.early.trailers
		}
		c := &g.responded
		if g.features&bufferResponse != 0 {
			c.drain(g.in, g.f.cfg.Body, &x.Response.Trailers)
		}
		if !c.eof {
			return nil
		}
		return &x.Response.Trailers
	}
	panic(wasm.Trap("%d is no kind of field", k))
}

// names returns the names of the fields, in lower case and each once.
func (g *guest) names(k kind) []string {
	var list []string
	seen := make(map[string]bool)
	add := func(name string) {
		name = strings.ToLower(name)
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	for _, name := range [...]string{"host", "content-length"} {
		if len(g.synthetic(k, name)) > 0 {
			add(name)
		}
	}
	if f := g.current(k); f != nil {
		for name := range f.All() {
			add(name)
		}
	}
	return list
}

func (g *guest) values(k kind, name string) []string {
	if list := g.synthetic(k, name); list != nil {
		return list
	}
	var list []string
	if f := g.current(k); f != nil {
		for v := range f.Values(name) {
			list = append(list, v)
		}
	}
	return list
}

// synthetic returns the values of a field that guests expect and that an
// exchange has elsewhere.
func (g *guest) synthetic(k kind, name string) []string {
	x, r := g.exchange(), g.asked()
	switch {
	case k == requestFields && edge.EqualFold(name, "host"):
		if r.Authority == "" {
			return nil
		}
		return []string{r.Authority}
	case k == requestFields && edge.EqualFold(name, "content-length"):
		return contentLength(r.Length)
	case k == responseFields && g.call != nil && edge.EqualFold(name, "content-length"):
		return contentLength(g.call.length)
	case k == responseFields && g.phase == inResponse && edge.EqualFold(name, "content-length"):
		return contentLength(x.Response.Length)
	}
	return nil
}

// edit changes fields.
func (g *guest) edit(k kind, e edit) {
	// RFC 9110, section 5.5: these three end a field value, or a message.
	if strings.ContainsAny(e.value, "\r\n\x00") {
		panic(wasm.Trap("the value of %q has a CR, LF or NUL in it", e.name))
	}
	switch k {
	case requestFields:
		g.changing("a request field")
		if edge.EqualFold(e.name, "host") {
			if e.do != removeField { // a request always has one (RFC 9112, section 3.2)
				g.charge(len(e.value))
				g.setHost(e.value)
			}
			return
		}
	case responseFields:
		g.answering("a response field")
		g.unsettled("a response field")
		if g.call != nil && edge.EqualFold(e.name, "content-length") {
			g.call.announce(e)
			return
		}
	case requestTrailers:
		g.changing("a request trailer")
		g.wantTrailers()
	case responseTrailers:
		g.answering("a response trailer")
		g.wantTrailers()
	default:
		panic(wasm.Trap("%d is no kind of field", k))
	}
	if framed(e.name) {
		return
	}
	if e.do != removeField || k != requestFields {
		g.charge(len(e.name) + len(e.value) + fieldLine)
	}
	switch {
	case k == requestTrailers:
		g.trail = append(g.trail, e)
	case g.phase == inRequest && k == responseFields:
		g.early.edits = append(g.early.edits, e)
		e.apply(&g.early.fields)
	case g.phase == inRequest && k == responseTrailers:
		g.early.trail = append(g.early.trail, e)
		e.apply(&g.early.trailers)
	default:
		e.apply(g.current(k))
	}
}

func (g *guest) wantTrailers() {
	if g.features&trailers == 0 {
		panic(wasm.Trap("trailers cannot be changed without the feature trailers"))
	}
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
