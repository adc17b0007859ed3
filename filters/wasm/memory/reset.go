package memory

import "errors"

// When a memory gives all of its private pages back: a request that has written
// much would otherwise make each one after it copy as much.
const (
	forgetFloor = 256 << 10 // bytes that a memory may hold however little is written
	forgetRatio = 4         // how many times of what one request has written it may hold besides
	forgetAfter = 4         // how many resets in a row must find it to hold more
)

// private is what a memory has of its own.
type private struct {
	held int      // bytes of the image's pages that are private, as the last reset has found
	idle int      // how many resets in a row have found too much
	seen []uint64 // a bit for each page that has been found to differ; of Compare, with mapped images
}

// start begins to count, for an image that was just placed.
func (l *Linear) start(im *Image) {
	l.private = private{}
	if !l.sys.mapped {
		l.held = len(im.content)
		return
	}
	if l.sys.method == Compare {
		l.seen = make([]uint64, len(im.zero))
	}
	l.finder.start(l.sys, len(im.content)/l.sys.page)
}

// Reset puts the memory back to its image, and returns how many of the system's
// pages it has written for that. What lies behind the image becomes zeros, and its
// pages go back to the system; then Publish is next. After an error nothing but Free
// works.
func (l *Linear) Reset() (written int, err error) {
	if err := l.unusable(); err != nil {
		return 0, err
	}
	if l.image == nil {
		return 0, errors.New("the memory has no image")
	}
	if err := l.dropFrom(len(l.image.content)); err != nil {
		l.breakWith(err, 0)
		return 0, err
	}
	if len(l.image.content) == 0 {
		return 0, nil
	}
	if l.sys.method == Compare {
		written = l.compareAll()
	} else if written, err = l.restore(); err != nil {
		l.sys.failure(err)
		return 0, l.forget()
	}
	if l.sys.mapped && l.excessive(written*l.sys.page) {
		err = l.forget()
	}
	return written, err
}

// restore copies the image over the pages that are private.
func (l *Linear) restore() (written int, err error) {
	// Pages that have once been written are few, as a rule, and copying them costs
	// less than to look which of them has been written again. When they are many it
	// matters whether they need to be.
	count := l.held > forgetFloor
	held := 0
	for at := 0; at < len(l.image.content); {
		regions, next, err := l.finder.find(l.sys, l.space[:len(l.image.content)], at)
		if err != nil {
			return 0, err
		}
		for _, r := range regions {
			from := int(r.start - l.finder.base)
			b := l.space[from:int(r.end-l.finder.base)]
			held += len(b)
			if count {
				written += l.compare(b, from)
			} else {
				l.image.copyTo(b, from)
				written += len(b) / l.sys.page
			}
		}
		at = next
	}
	l.held = held
	return written, nil
}

// compare copies the image over the pages of b that differ, and returns how many.
func (l *Linear) compare(b []byte, at int) (written int) {
	page := l.sys.page
	for i := 0; i < len(b); i += page {
		if p := b[i : i+page]; !l.image.equal(p, at+i) {
			l.image.copyTo(p, at+i)
			written++
		}
	}
	return written
}

// compareAll does so with the whole memory.
func (l *Linear) compareAll() (written int) {
	if l.seen == nil {
		return l.compare(l.space[:len(l.image.content)], 0)
	}
	page := l.sys.page
	for at := 0; at < len(l.image.content); at += page {
		if p := l.space[at : at+page]; !l.image.equal(p, at) {
			l.image.copyTo(p, at)
			written++
			if w, bit := &l.seen[at/page/64], uint64(1)<<(at/page%64); *w&bit == 0 {
				*w |= bit
				l.held += page
			}
		}
	}
	return written
}

// excessive reports whether the memory has come to hold much more than what
// requests write, of which the last has written so many bytes.
func (l *Linear) excessive(written int) bool {
	if l.held <= forgetFloor+forgetRatio*written {
		l.idle = 0
		return false
	}
	l.idle++
	return l.idle >= forgetAfter
}

// forget gives all private pages of the image back; those of the image are there
// again.
func (l *Linear) forget() error {
	b := l.space[:len(l.image.content)]
	if discard(b) != nil {
		if err := l.image.file.mapOver(b); err != nil {
			l.breakWith(err, len(b))
			return err
		}
	}
	l.held, l.idle = 0, 0
	clear(l.seen)
	return nil
}

// Trim resets the memory and gives back what it holds of its own, for a memory that
// nobody will need soon: the next request takes a page fault for each page that it
// writes. A memory with a copied image keeps that. After an error nothing but Free
// works.
func (l *Linear) Trim() error {
	if !l.sys.mapped {
		_, err := l.Reset()
		return err
	}
	if err := l.unusable(); err != nil {
		return err
	}
	if l.image == nil {
		return errors.New("the memory has no image")
	}
	if err := l.dropFrom(len(l.image.content)); err != nil {
		l.breakWith(err, 0)
		return err
	}
	return l.forget()
}

// Private returns how many bytes the memory holds of its own: as the last Reset
// has found them, and all that it has grown by since. A memory without an image is
// taken to hold all that it has.
func (l *Linear) Private() int64 {
	if l.image == nil {
		return int64(l.top)
	}
	return int64(l.held + l.top - len(l.image.content))
}

// written counts the pages that Reset would find.
func (l *Linear) written() (pages int, err error) {
	if l.sys.method == Compare {
		for at := 0; at < len(l.image.content); at += l.sys.page {
			if !l.image.equal(l.space[at:at+l.sys.page], at) {
				pages++
			}
		}
		return pages, nil
	}
	for at := 0; at < len(l.image.content); {
		regions, next, err := l.finder.find(l.sys, l.space[:len(l.image.content)], at)
		if err != nil {
			return 0, err
		}
		for _, r := range regions {
			pages += int(r.end-r.start) / l.sys.page
		}
		at = next
	}
	return pages, nil
}
