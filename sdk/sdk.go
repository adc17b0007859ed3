// Package sdk is the guest side of http-wasm in Go: with it a filter is a few
// functions, and a module is built by the Go toolchain alone:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o filter.wasm
//
// A filter registers itself when its module is initialised, and has an empty
// main:
//
//	func init() { sdk.Handle(sdk.Filter{Request: greet}) }
//
//	func greet(x *sdk.Exchange) sdk.Verdict {
//		x.Request.Fields.Set("X-Greeting", "hello")
//		return sdk.Next
//	}
//
//	func main() {}
//
// Built for any other system the same filter runs natively, behind [Middleware],
// so that its tests are ordinary tests.
package sdk

import "io"

// Filter is what a module does. Nil functions do nothing.
type Filter struct {
	// Features are what the filter needs in every exchange.
	Features Features

	// Configure is given the filter's configuration once, before any exchange. An
	// error keeps the module from being used.
	Configure func(config []byte) error

	// Request sees a request before the next handler. A nil Request lets it go on.
	Request func(x *Exchange) Verdict

	// Response sees the response of the next handler, also that to its failure. It
	// may change the response only with the feature BufferResponse. It is not
	// called after Stop.
	Response func(x *Exchange)
}

// Features are what a host does only if asked.
type Features uint32

// The features.
const (
	// BufferRequest keeps what is read of a request's content, for the next
	// handler.
	BufferRequest Features = 1 << iota

	// BufferResponse lets Response read and change the response.
	BufferResponse

	// Trailers gives access to trailers.
	Trailers
)

// Verdict is what becomes of a request.
type Verdict bool

// The verdicts.
const (
	Stop Verdict = false // answer with x.Response: 200 and no content unless it was changed
	Next Verdict = true  // go on to the next handler
)

// Exchange is one request and its response.
type Exchange struct {
	Request  Request
	Response Response

	// Value is the filter's own: what Request leaves here Response finds.
	Value any

	host   host
	failed bool
}

// Request is a request.
type Request struct {
	Fields   Fields // Host is among them
	Trailers Fields
	Body     Body

	host host
}

// Response is a response. Before the next handler it is what the filter wants it
// to be.
type Response struct {
	Fields   Fields
	Trailers Fields
	Body     Body

	host host
}

func newExchange(h host) *Exchange {
	return &Exchange{
		host:     h,
		Request:  Request{Fields{h, requestFields}, Fields{h, requestTrailers}, Body{h, requestFields}, h},
		Response: Response{Fields{h, responseFields}, Fields{h, responseTrailers}, Body{h, responseFields}, h},
	}
}

// Enable asks for features in this exchange alone. It returns all that are
// enabled.
func (x *Exchange) Enable(f Features) Features { return x.host.enable(f) }

// Failed reports whether the next handler has failed. Valid in Filter.Response.
func (x *Exchange) Failed() bool { return x.failed }

// Answer makes a response of a status and plain text, and returns Stop.
func (x *Exchange) Answer(status int, text string) Verdict {
	x.Response.SetStatus(status)
	x.Response.Fields.Set("Content-Type", "text/plain; charset=utf-8")
	x.Response.Body.WriteString(text)
	return Stop
}

// Log logs a message, if the host wants messages of its level.
func (x *Exchange) Log(level Level, message string) {
	if x.host.logs(level) {
		x.host.log(level, message)
	}
}

// Level is how important a message is.
type Level int32

// The levels.
const (
	Debug Level = -1 + iota
	Info
	Warn
	Error
)

// Method returns the request's method.
func (r *Request) Method() string { return r.host.text(method) }

// SetMethod changes the request's method.
func (r *Request) SetMethod(v string) { r.host.setText(method, v) }

// URI returns the path and query, encoded.
func (r *Request) URI() string { return r.host.text(uri) }

// SetURI changes path and query.
func (r *Request) SetURI(v string) { r.host.setText(uri, v) }

// Proto returns the version of HTTP that the client speaks: "HTTP/2.0".
func (r *Request) Proto() string { return r.host.text(proto) }

// Client returns the client's address and port.
func (r *Request) Client() string { return r.host.text(client) }

// Status returns the status.
func (r *Response) Status() int { return r.host.status() }

// SetStatus changes the status.
func (r *Response) SetStatus(code int) { r.host.setStatus(code) }

// Fields are the field lines of a message's head, or its trailers. Names compare
// without regard to case.
type Fields struct {
	host host
	kind kind
}

// Names returns the names, in lower case, each once.
func (f Fields) Names() []string { return f.host.names(f.kind) }

// Get returns the first value of name, or "".
func (f Fields) Get(name string) string {
	if v := f.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Values returns the values of name, one a line.
func (f Fields) Values(name string) []string { return f.host.values(f.kind, name) }

// Set replaces all lines of name by one.
func (f Fields) Set(name, value string) { f.host.setField(f.kind, name, value) }

// Add appends a line.
func (f Fields) Add(name, value string) { f.host.addField(f.kind, name, value) }

// Del removes all lines of name.
func (f Fields) Del(name string) { f.host.delField(f.kind, name) }

// Body is a message's content. The first Write replaces what was there.
type Body struct {
	host host
	kind kind
}

// Read implements io.Reader. It fills p unless the content ends before.
func (b Body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, last := b.host.read(b.kind, p)
	if last {
		return n, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (b Body) Write(p []byte) (int, error) {
	b.host.write(b.kind, p)
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (b Body) WriteString(s string) (int, error) { return b.Write([]byte(s)) }
