package sdk

import (
	"io"
	"strings"

	"github.com/sluice-edge/sluice/sdk/internal/pieces"
)

// armField is where a filter and the origin read to which arm of a route's split
// an exchange belongs, and where a filter chooses it.
const armField = "X-Sluice-Arm"

// Request is a request. It can be changed before the next handler.
type Request struct {
	Fields   Fields // Host is among them
	Trailers Fields // of the content, once it has been read; changed with the feature Trailers
	Body     Body

	host host
}

// Method returns the method.
func (r *Request) Method() string { return r.host.text(method) }

// SetMethod changes the method. It traps if v is no token.
func (r *Request) SetMethod(v string) { r.host.setText(method, v) }

// URI returns path and query, encoded.
func (r *Request) URI() string { return r.host.text(uri) }

// SetURI changes path and query. sluice then looks the route up once more, and
// runs the filters of that route which this one did not have. It traps unless v is
// encoded and begins with a slash.
func (r *Request) SetURI(v string) { r.host.setText(uri, v) }

// Path returns the URI's path, encoded.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.URI(), "?")
	return path
}

// Query returns the URI's query, encoded, without the question mark.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.URI(), "?")
	return query
}

// Cookie returns the value of the first cookie of that name, as it was sent, or
// "".
func (r *Request) Cookie(name string) string {
	for _, line := range r.Fields.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") { // RFC 6265, section 4.2.1
			n, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && n == name {
				return v
			}
		}
	}
	return ""
}

// Arm returns the name of the arm to which the exchange belongs so far: the split
// of the route has dealt it, or a filter before has chosen it. It is "" on a route
// without a split.
func (r *Request) Arm() string { return r.Fields.Get(armField) }

// SetArm chooses an arm of the route's split, whatever the split would have
// chosen. A name that no arm has changes nothing.
func (r *Request) SetArm(name string) { r.Fields.Set(armField, name) }

// Proto returns the version of HTTP that the client speaks: "HTTP/2.0".
func (r *Request) Proto() string { return r.host.text(proto) }

// Client returns the client's address and port: "192.0.2.1:49152", or
// "[2001:db8::1]:49152".
func (r *Request) Client() string { return r.host.text(client) }

// Response is a response. Before the next handler it is what the filter wants it
// to be: fields that are set replace those of the next handler, content replaces
// its content. Behind it, with the feature BufferResponse, it can be read and
// changed.
type Response struct {
	Fields   Fields
	Trailers Fields // changed with the feature Trailers
	Body     Body

	host host
}

// Status returns the status.
func (r *Response) Status() int { return r.host.status() }

// SetStatus changes the status. It traps if code is not that of a final response.
func (r *Response) SetStatus(code int) { r.host.setStatus(code) }

// Fields are the field lines of a message's head, or its trailers. Names compare
// without regard to case. A change traps if the name is no token, or the value has
// a line break. Changes to Content-Length and to what is about one connection are
// ignored: such fields follow from the message.
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

// Body is a message's content. It is read as a stream, of which the filter sees
// no more than it reads; the first Write replaces all that was there.
type Body struct {
	host host
	kind kind
}

// Read implements io.Reader. It fills p unless the content ends before; in a function
// it returns what is at hand.
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

// WriteTo implements io.WriterTo, so that io.Copy makes no buffer of its own in each request.
func (b Body) WriteTo(w io.Writer) (int64, error) { return pieces.Copy(w, b) }

// ReadFrom implements io.ReaderFrom, likewise.
func (b Body) ReadFrom(r io.Reader) (int64, error) { return pieces.Copy(b, r) }

// WriteString implements io.StringWriter.
func (b Body) WriteString(s string) (int, error) { return b.Write([]byte(s)) }
