package proxywasm

import (
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// The kinds of maps and buffers that host functions are about.
const (
	requestHeaders uint32 = iota
	requestTrailers
	responseHeaders
	responseTrailers
	grpcInitial
	grpcTrailing
	callHeaders
	callTrailers
)

const (
	requestBody uint32 = iota
	responseBody
	downstreamData
	upstreamData
	callBody
	grpcMessage
	vmConfiguration
	pluginConfiguration
)

// fieldLine is what a field line costs beside its text, in bytes.
const fieldLine = 32

// charge counts what the guest makes us hold, and says whether it can be a field.
func (s *stream) charge(name, value string) status {
	if !strings.HasPrefix(name, ":") && !isToken(name) || !isValue(value) {
		return badArgument
	}
	if s.fields += int64(len(name) + len(value) + fieldLine); s.fields > s.f.cfg.Fields {
		return internalFailure
	}
	return statusOK
}

// framing reports whether a field is the engine's business.
func framing(name string) bool { return edge.ConnectionField(name) }

func (s *stream) requestFields() int  { return s.x.Request.Fields.Len() + 4 }
func (s *stream) responseFields() int { return s.x.Response.Fields.Len() + 1 }

// find returns the lines of a map: those that fields do not hold, and fields. It returns
// nil if there is no such map now.
func (a *args) find(kind uint32) (pseudo []edge.Field, fields *edge.Fields) {
	v := a.v
	if r := v.answered; r != nil {
		switch kind {
		case callHeaders:
			return []edge.Field{{Name: ":status", Value: strconv.Itoa(r.status)}}, &r.fields
		case callTrailers:
			return nil, &r.trailers
		}
	}
	s := v.serving()
	if s == nil {
		return nil, nil
	}
	q, r := &s.x.Request, &s.x.Response
	switch {
	case kind == requestHeaders:
		pseudo = []edge.Field{{Name: ":authority", Value: q.Authority}, {Name: ":path", Value: pathOf(q)},
			{Name: ":method", Value: q.Method}, {Name: ":scheme", Value: q.Scheme}}
		return lengthened(pseudo, q.Length), &q.Fields
	case kind == responseHeaders && s.answered:
		return lengthened([]edge.Field{{Name: ":status", Value: strconv.Itoa(r.Status)}}, r.Length), &r.Fields
	case kind == requestTrailers && s.trailers[ofRequest]:
		return nil, &q.Trailers
	case kind == responseTrailers && s.trailers[ofResponse]:
		return nil, &r.Trailers
	}
	return nil, nil
}

// lengthened adds Content-Length, which messages have elsewhere.
func lengthened(list []edge.Field, length int64) []edge.Field {
	if length > 0 {
		list = append(list, edge.Field{Name: "content-length", Value: strconv.FormatInt(length, 10)})
	}
	return list
}

func pathOf(r *edge.Request) string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

func (a *args) mapSize() status {
	pseudo, fields := a.find(a.u32(0))
	if fields == nil {
		return a.put(1, 0)
	}
	return a.put(1, uint32(len(pseudo)+fields.Len()))
}

func (a *args) mapPairs() status {
	if !a.room(1, 2, 4) {
		return invalidMemory
	}
	pseudo, fields := a.find(a.u32(0))
	if fields == nil {
		return a.give(1, appendPairs(nil, nil))
	}
	for name, value := range fields.All() {
		pseudo = append(pseudo, edge.Field{Name: strings.ToLower(name), Value: value})
	}
	return a.give(1, appendPairs(nil, pseudo))
}

func (a *args) mapValue() status {
	name := a.text(1)
	if a.bad || !a.room(3, 2, 4) {
		return invalidMemory
	}
	value, ok := a.lookup(a.u32(0), name)
	if !ok && !a.v.f.exports.old {
		return notFound
	}
	return a.give(3, []byte(value))
}

// lookup returns the values of a name, joined as RFC 9110, section 5.3, allows.
func (a *args) lookup(kind uint32, name string) (value string, ok bool) {
	pseudo, fields := a.find(kind)
	if fields == nil {
		return "", false
	}
	if kind == requestHeaders && edge.EqualFold(name, "host") {
		name = ":authority"
	}
	for _, p := range pseudo {
		if edge.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	for v := range fields.Values(name) {
		if ok {
			v = value + ", " + v
		}
		value, ok = v, true
	}
	return value, ok
}

// action is a change to a map.
type action uint8

const (
	setField action = iota
	addField
	removeField
)

// editable returns the fields of a map for a change; ok is false if there is no such map.
// Fields of a head that has been passed on are nil: to change them has no effect.
func (a *args) editable(kind uint32) (s *stream, fields *edge.Fields, ok bool) {
	s = a.v.serving()
	if s == nil {
		return nil, nil, false
	}
	if kind == requestHeaders && s.settled[ofRequest] || kind == responseHeaders && s.settled[ofResponse] {
		return s, nil, true
	}
	if kind == callHeaders || kind == callTrailers {
		return nil, nil, false
	}
	if kind == responseHeaders {
		s.touched = true
	}
	_, fields = a.find(kind)
	return s, fields, fields != nil
}

func (a *args) edit(do action) status {
	kind, name, value := a.u32(0), a.text(1), ""
	if do != removeField {
		value = a.text(3)
	}
	if a.bad {
		return invalidMemory
	}
	s, fields, ok := a.editable(kind)
	if !ok {
		return badArgument
	}
	if fields == nil {
		return statusOK
	}
	if st := s.charge(name, value); st != statusOK {
		return st
	}
	return s.change(kind, fields, do, name, value)
}

// change changes a map.
func (s *stream) change(kind uint32, fields *edge.Fields, do action, name, value string) status {
	if strings.HasPrefix(name, ":") || kind == requestHeaders && edge.EqualFold(name, "host") {
		if do == removeField {
			return statusOK // a message always has them
		}
		return s.pseudo(kind, name, value)
	}
	if framing(name) {
		return statusOK // follows from the content
	}
	switch do {
	case setField:
		fields.Set(name, value)
	case addField:
		fields.Add(name, value)
	case removeField:
		fields.Del(name)
	}
	return statusOK
}

// pseudo sets what a message has beside its fields.
func (s *stream) pseudo(kind uint32, name, value string) status {
	q := &s.x.Request
	switch {
	case kind == responseHeaders && name == ":status":
		code, err := strconv.Atoi(value)
		if err != nil || code < 200 || code > 999 {
			return badArgument
		}
		if s.x.Response.Tunnel != nil && code != 101 {
			s.x.Response.Tunnel = nil
		}
		s.x.Response.Status = code
		return statusOK
	case kind != requestHeaders:
		return badArgument
	case name == ":path" && isPath(value):
		q.Path, q.Query, _ = strings.Cut(value, "?")
	case name == ":method" && isToken(value):
		q.Method = value
	case (name == ":authority" || edge.EqualFold(name, "host")) && isAuthority(value):
		q.Authority = value
	case name == ":scheme" && (value == "http" || value == "https"):
		q.Scheme = value
	default:
		return badArgument
	}
	return statusOK
}

func (a *args) setMap() status {
	kind := a.u32(0)
	list, ok := parsePairs(a.bytes(1))
	switch {
	case a.bad:
		return invalidMemory
	case !ok:
		return parseFailure
	}
	s, fields, ok := a.editable(kind)
	if !ok {
		return badArgument
	}
	if fields == nil {
		return statusOK
	}
	for _, p := range list {
		if st := s.charge(p.Name, p.Value); st != statusOK {
			return st
		}
	}
	fields.Reset()
	for _, p := range list {
		if st := s.change(kind, fields, addField, p.Name, p.Value); st != statusOK {
			return st
		}
	}
	return statusOK
}

// buffer returns a buffer, and whether there is one.
func (a *args) buffer(kind uint32) (b []byte, ok bool) {
	s := a.v.serving()
	switch {
	case kind == pluginConfiguration:
		return a.v.f.cfg.Config, true
	case kind == vmConfiguration:
		return nil, true
	case kind == callBody && a.v.answered != nil:
		return a.v.answered.body, true
	case kind == requestBody && s != nil:
		return s.flow[ofRequest].held, true
	case kind == responseBody && s != nil:
		return s.flow[ofResponse].held, true
	}
	return nil, false
}

func (a *args) getBuffer() status {
	start, most := uint64(a.u32(1)), uint64(a.u32(2))
	if !a.room(3, 2, 4) {
		return invalidMemory
	}
	b, ok := a.buffer(a.u32(0))
	if !ok {
		return notFound
	}
	start = min(start, uint64(len(b)))
	return a.give(3, b[start:min(start+most, uint64(len(b)))])
}

func (a *args) setBuffer() status {
	kind, start, size, p := a.u32(0), a.u32(1), a.u32(2), a.bytes(3)
	s := a.v.serving()
	switch {
	case a.bad:
		return invalidMemory
	case s == nil || kind > responseBody || s.v != a.v || s.flow[kind].src == nil:
		return badArgument
	}
	if s.flow[kind].set(start, size, p) != nil {
		return internalFailure
	}
	return statusOK
}

func (a *args) bufferStatus() status {
	b, ok := a.buffer(a.u32(0))
	switch {
	case !a.room(1, 2, 4):
		return invalidMemory
	case !ok:
		return notFound
	}
	a.put(2, 0)
	return a.put(1, uint32(len(b)))
}
