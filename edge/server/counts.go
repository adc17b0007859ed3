package server

import (
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
)

// counts is what is counted of exchanges that have ended.
type counts struct {
	classes  [6]atomic.Int64 // by the first digit of the status; 0: none was sent
	failed   atomic.Int64    // exchanges with a Record.Err
	received atomic.Int64    // bytes of request content
	sent     atomic.Int64    // bytes of response content
	hits     atomic.Int64    // answered by the cache without the origin
	misses   atomic.Int64    // asked of the origin although there is a cache
}

func (c *counts) add(x *edge.Exchange) {
	class := x.Response.Status / 100
	if class < 0 || class >= len(c.classes) {
		class = 0
	}
	c.classes[class].Add(1)
	if x.Record.Err != nil {
		c.failed.Add(1)
	}
	switch x.Record.Cache {
	case "":
	case "hit":
		c.hits.Add(1)
	default:
		c.misses.Add(1)
	}
	c.received.Add(x.Record.Received)
	c.sent.Add(x.Record.Sent)
}

func (c *counts) total() (n int64) {
	for i := range c.classes {
		n += c.classes[i].Load()
	}
	return n
}
