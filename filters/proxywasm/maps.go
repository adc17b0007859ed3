package proxywasm

import (
	"math"
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
	foreignArguments
)

// fieldLine is what a field line costs beside its text, in bytes.
const fieldLine = 32

// charge counts what the guest makes us hold, and says whether it can be a field.
func (s *stream) charge(name, value string) status {
	if !strings.HasPrefix(name, ":") && !edge.IsToken(name) || !isValue(value) {
		return badArgument
	}
	if s.fields += int64(len(name) + len(value) + fieldLine); s.fields > s.f.cfg.Fields {
		return internalFailure
	}
	return statusOK
}

// framing reports whether a field is the engine's business.
func framing(name string) bool { return edge.ConnectionField(name) }

// lines are the lines of a map: some that fields do not hold, and fields.
type lines struct {
	special []string     // names of the former; a length that there is none of is left out
	fields  *edge.Fields // nil: there is no such map now
	request *edge.Request
	status  int
	length  int64
}

const contentLength = "content-length" // which messages have elsewhere

var (
	specialOfRequest  = []string{":authority", ":path", ":method", ":scheme", contentLength}
	specialOfResponse = []string{":status", contentLength}
)

// lines returns a map.
func (v *vm) lines(kind uint32) (l lines) {
	if r := v.answered; r != nil {
		switch kind {
		case callHeaders:
			return lines{special: specialOfResponse, fields: &r.fields, status: r.status}
		case callTrailers:
			return lines{fields: &r.trailers}
		}
	}
	if e := v.heard; e != nil && (kind == grpcInitial && e.what == onRPCInitial || kind == grpcTrailing && e.what == onRPCTrailing) {
		return lines{fields: &e.fields}
	}
	s := v.serving()
	if s == nil {
		return lines{}
	}
	return s.linesOf(kind)
}

// linesOf returns a map of one of the exchange's messages.
func (s *stream) linesOf(kind uint32) lines {
	q, r := &s.x.Request, &s.x.Response
	switch {
	case kind == requestHeaders:
		return lines{special: specialOfRequest, fields: &q.Fields, request: q, length: q.Length}
	case kind == responseHeaders && s.answered:
		return lines{special: specialOfResponse, fields: &r.Fields, status: r.Status, length: r.Length}
	case kind == requestTrailers && (s.trailers[ofRequest] || s.ending):
		return lines{fields: &q.Trailers}
	case kind == responseTrailers && (s.trailers[ofResponse] || s.ending):
		return lines{fields: &r.Trailers}
	}
	return lines{}
}

// len returns how many lines there are.
func (l *lines) len() int {
	if l.fields == nil {
		return 0
	}
	n := len(l.special) + l.fields.Len()
	if l.special != nil && l.length <= 0 {
		n--
	}
	return n
}

// appendSpecial appends the value of a line that fields do not hold, if there is one.
func (l *lines) appendSpecial(b []byte, name string) ([]byte, bool) {
	switch name {
	case ":authority":
		return append(b, l.request.Authority...), true
	case ":path":
		return appendPath(b, l.request), true
	case ":method":
		return append(b, l.request.Method...), true
	case ":scheme":
		return append(b, l.request.Scheme...), true
	case ":status":
		return strconv.AppendInt(b, int64(l.status), 10), true
	default:
		return strconv.AppendInt(b, l.length, 10), l.length > 0
	}
}

// append appends the values of a name, joined as RFC 9110, section 5.3, allows, if there
// are any.
func (l *lines) append(b []byte, name string) (value []byte, ok bool) {
	if l.fields == nil {
		return b, false
	}
	if l.request != nil && edge.EqualFold(name, "host") {
		name = ":authority"
	}
	for _, special := range l.special {
		if edge.EqualFold(special, name) {
			if value, ok = l.appendSpecial(b, special); ok {
				return value, true
			}
		}
	}
	for i := range l.fields.Len() {
		f := l.fields.At(i)
		if !edge.EqualFold(f.Name, name) {
			continue
		}
		if ok {
			b = append(b, ", "...)
		}
		b, ok = append(b, f.Value...), true
	}
	return b, ok
}

