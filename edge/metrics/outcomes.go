package metrics

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// key is a combination of method, status and protocol. There are at most
// 10 * 501 * 4 of them.
type key uint32

const (
	minStatus = 100
	maxStatus = 599
)

func keyOf(o *Outcome) key {
	status := uint32(0)
	if o.Status >= minStatus && o.Status <= maxStatus {
		status = uint32(o.Status)
	}
	return key(methodOf(o.Method)<<16 | status<<4 | protoOf(o.Proto))
}

func (k key) method() string { return methods[k>>16] }
func (k key) proto() string  { return protos[k&0xf] }

func (k key) code() string {
	if status := k >> 4 & 0xfff; status != 0 {
		return strconv.Itoa(int(status))
	}
	return Other
}

// outcomes has a counter for each combination that has occurred. A counter is
// found without a lock: in a table, at the place that the key's hash says or at
// one of those behind it, before the first that is empty.
type outcomes struct {
	table atomic.Pointer[outcomeTable]
	mu    sync.Mutex // guards what is added
}

// outcomeTable has twice as many places as counters, or more. Counters are never
// taken out, and a table that is full is replaced by a larger one of the same
// counters.
type outcomeTable struct {
	shift  int // of a hash, so that as many bits are left as number the places
	places []atomic.Pointer[counter]
	used   int // guarded by outcomes.mu
}

// counter fills a cache line, so that processors that count different things do
// not wait for each other.
type counter struct {
	n   atomic.Uint64
	key key
	_   [52]byte
}

const firstPlaces = 8

// of returns the counter of k.
func (o *outcomes) of(k key) *counter {
	if t := o.table.Load(); t != nil {
		if c, _ := t.find(k); c != nil {
			return c
		}
	}
	return o.add(k)
}

// find returns the counter of k, or nil and the place where it belongs.
func (t *outcomeTable) find(k key) (*counter, *atomic.Pointer[counter]) {
	mask := len(t.places) - 1
	for i := int(uint32(k) * 0x9e3779b1 >> t.shift); ; i++ { // 2^32 divided by the golden ratio
		place := &t.places[i&mask]
		c := place.Load()
		if c == nil || c.key == k {
			return c, place
		}
	}
}

func (o *outcomes) add(k key) *counter {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.table.Load()
	if t == nil {
		t = newOutcomeTable(firstPlaces)
		o.table.Store(t)
	}
	c, place := t.find(k)
	if c != nil { // another goroutine was faster
		return c
	}
	if t.used == len(t.places)/2 {
		larger := newOutcomeTable(2 * len(t.places))
		for i := range t.places {
			if c := t.places[i].Load(); c != nil {
				larger.put(c)
			}
		}
		t = larger
		_, place = t.find(k)
		defer o.table.Store(t)
	}
	c = &counter{key: k}
	place.Store(c)
	t.used++
	return c
}

// newOutcomeTable returns a table; places is a power of two.
func newOutcomeTable(places int) *outcomeTable {
	return &outcomeTable{shift: 33 - bits.Len(uint(places)), places: make([]atomic.Pointer[counter], places)}
}

func (t *outcomeTable) put(c *counter) {
	_, place := t.find(c.key)
	place.Store(c)
	t.used++
}

// list returns the counters by method, status and protocol.
func (o *outcomes) list() []*counter {
	t := o.table.Load()
	if t == nil {
		return nil
	}
	var all []*counter
	for i := range t.places {
		if c := t.places[i].Load(); c != nil {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *counter) int { return cmp.Compare(a.key, b.key) })
	return all
}
