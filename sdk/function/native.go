//go:build !wasip1

package function

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Handler returns f as a handler of net/http, for a function's tests, with
// net/http/httptest. The function is put at the root: Info is all of the path.
func Handler(f func(w *Response, r *Request)) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &Response{out: rw, status: 200}
		w.flush = func() error { return http.NewResponseController(rw).Flush() }
		w.head = func() {
			for _, l := range w.Fields.lines {
				rw.Header().Add(l.name, l.value)
			}
			rw.WriteHeader(w.status)
		}
		body := r.Body
		if body == nil {
			body = http.NoBody
		}
		f(w, newRequest(variables(r), body))
		w.begin()
	})
}

// variables returns the environment of a CGI program (RFC 3875, section 4.1).
func variables(r *http.Request) []string {
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	env := []string{"REQUEST_METHOD=" + r.Method, "PATH_INFO=" + r.URL.Path, "QUERY_STRING=" + r.URL.RawQuery,
		"REQUEST_URI=" + r.URL.RequestURI(), "SERVER_PROTOCOL=" + r.Proto, "REMOTE_ADDR=" + client, "HTTP_HOST=" + r.Host}
	if r.TLS != nil {
		env = append(env, "HTTPS=on")
	}
	if r.ContentLength > 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(r.ContentLength, 10))
	}
	for name, values := range r.Header {
		variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		switch variable {
		case "CONTENT_LENGTH":
			continue
		case "CONTENT_TYPE":
		default:
			variable = "HTTP_" + variable
		}
		env = append(env, variable+"="+strings.Join(values, ", "))
	}
	return env
}