// appendPairs appends all lines as a list of pairs.
func (l *lines) appendPairs(b []byte) []byte {
	p := newPairs(b, l.len())
	if l.fields == nil {
		return p.b
	}
	for _, name := range l.special {
		if name == contentLength && l.length <= 0 {
			continue
		}
		p.b = append(p.b, name...)
		p.end()
		p.b, _ = l.appendSpecial(p.b, name)
		p.end()
	}
	for i := range l.fields.Len() {
		f := l.fields.At(i)
		p.b = appendLower(p.b, f.Name)
		p.end()
		p.b = append(p.b, f.Value...)
		p.end()
	}
	return p.b
}

// appendLower appends a name in small letters.
func appendLower(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

func appendPath(b []byte, r *edge.Request) []byte {
	b = append(b, r.Path...)
	if r.Query != "" {
		b = append(append(b, '?'), r.Query...)
	}
	return b
}

// mapSize returns how many bytes the list of pairs has that mapPairs gives.
func (a *args) mapSize() status {
	switch {
	case !a.room(1, 1, 4):
		return invalidMemory
	case a.u32(0) > callTrailers:
		return badArgument
	}
	l := a.v.lines(a.u32(0))
	a.v.scratch = l.appendPairs(a.v.scratch[:0])
	return a.put(1, uint32(len(a.v.scratch)))
}

func (a *args) mapPairs() status {
	switch {
	case !a.room(1, 2, 4):
		return invalidMemory
	case a.u32(0) > callTrailers:
		return badArgument
	}
	l := a.v.lines(a.u32(0))
	return a.giveScratch(1, l.appendPairs(a.v.scratch[:0]))
}

func (a *args) mapValue() status {
	name := a.view(1)
	switch {
	case a.bad || !a.room(3, 2, 4):
		return invalidMemory
	case a.u32(0) > callTrailers:
		return badArgument
	}
	l := a.v.lines(a.u32(0))
	value, ok := l.append(a.v.scratch[:0], name)
	if !ok && !a.v.f.exports.old {
		return notFound
	}
	return a.giveScratch(3, value)
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
	if kind >= grpcInitial { // what has come of calls is only read
		return nil, nil, false
	}
	if kind == responseHeaders {
		s.touched = true
	}
	fields = a.v.lines(kind).fields
	return s, fields, fields != nil
}

func (a *args) edit(do action) status {
	kind, name, value := a.u32(0), a.view(1), ""
	if do != removeField {
		value = a.view(3)
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

// change changes a map. Name and value may alias the guest's memory.
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
		fields.Set(s.keep(name), s.keep(value))
	case addField:
		fields.Add(s.keep(name), s.keep(value))
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
		q.Path, q.Query, _ = strings.Cut(s.keep(value), "?")
	case name == ":method" && edge.IsToken(value):
		q.Method = s.keep(value)
	case (name == ":authority" || edge.EqualFold(name, "host")) && isAuthority(value):
		q.Authority = s.keep(value)
	case name == ":scheme" && (value == "http" || value == "https"):
		q.Scheme = s.keep(value)
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
	for all := list; all.n > 0; {
		if st := s.charge(all.next()); st != statusOK {
			return st
		}
	}
	fields.Reset()
	for list.n > 0 {
		name, value := list.next()
		if st := s.change(kind, fields, addField, name, value); st != statusOK {
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
	case kind == grpcMessage && a.v.heard != nil && a.v.heard.what == onRPCReceive:
		return a.v.heard.message, true
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
	switch {
	case a.u32(0) > foreignArguments || start+most > math.MaxUint32 && start > 0: // they overflow in the guest, too
		return badArgument
	case !ok:
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
	case kind > responseBody: // what is only read, and what there is not
		return badArgument
	case s == nil || s.flow[kind].src == nil:
		return notFound
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
	case a.u32(0) > foreignArguments:
		return badArgument
	case !ok:
		return notFound
	}
	a.put(2, 0)
	return a.put(1, uint32(len(b)))
}
