// Package function is for functions in Go: programs that answer requests. A
// function is a WASI command in the way of CGI (RFC 3875), built by the Go
// toolchain alone:
//
//	GOOS=wasip1 GOARCH=wasm go build -o hello.wasm
//
// Its main serves one request, and sluice runs it anew for each:
//
//	func main() { function.Serve(hello) }
//
//	func hello(w *function.Response, r *function.Request) {
//		fmt.Fprintf(w, "hello, %s\n", r.Param("name"))
//	}
//
// Environment and arguments that sluice.yaml gives the function are where they
// always are, in os.Getenv and os.Args. What it writes to os.Stderr is logged. A
// function that panics has failed: the client gets 502.
//
// Built for any other system the same program runs natively: go run answers
// "GET /" on its standard output, and [Handler] makes it a part of ordinary
// tests.
//
// The package is small on purpose, since a module is started for each request. One
// with net/http/cgi, which works too, has 5.8 MB instead of 2.9 MB, and takes more
// than twice as long to answer.
package function

import (
	"bufio"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/sdk/internal/pieces"
)

// Serve answers the request that the program was started for with f.
func Serve(f func(w *Response, r *Request)) {
	if err := serve(os.Environ(), os.Stdin, os.Stdout, f); err != nil {
		os.Stderr.WriteString("function: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func serve(env []string, stdin io.Reader, stdout io.Writer, f func(w *Response, r *Request)) error {
	out := bufio.NewWriterSize(stdout, 16<<10)
	w := &Response{out: out, status: 200}
	w.head = func() { writeHead(out, w) }
	w.flush = out.Flush
	f(w, newRequest(env, stdin))
	w.begin()
	return out.Flush()
}

// Request is the request that a function answers.
type Request struct {
	Method string // "GET"
	Path   string // decoded: "/hello/you"
	Info   string // of Path what is behind the place that the function was put at; of /hello/* "/you"
	Query  string // encoded, without the ?; see Param
	URI    string // path and query, encoded
	Scheme string // "http" or "https"
	Host   string // as the client calls us, with the port if it is named: "example.org"
	Proto  string // that the client speaks: "HTTP/2.0"
	Client string // IP address
	ID     string // of the request, as the access log has it
	Fields Fields // of the head; the lines of a name are one, joined by ", "

	// Body is the content. It ends with io.EOF; any other error says that it is
	// not whole.
	Body io.Reader

	params url.Values // of Query, once asked for
}

// newRequest makes a request of the variables of RFC 3875, section 4.1. Without
// them it is GET /.
func newRequest(env []string, body io.Reader) *Request {
	r := &Request{Method: "GET", Scheme: "http", Proto: "HTTP/1.1", Body: content{body}}
	var script, port, server string
	for _, e := range env {
		name, v, _ := strings.Cut(e, "=")
		switch name {
		case "REQUEST_METHOD":
			r.Method = v
		case "SCRIPT_NAME":
			script = v
		case "PATH_INFO":
			r.Info = v
		case "QUERY_STRING":
			r.Query = v
		case "REQUEST_URI": // not of the RFC, and everywhere
			r.URI = v
		case "REQUEST_SCHEME":
			r.Scheme = v
		case "HTTPS":
			if v == "on" {
				r.Scheme = "https"
			}
		case "SERVER_NAME":
			server = v
		case "SERVER_PORT":
			port = v
		case "SERVER_PROTOCOL":
			r.Proto = v
		case "REMOTE_ADDR":
			r.Client = v
		case "REQUEST_ID":
			r.ID = v
		case "CONTENT_TYPE":
			r.Fields.lines = append(r.Fields.lines, line{"Content-Type", v})
		case "CONTENT_LENGTH":
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
				r.Fields.lines = append(r.Fields.lines, line{"Content-Length", v})
				r.Body = content{&sized{body, n}}
			}
		case "HTTP_HOST":
			r.Host = v
		default:
			if field, ok := strings.CutPrefix(name, "HTTP_"); ok {
				r.Fields.lines = append(r.Fields.lines, line{fieldName(field), v})
			}
		}
	}
	r.Path = script + r.Info
	if r.Path == "" {
		r.Path = "/"
	}
	if r.URI == "" {
		r.URI = (&url.URL{Path: r.Path, RawQuery: r.Query}).RequestURI()
	}
	if r.Host == "" && server != "" {
		r.Host = server
		if port != "" && port != defaultPort[r.Scheme] {
			r.Host += ":" + port
		}
	}
	return r
}

// content is content for which io.Copy makes no buffer of its own.
type content struct{ io.Reader }

// WriteTo implements io.WriterTo.
func (c content) WriteTo(w io.Writer) (int64, error) { return pieces.Copy(w, c.Reader) }

var defaultPort = map[string]string{"http": "80", "https": "443"}

// fieldName returns the name of the field that a variable is made of, in the
// usual spelling: X_REQUEST_ID is X-Request-Id.
func fieldName(variable string) string {
	name := []byte(variable)
	first := true // of a word
	for i, c := range name {
		switch {
		case c == '_':
			name[i] = '-'
		case 'A' <= c && c <= 'Z' && !first:
			name[i] = c | 0x20
		}
		first = c == '_'
	}
	return string(name)
}

// Param returns the first value of a parameter of the query, or "".
func (r *Request) Param(name string) string {
	if r.params == nil {
		r.params, _ = url.ParseQuery(r.Query) // what is malformed is left out
	}
	return r.params.Get(name)
}

// sized is content of a declared length, more of which must not be read (RFC
// 3875, section 4.2).
type sized struct {
	from io.Reader
	left int64
}

func (s *sized) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.from.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
