package proxy

import (
	"io"
	"math"
	"time"

	"github.com/sluice-edge/sluice/sdk/internal/pieces"
)

// Fetch is a request of the guest's own, to an upstream of sluice.yaml.
type Fetch struct {
	Upstream string
	Method   string        // "" is GET
	URI      string        // path and query, encoded
	Fields   []Field       // host is the authority, which else is the upstream's name
	Length   int64         // of the content that is to be written; -1: not known
	Timeout  time.Duration // from the start to the last byte read; 0: the limit
}

// Start begins the request. It does not wait for the response: several may run at
// once.
func (f *Fetch) Start() (*Response, error) {
	method := f.Method
	if method == "" {
		method = "GET"
	}
	if f.Timeout < 0 {
		return nil, Timeout
	}
	timeout := min(milliseconds(f.Timeout), math.MaxInt32)
	handle, err := check(fetchStart(f.Upstream, method, f.URI, pairs(f.Fields), f.Length, uint32(timeout)))
	if err != nil {
		return nil, err
	}
	return &Response{handle}, nil
}

// Response is a request that is under way and its response. It is an
// [io.ReadWriteCloser]: what is written is the request's content.
type Response struct {
	handle int32
}

// Write implements io.Writer.
func (r *Response) Write(p []byte) (int, error) {
	if err := fail(fetchWrite(r.handle, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Finish ends content whose length was not known.
func (r *Response) Finish() error { return fail(fetchFinish(r.handle)) }

// Status waits for the response's head, and returns its status.
func (r *Response) Status() (int, error) {
	n, err := check(fetchStatus(r.handle))
	return int(n), err
}

// Names returns the names of its fields, in lower case, each once.
func (r *Response) Names() ([]string, error) {
	return readList(func(buf []byte) int64 { return fetchNames(r.handle, buf) })
}

// Values returns the values of a field.
func (r *Response) Values(name string) ([]string, error) {
	return readList(func(buf []byte) int64 { return fetchValues(r.handle, name, buf) })
}

// Read implements io.Reader.
func (r *Response) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := check(fetchRead(r.handle, p))
	if err == nil && n == 0 {
		err = io.EOF
	}
	return int(n), err
}

// WriteTo implements io.WriterTo, so that io.Copy makes no buffer of its own in each request.
func (r *Response) WriteTo(w io.Writer) (int64, error) { return pieces.Copy(w, r) }

// Close gives the request up, if it is not at its end.
func (r *Response) Close() error { return fail(fetchClose(r.handle)) }
