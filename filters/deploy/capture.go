package deploy

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// shadowed is the copy of an exchange that is being served: of what a version got, of
// what the upstream has answered, and what came of it.
type shadowed struct {
	shadow *Shadow
	begun  time.Time
	script string
	number int            // version that serves
	fork   *edge.Exchange // its own request's head is what a version in shadow gets
	method string
	target string
	length int64 // of the request's content
	next   edge.Handler
	tunnel bool
	took   time.Duration

	request content // that came

	// What next has answered.
	status  int
	fields  edge.Fields
	size    int64
	origin  content
	failure error // instead

	missed bool // the version in shadow has asked for content that was not read

	live outcome
}

// Serve implements edge.Handler: the version that serves goes on.
func (c *shadowed) Serve(x *edge.Exchange) error {
	c.live.goesOn(x)
	if err := c.next.Serve(x); err != nil {
		c.failure = copyOf(err)
		return err
	}
	r := &x.Response
	c.status, c.size, c.tunnel = r.Status, r.Length, r.Tunnel != nil
	c.fields = r.Fields.Clone()
	c.origin.full = c.size
	r.Body = c.origin.of(r.Body)
	return nil
}

// served notes what the version that serves has made of x. It returns err.
func (c *shadowed) served(x *edge.Exchange, err error) error {
	c.live.came(x, err)
	if err == nil {
		c.tunnel = c.tunnel || x.Response.Tunnel != nil
		x.Response.Body = c.live.content.of(x.Response.Body)
	}
	return err
}

// End implements edge.Ender: all is known that is to be compared. What reads the bodies
// has ended before.
func (c *shadowed) End(x *edge.Exchange) {
	s := c.shadow
	c.next = nil
	if !s.leave(c) {
		c.fork.End()
		return
	}
	run := runOf(&x.Record, s.cfg.Name, c.number)
	why := ""
	switch {
	case c.tunnel:
		why = upgrade
	case c.request.over || c.origin.over:
		why = large
	case run == nil: // the version that serves did not begin
		why = incomplete
	default:
		c.took = run.Took
		if s.cfg.Go(func() { s.run(c) }) {
			return
		}
		why = closed
	}
	s.drop(why)
	c.fork.End()
	s.busy.Add(-1)
}

// outcome is what a version has made of an exchange.
type outcome struct {
	on   bool // it went on
	sent struct {
		method, authority, target string
		fields                    edge.Fields
		content                   content
	}

	status  int
	fields  edge.Fields
	content content
}

// goesOn notes the request that a version goes on with.
func (o *outcome) goesOn(x *edge.Exchange) {
	r := &x.Request
	o.on = true
	o.sent.method, o.sent.authority = strings.Clone(r.Method), strings.Clone(r.Authority)
	o.sent.target = targetOf(r)
	o.sent.fields = r.Fields.Clone()
	r.Body = o.sent.content.of(r.Body)
}

// came notes the response that a version has made.
func (o *outcome) came(x *edge.Exchange, err error) {
	if err == nil {
		o.status, o.fields = x.Response.Status, x.Response.Fields.Clone()
		return
	}
	e := edge.AsError(err)
	if o.status = e.Status; o.status == 0 {
		o.status = e.Kind.Status()
	}
}

// targetOf returns path and query, as a text of its own.
func targetOf(r *edge.Request) string {
	if r.Query == "" {
		return strings.Clone(r.Path)
	}
	return r.Path + "?" + r.Query
}

// content is a body that is read by somebody else: what of it is kept, or its hash.
type content struct {
	most int64 // bytes that are looked at
	keep bool  // they are kept
	full int64 // bytes that there are; 0: not known. Who reads so many need not ask for the end

	body  edge.Body
	some  bool
	ended bool

	mu    sync.Mutex // guards the following fields while the exchange goes on, see let
	over  bool       // there is more
	n     int64
	bytes []byte
	hash  maphash.Hash
}

// seed makes hashes of one process comparable.
var seed = maphash.MakeSeed()

// of returns what is to be read instead of a body: the body itself where all of it is
// at hand.
func (c *content) of(b edge.Body) edge.Body {
	if b == nil {
		return nil
	}
	c.some = true
	c.hash.SetSeed(seed)
	if all := edge.Bytes(b); all != nil {
		c.take(all)
		c.ended = true
		return b
	}
	c.body = b
	return c
}

// let drops what is kept: nobody wants it any more.
func (c *content) let() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.bytes = true, nil
}

func (c *content) take(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.n += int64(len(p)); c.n > c.most {
		c.over, c.bytes = true, nil
		return
	}
	if c.keep {
		c.bytes = append(c.bytes, p...)
	}
	c.hash.Write(p)
}

// Read implements edge.Body.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.take(p[:n])
	c.ended = c.ended || err == io.EOF
	return n, err
}

// Close implements edge.Body.
func (c *content) Close() error { return c.body.Close() }

// again returns the body once more, as far as it was read. Who reads it to its end, and
// it had more, has missed something.
func (c *content) again(missed *bool) edge.Body {
	if c.whole() {
		return edge.Content(c.bytes)
	}
	return &unread{*bytes.NewReader(c.bytes), missed}
}

// unread is a body of which only the beginning is known.
type unread struct {
	rest   bytes.Reader
	missed *bool
}

var errUnread = errors.New("the version that served has not read the rest")

// Read implements edge.Body.
func (u *unread) Read(p []byte) (int, error) {
	n, err := u.rest.Read(p)
	if err == io.EOF {
		*u.missed, err = true, errUnread
	}
	return n, err
}

// Close implements edge.Body.
func (u *unread) Close() error { return nil }

// whole reports whether all that there is has been seen.
func (c *content) whole() bool {
	return !c.some || !c.over && (c.ended || c.full > 0 && c.n >= c.full)
}

// differs reports whether two contents are certainly not the same.
func (c *content) differs(o *content) bool {
	switch {
	case c.over || o.over:
		return c.over != o.over && (c.whole() || o.whole())
	case !c.whole() || !o.whole():
		return false
	}
	return c.n != o.n || c.n > 0 && c.hash.Sum64() != o.hash.Sum64()
}
