package http1

import "io"

// from writes length bytes that w itself brings to the socket: a file goes there
// without passing through this process.
func (o *output) from(w io.WriterTo, length int64) (s sent) {
	if s.write = o.flush(); s.write != nil {
		return s
	}
	l := &limited{o: o, left: length}
	_, err := w.WriteTo(l)
	s.n = length - l.left
	switch {
	case l.err != nil:
		s.write = l.err
	case err != nil:
		s.read = err
	case l.left > 0:
		s.read = errTooLittle
	}
	return s
}

// limited takes as many bytes as were promised and no more.
type limited struct {
	o    *output
	left int64
	err  error // of the socket, or, from ReadFrom, of the reader
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, errTooMuch
	}
	if l.err = l.o.write(p); l.err != nil {
		return 0, l.err
	}
	l.left -= int64(len(p))
	return len(p), nil
}

// ReadFrom lets the socket read from r by itself.
func (l *limited) ReadFrom(r io.Reader) (n int64, err error) {
	l.o.turn.Add(1)
	n, err = io.Copy(l.o.dst, io.LimitReader(r, l.left))
	l.o.turn.Add(1)
	l.left -= n
	return n, err
}
