package httpwasm

import (
	"fmt"
	"io"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// content is a message's content, as a guest reads and writes it.
type content struct {
	src      edge.Body   // nil: none
	kept     []byte      // what has been read of src and is passed on
	eof      bool        // src has ended
	read     int64       // bytes that have been read of src
	lost     bool        // something has been read that is not in kept
	trailers edge.Fields // as they came; valid if eof
	written  []byte
	replaced bool // by written

	piece  piece
	held   held
	joined joined
}

// empty makes c as good as new, with its memory.
func (c *content) empty() {
	bufpool.Put(c.kept)
	bufpool.Put(c.written)
	c.trailers.Reset()
	*c = content{trailers: c.trailers, piece: piece{wait: c.piece.wait}}
}

// piece is one read of content.
type piece struct {
	src  edge.Body
	p    []byte
	n    int
	err  error
	wait func() // run of this piece
}

func (r *piece) run() { r.n, r.err = r.src.Read(r.p) }

// next reads into p, while the guest's time does not run.
func (c *content) next(in *wasm.Instance, p []byte) (int, error) {
	r := &c.piece
	if r.wait == nil {
		r.wait = r.run
	}
	r.src, r.p = c.src, p
	in.Wait(r.wait)
	r.src, r.p = nil, nil
	return r.n, r.err
}

// fill reads into p until it is full or the content has ended. If keep is set,
// what has been read is kept, up to limit.
func (c *content) fill(in *wasm.Instance, p []byte, keep bool, limit int64, t *edge.Fields) (n int) {
	if c.src == nil {
		c.eof = true
	}
	for idle := 0; n < len(p) && !c.eof; {
		m, err := c.next(in, p[n:])
		if keep {
			c.kept = grown(c.kept, p[n:n+m])
		} else if m > 0 {
			c.lost = true
		}
		n += m
		c.read += int64(m)
		switch {
		case err == io.EOF:
			c.eof = true
			c.trailers.CopyFrom(t)
		case err != nil:
			panic(wasm.Abort(err))
		case m > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				panic(wasm.Abort(io.ErrNoProgress))
			}
		}
		if int64(len(c.kept)) > limit {
			panic(wasm.Fail(wasm.Oversized, fmt.Errorf("content is more than the %d bytes that may be held", limit)))
		}
	}
	return n
}

// drain keeps all that is left of the content.
func (c *content) drain(in *wasm.Instance, limit int64, t *edge.Fields) {
	if c.eof {
		return
	}
	buf := bufpool.Get(bufpool.MinSize)
	defer bufpool.Put(buf)
	for !c.eof {
		c.fill(in, buf, true, limit, t)
	}
}

// write appends to what replaces the content.
func (c *content) write(p []byte, limit int64) {
	if int64(len(c.written)+len(p)) > limit {
		panic(wasm.Fail(wasm.Oversized, fmt.Errorf("content written is more than the %d bytes that may be held", limit)))
	}
	c.replaced = true
	c.written = grown(c.written, p)
}

// grown returns b with p behind it, in a buffer of package bufpool. B is given back if
// that is another.
func grown(b, p []byte) []byte {
	if len(b)+len(p) > cap(b) {
		larger := append(bufpool.Get(max(len(b)+len(p), 2*cap(b)))[:0], b...)
		bufpool.Put(b)
		b = larger
	}
	return append(b, p...)
}

// whole returns what was kept of the content, followed by what has not been read.
func (c *content) whole() edge.Body {
	switch {
	case c.eof && len(c.kept) == 0:
		return nil
	case c.eof:
		return c.hold(c.kept)
	case len(c.kept) == 0:
		return c.src
	default:
		c.joined = joined{head: c.kept, rest: c.src}
		return &c.joined
	}
}

// hold makes a body of bytes, for as long as c is in use.
func (c *content) hold(b []byte) edge.Body {
	c.held = held{b, b}
	return &c.held
}

// held is content that is all at hand.
type held struct{ all, rest []byte }

// Bytes implements what [edge.Bytes] looks for.
func (h *held) Bytes() []byte { return h.all }

func (h *held) Read(p []byte) (n int, err error) {
	n = copy(p, h.rest)
	h.rest = h.rest[n:]
	if len(h.rest) == 0 {
		err = io.EOF
	}
	return n, err
}

func (h *held) Close() error { return nil }

// joined is content of which the head has been read already.
type joined struct {
	head []byte
	rest edge.Body
}

