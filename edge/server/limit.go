package server

import (
	"fmt"
	"sync"

	"github.com/sluice-edge/sluice/edge"
)

// limitBody refuses request content of more than limit bytes: at once if its
// length is known, else when it has turned out to be longer. A negative limit is
// none.
func limitBody(x *edge.Exchange, limit int64) error {
	r := &x.Request
	if limit < 0 || r.Body == nil {
		return nil
	}
	if r.Length > limit {
		return tooLarge(limit)
	}
	if r.Length >= 0 {
		return nil // the engine reads no more than that
	}
	b := limitedBodies.Get().(*limitedBody)
	b.Body, b.left, b.limit = r.Body, limit, limit
	r.Body = b
	x.OnEnd(b)
	return nil
}

func tooLarge(limit int64) error {
	return &edge.Error{Kind: edge.RequestError, Status: 413, Op: "read the request's content",
		Err: fmt.Errorf("it has more than the %d bytes that the route's body setting allows", limit)}
}

var limitedBodies = sync.Pool{New: func() any { return new(limitedBody) }}

type limitedBody struct {
	edge.Body
	left, limit int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	return n, err
}

// Bytes returns the content if all of it is at hand and not too much of it.
func (b *limitedBody) Bytes() []byte {
	if all := edge.Bytes(b.Body); int64(len(all)) <= b.limit {
		return all
	}
	return nil
}

// End implements edge.Ender. It runs after the transport has joined its pump.
func (b *limitedBody) End(*edge.Exchange) {
	b.Body = nil
	limitedBodies.Put(b)
}
