package hostmod

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/sluice-edge/sluice/edge/kv"
)

const levelOfFailure = slog.LevelWarn

// maxKey is more than any key or namespace has: what is longer is not copied.
const maxKey = 64 << 10

var errNoStore = errors.New("there is no key-value store: the server keeps no state")

// namespace returns the store and the namespace that the first parameters name, or
// what keeps the guest from it.
func (c *call) namespace() (*kv.Store, string, int64) {
	name := c.bytes(0)
	g := c.guest()
	if !slices.Contains(g.grants.KV, string(name)) {
		return nil, "", c.deny("a namespace of keys", "kv: [%.80q]")
	}
	c.leaves()
	switch {
	case !c.served():
		return nil, "", int64(unavailable)
	case g.env.KV == nil:
		return nil, "", c.fail("key-value store", errNoStore)
	}
	return g.env.KV, string(name), 0
}

// key returns what namespace does, and the key that follows it.
func (c *call) key() (*kv.Store, string, string, int64) {
	key, ok := c.text(2, maxKey)
	s, name, problem := c.namespace()
	if problem == 0 && !ok {
		problem = int64(invalid)
	}
	return s, name, key, problem
}

// changing is key for who is about to change it.
func (c *call) changing() (*kv.Store, string, string, int64) {
	s, name, key, problem := c.key()
	if problem == 0 && c.quiet() {
		problem = int64(unavailable)
	}
	return s, name, key, problem
}

func (c *call) kvGet() int64 {
	s, name, key, problem := c.key()
	buf, limit, at := c.ptr(4), c.ptr(5), c.ptr(6)
	if at != 0 {
		c.in.Read(at, 8)
	}
	if problem != 0 {
		return problem
	}
	n := int64(0)
	err := s.Look(name, key, func(e kv.Entry) {
		n = int64(len(e.Value))
		if at != 0 {
			binary.LittleEndian.PutUint64(c.in.Read(at, 8), uint64(e.Version))
		}
		if n <= int64(limit) {
			copy(c.in.Read(buf, uint32(n)), e.Value)
		}
	})
	if err != nil {
		return c.storeStatus(err)
	}
	return n
}

// ttl returns the i-th parameter, milliseconds. What is more than a Duration has is
// as long as that.
func (c *call) ttl(i int) time.Duration {
	return time.Duration(min(int64(c.s[i]), math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

func (c *call) kvSet() int64 {
	s, name, key, problem := c.changing()
	value := c.bytes(4)
	ttl, version := c.ttl(6), int64(c.s[7])
	switch {
	case problem != 0:
		return problem
	case int64(c.s[6]) < 0 || version < kv.Any:
		return int64(invalid)
	}
	var set int64
	var err error
	c.wait(func() { set, err = s.Set(name, key, value, ttl, version) })
	if err != nil {
		return c.storeStatus(err)
	}
	return set
}

func (c *call) kvDelete() int64 {
	s, name, key, problem := c.changing()
	version := int64(c.s[4])
	switch {
	case problem != 0:
		return problem
	case version < kv.Any:
		return int64(invalid)
	}
	var err error
	c.wait(func() { err = s.Delete(name, key, version) })
	if err != nil {
		return c.storeStatus(err)
	}
	return 0
}

func (c *call) kvAdd() int64 {
	s, name, key, problem := c.changing()
	delta, ttl, at := int64(c.s[4]), c.ttl(5), c.ptr(6)
	c.in.Read(at, 8)
	switch {
	case problem != 0:
		return problem
	case int64(c.s[5]) < 0:
		return int64(invalid)
	}
	var sum int64
	var err error
	c.wait(func() { sum, err = s.Add(name, key, delta, ttl) })
	if err != nil {
		return c.storeStatus(err)
	}
	binary.LittleEndian.PutUint64(c.in.Read(at, 8), uint64(sum))
	return 0
}

func (c *call) kvList() int64 {
	prefix, ok := c.text(2, maxKey)
	after, ok2 := c.text(4, maxKey)
	out := c.in.Read(c.ptr(6), c.ptr(7))[:0]
	s, name, problem := c.namespace()
	switch {
	case problem != 0:
		return problem
	case !ok || !ok2:
		return int64(invalid)
	}
	n, needed := 0, 0
	c.in.Wait(func() {
		err := s.List(name, prefix, after, func(key []byte, _ kv.Entry) bool {
			if len(out)+len(key)+1 > cap(out) {
				needed = len(key) + 1
				return false
			}
			out = append(append(out, key...), 0)
			n++
			return n < c.guest().env.Limits.ListKeys
		})
		if err != nil {
			problem = c.storeStatus(err)
		}
	})
	switch {
	case problem != 0:
		return problem
	case n == 0:
		return int64(needed)
	}
	return int64(n)<<32 | int64(len(out))
}
