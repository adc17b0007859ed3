// Package compress encodes the content of responses for clients that accept it:
// with Brotli (RFC 7932), Zstandard (RFC 8878) or gzip (RFC 1952), as they weigh
// them in Accept-Encoding (RFC 9110, section 12.5.3).
//
// What lies behind the stage is asked for identity, so that caches and filters
// see plain content. Streams are flushed whenever their source pauses. Content
// that a cache holds is encoded once: the cache keeps the encoded form.
package compress

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

// stored is content that a cache holds, with the encoded forms made of it.
type stored interface {
	// Form returns the content in a coding, all of it at hand.
	Form(coding string) (edge.Body, bool)
	// Keep stores a copy of the content in a coding.
	Keep(coding string, b []byte)
}

// Stage is the filter that encodes. It may be used by many routes at once.
type Stage struct {
	prefer []coding // by preference
	types  []string // lower case
	min    int64
	whole  int

	encoders encoders
	states   sync.Pool // of *state
	active   atomic.Int64
	maximum  int64
	stats    [codings]struct{ responses, in, out atomic.Int64 }
}

// New returns a stage for cfg, which Validate finds nothing wrong with.
func New(cfg Config) *Stage {
	cfg = cfg.withDefaults()
	s := &Stage{
		types:   lowered(cfg.Types),
		min:     cfg.Min,
		whole:   cfg.Whole,
		maximum: int64(cfg.Active),
	}
	for _, name := range cfg.Prefer {
		c, _ := codingOf(name)
		s.prefer = append(s.prefer, c)
	}
	s.encoders = encoders{level: cfg.Level, idle: cfg.Idle}
	s.states.New = func() any { return &state{stage: s} }
	return s
}

// CodingStats counts what was done with one coding.
type CodingStats struct {
	Coding    string
	Responses int64 // encoded; those that a cache had the form of are not counted
	In, Out   int64 // bytes of content before and after
}

// Stats returns the figures of each coding.
func (s *Stage) Stats() []CodingStats {
	list := make([]CodingStats, 0, codings)
	for c := range codings {
		n := &s.stats[c]
		list = append(list, CodingStats{c.String(), n.responses.Load(), n.in.Load(), n.out.Load()})
	}
	return list
}

// Filter implements [edge.Filter].
func (s *Stage) Filter(x *edge.Exchange, next edge.Handler) error {
	req := &x.Request
	if !transforms(req) {
		return next.Serve(x)
	}
	c, ok := negotiate(&req.Fields, s.prefer)
	askIdentity(&req.Fields)
	if !ok {
		err := next.Serve(x)
		if err == nil && s.encodable(x) {
			addVary(&x.Response.Fields)
		}
		return err
	}

	// Registered before next, so that it ends after what reads the body has.
	t := s.states.Get().(*state)
	x.OnEnd(t)
	if err := next.Serve(x); err != nil {
		return err
	}
	switch {
	case x.Response.Status == 304:
		notModified(x)
	case s.encodable(x):
		addVary(&x.Response.Fields)
		if revalidates(x) {
			becomeNotModified(x)
			return nil
		}
		t.encode(x, c)
	}
	return nil
}

// transforms reports whether the answer to a request may be transformed. RFC 9111,
// section 5.2.1.6: if the client wants nothing transformed, its own Accept-Encoding
// goes on as well.
func transforms(r *edge.Request) bool {
	return r.Upgrade == "" && !hasDirective(&r.Fields, "no-transform")
}

func askIdentity(f *edge.Fields) { f.Set("Accept-Encoding", "identity") }

// encodable reports whether the response is one that is encoded for a client
// that accepts a coding. All must hold:
//
//   - It has, or in answer to HEAD would have, content of a status whose content
//     is the whole representation: neither 206, nor one without content.
//   - It is not small. What has no known length counts as large.
//   - It is of one of the types, not encoded yet, and may be transformed.
func (s *Stage) encodable(x *edge.Exchange) bool {
	r := &x.Response
	switch {
	case r.Status < 200 || r.Status == 204 || r.Status == 205 || r.Status == 206 || r.Status == 304 || r.Tunnel != nil:
		return false
	case r.Body == nil && x.Request.Method != "HEAD":
		return false
	case r.Length >= 0 && r.Length < s.min:
		return false
	}
	return matchType(s.types, r.Fields.Get("Content-Type")) &&
		!r.Fields.Has("Content-Encoding") &&
		!hasDirective(&r.Fields, "no-transform") // RFC 9111, section 5.2.2.6
}

