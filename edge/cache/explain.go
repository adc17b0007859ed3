package cache

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// Explanation is what a stage would do with an exchange.
type Explanation struct {
	// Key is what the response is stored under, made readable: site, URL and arm.
	Key string
	// Does is what Record.Cache would say: "hit", "stale", "miss", "pass",
	// "bypass"; and "revalidate" where the origin would be asked whether what is
	// stored still holds, which ends as "revalidated" or "miss".
	Does string
	Why  string
	// Asks says that the origin is asked. If it is not, Status is that of an answer
	// which is not what is stored, or 0.
	Asks   bool
	Status int
	// Store says that the origin's answer may be stored, as far as the request
	// has a say in that.
	Store bool
	// Age and TTL are the age of what is stored and the time that it is fresh for
	// from now, negative if it is stale. Both are 0 where nothing is stored.
	Age, TTL time.Duration

	tag, modified string // of what is validated
}

// Ask makes of the fields of a request what the origin is asked with, if it is.
func (e *Explanation) Ask(f *edge.Fields) {
	if e.Does == doesRevalidate {
		validate(f, e.tag, e.modified)
	}
}

// Explain returns what Filter would do with x, which it leaves as it is, and so
// the store.
func (s *Stage) Explain(x *edge.Exchange) (e Explanation) {
	req := &x.Request
	var buf [512]byte
	key := appendKey(buf[:0], x.Record.Site, req.Scheme, req.Authority, req.Path, req.Query)
	e.Key, e.Asks = readable(key, x.Record.Arm), true
	switch offStore(req) {
	case offUpgrade:
		e.Does, e.Why = bypassResult.String(), "the request asks for another protocol"
		return e
	case offMethod:
		e.Does, e.Why = passResult.String(), req.Method+" is not answered from a store"
		return e
	case offContent:
		e.Does, e.Why = bypassResult.String(), "the request has content"
		return e
	case offPrecondition:
		e.Does, e.Why = bypassResult.String(), "If-Match and If-Unmodified-Since are for the origin"
		return e
	}
	c := parseRequestControl(&req.Fields)
	h := s.store.hasher.sum(key)
	p := s.store.shardOf(h).peek(h, key, x.Record.Arm, &req.Fields)
	if p.found {
		e.Age = max(time.Duration(p.meta.initial+s.store.since(time.Now())-p.meta.received), 0)
		e.TTL = time.Duration(p.meta.lifetime) - e.Age
		if refuses(&c, &p.meta, e.Age) == "" {
			e.Does, e.Why = hitResult.String(), "what is stored is fresh"
			if e.TTL <= 0 {
				e.Does, e.Why = staleResult.String(), "what is stored is stale, and the client allows that (max-stale)"
			}
			e.Asks = false
			return e
		}
	}
	e.Does, e.Why = missResult.String(), p.why(&c, e.Age, e.TTL)
	switch {
	case c.onlyIfCached:
		e.Why += "; it is answered with 504, since the client wants only what is stored (only-if-cached)"
		e.Asks, e.Status = false, 504
		return e
	case c.noStore:
		e.Does, e.Why = bypassResult.String(), "the client wants nothing stored (no-store)"
		return e
	case p.tag != "" || p.modified != "":
		e.Does, e.tag, e.modified = doesRevalidate, p.tag, p.modified
	}
	e.Store = req.Method == "GET"
	return e
}

// doesRevalidate is what Explain says of a request that becomes one which
// validates what is stored.
const doesRevalidate = "revalidate"

// peeked is what is stored for a request.
type peeked struct {
	known         bool   // there are responses under the key
	vary          string // names of the fields that tell them apart
	found         bool   // one answers the request
	meta          meta
	tag, modified string // what it can be validated by
}

// peek is lookup without use: nothing is in use afterwards, nor more recent.
func (s *shard) peek(h hash, key []byte, arm string, fields *edge.Fields) (p peeked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return p
	}
	first, ok := s.index.Peek(h)
	if !ok || !s.sameKey(first, key) {
		return p
	}
	p.known = true
	for r := first; r != 0; r = s.slabs.record(r).next {
		data := s.slabs.data(s.slabs.record(r).head)
		if selects(data, arm, fields) {
			var f edge.Fields
			revive(&f, fieldsOf(data))
			p.found, p.meta = true, *metaOf(data)
			p.tag, p.modified = strings.Clone(f.Get("ETag")), strings.Clone(f.Get("Last-Modified"))
			return p
		}
		p.vary = varyNames(p.vary, varyOf(data))
	}
	return p
}

// varyNames adds the names of selecting fields to a list that is to be read.
func varyNames(list string, vary []byte) string {
	for len(vary) != 0 {
		n := int(binary.LittleEndian.Uint16(vary))
		size := binary.LittleEndian.Uint32(vary[2:])
		name := string(vary[6:][:n])
		vary = vary[6+n:]
		if size != absent {
			vary = vary[size:]
		}
		if !slices.ContainsFunc(strings.Split(list, ", "), func(have string) bool { return edge.EqualFold(have, name) }) {
			list = strings.TrimPrefix(list+", "+name, ", ")
		}
	}
	return list
}

// why says why what is stored does not answer the request.
func (p *peeked) why(c *requestControl, age, left time.Duration) string {
	seconds := func(d time.Duration) string { return d.Truncate(time.Second).String() }
	switch {
	case !p.known:
		return "nothing is stored under the key"
	case !p.found && p.vary != "":
		return "what is stored is for other values of " + p.vary + ", or for another arm"
	case !p.found:
		return "what is stored is for another arm"
	case c.noCache:
		return "the client wants the origin asked (no-cache)"
	case p.meta.flags&alwaysValidate != 0:
		return "what is stored is to be validated each time (no-cache)"
	case left <= 0:
		return "what is stored is stale since " + seconds(-left)
	case c.maxAge >= 0 && (c.maxAge == 0 || age > time.Duration(c.maxAge)*time.Second):
		return "what is stored is " + seconds(age) + " old, more than the client wants (max-age)"
	}
	return "what is stored is fresh for " + seconds(left) + ", less than the client wants (min-fresh)"
}

// readable returns a key without its zeros.
func readable(key []byte, arm string) string {
	site, rest, _ := strings.Cut(string(key), "\x00")
	scheme, rest, _ := strings.Cut(rest, "\x00")
	s := site + " " + scheme + "://" + rest
	if arm != "" {
		s += " arm " + arm
	}
	return s
}
