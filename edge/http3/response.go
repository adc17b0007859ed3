package http3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/quic-go/qpack"

	"github.com/sluice-edge/sluice/edge"
)

// deliver writes the response. An error says that it is not whole.
func (e *exchange) deliver() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = e.panicked("read the response's content", v)
		}
	}()
	x := &e.x
	if err := x.Cancelled(); err != nil {
		return err
	}
	if err := checkResponse(x); err != nil {
		x.Answer(&edge.Error{Kind: edge.InternalError, Op: "write the response", Err: err})
	}
	res := &x.Response
	content := res.Body != nil && x.Record.Method != http.MethodHead && mayHaveContent(res.Status)
	length := res.Length
	switch {
	case res.Status == http.StatusNoContent, res.Status == http.StatusNotModified:
		length = -1 // RFC 9110, section 8.6
	case res.Status == http.StatusResetContent:
		length = 0 // RFC 9110, section 15.3.6
	}
	e.mu.Lock()
	e.final = true
	head := e.encode(res.Status, length, &res.Fields)
	e.mu.Unlock()

	switch {
	case !content:
		_, err = e.write(head)
	case edge.Bytes(res.Body) != nil:
		err = e.writeBytes(head, edge.Bytes(res.Body))
	default:
		if _, err = e.write(head); err == nil {
			err = e.copy(res.Body, length)
		}
	}
	if err == nil && content && res.Trailers.Len() > 0 {
		if err = checkFields(&res.Trailers); err == nil {
			_, err = e.write(e.encode(0, -1, &res.Trailers))
		}
	}
	if err != nil {
		return err
	}
	e.finished()
	return e.str.Close()
}

// checkResponse reports what makes a response impossible to write.
func checkResponse(x *edge.Exchange) error {
	res := &x.Response
	if res.Status < 200 || res.Status > 999 {
		return fmt.Errorf("status is %d", res.Status)
	}
	if res.Tunnel != nil {
		return errors.New("a tunnel was not asked for")
	}
	if res.Length >= 0 && x.Record.Method != http.MethodHead && mayHaveContent(res.Status) {
		if res.Body == nil && res.Length != 0 {
			return fmt.Errorf("no content, and length is %d", res.Length)
		}
		if b := edge.Bytes(res.Body); b != nil && int64(len(b)) != res.Length {
			return fmt.Errorf("%d bytes of content, and length is %d", len(b), res.Length)
		}
	}
	return checkFields(&res.Fields)
}

// mayHaveContent reports whether a final response may have content (RFC 9110,
// section 6.4.1 and 15.3.6).
func mayHaveContent(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// encode makes a HEADERS frame; status 0 means trailers. Until the final head is
// on its way, e.mu is held.
func (e *exchange) encode(status int, length int64, f *edge.Fields) []byte {
	e.block.Reset()
	if status != 0 {
		e.field(":status", statusText(status))
	}
	if length >= 0 {
		e.field("content-length", strconv.FormatInt(length, 10))
	}
	if f != nil {
		for name, value := range f.All() {
			if !edge.ConnectionField(name) { // RFC 9114, section 4.2
				e.field(lower(name), trim(value))
			}
		}
	}
	e.encoder.Close() // the next field begins a new block
	e.head = append(appendFrame(e.head[:0], frameHeaders, e.block.Len()), e.block.Bytes()...)
	return e.head
}

// field encodes a field line. The encoder has no dynamic table, so it keeps
// nothing of it; it fails only where bytes.Buffer does, which is never.
func (e *exchange) field(name, value string) {
	e.encoder.WriteField(qpack.HeaderField{Name: name, Value: value})
}

func statusText(status int) string {
	switch status {
	case 200:
		return "200"
	case 304:
		return "304"
	case 404:
		return "404"
	}
	return strconv.Itoa(status)
}

// writeBytes writes head and content, in one piece where that is small.
func (e *exchange) writeBytes(head, content []byte) error {
	if len(content) == 0 {
		_, err := e.write(head)
		return err
	}
	out := append(e.out[:0], head...) // grows beyond e.out for a very large head
	out = appendFrame(out, frameData, len(content))
	if len(out)+len(content) <= len(e.out) {
		n, err := e.write(append(out, content...))
		e.x.Record.Sent = int64(max(0, n-len(out)))
		return err
	}
	if _, err := e.write(out); err != nil {
		return err
	}
	n, err := e.write(content)
	e.x.Record.Sent = int64(n)
	return err
}

// copy writes what body has, a DATA frame a Read. Nothing is held back, so there
// is nothing to flush.
func (e *exchange) copy(body edge.Body, length int64) error {
	x := &e.x
	buf := e.out[frameHeader:]
	for {
		n, err := body.Read(buf)
		if length >= 0 && x.Record.Sent+int64(n) > length {
			return &edge.Error{Kind: edge.ResponseIncomplete, Op: "read the response's content", Err: fmt.Errorf("more than its length of %d bytes", length)}
		}
		if n > 0 {
			header := appendFrame(e.head[:0], frameData, n)
			start := frameHeader - len(header)
			copy(e.out[start:], header)
			sent, err := e.write(e.out[start : frameHeader+n])
			x.Record.Sent += int64(max(0, sent-len(header)))
			if err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && length >= 0 && x.Record.Sent != length:
			return &edge.Error{Kind: edge.ResponseIncomplete, Op: "read the response's content", Err: fmt.Errorf("%d bytes, and its length is %d", x.Record.Sent, length)}
		case err == io.EOF:
			return nil
		case err != nil:
			if gone := x.Cancelled(); gone != nil {
				return gone
			}
			return err
		}
	}
}

// write writes p to the stream, however long that takes, as long as the client
// takes something.
func (e *exchange) write(p []byte) (n int, err error) {
	for {
		e.raw.SetWriteDeadline(time.Now().Add(e.c.limits.Stalled))
		m, err := e.raw.Write(p[n:])
		n += m
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || m == 0 {
			return n, e.gone(err)
		}
	}
}

func (e *exchange) gone(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the client has taken nothing for %s", e.c.limits.Stalled)
	}
	return &edge.Error{Kind: edge.ClientGone, Op: "write the response", Err: err}
}
