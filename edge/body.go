package edge

import "io"

// Body is content on its way. A nil Body is no content.
//
// A Read that returns less than it was asked for, without an error, says that
// nothing more is at hand, so that whoever copies flushes. io.EOF, which comes
// with the last bytes where they are known to be the last, says that the content
// is whole and that the trailers are valid; any other error says that it is
// incomplete. A Read that is about to wait calls [Exchange.Block] first, if it
// runs on the goroutine that serves the exchange.
//
// Close is idempotent, may be called from any goroutine, and ends a Read that
// waits. It frees nothing that a Read may still use: that is for an [Ender]. A
// body that wraps another hands Close on, and frees its own state in an Ender
// which it registers before it calls the next handler. Nobody closes a body after
// the exchange's enders have run: by then it may serve another.
//
// Two more methods are looked for. Bytes() []byte is found by [Bytes].
// io.WriterTo lets an engine hand its socket to whoever can move bytes without
// copying them.
type Body interface {
	Read(p []byte) (int, error)
	Close() error
}

// Bytes returns all of b's content without consuming it, or nil if not all of it
// is at hand. Content that is at hand leaves in one write with the head, and can
// be sent again.
func Bytes(b Body) []byte {
	if w, ok := b.(interface{ Bytes() []byte }); ok {
		return w.Bytes()
	}
	return nil
}

// Content returns b as a Body, all of which is at hand.
func Content(b []byte) Body { return &content{b, b} }

type content struct{ all, rest []byte }

func (c *content) Bytes() []byte { return c.all }
func (c *content) Close() error  { return nil }

func (c *content) Read(p []byte) (n int, err error) {
	n = copy(p, c.rest)
	c.rest = c.rest[n:]
	if len(c.rest) == 0 {
		err = io.EOF
	}
	return n, err
}

// Stream is a connection, or one stream of a connection, that has become a
// tunnel. Bytes that the engine had read already come first.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}
