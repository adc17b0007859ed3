package proxywasm

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// piece is how much content is read at a time, in bytes.
const piece = 32 << 10

// flow is a message's content on its way through the guest. It is the body that the
// next one reads.
type flow struct {
	s        *stream
	d        direction
	src      edge.Body
	trailers *edge.Fields

	held   []byte // what the guest has not let go: what it sees as the buffer. Guarded by vm.mu while the guest may run
	out    []byte // what it has let go, and nobody has read
	ended  bool   // src has
	err    error  // what follows out, once set
	denied error  // the guest's failure; guarded by vm.mu
	lost   bool   // the guest has changed what it was told of
	raw    bool   // the guest sees no more of it
	whole  []byte // all of it, if it was at hand
	room   []byte // the memory of out
	pumped bool   // it is read by another goroutine than the one that serves, as far as we know
	paused bool   // the guest holds it, and more of it is to be shown
	ahead  chan read
}

// read is what a Read of content has returned.
type read struct {
	buf []byte // of bufpool
	n   int
	err error
}

var flowCallbacks = [2][2]callback{{onRequestBody, onRequestTrailers}, {onResponseBody, onResponseTrailers}}

// begin has the guest see content, which is then what begin returns. Content that is all
// at hand it sees at once.
func (b *flow) begin(src edge.Body, length int64, trailers *edge.Fields) (edge.Body, int64, error) {
	has := &b.s.f.exports.has
	b.src, b.trailers = src, trailers
	if src == nil || !has[flowCallbacks[b.d][0]] && !has[flowCallbacks[b.d][1]] {
		return src, length, nil
	}
	if edge.Bytes(src) == nil {
		b.pumped = b.d == ofRequest
		return b, -1, nil
	}
	b.out = b.room
	for b.err == nil {
		b.err = b.step()
	}
	b.room = b.out[:0]
	if b.err != io.EOF {
		return src, length, b.err
	}
	src.Close()
	switch {
	case trailers.Len() > 0:
		return b, -1, nil
	case len(b.out) == 0:
		return nil, 0, nil
	}
	b.whole = b.out
	return b, int64(len(b.whole)), nil
}

// Read implements [edge.Body].
func (b *flow) Read(p []byte) (int, error) {
	for len(b.out) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.out = b.room
		b.err = b.step()
		if b.err != nil && b.err != io.EOF {
			b.err = b.fail(b.err)
		}
		b.room = b.out[:0]
	}
	n := copy(p, b.out)
	b.out = b.out[n:]
	if len(b.out) == 0 && b.err == io.EOF {
		return n, io.EOF
	}
	return n, nil
}

// fail returns what becomes of content of which the guest has failed to let the rest go:
// nil if it goes on without the guest.
func (b *flow) fail(err error) error {
	if b.s.skips(err, b.d) {
		b.out, b.raw = append(b.out, b.held...), true
		if b.ended {
			return io.EOF
		}
		return nil
	}
	b.s.v.mu.Lock()
	b.denied = err
	b.s.v.mu.Unlock()
	b.src.Close()
	return err
}

// passOn lets content go on as it came, after a failure.
func (b *flow) passOn() {
	r, q := &b.s.x.Request, &b.s.x.Response
	if b.d == ofRequest {
		r.Body = b.rest(r.Body)
	} else {
		q.Body = b.rest(q.Body)
	}
}

// rest returns the content that is left if the guest is not to see more of it.
func (b *flow) rest(have edge.Body) edge.Body {
	if b.src == nil || len(b.held) == 0 && len(b.out) == 0 {
		return have
	}
	b.out, b.raw = append(b.out, b.held...), true
	b.held, b.err = nil, nil
	if b.ended {
		b.err = io.EOF
	}
	return b
}

// step reads a piece and shows it to the guest. io.EOF says that nothing follows out.
func (b *flow) step() error {
	if b.ended {
		return io.EOF
	}
	r, err := b.read()
	if r.buf == nil { // the guest has let go what it held, or has failed meanwhile
		return err
	}
	buf, n, err := r.buf, r.n, r.err
	defer bufpool.Put(buf)
	if err != nil && err != io.EOF {
		return err
	}
	b.ended = err == io.EOF
	if b.raw {
		b.out = append(b.out[:0], buf[:n]...)
		return err
	}
	if n == 0 && !b.ended {
		return nil
	}
	b.s.v.mu.Lock()
	if b.s.resumed[b.d] { // by another exchange, since it has paused
		b.release()
	}
	b.held = append(b.held, buf[:n]...)
	size := len(b.held)
	b.s.trailers[b.d] = b.ended // some may be added, if there are none
	b.s.v.mu.Unlock()
	return b.show(size)
}

