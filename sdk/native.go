//go:build !wasip1

package sdk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Handle does nothing: a program that is no module runs its filters behind
// [Middleware].
func Handle(Filter) {}

// Log logs a message, to [slog.Default].
func Log(l Level, message string) { slog.Log(context.Background(), slogLevel(l), message) }

// Logs reports whether messages of a level are logged.
func Logs(l Level) bool { return slog.Default().Enabled(context.Background(), slogLevel(l)) }

// slogLevel is the level of the same name: slog's are four apart.
func slogLevel(l Level) slog.Level { return slog.Level(4 * l) }

// Middleware returns next behind the filter f, as a module's host would run it.
// It is for a filter's tests, with net/http/httptest: all content is held in
// memory. What would trap in a module panics.
func Middleware(f Filter, config []byte, next http.Handler) (http.Handler, error) {
	if f.Configure != nil {
		if err := f.Configure(config); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &native{features: f.Features, request: r.Clone(r.Context()), code: 200, header: make(http.Header), trailer: make(http.Header)}
		n.request.Header.Del("Content-Length")
		if r.Body == nil {
			n.request.Body = http.NoBody
		}
		x := newExchange(n)
		if f.Request == nil || f.Request(x) == Next {
			n.forward(next)
			if f.Response != nil {
				f.Response(x)
			}
		}
		n.deliver(w)
	}), nil
}

// native is a host in a program's own memory.
type native struct {
	features Features
	request  *http.Request
	code     int
	header   http.Header // of the response
	trailer  http.Header
	body     []byte // of the response
	rest     []byte // of body, not yet read by the filter
	after    bool   // the next handler has answered

	kept      bytes.Buffer     // what was read of the request's content with BufferRequest
	written   [2]*bytes.Buffer // what replaces content; by kind
	codeSet   bool
	namesUsed []string // of the response, set before there was one
}

// forward runs the next handler and joins its response with what the filter has
// made of it already.
func (n *native) forward(next http.Handler) {
	r := n.request
	switch b := n.written[requestFields]; {
	case b != nil:
		r.Body, r.ContentLength = io.NopCloser(b), int64(b.Len())
	case n.kept.Len() > 0:
		r.Body = io.NopCloser(io.MultiReader(&n.kept, r.Body))
	}
	answer := &recorder{header: make(http.Header)}
	next.ServeHTTP(answer, r)
	for name, values := range answer.header {
		if !slices.Contains(n.namesUsed, name) {
			n.header[name] = append(values, n.header[name]...)
		}
	}
	if answer.code != 0 && !n.codeSet {
		n.code = answer.code
	}
	n.after, n.body = true, answer.body.Bytes()
	if b := n.written[responseFields]; b != nil {
		n.body = b.Bytes()
		n.written[responseFields] = nil
	}
	n.rest = n.body
}

func (n *native) deliver(w http.ResponseWriter) {
	body := n.body
	if b := n.written[responseFields]; b != nil {
		body = b.Bytes()
	}
	for name, values := range n.header {
		w.Header()[name] = values
	}
	w.WriteHeader(n.code)
	w.Write(body)
	for name, values := range n.trailer {
		w.Header()[http.TrailerPrefix+name] = values
	}
}

// recorder holds a response.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(200)
	return r.body.Write(p)
}

// changing panics where a module would trap.
func (n *native) changing(k kind) {
	request := k == requestFields || k == requestTrailers
	if n.after && (request || n.features&BufferResponse == 0) {
		panic(fmt.Sprintf("sdk: fields or content of kind %d cannot be changed after the next handler", k))
	}
	if (k == requestTrailers || k == responseTrailers) && n.features&Trailers == 0 {
		panic("sdk: trailers cannot be changed without the feature Trailers")
	}
}

func (n *native) enable(f Features) Features {
	n.features |= f
	return n.features
}

func (n *native) text(t text) string {
	switch t {
	case method:
		return n.request.Method
	case uri:
		return n.request.URL.RequestURI()
	case proto:
		return n.request.Proto
	default:
		return n.request.RemoteAddr
	}
}

