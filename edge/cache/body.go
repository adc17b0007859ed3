package cache

import (
	"io"

	"github.com/sluice-edge/sluice/edge"
)

// reader is stored content, or a part of it. It holds the entry of the exchange
// in use, which ends with that.
type reader struct {
	shard *shard
	all   []byte // the whole, if it lies in one piece; else nil
	piece []byte // the rest of the piece that is read
	next  ref    // the piece behind it
	left  int64  // bytes to come
}

// newReader returns a reader of n bytes that lie in data, or in the chain of
// blocks from first.
func newReader(s *shard, data []byte, first ref, n int64) reader {
	r := reader{shard: s, piece: data, next: first, left: n}
	if first != 0 {
		r.advance()
	}
	if int64(len(r.piece)) >= n {
		r.all = r.piece[:n:n]
	}
	return r
}

// advance takes up the next piece. Blocks in use neither move nor change.
func (r *reader) advance() {
	r.piece = r.shard.slabs.data(r.next)
	r.next = r.shard.slabs.block(r.next).next
}

// limit makes r the n bytes from offset on.
func (r *reader) limit(offset, n int64) {
	for r.left = n; offset >= int64(len(r.piece)) && r.next != 0; r.advance() {
		offset -= int64(len(r.piece))
	}
	r.piece = r.piece[offset:]
	r.all = nil
	if int64(len(r.piece)) >= n {
		r.all = r.piece[:n:n]
	}
}

// Bytes is found by [edge.Bytes].
func (r *reader) Bytes() []byte { return r.all }

// Close implements [edge.Body].
func (r *reader) Close() error { return nil }

// Read implements [edge.Body].
func (r *reader) Read(p []byte) (n int, err error) {
	for n < len(p) && r.left > 0 {
		m := copy(p[n:], r.take(len(p)-n))
		n += m
	}
	if r.left == 0 {
		err = io.EOF
	}
	return n, err
}

// WriteTo implements [io.WriterTo].
func (r *reader) WriteTo(w io.Writer) (n int64, err error) {
	for r.left > 0 {
		m, err := w.Write(r.take(maxSlab))
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// take returns up to n bytes of one piece.
func (r *reader) take(n int) []byte {
	if len(r.piece) == 0 {
		r.advance()
	}
	b := r.piece[:min(int64(n), r.left, int64(len(r.piece)))]
	r.piece = r.piece[len(b):]
	r.left -= int64(len(b))
	return b
}

// hit is the whole content of a stored response, with its encoded forms.
type hit struct {
	reader
	state *state
}

// Form returns the content in a coding, if that has been kept.
func (h *hit) Form(coding string) (edge.Body, bool) {
	t := h.state
	s := t.found.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.slabs.record(t.found.rec).forms {
		if f == 0 {
			break
		}
		data := s.slabs.data(f)
		name := data[formHeader:][:data[0]]
		if text(name) != coding {
			continue
		}
		b := s.slabs.block(f)
		t.form = newReader(s, data[formHeader+len(name):], 0, formLength(data))
		t.form.next = b.next
		return &t.form, true
	}
	return nil, false
}

// Keep stores a copy of the content in a coding with the entry.
func (h *hit) Keep(coding string, b []byte) {
	t := h.state
	if len(coding) > maxCoding || int64(len(b)) > t.store.entry {
		return
	}
	t.found.shard.keep(t.found.rec, coding, b)
}

// An encoded form begins with the length of its coding's name (8 bits) and of its
// content (56 bits), and the name.
const (
	formHeader = 8
	maxCoding  = 32
)

func formLength(data []byte) (n int64) {
	for i := formHeader - 1; i > 0; i-- {
		n = n<<8 | int64(data[i])
	}
	return n
}

// keep adds a form to an entry that its caller uses, if there is none in that
// coding yet, and room for it.
func (s *shard) keep(r ref, coding string, b []byte) {
	var head [formHeader + maxCoding]byte
	head[0] = byte(len(coding))
	for i := 1; i < formHeader; i++ {
		head[i] = byte(len(b) >> (8 * (i - 1)))
	}
	n := copy(head[formHeader:], coding)

	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.slabs.record(r)
	vacant := func() *ref {
		for i := range rec.forms {
			f := rec.forms[i]
			if f == 0 {
				return &rec.forms[i]
			}
			if data := s.slabs.data(f); text(data[formHeader:][:data[0]]) == coding {
				break
			}
		}
		return nil
	}
	if !rec.linked || vacant() == nil {
		return
	}
	chain := s.copyIn(r, head[:formHeader+n], b)
	// Making room may have evicted the entry itself: the form goes with it.
	if chain != 0 {
		*vacant() = chain
	}
}

// copyIn stores head and b in one chain of blocks, 0 if there is no room.
func (s *shard) copyIn(owner ref, head, b []byte) ref {
	var first, last ref
	for first == 0 || len(b) > 0 {
		r := s.allocData(min(len(head)+len(b), s.slabs.most), owner)
		if r == 0 {
			s.freeChain(first)
			return 0
		}
		data := s.slabs.data(r)
		n := copy(data, head)
		head = nil
		b = b[copy(data[n:], b):]
		if first == 0 {
			first = r
		} else {
			s.slabs.block(last).next = r
		}
		last = r
	}
	return first
}
