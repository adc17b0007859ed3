package memory

import (
	"errors"
	"fmt"
	"math"
)

// Linear is one linear memory. It never moves. It is used by one goroutine at a
// time.
//
// It is the experimental.LinearMemory of wazero: give it to one instance by
// experimental.WithMemoryAllocator. If Use comes before that, the instance begins
// with the image's length, and is spared the growing.
type Linear struct {
	// Grow, if set, is asked whether the memory may grow, from and to a number of
	// bytes; false makes the guest's memory.grow fail. It is told of all that the
	// memory has at first, too. It is not told when the memory becomes shorter: who
	// set it knows by Len, before and after [Linear.Publish].
	Grow func(from, to int64) bool

	sys       *System
	space     []byte // the reservation; nil when freed
	limit     int    // bytes that the memory may have
	committed int    // bytes of space, from its beginning, that can be accessed
	length    int    // bytes that the runtime has been given
	top       int    // the image's length, or how far behind it anything may have been written since Reset
	begun     bool   // the runtime has been given the memory
	armed     bool   // the next Reallocate gives the image's length
	broken    error  // why nothing but Free works

	image  *Image
	finder finder
	private
}

// growStep is how much more of the reservation becomes accessible at a time, in
// bytes: guests may grow by a page at a time, and each time takes a system call.
const growStep = 1 << 20

