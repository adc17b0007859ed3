package cache

import (
	"net/http"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// forward is a request that the store does not answer by itself.
type forward struct {
	stage  *Stage
	t      *state
	key    []byte
	hash   hash
	shard  *shard
	reason string // of RFC 9211, section 2.2
	asked  time.Time
	came   time.Time
}

func (f *forward) serve(x *edge.Exchange, next edge.Handler) error {
	t, req, res := f.t, &x.Request, &x.Response
	// What lies behind may change the request's fields; the key is of these.
	t.request.CopyFrom(&req.Fields)
	conditional := t.found.rec != 0 && f.condition(x)
	change := f.shard.ask(f.hash)
	t.asked, t.hash = f.shard, f.hash
	x.Record.Cache = missResult.String()
	err := next.Serve(x)
	if conditional {
		req.Fields.CopyFrom(&t.request)
	}
	if err == nil && conditional && res.Status == 304 {
		f.came = time.Now()
		return f.validated(x)
	}
	f.shard.count(x, missResult)
	if err != nil {
		return err
	}
	f.came = time.Now()
	switch {
	case req.Method == "HEAD":
		f.compare(x)
		res.Fields.Add("Cache-Status", x.Concat("sluice; fwd=", f.reason))
	case res.Tunnel == nil && f.keep(x, change):
		res.Fields.Add("Cache-Status", x.Concat("sluice; fwd=", f.reason, "; stored"))
	default:
		res.Fields.Add("Cache-Status", x.Concat("sluice; fwd=", f.reason))
	}
	return nil
}

// condition makes the request one that validates the stored response, in place of
// the client's own preconditions (RFC 9111, section 4.3.1). False: there is
// nothing to validate it by.
func (f *forward) condition(x *edge.Exchange) bool {
	stored := &f.t.update
	stored.Reset()
	revive(stored, fieldsOf(f.t.found.data))
	tag, modified := stored.Get("ETag"), stored.Get("Last-Modified")
	if tag == "" && modified == "" {
		return false
	}
	validate(&x.Request.Fields, tag, modified)
	return true
}

// validate makes a request's fields ask whether what has these validators is current.
func validate(f *edge.Fields, tag, modified string) {
	f.Del("If-None-Match")
	f.Del("If-Modified-Since")
	if tag != "" {
		f.Add("If-None-Match", tag)
	}
	if modified != "" {
		f.Add("If-Modified-Since", modified)
	}
}

// keep begins to store the response, if that may be.
func (f *forward) keep(x *edge.Exchange, change uint32) bool {
	t, res := f.t, &x.Response
	v := judge(&t.request, res.Status, &res.Fields, f.stage.policy, f.asked, f.came)
	if !v.store || res.Length > t.store.entry {
		return false
	}
	if !res.Fields.Has("Date") {
		// RFC 9110, section 6.6.1: what is cached has one.
		res.Fields.Add("Date", x.Concat(f.came.UTC().Format(http.TimeFormat)))
	}
	return t.fill.begin(f, &v, change)
}

// validated answers with the stored response, of which the origin has said that it
// is not modified.
func (f *forward) validated(x *edge.Exchange) error {
	t := f.t
	m := metaOf(t.found.data)
	age := time.Duration(m.initial + t.store.since(f.came) - m.received)
	if f.sameStored(x) {
		age = f.freshen(x, int(m.status))
	} else {
		// RFC 9111, section 4.3.4: it says so of something else. What we asked about
		// is what is stored, so that is still the answer, for the last time.
		x.Respond(int(m.status), nil, 0)
		revive(&x.Response.Fields, fieldsOf(t.found.data))
		f.remove()
	}
	f.shard.count(x, revalidatedResult)
	x.Response.Fields.Add("Cache-Status", x.Concat("sluice; fwd=", f.reason, "; fwd-status=304"))
	t.deliver(m, age)
	return nil
}

// sameStored reports whether the validators of the response, as far as it has any,
// are those of the stored one.
func (f *forward) sameStored(x *edge.Exchange) bool {
	stored := &f.t.update
	stored.Reset()
	revive(stored, fieldsOf(f.t.found.data))
	if tag, ok := x.Response.Fields.Lookup("ETag"); ok {
		return tag == stored.Get("ETag")
	}
	modified, ok := x.Response.Fields.Lookup("Last-Modified")
	return !ok || stored.Has("ETag") || modified == stored.Get("Last-Modified")
}

func (f *forward) remove() {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	f.shard.remove(f.t.found.rec)
}

// freshen merges the fields of a response into those that are stored (RFC 9111,
// section 3.2), stores the result, and makes it the response's fields. It returns
// the response's age.
func (f *forward) freshen(x *edge.Exchange, status int) time.Duration {
	t, res := f.t, &x.Response
	t.update.CopyFrom(&res.Fields)
	x.Respond(status, nil, 0)
	fields := &res.Fields
	revive(fields, fieldsOf(t.found.data))
	for i := range t.update.Len() {
		if l := t.update.At(i); (!leftOut(l.Name) || edge.EqualFold(l.Name, "Age")) && !ofBytes(l.Name) {
			if firstOf(&t.update, i) {
				fields.Del(l.Name)
			}
			fields.Add(l.Name, l.Value)
		}
	}
	if !t.update.Has("Date") {
		fields.Set("Date", x.Concat(f.came.UTC().Format(http.TimeFormat)))
	}
	v := judge(&t.request, status, fields, f.stage.policy, f.asked, f.came)
	fields.Del("Age")
	if !v.store || !f.replace(&v) {
		f.remove()
	}
	return v.initial
}

// ofBytes reports whether a field describes the very bytes of content, which a 304
// leaves as they are. RFC 9111, section 3.2, lets such fields be omitted where
// what is stored, here with its encoded forms, would no longer agree with them.
func ofBytes(name string) bool {
	for _, n := range [...]string{"Content-Encoding", "Content-Range", "Content-MD5", "Content-Digest", "Repr-Digest", "Digest"} {
		if edge.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// firstOf reports whether no line before the i-th has its name.
func firstOf(f *edge.Fields, i int) bool {
	for j := range i {
		if edge.EqualFold(f.At(j).Name, f.At(i).Name) {
			return false
		}
	}
	return true
}

// compare looks at the answer to HEAD for what it says of the stored response: it
// freshens it, or shows that it is not the current one (RFC 9111, section 4.3.5).
func (f *forward) compare(x *edge.Exchange) {
	t, res := f.t, &x.Response
	if t.found.rec == 0 || res.Status != 200 {
		return
	}
	m := metaOf(t.found.data)
	length := res.Length
	if m.status != 200 || length >= 0 && length != m.length || !f.sameStored(x) {
		f.remove()
		return
	}
	f.freshen(x, 200)
	res.Length = length
}
