package edgetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// rawClient is a connection on which a script says every byte.
type rawClient struct {
	conn   net.Conn
	unread []byte
	ended  error // why no more comes
}

func (s *script) rawStatement(name string, words []word) error {
	r := s.raws[name]
	if len(words) > 0 && words[0].name == "open" {
		if r != nil {
			r.conn.Close()
			r = nil
		}
	} else if r == nil {
		words = append([]word{{name: "open", value: "http", set: true}}, words...)
	}
	for i := range words {
		w := &words[i]
		if w.name == "open" {
			conn, err := net.DialTimeout("tcp", s.proxy.Addr(w.value), Patience)
			if err != nil {
				return err
			}
			r = &rawClient{conn: conn}
			s.raws[name] = r
			continue
		}
		if err := r.step(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawClient) step(w *word) error {
	r.conn.SetDeadline(time.Now().Add(Patience))
	switch w.name {
	case "send":
		_, err := io.WriteString(r.conn, w.value)
		return err
	case "recv":
		return r.receive(w)
	case "half-close":
		return r.conn.(*net.TCPConn).CloseWrite()
	case "close":
		return r.conn.Close()
	case "reset":
		return reset(r.conn)
	case "closed":
		for r.more() {
		}
		if len(r.unread) > 0 {
			return fmt.Errorf("got %s, want nothing more", excerpt(r.unread))
		}
		if e, ok := errors.AsType[net.Error](r.ended); ok && e.Timeout() {
			return errors.New("the connection is still open")
		}
		return nil
	}
	return fmt.Errorf("%s is not something that a raw client does", w)
}

// receive takes what w wants from the connection.
func (r *rawClient) receive(w *word) error {
	for {
		if w.re != nil {
			if at := w.re.FindIndex(r.unread); at != nil {
				r.unread = r.unread[at[1]:]
				return nil
			}
		} else if rest, ok := bytes.CutPrefix(r.unread, []byte(w.value)); ok {
			r.unread = rest
			return nil
		} else if n := min(len(r.unread), len(w.value)); string(r.unread[:n]) != w.value[:n] {
			return fmt.Errorf("got %s, want %q", excerpt(r.unread), w.value)
		}
		if !r.more() {
			return fmt.Errorf("got %s, then %w, want %s", excerpt(r.unread), r.ended, w)
		}
	}
}

// more reads on, and reports whether there was more.
func (r *rawClient) more() bool {
	var p [4096]byte
	n, err := r.conn.Read(p[:])
	r.unread = append(r.unread, p[:n]...)
	if err != nil {
		r.ended = err
	}
	return err == nil
}

// reset closes c by RST.
func reset(c net.Conn) error {
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	return c.Close()
}