// NewLinear reserves address space for a memory of up to limit bytes. It takes no
// memory before it is written to.
func (s *System) NewLinear(limit int64) (*Linear, error) {
	if limit < 0 || limit > MaxLen || limit > math.MaxInt-PageSize {
		return nil, fmt.Errorf("a memory's limit of %d bytes is not from 0 to %d", limit, int64(MaxLen))
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	space, err := reserve(max(int(limit+PageSize-1)/PageSize, 1) * PageSize)
	if err != nil {
		s.leave()
		return nil, err
	}
	return &Linear{sys: s, space: space, limit: int(limit)}, nil
}

// Reallocate makes the memory size bytes long, zeroed where it is new, or returns
// nil: beyond the limit, if Grow says no, or if the system has no more. All that was
// returned before stays valid, up to its length, until Free. It is for the runtime;
// wazero panics if the first one fails, so the limit and Grow must have room for
// what the module begins with.
func (l *Linear) Reallocate(size uint64) []byte {
	if l.space == nil || l.broken != nil {
		return nil
	}
	if l.image != nil && (l.armed || !l.begun && size < uint64(l.image.Len())) {
		size = uint64(l.image.Len())
	} else if size < uint64(l.length) {
		return nil // memories do not shrink, but for Publish
	}
	l.armed = false
	if size > uint64(l.limit) {
		return nil
	}
	n := int(size)
	if err := l.commit(n); err != nil {
		l.sys.failure(err)
		return nil
	}
	if n > l.length && l.Grow != nil && !l.Grow(int64(l.length), int64(n)) {
		return nil
	}
	l.length, l.top, l.begun = n, max(l.top, n), true
	return l.space[:n:n]
}

// commit makes the first n bytes accessible.
func (l *Linear) commit(n int) error {
	if n <= l.committed {
		return nil
	}
	step := min((n+growStep-1)/growStep*growStep, len(l.space))
	if err := commit(l.space[l.committed:step]); err != nil {
		return err
	}
	l.committed = step
	return nil
}

// Publish makes the runtime take the length to which Reset, or Use, has put the
// memory back, by way of the only call that it has for lengths: grow is the Grow of
// the instance's api.Memory. It reports whether that worked; if not, the instance is
// of no further use. It does nothing if the runtime has that length already.
//
// The runtime refuses to grow a memory that has the module's maximum: a memory that
// may be full needs a maximum of one page more in the module than the limit here.
func (l *Linear) Publish(grow func(deltaPages uint32) (previousPages uint32, ok bool)) bool {
	if l.image == nil || !l.begun || l.length == len(l.image.content) {
		return l.broken == nil
	}
	l.armed = true
	_, ok := grow(1)
	ok = ok && !l.armed
	l.armed = false
	return ok
}

// Bytes returns the memory as the runtime has it: valid until Free, and its length
// until the memory's changes. It is nil when the memory cannot be used.
func (l *Linear) Bytes() []byte {
	if l.broken != nil {
		return nil
	}
	return l.space[:l.length:l.length]
}

// Len returns how many bytes the runtime has.
func (l *Linear) Len() int64 { return int64(l.length) }

// Image returns the image in use, or nil.
func (l *Linear) Image() *Image { return l.image }

// Use puts an image in place of all that the memory has. If the runtime has the
// memory already, Publish is next. After an error nothing but Free works, unless the
// image does not fit or is closed: then nothing has changed.
func (l *Linear) Use(im *Image) error {
	switch {
	case l.unusable() != nil:
		return l.unusable()
	case im.sys != l.sys:
		return errors.New("the image is of another system of memories")
	}
	if err := im.retain(); err != nil {
		return err
	}
	old, n := l.image, len(im.content)
	if n > l.limit {
		im.release()
		return fmt.Errorf("the image has %d bytes, more than the %d that the memory may have", n, l.limit)
	}
	err := l.place(im)
	if err != nil {
		im.release()
		im = nil
		l.breakWith(err, n)
	}
	l.image = im
	if old != nil {
		old.release()
	}
	return err
}

// place makes the content of the memory that of an image.
func (l *Linear) place(im *Image) error {
	n := len(im.content)
	if l.sys.mapped {
		if l.image != nil {
			if old := len(l.image.content); old > n {
				if err := remap(l.space[n:old]); err != nil {
					return err
				}
			}
		}
		if err := l.dropFrom(n); err != nil {
			return err
		}
		if err := im.file.mapOver(l.space[:n]); err != nil {
			return err
		}
		// The pages between what was accessible and the image's end are by now.
		l.committed = max(l.committed, n)
	} else {
		if err := l.dropFrom(0); err != nil {
			return err
		}
		l.top = n
		if err := l.commit(n); err != nil {
			return err
		}
		for from, to := range im.runs(n) {
			copy(l.space[from:to], im.content[from:to])
		}
	}
	l.start(im)
	return nil
}

// dropFrom makes the memory zeros from a place on.
func (l *Linear) dropFrom(n int) error {
	// The runtime still has what Reset has cut off, if Publish did not follow it.
	top := max(l.top, l.length)
	l.top = n
	if top <= n {
		return nil
	}
	b := l.space[n:top]
	if discard(b) == nil {
		return nil
	}
	return remap(b) // the pages are locked, or the like
}

// unusable returns why the memory cannot be used, or nil.
func (l *Linear) unusable() error {
	if l.space == nil {
		return errors.New("the memory is freed")
	}
	return l.broken
}

// breakWith gives the memory up, after mappings up to a place. A mapping that fails may leave a hole, in which
// anything can be mapped next: the reservation is laid over it again, so that slices
// of the memory, which the runtime has, never are of something else.
func (l *Linear) breakWith(err error, mapped int) {
	l.broken = fmt.Errorf("the memory is lost: %w", err)
	if remap(l.space[:max(mapped, l.committed)]) != nil {
		protect(l.space)
	}
}

// Free gives memory and address space back, and the hold of the image. The runtime
// calls it when the instance is closed, and never when instantiation fails; so
// whoever made the memory calls it too. Only the first call does anything.
//
// The runtime's slices of the memory are invalid from then on, and reading them
// ends the process. So whoever frees the memory, or closes its instance, sees to it
// that no call of the instance is running or begins, that no host function keeps a
// slice, that the guest cannot close its instance from within (proc_exit of
// wazero's WASI does), and that the api.Memory is not used again.
func (l *Linear) Free() {
	if l.space == nil {
		return
	}
	if err := release(l.space); err != nil {
		l.sys.failure(err)
	}
	l.space, l.length, l.committed, l.top = nil, 0, 0, 0
	l.private = private{}
	if l.image != nil {
		l.image.release()
		l.image = nil
	}
	l.sys.leave()
}
