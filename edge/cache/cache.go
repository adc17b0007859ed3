// Package cache is a shared HTTP cache (RFC 9111) in memory.
//
// What is stored lies outside the Go heap, in blocks of mapped slabs that are
// counted to the byte, so that a million entries cost the garbage collector
// nothing but the index. A response that is answered from the store is not copied:
// the strings of its fields and the bytes of its content are those of the entry,
// which is in use until the exchange has ended.
package cache

import (
	"hash/maphash"
	"sync"
	"time"
)

// Store is the memory of the cache. Many stages share one.
type Store struct {
	shards []*shard
	mask   uint32
	hasher hasher
	start  time.Time // what times in entries count from
	entry  int64
	states sync.Pool // of *state
}

// NewStore returns an empty store. Close gives its memory back.
func NewStore(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	n := cfg.shards()
	s := &Store{
		mask:   uint32(n - 1),
		hasher: hasher{maphash.MakeSeed(), maphash.MakeSeed()},
		start:  time.Now(),
		entry:  min(cfg.Entry, cfg.Memory/int64(n)/2),
	}
	s.states.New = func() any { return &state{store: s} }
	for range n {
		sh, err := newShard(cfg.Memory/int64(n), cfg.Answers)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.shards = append(s.shards, sh)
	}
	return s, nil
}

// Close empties the store. What is being read stays valid; nothing is stored or
// found any more.
func (s *Store) Close() {
	for _, sh := range s.shards {
		sh.close()
	}
}

// Stats is the state of a store.
type Stats struct {
	Entries   int   // responses
	Bytes     int64 // in use: blocks and index
	Taken     int64 // Bytes, and what is free in the slabs that have been touched
	Stored    int64 // responses that have been stored so far
	Evictions int64 // keys that have given way so far

	// Requests so far, by what Record.Cache says of them.
	Hits, Stale, Misses, Revalidated, Passed, Bypassed int64
}

// Stats returns the state of s.
func (s *Store) Stats() (t Stats) {
	for _, sh := range s.shards {
		sh.mu.Lock()
		t.Entries += sh.entries
		t.Bytes += sh.slabs.used + int64(sh.index.Len())*indexCost
		t.Taken += sh.size()
		t.Stored += sh.stored
		t.Evictions += sh.evictions
		sh.mu.Unlock()
		for r, n := range [results]*int64{
			hitResult: &t.Hits, staleResult: &t.Stale, missResult: &t.Misses,
			revalidatedResult: &t.Revalidated, passResult: &t.Passed, bypassResult: &t.Bypassed,
		} {
			*n += sh.results[r].Load()
		}
	}
	return t
}

// shardOf returns the shard of a key.
func (s *Store) shardOf(h hash) *shard {
	return s.shards[(uint32(h[1])|uint32(h[2])<<8)&s.mask]
}

// since returns a time as entries hold it.
func (s *Store) since(t time.Time) int64 { return int64(t.Sub(s.start)) }
