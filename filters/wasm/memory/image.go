package memory

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
)

// Image is the content of a memory after initialisation. It never changes, and may
// be used by several goroutines. It goes when it has been closed and no memory
// uses it.
type Image struct {
	sys     *System
	file    imageFile // if mapped
	content []byte    // read-only
	zero    []uint64  // a bit for each of the system's pages: all of it is zero
	held    int64     // bytes of the other pages

	refs   atomic.Int64 // memories, and one until Close
	closed atomic.Bool
}

// NewImage makes an image of content, which is copied. If it is mapped it takes a
// descriptor, and memory for the pages only that are not zero.
func (s *System) NewImage(content []byte) (*Image, error) {
	if len(content)%PageSize != 0 || int64(len(content)) > MaxLen {
		return nil, fmt.Errorf("an image of %d bytes is not of whole pages of %d up to %d", len(content), PageSize, int64(MaxLen))
	}
	pages := len(content) / s.page
	im := &Image{sys: s, zero: make([]uint64, (pages+63)/64)}
	im.refs.Store(1)
	for p := range pages {
		if bytes.Equal(content[p*s.page:(p+1)*s.page], s.zeros) {
			im.zero[p/64] |= 1 << (p % 64)
		} else {
			im.held += int64(s.page)
		}
	}
	switch {
	case len(content) == 0:
	case s.mapped:
		if err := im.file.create(len(content), s.dense); err != nil {
			return nil, err
		}
		for from, to := range im.runs(len(content)) {
			if err := im.file.write(content[from:to], from); err != nil {
				im.file.close()
				return nil, err
			}
		}
		var err error
		if im.content, err = im.file.seal(len(content)); err != nil {
			im.file.close()
			return nil, err
		}
	default:
		im.content = bytes.Clone(content)
	}
	return im, nil
}

// runs yields where what is not zero begins and ends, within the first n bytes.
func (im *Image) runs(n int) func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		page := im.sys.page
		for from := 0; from < n; {
			if im.isZero(from) {
				from += page
				continue
			}
			to := from + page
			for to < n && !im.isZero(to) {
				to += page
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// isZero reports whether the page at a place is all zero.
func (im *Image) isZero(at int) bool {
	p := at / im.sys.page
	return im.zero[p/64]&(1<<(p%64)) != 0
}

// Len returns the image's length in bytes.
func (im *Image) Len() int64 { return int64(len(im.content)) }

// Held returns the bytes of memory that the image's pages take once, however many
// memories use it. Where guests touch pages of zeros the kernel adds these, up to
// the image's length.
func (im *Image) Held() int64 { return im.held }

// Close gives the maker's hold of the image up: memories cannot begin to use it any
// more, and it goes with the last that does.
func (im *Image) Close() {
	if !im.closed.Swap(true) {
		im.release()
	}
}

// retain takes a hold of the image, for a memory.
func (im *Image) retain() error {
	for {
		n := im.refs.Load()
		if n == 0 || im.closed.Load() {
			return errors.New("the image is closed")
		}
		if im.refs.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (im *Image) release() {
	if im.refs.Add(-1) == 0 {
		im.file.close()
		im.content = nil
	}
}

// copyTo makes the pages of b, which begins at a place of the memory, those of the
// image. What is zero in the image is not read from it: that would make the kernel
// add a page to it.
func (im *Image) copyTo(b []byte, at int) {
	page := im.sys.page
	for i := 0; i < len(b); i += page {
		p := b[i : i+page]
		if im.isZero(at + i) {
			clear(p)
		} else {
			copy(p, im.content[at+i:])
		}
	}
}

// equal reports whether a page of a memory is that of the image.
func (im *Image) equal(b []byte, at int) bool {
	if im.isZero(at) {
		return bytes.Equal(b, im.sys.zeros)
	}
	return bytes.Equal(b, im.content[at:at+len(b)])
}
