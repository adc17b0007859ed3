package httpwasm

import (
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// fieldLine is what a field line costs beside its text, in bytes.
const fieldLine = 32

// name reads a field name from the guest's memory. It is valid until the guest runs
// again.
func (g *guest) name(ptr, n uint64) string {
	name := g.view(ptr, n)
	if !edge.IsToken(name) { // RFC 9110, section 5.1
		panic(wasm.Trap("%.80q is not a field name", name))
	}
	return name
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
	case requestTrailers: // read by whoever buffers, as in the reference host: the feature is for changes
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
		g.shown.CopyFrom(&c.trailers)
		g.trail.apply(&g.shown) // they are put in when the content is passed on
		return &g.shown
	case responseTrailers:
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

// few is how many names are compared with each other: more are looked up.
const few = 64

// names returns the names of the fields, each once, as they were written first.
func (g *guest) names(k kind) []string {
	list := g.list[:0]
	for _, name := range [...]string{"host", "content-length"} {
		if _, ok := g.synthetic(k, name); ok {
			list = append(list, name)
		}
	}
	if f := g.current(k); f != nil {
		list = distinct(list, f)
	}
	g.list = list
	return list
}

// distinct appends the names of fields that are not in the list.
func distinct(list []string, f *edge.Fields) []string {
	var seen map[string]bool // in lower case
	if f.Len() > few {
		seen = make(map[string]bool, f.Len())
		for _, name := range list {
			seen[name] = true
		}
	}
	for name := range f.All() {
		if seen != nil {
			lower := strings.ToLower(name)
			if seen[lower] {
				continue
			}
			seen[lower] = true
		} else if slices.ContainsFunc(list, func(have string) bool { return edge.EqualFold(have, name) }) {
			continue
		}
		list = append(list, name)
	}
	return list
}

// values returns the values of a field.
func (g *guest) values(k kind, name string) []string {
	list := g.list[:0]
	if v, ok := g.synthetic(k, name); ok {
		list = append(list, v)
	} else if f := g.current(k); f != nil {
		for v := range f.Values(name) {
			list = append(list, v)
		}
	}
	g.list = list
	return list
}

// synthetic returns the value of a field that guests expect and that an exchange has
// elsewhere, and whether there is one.
func (g *guest) synthetic(k kind, name string) (v string, ok bool) {
	x, r := g.exchange(), g.asked()
	switch {
	case k == requestFields && edge.EqualFold(name, "host"):
		return r.Authority, r.Authority != ""
	case k == requestFields && edge.EqualFold(name, "content-length"):
		return g.contentLength(r.Length)
	case k == responseFields && g.call != nil && edge.EqualFold(name, "content-length"):
		return g.contentLength(g.call.length)
	case k == responseFields && g.phase == inResponse && edge.EqualFold(name, "content-length"):
		return g.contentLength(x.Response.Length)
	}
	return "", false
}

// edit changes fields. The texts of e may alias the guest's memory.
func (g *guest) edit(k kind, e edit) {
	// RFC 9110, section 5.5: these three end a field value, or a message.
	if strings.ContainsAny(e.value, "\r\n\x00") {
		panic(wasm.Trap("the value of %.80q has a CR, LF or NUL in it", e.name))
	}
	switch k {
	case requestFields:
		g.changing("a request field")
		if edge.EqualFold(e.name, "host") {
			if e.do != removeField { // a request always has one (RFC 9112, section 3.2)
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
	// Guests' changes to what is the engine's business are ignored: Content-Length
	// follows from the content.
	if edge.ConnectionField(e.name) {
		return
	}
	if e.do != removeField || k != requestFields {
		g.charge(len(e.name) + len(e.value) + fieldLine)
		e.name, e.value = g.keep(e.name), g.keep(e.value)
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
