// Package pieces copies content in a module.
package pieces

import "io"

const size = 32 << 10

// spare has the buffer that nobody uses. It is made while the module is initialised, and so
// each request begins with it: one that io.Copy makes is memory that has to be put back.
var spare = func() chan []byte {
	c := make(chan []byte, 1)
	c <- make([]byte, size)
	return c
}()

// Copy is io.Copy with that buffer, whatever else w and r may do.
func Copy(w io.Writer, r io.Reader) (int64, error) {
	var buf []byte
	select {
	case buf = <-spare:
		defer func() { spare <- buf }()
	default: // a copy within another
		buf = make([]byte, size)
	}
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf)
}
