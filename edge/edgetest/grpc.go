package edgetest

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
)

// GRPC is a call as a server of gRPC sees it.
type GRPC struct {
	Path   string
	Header http.Header
	Body   io.Reader // what follows the messages that were received
	w      http.ResponseWriter
	r      *http.Request
}

// ServeGRPC has serve answer calls over HTTP/2 without TLS until the test ends, and
// returns where. An answer that serve gives no status has none.
func ServeGRPC(t testing.TB, serve func(c *GRPC)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(&GRPC{Path: r.URL.Path, Header: r.Header, Body: r.Body, w: w, r: r})
	})}
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}

// Host returns whom the call is for.
func (c *GRPC) Host() string { return c.r.Host }

// Gone is closed when nobody waits for the answer any more.
func (c *GRPC) Gone() <-chan struct{} { return c.r.Context().Done() }

// Receive returns the next message; io.EOF says that none follows.
func (c *GRPC) Receive() ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(c.Body, head[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(c.Body, m)
	return m, err
}

// Head sends the initial metadata, which Send does otherwise.
func (c *GRPC) Head(status int, fields ...string) {
	h := c.w.Header()
	h.Set("Content-Type", "application/grpc")
	for i := 0; i+1 < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	c.w.WriteHeader(status)
	c.w.(http.Flusher).Flush()
}

// Send sends a message.
func (c *GRPC) Send(m string) {
	c.w.Header().Set("Content-Type", "application/grpc")
	c.Raw(string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))) + m)
}

// Raw sends bytes that need be no messages.
func (c *GRPC) Raw(b string) {
	io.WriteString(c.w, b)
	c.w.(http.Flusher).Flush()
}

// Status ends the call, with trailers beside the status.
func (c *GRPC) Status(code int, message string, trailers ...string) {
	trailers = append(trailers, "Grpc-Status", strconv.Itoa(code), "Grpc-Message", message)
	for i := 0; i < len(trailers); i += 2 {
		c.w.Header().Set(http.TrailerPrefix+trailers[i], trailers[i+1])
	}
}

// Only answers with trailers only.
func (c *GRPC) Only(code int, message string) {
	h := c.w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(code))
	h.Set("Grpc-Message", message)
	c.w.WriteHeader(200)
}

// Reset cuts the call off.
func (c *GRPC) Reset() { panic(http.ErrAbortHandler) }