// state is what the stage knows of one exchange: the body that encodes while it
// is read.
type state struct {
	stage *Stage
	inner edge.Body
	enc   *encoder // nil: nothing is encoded
	in    []byte   // what inner is read into
	eager bool     // flush after each read: the length is not known
	fresh bool     // written since the last flush
	err   error    // of inner; io.EOF once the encoding is complete

	keeper stored // nil: nobody keeps the form
	form   []byte // collected for keeper
	whole  whole  // the response's body if all of it was at hand
}

// encode makes the response one in coding c.
func (t *state) encode(x *edge.Exchange, c coding) {
	r := &x.Response
	name := c.String()
	if r.Body == nil { // HEAD: the fields that GET would have
		setEncoded(x, name, -1)
		return
	}
	keeper, _ := r.Body.(stored)
	if keeper != nil {
		if b, ok := keeper.Form(name); ok {
			r.Body.Close()
			r.Body = b
			setEncoded(x, name, int64(len(edge.Bytes(b))))
			x.Record.Encoding = name
			return
		}
	}

	s := t.stage
	if s.active.Add(1) > s.maximum {
		s.active.Add(-1)
		return
	}
	content := edge.Bytes(r.Body)
	if len(content) > s.whole {
		content = nil
	}
	t.inner, t.keeper, t.eager = r.Body, keeper, r.Length < 0
	t.enc = s.encoders.get(c, content != nil && keeper != nil)
	x.Record.Encoding = name
	s.stats[c].responses.Add(1)

	if content == nil {
		t.in = bufpool.Get(inSize)
		r.Body = t
		setEncoded(x, name, -1)
		return
	}
	// All of it is at hand: so is all of the form then, and its length.
	r.Body.Close()
	t.enc.write(content)
	t.enc.close()
	form := t.enc.sink.rest()
	t.whole = whole{form, form}
	r.Body = &t.whole
	setEncoded(x, name, int64(len(form)))
	if keeper != nil {
		keeper.Keep(name, form)
	}
}

// inSize is how much of the content is encoded at once, in bytes.
const inSize = 16 << 10

// Read implements [edge.Body].
func (t *state) Read(p []byte) (n int, err error) {
	out := &t.enc.sink
	for {
		m := out.read(p[n:])
		n += m
		if t.err != nil && len(out.rest()) == 0 {
			return n, t.err
		}
		if n == len(p) {
			return n, nil
		}
		if n > 0 && !t.fresh {
			return n, nil // short: all is flushed, the source may have nothing more at hand
		}
		if !t.pull() {
			return n, nil
		}
	}
}

// pull encodes another piece of the source. It returns false if there was none.
func (t *state) pull() bool {
	n, err := t.inner.Read(t.in)
	if n > 0 {
		t.enc.write(t.in[:n])
		t.fresh = true
	}
	switch {
	case err == io.EOF:
		t.enc.close()
		t.fresh, t.err = false, err
	case err != nil:
		// What came before the fault is delivered, without an end.
		t.flush()
		t.err = err
	case n < len(t.in) || t.eager:
		// A short read says that the source is about to wait. Of a source without
		// a known length even a full read may be its last for long.
		t.flush()
	}
	t.collect()
	return n > 0 || err != nil
}

func (t *state) flush() {
	if t.fresh {
		t.enc.flush()
		t.fresh = false
	}
}

// collect gathers the form for whoever keeps it, as long as it is small enough.
func (t *state) collect() {
	if t.keeper == nil {
		return
	}
	t.form = append(t.form, t.enc.sink.rest()[t.enc.sink.seen:]...)
	t.enc.sink.seen = len(t.enc.sink.rest())
	switch {
	case len(t.form) > t.stage.whole || t.err != nil && t.err != io.EOF:
		t.keeper, t.form = nil, nil
	case t.err == io.EOF:
		t.keeper.Keep(t.enc.coding.String(), t.form)
		t.keeper, t.form = nil, nil
	}
}

// Close implements [edge.Body].
func (t *state) Close() error { return t.inner.Close() }

// End implements [edge.Ender].
func (t *state) End(*edge.Exchange) {
	s := t.stage
	if t.enc != nil {
		n := &s.stats[t.enc.coding]
		n.in.Add(t.enc.in)
		n.out.Add(t.enc.sink.total)
		s.encoders.put(t.enc)
		s.active.Add(-1)
	}
	if t.in != nil {
		bufpool.Put(t.in)
	}
	*t = state{stage: s}
	s.states.Put(t)
}

// whole is an encoded form, all of which is at hand.
type whole struct{ all, rest []byte }

// Bytes is found by [edge.Bytes].
func (w *whole) Bytes() []byte { return w.all }

// Close implements [edge.Body].
func (w *whole) Close() error { return nil }

// Read implements [edge.Body].
func (w *whole) Read(p []byte) (n int, err error) {
	n = copy(p, w.rest)
	w.rest = w.rest[n:]
	if len(w.rest) == 0 {
		err = io.EOF
	}
	return n, err
}
