package cache

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/sluice-edge/sluice/edge"
)

// indexCost is about what the index takes on the Go heap for a key, in bytes: a
// list element of 96 and a map slot of 24 at the usual load.
const indexCost = 136

// shard is a part of the store with its own lock, memory and order of eviction.
type shard struct {
	limit    int64 // bytes
	variants int
	results  [results]atomic.Int64 // requests so far

	mu        sync.Mutex // guards the following fields
	slabs     *slabs
	index     *simplelru.LRU[hash, ref] // key to the first of its records
	underway  map[hash]underway         // what the origin is being asked for
	entries   int
	stored    int64
	evictions int64
	closed    bool
}

func newShard(limit int64, variants int) (*shard, error) {
	b, err := newSlabs(limit)
	if err != nil {
		return nil, err
	}
	s := &shard{limit: limit, variants: variants, slabs: b, underway: map[hash]underway{}}
	s.index, err = simplelru.NewLRU(math.MaxInt, func(_ hash, first ref) { s.unlink(first) })
	return s, err
}

// underway is a key that the origin is being asked for.
type underway struct {
	exchanges int
	changes   uint32 // invalidations since the first of them began
}

// size returns the bytes that are taken: by slabs, even if blocks of theirs are
// free, and by the index.
func (s *shard) size() int64 {
	return int64(s.slabs.assigned()*s.slabs.slab) + int64(s.index.Len())*indexCost
}

// alloc returns a block of class c, for which it evicts what has not been used for
// longest; 0 if all memory is taken by what is being read or stored.
func (s *shard) alloc(c int) ref {
	for {
		if r := s.slabs.take(c); r != 0 {
			return r
		}
		if s.size()+int64(s.slabs.slab) <= s.limit && s.slabs.grow(c) {
			continue
		}
		if !s.compact() && !s.evict() {
			return 0
		}
	}
}

// allocData returns a block with room for n bytes of data.
func (s *shard) allocData(n int, owner ref) ref {
	r := s.alloc(s.slabs.classFor(blockHeader + n))
	if r != 0 {
		*s.slabs.block(r) = block{owner: owner, length: uint32(n)}
	}
	return r
}

// allocRecord returns a record that its caller uses.
func (s *shard) allocRecord() ref {
	r := s.alloc(recordClass)
	if r != 0 {
		rec := s.slabs.record(r)
		rec.refs.Store(1)
		rec.retired.Store(0)
		rec.hash, rec.next, rec.head, rec.body, rec.forms = hash{}, 0, 0, 0, [maxForms]ref{}
		rec.linked, rec.heads = false, 0
	}
	return r
}

func (s *shard) evict() bool {
	_, _, ok := s.index.RemoveOldest()
	if ok {
		s.evictions++
	}
	return ok
}

// compact empties a slab by moving its blocks to others of their class.
func (s *shard) compact() bool {
	b := s.slabs
	number, ok := b.slack(s.pinned)
	if !ok {
		return false
	}
	c := int(b.slabs[number].class)
	b.unlist(number)
	b.inUse(number, func(old ref) bool {
		moved := b.take(c)
		n := blockHeader + int(b.block(old).length)
		copy(b.at(moved, n), b.at(old, n))
		s.relink(b.record(b.block(old).owner), old, moved)
		edge.Poison(b.at(old, b.classes[c].size))
		return true
	})
	live := int(b.slabs[number].live)
	b.used -= int64(live * b.classes[c].size)
	b.classes[c].free += live
	b.retire(number)
	return true
}

// pinned reports whether a block of a slab belongs to what is being read or
// stored.
func (s *shard) pinned(number uint32) (pinned bool) {
	s.slabs.inUse(number, func(r ref) bool {
		rec := s.slabs.record(s.slabs.block(r).owner)
		pinned = !rec.linked || rec.refs.Load() != 1 || rec.retired.Load() != 0
		return !pinned
	})
	return pinned
}

// relink makes an entry refer to a block by its new name.
func (s *shard) relink(rec *record, old, moved ref) {
	if rec.head == old {
		rec.head = moved
		return
	}
	swap := func(p *ref) bool {
		for *p != 0 && *p != old {
			p = &s.slabs.block(*p).next
		}
		if *p == 0 {
			return false
		}
		*p = moved
		return true
	}
	if swap(&rec.body) {
		return
	}
	for i := range rec.forms {
		if swap(&rec.forms[i]) {
			return
		}
	}
	panic("BUG: a block that its owner does not know")
}

// count notes what becomes of a request, as far as is known.
func (s *shard) count(x *edge.Exchange, r result) {
	s.results[r].Add(1)
	x.Record.Cache = r.String()
}

// found is a stored response that is in use, or why there is none.
type found struct {
	shard *shard
	rec   ref    // 0: none
	data  []byte // of its head
	known bool   // there are responses under the key
}

func (f *found) release() { f.shard.release(f.rec) }

// lookup returns the response that is stored for a request. Whoever gets one
// releases it.
func (s *shard) lookup(h hash, key []byte, arm string, fields *edge.Fields) found {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return found{}
	}
	first, ok := s.index.Get(h)
	if !ok || !s.sameKey(first, key) {
		return found{}
	}
	for r := first; r != 0; r = s.slabs.record(r).next {
		rec := s.slabs.record(r)
		if data := s.slabs.data(rec.head); selects(data, arm, fields) {
			rec.refs.Add(1)
			return found{s, r, data, true}
		}
	}
	return found{known: true}
}