// show shows the guest what is held, and lets it go if the guest says so.
func (b *flow) show(size int) error {
	s := b.s
	trailing := b.ended && b.trailers.Len() > 0 && s.f.exports.has[flowCallbacks[b.d][1]]
	last := uint64(0)
	if b.ended && !trailing {
		last = 1
	}
	paused, err := s.tell(b.d, flowCallbacks[b.d][0], uint64(s.id), uint64(size), last)
	if err != nil {
		return err
	}
	if paused && !b.ended {
		if int64(size) > s.f.cfg.Body {
			return &wasm.Failure{Cause: wasm.Oversized, Op: "pause", Err: fmt.Errorf(
				"content is more than the %d bytes that are held while it pauses", s.f.cfg.Body)}
		}
		if resumed, err := b.wait(true); err != nil || !resumed {
			b.paused = true
			return err
		}
		paused = false
	}
	if trailing {
		paused, err = b.trail()
		if err != nil {
			return err
		}
	}
	if paused {
		if _, err := b.wait(false); err != nil {
			return err
		}
	}
	s.v.mu.Lock()
	b.release()
	s.trailers[b.d] = false
	s.v.mu.Unlock()
	if b.ended {
		return io.EOF
	}
	return nil
}

// read reads a piece. Where somebody else may resume the content of a request meanwhile,
// another exchange or a call of gRPC, it is read on a goroutine of its own: then the buffer
// that is returned is nil if that happens, and the next read returns the piece. The content
// of a response is not, since engines want its Read on the goroutine that serves.
func (b *flow) read() (read, error) {
	s := b.s
	if b.ahead == nil {
		if b.d != ofRequest || !b.paused || !s.f.cfg.Shared && !s.calls() {
			return b.readNow(), nil
		}
		b.ahead = make(chan read, 1)
		go func(to chan<- read) { to <- b.readNow() }(b.ahead)
	}
	for {
		select {
		case r := <-b.ahead:
			b.ahead = nil
			return r, nil
		case <-s.wake[b.d]:
			if resumed, err := b.heed(); resumed || err != nil {
				return read{}, err
			}
		}
	}
}

func (b *flow) readNow() (r read) {
	r.buf = bufpool.Get(piece)
	r.n, r.err = b.src.Read(r.buf)
	return r
}

// heed tells the guest of what it waits for while content is read, and lets the content go
// if it says so.
func (b *flow) heed() (resumed bool, err error) {
	s := b.s
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	err = s.deliver()
	switch {
	case err != nil:
	case s.v.broken != nil:
		err = s.v.broken
	case s.local != nil || s.closed:
		err = errOver
	case b.paused && s.resumed[b.d]:
		b.release()
		return true, nil
	}
	return false, err
}

// stop ends what reads on a goroutine of its own.
func (b *flow) stop() {
	if b.ahead == nil {
		return
	}
	b.src.Close()
	bufpool.Put((<-b.ahead).buf)
	b.ahead = nil
}

// release lets go what is held. v.mu is held.
func (b *flow) release() {
	b.paused = false
	if len(b.out) == 0 {
		b.out, b.held = b.held, b.out
		return
	}
	b.out, b.held = append(b.out, b.held...), b.held[:0]
}

// wait waits until the guest resumes, or, with calls, until it waits for nothing.
func (b *flow) wait(calls bool) (resumed bool, err error) {
	if calls && !b.s.asks() {
		return false, nil
	}
	if !b.pumped {
		b.s.x.Block()
	}
	return b.s.pause(b.d, calls)
}

// trail tells the guest of trailers.
func (b *flow) trail() (paused bool, err error) {
	s := b.s
	return s.tell(b.d, flowCallbacks[b.d][1], uint64(s.id), uint64(b.trailers.Len()))
}

// Bytes returns all of the content if it was at hand: see [edge.Bytes].
func (b *flow) Bytes() []byte { return b.whole }

// Close implements [edge.Body].
func (b *flow) Close() error { return b.src.Close() }

// set replaces a part of what the guest sees. v.mu is held.
func (b *flow) set(start, size uint32, p []byte) error {
	from := min(uint64(start), uint64(len(b.held)))
	to := min(from+uint64(size), uint64(len(b.held)))
	if int64(len(b.held))-int64(to-from)+int64(len(p)) > max(b.s.f.cfg.Body, int64(len(b.held))) {
		return errors.New("more content than may be held")
	}
	b.held, b.lost = slices.Replace(b.held, int(from), int(to), p...), true
	if b.d == ofResponse {
		b.s.touched = true
	}
	return nil
}
