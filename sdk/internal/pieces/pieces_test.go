package pieces

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// sizes notes how much is read at a time.
type sizes struct {
	io.Reader
	most int
}

func (s *sizes) Read(p []byte) (int, error) {
	s.most = max(s.most, len(p))
	return s.Reader.Read(p)
}

// WriteTo is not what is called.
func (s *sizes) WriteTo(io.Writer) (int64, error) { panic("BUG: WriteTo is called") }

func TestCopy(t *testing.T) {
	for _, length := range []int{0, 1, size, size + 1, 200_000} {
		text := strings.Repeat("0123456789", length/10+1)[:length]
		var out bytes.Buffer // which has a ReadFrom
		r := &sizes{Reader: strings.NewReader(text)}
		if n, err := Copy(&out, r); n != int64(length) || err != nil || out.String() != text || r.most != size {
			t.Errorf("copied %d of %d, %v, by %d", n, length, err, r.most)
		}
		out.Reset()
		if n, err := Copy(&out, iotest.DataErrReader(iotest.HalfReader(strings.NewReader(text)))); n != int64(length) || err != nil || out.String() != text {
			t.Errorf("copied %d of %d, %v, of halves", n, length, err)
		}
	}
	broken := errors.New("broken")
	for _, before := range []int{0, 10, size, 100_000} {
		if n, err := Copy(io.Discard, io.MultiReader(strings.NewReader(strings.Repeat("x", before)), iotest.ErrReader(broken))); n != int64(before) || err != broken {
			t.Errorf("copied %d of %d, %v", n, before, err)
		}
		if n, err := Copy(&full{before}, strings.NewReader(strings.Repeat("x", before+1))); n != int64(before) || err != errFull {
			t.Errorf("copied %d of %d, %v", n, before, err)
		}
	}
}

// Copies at a time have buffers of their own, and the next one has the spare one, also
// when one has panicked.
func TestCopies(t *testing.T) {
	var inner, outer bytes.Buffer
	w := writer(func(p []byte) (int, error) {
		if _, err := Copy(&inner, strings.NewReader("inner")); err != nil {
			return 0, err
		}
		return outer.Write(p)
	})
	text := strings.Repeat("outer", size/4)
	if _, err := Copy(w, strings.NewReader(text)); err != nil || outer.String() != text || inner.String() != "innerinner" {
		t.Errorf("%v, %d bytes, %q", err, outer.Len(), inner.String())
	}
	func() {
		defer func() { recover() }()
		Copy(writer(func([]byte) (int, error) { panic("it breaks") }), strings.NewReader("x"))
	}()
	r := strings.NewReader("")
	n := testing.AllocsPerRun(100, func() {
		r.Reset("text")
		Copy(io.Discard, r)
	})
	if n > 3 { // what hides the other methods, and what gives the buffer back
		t.Errorf("%v allocations", n)
	}
	if len(spare) != 1 {
		t.Error("the spare buffer is gone")
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// full takes so much.
type full struct{ room int }

var errFull = errors.New("it is full")

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	if f.room -= n; n < len(p) {
		return n, errFull
	}
	return n, nil
}
