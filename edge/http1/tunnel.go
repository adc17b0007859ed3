package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

// tunnel delivers the head of a 101 and hands the connection over.
func (c *conn) tunnel() {
	x := &c.x
	if c.out.buf == nil {
		c.out.buf = bufpool.Get(2 * minBuffer)
	}
	c.commit()
	b, ok := appendFields(appendStatus(c.out.buf[:0], 101), &x.Response.Fields)
	if !ok || x.Request.Upgrade == "" {
		x.Response.Tunnel = nil
		c.late = c.conclude(errBadField, false)
		c.settle()
		x.End()
		return
	}
	b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
	b = append(append(b, x.Request.Upgrade...), "\r\n\r\n"...)
	c.out.set(b)
	err := c.out.flush()
	if err == nil {
		c.enter(tunnel)
		err = c.runTunnel()
	}
	if x.Record.Err == nil && err != nil {
		x.Record.Err, x.Record.Why = err, edge.AsError(err).Kind.Why()
	}
	c.settle()
	x.End()
}

func (c *conn) runTunnel() (err error) {
	defer c.recovered("tunnel", &err)
	return c.x.Response.Tunnel(&stream{&c.in, c.nc})
}

// stream is a connection that has become a tunnel: what has been read already
// comes first.
type stream struct {
	in *input
	net.Conn
}

func (s *stream) Read(p []byte) (int, error) {
	if s.in.r < s.in.w {
		n := copy(p, s.in.buf[s.in.r:s.in.w])
		s.in.r += n
		return n, nil
	}
	return s.Conn.Read(p)
}

func (s *stream) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return s.Conn.Close()
}

// join copies both ways between two streams until both directions have ended;
// the end of one direction is passed on, an error ends both.
func join(a, b edge.Stream) error {
	var wg sync.WaitGroup
	var there error
	copyTo := func(dst, src edge.Stream) error {
		err := relay(dst, src)
		if err == nil {
			err = dst.CloseWrite()
		}
		if err != nil {
			a.Close()
			b.Close()
		}
		return err
	}
	wg.Go(func() { there = copyTo(b, a) })
	back := copyTo(a, b)
	wg.Wait()
	a.Close()
	b.Close()
	for _, err := range []error{back, there} {
		if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// relay copies until src ends. Most tunnels are quiet most of the time and their
// messages small, so it holds a small buffer, and a large one only while what
// comes fills the small one.
func relay(dst io.Writer, src io.Reader) error {
	small := make([]byte, 1<<10)
	var large []byte
	defer func() {
		if large != nil {
			bufpool.Put(large)
		}
	}()
	for buf := small; ; {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case n == len(small) && large == nil:
			large = bufpool.Get(4 * minBuffer)
			buf = large
		case n <= len(small) && large != nil:
			bufpool.Put(large)
			buf, large = small, nil
		}
	}
}
