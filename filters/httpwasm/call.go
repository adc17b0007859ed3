package httpwasm

import (
	"strconv"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/stream"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// call is a guest's part in an exchange that it answers as a function.
type call struct {
	guest
	stream    stream.Run
	copied    edge.Request // see own
	length    int64        // of the content, as announced; -1: not announced
	responded bool         // the exchange has its response
}

func newCall(f *Filter, x *edge.Exchange) *call {
	c := &call{guest: guest{f: f, x: x, features: f.features, head: x.Request.Method == "HEAD"}, length: -1}
	c.guest.call, c.waits = c, c.wait
	return c
}

// Call implements [stream.Guest].
func (c *call) Call() error {
	v, err := c.handle()
	if err == nil && v.next {
		return &wasm.Failure{Cause: wasm.Misused, Op: "call handle_request",
			Err: wasm.Trap("it does not answer, but wants the next handler, of which a function has none")}
	}
	return err
}

// Ended implements [stream.Guest].
func (c *call) Ended(err error) error {
	c.end()
	if err == nil {
		if problem := c.stream.Missing(); problem != nil {
			err = &wasm.Failure{Cause: wasm.Misused, Op: "call handle_request", Err: problem}
		}
	}
	if err != nil {
		return c.failure(err)
	}
	if c.responded {
		c.x.Response.Trailers.CopyFrom(&c.early.trailers)
	}
	return nil
}

// failure returns the exchange's error for err, which it counts and logs if it is
// the guest's.
func (c *call) failure(err error) error {
	c.skips(err) // never
	return c.denial(err, "handle request")
}

// Head implements [stream.Guest].
func (c *call) Head() (status int, length int64) { return c.status(), c.length }

// Leave implements [stream.Guest].
func (c *call) Leave() { c.own() }

// own makes the request's head the guest's own.
func (c *call) own() {
	r := &c.copied
	if c.req == r {
		return
	}
	fields := c.req.Fields
	*r = *c.req
	r.Fields = edge.Fields{}
	r.Fields.CopyFrom(&fields)
	c.req = r
}

// respond makes the guest's response the exchange's.
func (c *call) respond() {
	c.stream.Respond()
	c.responded = true
	r := &c.x.Response
	for name, value := range c.early.fields.All() {
		r.Fields.Add(name, value)
	}
	if t := &c.early.trailers; t.Len() > 0 && !c.bodiless() {
		r.Trailers.CopyFrom(t)
		// RFC 9112, section 6.5: trailers need the chunked coding.
		r.Body, r.Length = followed(r.Body, &r.Trailers), -1
	}
}

// read is the guest's read of the request's content. It returns what is at hand, and
// waits only if that is nothing.
func (c *call) read(p []byte) uint64 {
	n := uint64(c.stream.Input(p))
	if c.stream.Whole() {
		n |= 1 << 32
	}
	return n
}

// write takes content that the guest writes.
func (c *call) write(p []byte) {
	c.stream.Begin()
	c.stream.Write(p)
}

// requestTrailers returns the request's trailers; nil if they are still to come.
func (c *call) requestTrailers() *edge.Fields {
	if !c.stream.Whole() {
		return nil
	}
	c.shown.CopyFrom(&c.x.Request.Trailers)
	c.trail.apply(&c.shown)
	return &c.shown
}

// announce makes what the guest sets as Content-Length the length of its content
// (RFC 9110, section 8.6).
func (c *call) announce(e edit) {
	if e.do == removeField {
		c.length = -1
		return
	}
	n, err := strconv.ParseUint(e.value, 10, 63)
	switch {
	case err != nil:
		panic(wasm.Trap("%.80q is no Content-Length", e.value))
	case e.do == addField && c.length >= 0 && c.length != int64(n):
		panic(wasm.Trap("there are two of Content-Length, %d and %d", c.length, n))
	case int64(n) < c.stream.Written():
		panic(wasm.Trap("%d bytes of content are written, and Content-Length is %d", c.stream.Written(), n))
	}
	c.length = int64(n)
}
