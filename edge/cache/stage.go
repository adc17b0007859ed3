package cache

import (
	"strconv"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Stage returns the filter that answers from s and stores in it, by a route's
// policy.
func (s *Store) Stage(p Policy) *Stage { return &Stage{s, p} }

// Stage is the filter of a route. It may be used by many routes at once.
type Stage struct {
	store  *Store
	policy Policy
}

// result is what became of a request.
type result uint8

const (
	hitResult   result = iota
	staleResult        // the client allowed it
	missResult
	revalidatedResult
	passResult   // not a method that is answered from a store
	bypassResult // the client, or a precondition for the origin, keeps off the store
	results
)

// String returns what Record.Cache says.
func (r result) String() string {
	return [results]string{"hit", "stale", "miss", "revalidated", "pass", "bypass"}[r]
}

// Filter implements [edge.Filter].
func (s *Stage) Filter(x *edge.Exchange, next edge.Handler) error {
	req := &x.Request
	switch offStore(req) {
	case offUpgrade:
		return next.Serve(x)
	case offMethod:
		return s.pass(x, next)
	case offContent, offPrecondition:
		return s.bypass(x, next, "bypass")
	}
	c := parseRequestControl(&req.Fields)

	var buf [512]byte
	key := appendKey(buf[:0], x.Record.Site, req.Scheme, req.Authority, req.Path, req.Query)
	h := s.store.hasher.sum(key)
	sh := s.store.shardOf(h)

	// Registered before next, so that it ends after what reads the body has.
	t := s.store.states.Get().(*state)
	t.x = x
	x.OnEnd(t)

	now := time.Now()
	reason := "uri-miss"
	if t.found = sh.lookup(h, key, x.Record.Arm, &req.Fields); t.found.rec != 0 {
		m := metaOf(t.found.data)
		age := time.Duration(m.initial + s.store.since(now) - m.received)
		if reason = refuses(&c, m, age); reason == "" {
			t.answer(m, age)
			return nil
		}
	} else if t.found.known {
		reason = "vary-miss"
	}
	switch {
	case c.onlyIfCached: // RFC 9111, section 5.2.1.7
		x.Respond(504, nil, 0)
		x.Response.Fields.Add("Cache-Status", "sluice")
		sh.count(x, missResult)
		return nil
	case c.noStore: // section 5.2.1.5
		return s.bypass(x, next, "request")
	}
	t.key = append(t.key[:0], key...)
	f := forward{stage: s, t: t, key: t.key, hash: h, shard: sh, reason: reason, asked: now}
	return f.serve(x, next)
}

// off is why a request has nothing to do with what is stored.
type off uint8

const (
	onStore off = iota
	offUpgrade
	offMethod
	offContent      // that of a GET has no meaning that a cache knows (RFC 9110, section 9.3.1)
	offPrecondition // it is the origin's (RFC 9111, section 4.3.2)
)

func offStore(req *edge.Request) off {
	switch {
	case req.Upgrade != "":
		return offUpgrade
	case req.Method != "GET" && req.Method != "HEAD":
		return offMethod
	case req.Body != nil:
		return offContent
	case req.Fields.Has("If-Match") || req.Fields.Has("If-Unmodified-Since"):
		return offPrecondition
	}
	return onStore
}

// refuses says why a stored response does not answer a request without asking the
// origin: "" if it does (RFC 9111, section 4).
func refuses(c *requestControl, m *meta, age time.Duration) string {
	left := time.Duration(m.lifetime) - age
	switch {
	case c.noCache, c.noStore:
		return "request"
	case m.flags&alwaysValidate != 0:
		return "stale"
	case left <= 0 && (m.flags&neverStale != 0 || c.maxStale < 0 || -left > time.Duration(c.maxStale)*time.Second):
		return "stale"
	case c.maxAge == 0, c.maxAge > 0 && age > time.Duration(c.maxAge)*time.Second:
		return "request"
	case c.minFresh >= 0 && left < time.Duration(c.minFresh)*time.Second:
		return "request"
	}
	return ""
}

// pass serves a method that no stored response answers.
func (s *Stage) pass(x *edge.Exchange, next edge.Handler) error {
	req := &x.Request
	var safe bool // RFC 9110, section 9.2.1; GET and HEAD are not here
	switch req.Method {
	case "OPTIONS", "TRACE":
		safe = true
	}
	site, scheme, authority, path, query := x.Record.Site, req.Scheme, req.Authority, req.Path, req.Query
	s.store.shards[0].count(x, passResult)
	if err := next.Serve(x); err != nil {
		return err
	}
	if status := x.Response.Status; !safe && (status >= 200 && status < 400 || status == 101) {
		s.store.invalidate(site, scheme, authority, path, query)
		s.store.invalidateNamed(x, site, scheme, authority, path)
	}
	x.Response.Fields.Add("Cache-Status", "sluice; fwd=method")
	return nil
}

// bypass serves an exchange that is not to touch the store.
func (s *Stage) bypass(x *edge.Exchange, next edge.Handler, reason string) error {
	s.store.shards[0].count(x, bypassResult)
	if err := next.Serve(x); err != nil {
		return err
	}
	x.Response.Fields.Add("Cache-Status", x.Concat("sluice; fwd=", reason))
	return nil
}

// state is what the stage knows of one exchange.
type state struct {
	store *Store
	x     *edge.Exchange
	found found
	hit   hit    // the body if all of a stored response is the answer
	part  reader // if a range of it is
	form  reader // if an encoded form is
	fill  fill   // if a response is being stored

	asked *shard // that the key is underway in; nil: none
	hash  hash

	key     []byte
	request edge.Fields // as it was looked up
	update  edge.Fields // of a 304
}

// End implements [edge.Ender].
func (t *state) End(*edge.Exchange) {
	if t.fill.state != nil {
		t.fill.end()
	}
	if t.asked != nil {
		t.asked.answered(t.hash)
	}
	if t.found.rec != 0 {
		t.found.release()
	}
	t.request.Reset()
	t.update.Reset()
	s := t.store
	*t = state{store: s, key: t.key[:0], request: t.request, update: t.update}
	s.states.Put(t)
}

// answer makes the stored response the answer.
func (t *state) answer(m *meta, age time.Duration) {
	x := t.x
	x.Respond(int(m.status), nil, 0)
	revive(&x.Response.Fields, fieldsOf(t.found.data))
	left := time.Duration(m.lifetime) - age
	var digits [20]byte
	ttl := strconv.AppendInt(digits[:0], int64((left)/time.Second), 10)
	x.Response.Fields.Add("Cache-Status", x.Concat("sluice; hit; ttl=", string(ttl)))
	r := hitResult
	if left <= 0 {
		r = staleResult
	}
	t.found.shard.count(x, r)
	t.deliver(m, age)
}

// deliver completes an answer of the stored content, which has its fields.
func (t *state) deliver(m *meta, age time.Duration) {
	x := t.x
	var digits [20]byte
	x.Response.Fields.Add("Age", x.Concat(string(strconv.AppendInt(digits[:0], int64(max(age, 0)/time.Second), 10))))
	if m.status == 200 && t.conditional(m) || m.length == 0 {
		return
	}
	x.Response.Length = m.length
	if x.Request.Method == "HEAD" {
		return
	}
	s := t.found.shard
	body := s.slabs.record(t.found.rec).body
	r := newReader(s, contentOf(t.found.data), body, m.length)
	if m.status == 200 && t.ranged(m, r) {
		return
	}
	t.hit = hit{r, t}
	x.Response.Body = &t.hit
}
