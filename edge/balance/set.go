package balance

// Set is a set of members, by index. The zero value is empty. It allocates only
// where an index is 64 or more, and keeps that memory.
type Set struct {
	low  uint64
	high []uint64 // of 64 members each, from 64 on
}

// Add puts i into the set.
func (s *Set) Add(i int) {
	if i < 64 {
		s.low |= 1 << i
		return
	}
	w := i/64 - 1
	for len(s.high) <= w {
		s.high = append(s.high, 0)
	}
	s.high[w] |= 1 << (i % 64)
}

// Has reports whether i is in the set. A nil set is empty.
func (s *Set) Has(i int) bool {
	switch {
	case s == nil:
		return false
	case i < 64:
		return s.low&(1<<i) != 0
	}
	w := i/64 - 1
	return w < len(s.high) && s.high[w]&(1<<(i%64)) != 0
}

// Empty reports whether nothing is in the set.
func (s *Set) Empty() bool { return s.low == 0 && len(s.high) == 0 }

// Reset empties the set and keeps its memory.
func (s *Set) Reset() { s.low, s.high = 0, s.high[:0] }

// CopyFrom makes s hold what other does.
func (s *Set) CopyFrom(other *Set) {
	s.low = other.low
	s.high = append(s.high[:0], other.high...)
}