func (j *joined) Read(p []byte) (int, error) {
	if len(j.head) == 0 {
		return j.rest.Read(p)
	}
	n := copy(p, j.head)
	j.head = j.head[n:]
	return n, nil
}

func (j *joined) Close() error { return j.rest.Close() }

// forward lets the request go on as the guest has left it.
func (g *guest) forward() {
	g.use.Passed = true
	r, c := &g.x.Request, &g.requested
	switch {
	case c.replaced:
		if c.src != nil {
			c.src.Close()
		}
		r.Body, r.Length = nil, int64(len(c.written))
		if r.Length > 0 {
			r.Body = c.hold(c.written)
		}
	case c.eof && c.src != nil:
		r.Body, r.Length = c.whole(), int64(len(c.kept))
		if r.Trailers.Len() > 0 {
			r.Body, r.Length = followed(r.Body, &r.Trailers), -1
		}
	case c.read > 0:
		r.Body = c.whole()
		if c.lost && r.Length >= 0 {
			r.Length -= c.read - int64(len(c.kept))
		}
	}
	if len(g.trail) == 0 {
		return
	}
	// RFC 9112, section 6.5: trailers need the chunked coding, which needs that
	// there is no Content-Length.
	r.Body, r.Length = &trailing{body: r.Body, trailers: &r.Trailers, edits: g.trail}, -1
}

// respond makes the guest's response the exchange's, in place of the upstream's.
func (g *guest) respond() {
	x, e := g.x, &g.early
	status := e.status
	if status == 0 {
		status = 200
	}
	x.Respond(status, nil, 0)
	r := &x.Response
	for name, value := range e.fields.All() {
		r.Fields.Add(name, value)
	}
	g.setBody(&e.content)
	if e.trailers.Len() > 0 && !g.bodiless() {
		r.Trailers.CopyFrom(&e.trailers)
		r.Body, r.Length = followed(r.Body, &r.Trailers), -1
	}
}

// merge applies what handle_request did to the response to the one that there is
// now.
func (g *guest) merge() {
	r, e := &g.x.Response, &g.early
	c := &e.content
	if c.replaced {
		// What the upstream says of its own content is not true of this.
		for _, name := range []string{"Content-Encoding", "Content-Range", "Content-Type", "Content-Digest",
			"Repr-Digest", "Digest", "Content-MD5", "ETag", "Last-Modified", "Accept-Ranges"} {
			r.Fields.Del(name)
		}
	}
	e.edits.apply(&r.Fields)
	if e.status != 0 {
		r.Status = e.status
	}
	if c.replaced {
		g.setBody(c)
	}
	g.untunnel(c.replaced)
	if len(e.trail) > 0 && !g.bodiless() {
		r.Body, r.Length = &trailing{body: r.Body, trailers: &r.Trailers, edits: e.trail}, -1
	}
	g.touched = c.replaced || e.status != 0 || len(e.edits) > 0 || len(e.trail) > 0
}

// deliver lets the response go on as the guest has left it.
func (g *guest) deliver() {
	r, c := &g.x.Response, &g.responded
	switch {
	case c.replaced:
		g.setBody(c)
	case c.eof && c.src != nil:
		r.Body = c.whole()
		c.src.Close()
		if !g.head {
			r.Length = int64(len(c.kept))
		}
	case c.read > 0:
		r.Body = c.whole()
	}
	if c.eof && r.Trailers.Len() > 0 && !g.bodiless() {
		r.Body, r.Length = followed(r.Body, &r.Trailers), -1
	}
	g.untunnel(c.replaced)
}

// setBody replaces the response's content by what has been written to c.
func (g *guest) setBody(c *content) {
	r, b := &g.x.Response, c.written
	if r.Body != nil {
		r.Body.Close()
	}
	r.Body, r.Length = nil, int64(len(b))
	switch {
	case r.Status == 204 || r.Status == 304:
		r.Length = 0 // RFC 9110, sections 15.3.5 and 15.4.5
	case len(b) > 0 && !g.head:
		r.Body = c.hold(b)
	}
}

// bodiless reports whether the response can have no content.
func (g *guest) bodiless() bool {
	r := &g.x.Response
	return g.head || r.Status == 204 || r.Status == 304 || r.Tunnel != nil
}

// untunnel makes a response that was to become a tunnel, and cannot any more, an
// ordinary one.
func (g *guest) untunnel(replaced bool) {
	r := &g.x.Response
	if r.Tunnel != nil && (replaced || r.Status != 101) {
		r.Tunnel = nil
		if r.Status == 101 {
			r.Status = 200
		}
	}
}