// sameKey compares the whole key: two of them may have the same hash.
func (s *shard) sameKey(r ref, key []byte) bool {
	data := s.slabs.data(s.slabs.record(r).head)
	have := keyOf(data)
	return text(have[:len(have)-int(metaOf(data).arm)]) == text(key)
}

// release ends the use of an entry.
func (s *shard) release(r ref) {
	// The last user's blocks are freed under the lock. Once the count is down the
	// record may be gone, so what else there is to do is looked up before.
	rec := s.slabs.record(r)
	if rec.retired.Load() == 0 {
		if rec.refs.Add(-1) != 0 {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free(r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := rec.refs.Add(-1); {
	case n == 0:
		s.free(r)
	case n == 1 && rec.linked:
		s.freeRetired(rec)
	}
}

// unlink takes a key's records out of the index, from which first has been
// removed.
func (s *shard) unlink(first ref) {
	for r := first; r != 0; {
		next := s.slabs.record(r).next
		s.drop(r)
		r = next
	}
}

// drop ends the index's use of a record.
func (s *shard) drop(r ref) {
	rec := s.slabs.record(r)
	rec.linked, rec.next = false, 0
	s.entries--
	if rec.refs.Add(-1) == 0 {
		s.free(r)
	}
}

// free gives back the blocks of an entry that nobody uses.
func (s *shard) free(r ref) {
	rec := s.slabs.record(r)
	s.freeRetired(rec)
	s.freeChain(rec.head)
	s.freeChain(rec.body)
	for _, f := range rec.forms {
		s.freeChain(f)
	}
	s.slabs.give(r)
	s.unmap()
}

func (s *shard) freeRetired(rec *record) {
	s.freeChain(ref(rec.retired.Load()))
	rec.retired.Store(0)
	rec.heads = 0
}

func (s *shard) freeChain(r ref) {
	for r != 0 {
		next := s.slabs.block(r).next
		s.slabs.give(r)
		r = next
	}
}

// unmap gives the memory back once the shard is closed and nobody reads of it.
func (s *shard) unmap() {
	if s.closed && s.slabs.used == 0 && s.slabs.mem != nil {
		unreserve(s.slabs.mem)
		s.slabs.mem = nil
	}
}

// link puts a record that its caller uses, and whose head and content are
// complete, into the index in place of those that would be selected for the same
// request. Its use passes to the index.
func (s *shard) link(r ref, h hash, key []byte, arm string, fields *edge.Fields) {
	rec := s.slabs.record(r)
	rec.hash, rec.linked = h, true
	if first, ok := s.index.Peek(h); ok {
		if s.sameKey(first, key) {
			rec.next = s.prune(first, arm, fields)
		} else {
			s.index.Remove(h)
		}
	}
	s.index.Add(h, r)
	s.entries++
	s.stored++
	for s.size() > s.limit && s.index.Len() > 1 && (s.compact() || s.evict()) {
	}
}

// prune drops those of a key's records that are selected for a request, and the
// oldest if they are too many for one more. It returns the first that is left.
func (s *shard) prune(first ref, arm string, fields *edge.Fields) ref {
	kept, n := &first, 1
	for *kept != 0 {
		r := *kept
		rec := s.slabs.record(r)
		if n < s.variants && !selects(s.slabs.data(rec.head), arm, fields) {
			n++
			kept = &rec.next
			continue
		}
		*kept = rec.next
		s.drop(r)
	}
	return first
}

// remove takes one record out of the index, if it is there.
func (s *shard) remove(r ref) {
	rec := s.slabs.record(r)
	if !rec.linked {
		return
	}
	first, _ := s.index.Peek(rec.hash)
	if first == r && rec.next == 0 {
		s.index.Remove(rec.hash)
		return
	}
	if first == r {
		s.index.Add(rec.hash, rec.next)
	} else {
		p := &s.slabs.record(first).next
		for *p != r {
			p = &s.slabs.record(*p).next
		}
		*p = rec.next
	}
	s.drop(r)
}

// invalidate removes all that is stored under a key, and what is being stored.
func (s *shard) invalidate(h hash, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if u, ok := s.underway[h]; ok {
		u.changes++
		s.underway[h] = u
	}
	if first, ok := s.index.Peek(h); ok && s.sameKey(first, key) {
		s.index.Remove(h)
	}
}

// ask notes that the origin is about to be asked for a key, until answered is
// called. It returns a number that differs once the key has been invalidated.
func (s *shard) ask(h hash) (change uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.underway[h]
	u.exchanges++
	s.underway[h] = u
	return u.changes
}

func (s *shard) answered(h hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.underway[h]
	if u.exchanges--; u.exchanges == 0 {
		delete(s.underway, h)
		return
	}
	s.underway[h] = u
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.index.Purge()
	s.unmap()
}

// hasher makes the hash of a key. Its seeds are random, so that nobody outside can
// make keys that meet.
type hasher [2]maphash.Seed

func (k *hasher) sum(key []byte) (h hash) {
	binary.LittleEndian.PutUint64(h[:8], maphash.Bytes(k[0], key))
	binary.LittleEndian.PutUint64(h[8:], maphash.Bytes(k[1], key))
	return h
}