func (n *native) setText(t text, v string) {
	n.changing(requestFields)
	if t == method {
		if !isToken(v) { // RFC 9110, section 9.1
			panic(fmt.Sprintf("sdk: %q is not a method", v))
		}
		n.request.Method = v
		return
	}
	u, err := url.ParseRequestURI(v)
	// RFC 9112, section 3.2.1.
	if err != nil || v[0] != '/' || strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		panic(fmt.Sprintf("sdk: %q is not an encoded path and query", v))
	}
	n.request.URL, n.request.RequestURI = u, v
}

func (n *native) fields(k kind) http.Header {
	switch k {
	case requestFields:
		return n.request.Header
	case responseFields:
		return n.header
	case requestTrailers:
		if n.request.Trailer == nil {
			n.request.Trailer = make(http.Header)
		}
		return n.request.Trailer
	default:
		return n.trailer
	}
}

func isHost(k kind, name string) bool { return k == requestFields && strings.EqualFold(name, "Host") }

func (n *native) names(k kind) []string {
	var list []string
	if k == requestFields {
		list = append(list, "host")
	}
	for name := range n.fields(k) {
		list = append(list, strings.ToLower(name))
	}
	slices.Sort(list)
	return list
}

func (n *native) values(k kind, name string) []string {
	if isHost(k, name) {
		return []string{n.request.Host}
	}
	return slices.Clone(n.fields(k).Values(name))
}

func (n *native) setField(k kind, name, value string) {
	if !n.changes(k, name, value) {
		return
	}
	if isHost(k, name) {
		n.request.Host = value
		return
	}
	n.fields(k).Set(name, value)
	n.use(k, name)
}

func (n *native) addField(k kind, name, value string) {
	if !n.changes(k, name, value) {
		return
	}
	if isHost(k, name) {
		n.request.Host = value
		return
	}
	n.fields(k).Add(name, value)
}

func (n *native) delField(k kind, name string) {
	if n.changes(k, name, "") {
		n.fields(k).Del(name)
		n.use(k, name)
	}
}

// use notes that the filter decides about a field of the response that is to
// come.
func (n *native) use(k kind, name string) {
	if k == responseFields && !n.after {
		n.namesUsed = append(n.namesUsed, http.CanonicalHeaderKey(name))
	}
}

// framed are the fields that follow from the message: changes are ignored.
var framed = []string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Te"}

// changes panics where the change of a field would trap, and reports whether it
// is made.
func (n *native) changes(k kind, name, value string) bool {
	n.changing(k)
	if !isToken(name) { // RFC 9110, section 5.1
		panic(fmt.Sprintf("sdk: %q is not a field name", name))
	}
	if strings.ContainsAny(value, "\r\n\x00") { // RFC 9110, section 5.5
		panic(fmt.Sprintf("sdk: the value of %q has a CR, LF or NUL in it", name))
	}
	return !slices.Contains(framed, http.CanonicalHeaderKey(name))
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func (n *native) read(k kind, p []byte) (int, bool) {
	if k == responseFields {
		if !n.after {
			return 0, true
		}
		if n.features&BufferResponse == 0 {
			panic("sdk: the response's content cannot be read without the feature BufferResponse")
		}
		m := copy(p, n.rest)
		n.rest = n.rest[m:]
		return m, len(n.rest) == 0
	}
	if n.after {
		return 0, true
	}
	m, err := io.ReadFull(n.request.Body, p)
	if n.features&BufferRequest != 0 {
		n.kept.Write(p[:m])
	}
	return m, err != nil
}

func (n *native) write(k kind, p []byte) {
	n.changing(k)
	if n.written[k] == nil {
		n.written[k] = new(bytes.Buffer)
	}
	n.written[k].Write(p)
}

func (n *native) status() int { return n.code }

func (n *native) setStatus(code int) {
	n.changing(responseFields)
	if code < 200 || code > 999 {
		panic(fmt.Sprintf("sdk: %d is not the status of a final response", code))
	}
	n.code, n.codeSet = code, true
}
