package cache

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"time"
)

// Config is what a store may take. A zero field means the default.
type Config struct {
	// Memory is the most memory that the store takes, in bytes: entries, with what
	// is lost between them, and the index. At least 4 MiB. What has not been used
	// for longest gives way. Default: 512 MiB.
	Memory int64

	// Entry is the largest content that is stored, in bytes; larger content is
	// passed on. At most half of a shard's memory. Default: 1/32 of Memory.
	Entry int64

	// Answers is how many responses are stored under one key, for different
	// selecting fields (Vary) and arms; the oldest gives way. Default: 16.
	Answers int
}

const (
	minMemory = 4 << 20
	maxMemory = 1 << 40
)

// Validate returns everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Memory != 0 && (c.Memory < minMemory || c.Memory > maxMemory) {
		errs = append(errs, fmt.Errorf("memory: %d bytes are not between 4MB and 1TB", c.Memory))
	} else if d := c.withDefaults(); c.Entry < 0 || c.Entry > d.Memory/2 {
		errs = append(errs, fmt.Errorf("entry: %d bytes are not between 0 and half of memory", c.Entry))
	}
	if c.Answers < 0 {
		errs = append(errs, fmt.Errorf("answers: %d is negative", c.Answers))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Memory == 0 {
		c.Memory = 512 << 20
	}
	if c.Entry == 0 {
		c.Entry = c.Memory / 32
	}
	if c.Answers == 0 {
		c.Answers = 16
	}
	return c
}

// shards returns how many shards the store has: a power of two, four to a
// processor, but so few that each holds two of the largest entries and 128 of the
// largest slabs.
func (c Config) shards() int {
	most := min(c.Memory/(2*c.Entry), c.Memory/(128*maxSlab), int64(4*runtime.GOMAXPROCS(0)), 256)
	return 1 << (bits.Len64(uint64(max(most, 1))) - 1)
}

// Policy is what a route says about caching.
type Policy struct {
	// TTL is how long a response is fresh about whose freshness the origin says
	// nothing: neither Cache-Control with max-age, s-maxage or no-cache, nor
	// Expires. It applies to the status codes 200, 203, 204, 300, 301 and 308, and
	// never to what must not be stored. 0: as long as heuristics say.
	TTL time.Duration
}

// Validate returns what is wrong with p.
func (p Policy) Validate() error {
	if p.TTL < 0 {
		return fmt.Errorf("ttl: %v is negative", p.TTL)
	}
	return nil
}
