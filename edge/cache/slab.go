package cache

import (
	"encoding/binary"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// Memory is cut into slabs of one size, and a slab into blocks of one class. The
// classes are fractions of a slab, four to each doubling, so that about a tenth
// of a block is unused on average. There are at least 128 slabs, some five to a
// class, so that little is lost in slabs that are used in part. A slab without a block in use can become one of
// any class. If a class runs out of slabs while another has blocks to spare, the
// blocks in use of one of its slabs are moved to others, so that memory which was
// filled with small entries can be had back for large ones, and the other way
// round, in the order of eviction.
const (
	maxSlab = 256 << 10
	minSlab = 32 << 10
	unit    = 64 // bytes; blocks begin at multiples of it

	recordClass = 0 // records, which never move
	recordSize  = 128
	minBlock    = 256
)

// ref names a block: its place in units, from 1. 0 is none.
type ref uint32

// class is the blocks of one size.
type class struct {
	size    int
	per     int      // blocks in a slab
	free    int      // blocks that are not in use, in all its slabs
	partial []uint32 // its slabs with such a block
}

// slab is what is known of one slab.
type slab struct {
	class  int16 // -1: not of a class
	live   uint16
	carved uint16 // blocks that have been in use at least once
	free   ref    // of those the first that is not; each names the next
	place  int32  // in the class's partial; -1: not there
}

// slabs hands out blocks of one shard's memory. The shard's lock guards it.
type slabs struct {
	mem     []byte
	slab    int // bytes of a slab
	most    int // bytes of data that lie in one piece at most
	classes []class
	slabs   []slab
	empty   []uint32 // slabs of no class that have been of one
	touched int      // slabs that have been of a class
	used    int64    // bytes of the blocks in use
}

// newSlabs returns slabs of n bytes, which are at least 128 of the smallest slabs.
func newSlabs(n int64) (*slabs, error) {
	size := maxSlab
	for size > minSlab && n/int64(size) < 128 {
		size /= 2
	}
	count := int(n / int64(size))
	mem, err := reserve(count * size)
	if err != nil {
		return nil, err
	}
	classes := newClasses(size)
	return &slabs{
		mem: mem, slab: size, most: classes[len(classes)-1].size - blockHeader,
		classes: classes, slabs: make([]slab, count),
	}, nil
}

// newClasses returns the classes of slabs of a size: that of records, and those of
// data from the smallest on.
func newClasses(size int) []class {
	list := []class{{size: recordSize, per: size / recordSize}}
	parts := size / minBlock
	for step := parts / 8; parts > 8; parts -= step {
		if parts == 4*step {
			step /= 2
		}
		if c := (class{size: size / parts / unit * unit, per: parts}); c.size > list[len(list)-1].size {
			list = append(list, c)
		}
	}
	for ; parts >= 3; parts-- {
		list = append(list, class{size: size / parts / unit * unit, per: parts})
	}
	return list
}

// classFor returns the class of the smallest blocks for n bytes of data, or -1 if
// they are too many for a block.
func (s *slabs) classFor(n int) int {
	low, high := recordClass+1, len(s.classes)
	for low < high {
		if m := (low + high) / 2; s.classes[m].size < n {
			low = m + 1
		} else {
			high = m
		}
	}
	if low == len(s.classes) {
		return -1
	}
	return low
}

// assigned returns how many slabs are of a class.
func (s *slabs) assigned() int { return s.touched - len(s.empty) }

// take returns a block of class c, or 0 if all are in use.
func (s *slabs) take(c int) ref {
	k := &s.classes[c]
	if len(k.partial) == 0 {
		return 0
	}
	number := k.partial[len(k.partial)-1]
	if c == recordClass {
		// What cannot be moved fills the fullest slab, so that others become empty.
		for _, n := range k.partial {
			if s.slabs[n].live > s.slabs[number].live {
				number = n
			}
		}
	}
	b := &s.slabs[number]
	var r ref
	if b.free != 0 {
		r = b.free
		b.free = ref(binary.LittleEndian.Uint32(s.at(r, 4)))
	} else {
		r = refAt(int(number)*s.slab + int(b.carved)*k.size)
		b.carved++
	}
	b.live++
	k.free--
	if int(b.live) == k.per {
		s.unlist(number)
	}
	s.used += int64(k.size)
	return r
}

// give takes back the block r, which nobody may use any more.
func (s *slabs) give(r ref) {
	number := s.slabOf(r)
	b := &s.slabs[number]
	k := &s.classes[b.class]
	mem := s.at(r, k.size)
	edge.Poison(mem)
	binary.LittleEndian.PutUint32(mem, uint32(b.free))
	b.free = r
	b.live--
	k.free++
	s.used -= int64(k.size)
	switch {
	case b.live == 0:
		s.retire(number)
	case b.place < 0:
		s.list(number)
	}
}

// grow gives class c another slab, if there is one of no class.
func (s *slabs) grow(c int) bool {
	var number uint32
	switch n := len(s.empty); {
	case n > 0:
		number = s.empty[n-1]
		s.empty = s.empty[:n-1]
	case s.touched < len(s.slabs):
		number = uint32(s.touched)
		s.touched++
	default:
		return false
	}
	s.slabs[number] = slab{class: int16(c), place: -1}
	s.classes[c].free += s.classes[c].per
	s.list(number)
	return true
}

// retire takes a slab without a block in use from its class.
func (s *slabs) retire(number uint32) {
	b := &s.slabs[number]
	if b.place >= 0 {
		s.unlist(number)
	}
	s.classes[b.class].free -= s.classes[b.class].per
	b.class = -1
	s.empty = append(s.empty, number)
}

func (s *slabs) list(number uint32) {
	b := &s.slabs[number]
	k := &s.classes[b.class]
	b.place = int32(len(k.partial))
	k.partial = append(k.partial, number)
}

func (s *slabs) unlist(number uint32) {
	b := &s.slabs[number]
	k := &s.classes[b.class]
	last := k.partial[len(k.partial)-1]
	k.partial[b.place] = last
	s.slabs[last].place = b.place
	k.partial = k.partial[:len(k.partial)-1]
	b.place = -1
}

// slack returns the emptiest slab of a class that could do with a slab less, and
// is not passed over; false if there is none. Records do not move.
func (s *slabs) slack(pass func(number uint32) bool) (number uint32, ok bool) {
	least := uint16(0)
	for c := recordClass + 1; c < len(s.classes); c++ {
		k := &s.classes[c]
		if k.free < k.per {
			continue
		}
		for _, n := range k.partial {
			if b := &s.slabs[n]; (!ok || b.live < least) && !pass(n) {
				number, least, ok = n, b.live, true
			}
		}
	}
	return number, ok
}

// inUse calls visit for each block in use of a slab until visit returns false.
func (s *slabs) inUse(number uint32, visit func(r ref) bool) {
	b := &s.slabs[number]
	k := &s.classes[b.class]
	var free [maxSlab / recordSize / 64]uint64
	for r := b.free; r != 0; r = ref(binary.LittleEndian.Uint32(s.at(r, 4))) {
		i := (r.offset() - int(number)*s.slab) / k.size
		free[i/64] |= 1 << (i % 64)
	}
	for i := range int(b.carved) {
		if free[i/64]&(1<<(i%64)) == 0 && !visit(refAt(int(number)*s.slab+i*k.size)) {
			return
		}
	}
}

func refAt(offset int) ref              { return ref(offset/unit + 1) }
func (r ref) offset() int               { return int(r-1) * unit }
func (s *slabs) slabOf(r ref) uint32    { return uint32(r.offset() / s.slab) }
func (s *slabs) at(r ref, n int) []byte { o := r.offset(); return s.mem[o : o+n : o+n] }

// record returns the record in block r.
func (s *slabs) record(r ref) *record {
	return (*record)(unsafe.Pointer(unsafe.SliceData(s.at(r, recordSize))))
}

// block returns the header of the data block r.
func (s *slabs) block(r ref) *block {
	return (*block)(unsafe.Pointer(unsafe.SliceData(s.at(r, blockHeader))))
}

// data returns what the data block r holds.
func (s *slabs) data(r ref) []byte {
	n := blockHeader + int(s.block(r).length)
	return s.at(r, n)[blockHeader:]
}
