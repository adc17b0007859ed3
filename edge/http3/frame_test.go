package http3

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/sluice-edge/sluice/edge"
)

// Whatever comes behind a request's head: content is taken for whole only where
// the frames say so, it is never more than what was sent or announced, and the
// same however it is cut into packets.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{}, int64(-1))
	f.Add([]byte("\x00\x05hello"), int64(5))
	f.Add([]byte("\x00\x05hello\x00\x00\x21\x01x\x00\x01!"), int64(-1))
	f.Add([]byte("\x00\x05hell"), int64(-1))
	f.Add([]byte("\x00\x05hello"), int64(4))
	f.Add([]byte("\x00\x05hello"), int64(6))
	f.Add([]byte("\x40\x00\x40\x05hello\x01\x0b\x00\x00\x23x-s\x83abc"), int64(-1))
	f.Add([]byte("\x01\x02\x00\x00"), int64(-1))
	f.Add([]byte("\x01\x02\x00\x00\x00\x01x"), int64(-1))
	f.Add([]byte("\x04\x00"), int64(-1))
	f.Add([]byte("\xc0\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xffx"), int64(-1))
	l := newLimits(Config{HeaderBytes: 1000, Fields: 5})
	read := func(r io.Reader, length int64) (string, edge.Fields, error) {
		var trailers edge.Fields
		fr := frames{r: r, limits: l, trailers: &trailers, content: length}
		var content []byte
		b := make([]byte, 7)
		for {
			n, err := fr.read(b)
			content = append(content, b[:n]...)
			if err != nil {
				return string(content), trailers, err
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, length int64) {
		length = max(-1, length)
		content, trailers, err := read(bytes.NewReader(in), length)
		again, _, err2 := read(iotest.OneByteReader(iotest.DataErrReader(bytes.NewReader(in))), length)
		if content != again || err.Error() != err2.Error() {
			t.Errorf("at once: %q, %v; byte by byte: %q, %v", content, err, again, err2)
		}
		if len(content) > len(in) || length >= 0 && int64(len(content)) > length {
			t.Errorf("%d bytes of content from %d, length %d", len(content), len(in), length)
		}
		if err == io.EOF && length >= 0 && int64(len(content)) != length {
			t.Errorf("whole with %d bytes, length %d", len(content), length)
		}
		var e *edge.Error
		if v := new(violation); err != io.EOF && !errors.As(err, &v) && !errors.As(err, &e) {
			t.Errorf("an error of neither kind: %v", err)
		}
		if trailers.Len() > 5 {
			t.Errorf("%d trailers", trailers.Len())
		}
		for name, value := range trailers.All() {
			if !validName(name) || !validValue(value) || edge.ConnectionField(name) {
				t.Errorf("trailer %q: %q", name, value)
			}
		}
	})
}

func TestDropped(t *testing.T) {
	for _, name := range []string{"te", "HOST", "Upgrade", "connection", "keep-alive", "content-length", "Proxy-Connection", "transfer-encoding"} {
		if !edge.ConnectionField(name) {
			t.Errorf("%s is kept", name)
		}
	}
	for _, name := range []string{"", "Date", "Trailer", "Cookie", "Hosts", "Content-Type", "Connections"} {
		if edge.ConnectionField(name) {
			t.Errorf("%s is dropped", name)
		}
	}
}

func TestDefaults(t *testing.T) {
	l := newLimits(Config{})
	if l.HeaderBytes != 32<<10 || l.Fields != 100 || l.Streams != 100 || l.Connections != 100_000 || l.quic.Allow0RTT {
		t.Errorf("got %+v", l)
	}
}
