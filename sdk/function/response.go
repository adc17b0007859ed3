package function

import (
	"io"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/sdk/internal/pieces"
)

// Response is what a function answers with. Without a change it is 200 and no
// content.
type Response struct {
	// Fields are of the head. They go out with the first byte of content. Content
	// without a Content-Type is text/plain in UTF-8.
	Fields Fields

	status int
	begun  bool
	head   func() // writes it
	out    io.Writer
	flush  func() error
}

// SetStatus changes the status, which goes out with the first byte of content. It
// panics if code is not that of a final response, from 200 to 599.
func (w *Response) SetStatus(code int) {
	if code < 200 || code > 599 {
		panic("function: " + strconv.Itoa(code) + " is not the status of a final response")
	}
	w.status = code
}

// Write implements io.Writer. Content goes out as a buffer is full, at Flush, and
// in the end. An error says that nobody wants the rest.
func (w *Response) Write(p []byte) (int, error) {
	if len(p) > 0 && !w.begun && w.Fields.Get("Content-Type") == "" {
		w.Fields.Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.begin()
	return w.out.Write(p)
}

// ReadFrom implements io.ReaderFrom, so that io.Copy makes no buffer of its own in each
// request.
func (w *Response) ReadFrom(r io.Reader) (int64, error) { return pieces.Copy(w, r) }

// WriteString implements io.StringWriter.
func (w *Response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Flush sends what has been written so far.
func (w *Response) Flush() error {
	w.begin()
	return w.flush()
}

// Answer makes a response of a status and plain text.
func (w *Response) Answer(status int, text string) {
	w.SetStatus(status)
	w.Fields.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteString(text)
}

// Redirect answers with another place to go to: 301, 302, 303, 307 or 308.
func (w *Response) Redirect(status int, location string) {
	w.SetStatus(status)
	w.Fields.Set("Location", location)
}

func (w *Response) begin() {
	if !w.begun {
		w.begun = true
		w.head()
	}
}

// writeHead writes the head in the way of CGI (RFC 3875, section 6). With a
// Status a Location is the client's affair, whatever it is.
func writeHead(out io.Writer, w *Response) {
	b := append([]byte("Status: "), strconv.Itoa(w.status)...)
	b = append(b, " \r\n"...)
	for _, l := range w.Fields.lines {
		b = append(append(append(append(b, l.name...), ": "...), l.value...), "\r\n"...)
	}
	out.Write(append(b, "\r\n"...)) // an error is that of the next Write, or Flush
}

// Fields are the field lines of a head, in their order. Names compare without
// regard to case.
type Fields struct{ lines []line }

type line struct{ name, value string }

// Names returns the names as they are spelled, each once.
func (f *Fields) Names() []string {
	var names []string
next:
	for _, l := range f.lines {
		for _, have := range names {
			if strings.EqualFold(have, l.name) {
				continue next
			}
		}
		names = append(names, l.name)
	}
	return names
}

// Get returns the first value of name, or "".
func (f *Fields) Get(name string) string {
	for _, l := range f.lines {
		if strings.EqualFold(l.name, name) {
			return l.value
		}
	}
	return ""
}

// Values returns the values of name, one a line.
func (f *Fields) Values(name string) []string {
	var values []string
	for _, l := range f.lines {
		if strings.EqualFold(l.name, name) {
			values = append(values, l.value)
		}
	}
	return values
}

// Set replaces all lines of name by one.
func (f *Fields) Set(name, value string) {
	f.Del(name)
	f.Add(name, value)
}

// Add appends a line. It panics if name is not a field name, or is Status, which
// is SetStatus' business.
func (f *Fields) Add(name, value string) {
	// RFC 9110, section 5.1; and RFC 3875, section 6.3.3.
	if !isToken(name) || strings.EqualFold(name, "Status") {
		panic("function: " + strconv.Quote(name) + " is not the name of a field")
	}
	f.lines = append(f.lines, line{name, oneLine(value)})
}

// Del removes all lines of name.
func (f *Fields) Del(name string) {
	kept := f.lines[:0]
	for _, l := range f.lines {
		if !strings.EqualFold(l.name, name) {
			kept = append(kept, l)
		}
	}
	f.lines = kept
}

// oneLine returns value with a space for each control character, which could end
// the line. RFC 9110, section 5.5: they are refused or replaced.
func oneLine(value string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0x7f {
			return ' '
		}
		return c
	}, value)
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
