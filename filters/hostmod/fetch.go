package hostmod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// fetch is a request of a guest's, on an exchange of its own. Serve runs on a goroutine
// of its own, and touches nothing of the guest's; what follows the head of the response
// the guest reads by itself.
type fetch struct {
	upstream edge.Handler
	x        *edge.Exchange // nil once it has ended
	ctx      context.Context
	cancel   context.CancelFunc
	watch    chan struct{} // closed when nobody watches the instance any more, whose end is the fetch's

	length   int64  // of the request's content; -1: unknown
	written  int64  // of it
	finished bool   // all of it is there
	content  []byte // of which it is gathered, so that it can be sent again; nil if it is streamed
	pipe     *pipe  // by which it is streamed

	begun bool          // Serve runs, or has run
	done  chan struct{} // closed when it has returned
	err   error         // of Serve; valid once done

	status int         // of the response; 0: not known yet
	fields edge.Fields // likewise
	whole  bool        // its content has been read
}

var errFetchTime = errors.New("the fetch has taken too long")

// fetchStart is fetch_start.
func (c *call) fetchStart() int64 {
	g := c.guest()
	l := &g.env.Limits
	upstream := string(c.bytes(0))
	method, methodOK := c.text(2, 64)
	uri, uriOK := c.text(4, l.URIBytes)
	fields, fieldsOK := c.text(6, l.FieldBytes)
	length, limit := int64(c.s[8]), c.ptr(9)
	if !slices.Contains(g.grants.Fetch, upstream) {
		return c.deny("an upstream", "fetch: [%.80q]")
	}
	c.leaves()
	switch {
	case c.Exchange == nil:
		return int64(unavailable)
	case !methodOK || !edge.IsToken(method) || method == "CONNECT" || length < -1:
		return int64(invalid)
	case c.quiet() && !edge.Safe(method):
		return int64(unavailable)
	case !uriOK || !fieldsOK || len(c.fetches) >= l.Fetches || c.open() >= l.OpenFetches:
		return int64(limited)
	}
	if c.Exchange.Cancelled() != nil {
		return int64(gone)
	}
	var h edge.Handler
	found := false
	if g.env.Upstream != nil {
		h, found = g.env.Upstream(upstream)
	}
	if !found {
		return c.fail("fetch", fmt.Errorf("there is no upstream %q", upstream))
	}
	r := edge.Request{Method: method, Scheme: "http", Authority: upstream, Proto: "HTTP/1.1"}
	if !target(&r, uri) || !head(&r, fields) {
		return int64(invalid)
	}
	f := &fetch{upstream: h, length: length, done: make(chan struct{}), watch: make(chan struct{})}
	d := l.FetchTime
	if asked := time.Duration(limit) * time.Millisecond; asked > 0 {
		d = min(d, asked)
	}
	f.ctx, f.cancel = context.WithTimeoutCause(c.Exchange.Context(), d, errFetchTime)
	over := c.in.Done()
	go func() {
		defer close(f.watch)
		select {
		case <-over:
			f.cancel()
		case <-f.ctx.Done():
		}
	}()
	f.x = c.Exchange.Fork(f.ctx)
	f.x.Send(r)
	switch {
	case length == 0:
		f.finished = true
		f.serve()
	case length > 0 && length <= int64(l.FetchBuffer):
		f.content = make([]byte, 0, length)
	default:
		f.pipe = newPipe(l.FetchBuffer)
		f.x.Request.Body, f.x.Request.Length = f.pipe, length
		f.serve()
	}
	c.fetches = append(c.fetches, f)
	return int64(len(c.fetches))
}

// open returns how many fetches are not at their end.
func (u *Use) open() (n int) {
	for _, f := range u.fetches {
		if f != nil && f.x != nil {
			n++
		}
	}
	return n
}

// target takes path and query apart (RFC 9112, section 3.2.1), and reports whether
// they can be sent as they are.
func target(r *edge.Request, uri string) bool {
	if !strings.HasPrefix(uri, "/") {
		return false
	}
	for i := range len(uri) {
		if b := uri[i]; b <= ' ' || b >= 0x7f || b == '#' {
			return false
		}
	}
	r.Path, r.Query, _ = strings.Cut(uri, "?")
	return true
}

// head makes the fields of a request of a guest's list of pairs, and reports whether
// they are well-formed.
func head(r *edge.Request, list string) bool {
	for name, value := range pairs(&list) {
		// RFC 9110, sections 5.1 and 5.5.
		if !edge.IsToken(name) || !isValue(value) {
			return false
		}
		switch {
		case edge.EqualFold(name, "host"):
			if !isAuthority(value) {
				return false
			}
			r.Authority = value
		case !edge.ConnectionField(name):
			r.Fields.Add(name, value)
		}
	}
	return list == ""
}

// pairs yields the names and values of a list, and leaves in it what is not of one.
func pairs(list *string) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for {
			name, rest, ok := strings.Cut(*list, "\x00")
			value, rest, ok2 := strings.Cut(rest, "\x00")
			if !ok || !ok2 {
				return
			}
			*list = rest
			if !yield(name, value) {
				return
			}
		}
	}
}

func isValue(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// isAuthority reports whether s has nothing in it that no host and port has (RFC 3986,
// sections 3.2.2 and 3.2.3).
func isAuthority(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("-._~!$&'()*+,;=:[]%", c) < 0 {
			return false
		}
	}
	return s != ""
}

// serve lets the request go.
func (f *fetch) serve() {
	f.begun = true
	if f.content != nil {
		f.x.Request.Body, f.x.Request.Length = edge.Content(f.content), f.length
	}
	go func() {
		defer close(f.done)
		defer func() {
			if r := recover(); r != nil {
				f.err = fmt.Errorf("BUG: %v", r)
			}
		}()
		if f.err = f.upstream.Serve(f.x); f.err != nil && f.pipe != nil {
			f.pipe.Close() // who writes into it would wait
		}
	}()
}

// end ends the fetch, if it has not ended. What is known of the response stays.
func (f *fetch) end() {
	if f.x == nil {
		return
	}
	f.cancel()
	<-f.watch
	if f.pipe != nil {
		f.pipe.Close()
	}
	if f.begun {
		<-f.done
	}
	if b := f.x.Response.Body; b != nil {
		b.Close()
	}
	f.x.End()
	f.x = nil
}

// fetch returns the fetch that the first parameter is the handle of, or nil.
func (c *call) fetch() *fetch {
	if i := int64(c.ptr(0)) - 1; i >= 0 && i < int64(len(c.fetches)) {
		return c.fetches[i]
	}
	return nil
}

// fetchWrite is fetch_write.
func (c *call) fetchWrite() int64 {
	f, p := c.fetch(), c.bytes(1)
	switch {
	case f == nil || f.finished || f.length >= 0 && int64(len(p)) > f.length-f.written:
		return int64(invalid)
	case f.x == nil:
		return int64(failed)
	}
	f.written += int64(len(p))
	if f.pipe == nil {
		f.content = append(f.content, p...)
	} else {
		taken := false
		c.wait(func() { taken = f.pipe.write(p, f.ctx.Done()) })
		if !taken {
			if f.ctx.Err() != nil {
				return c.fetchFailed(f, f.ctx.Err())
			}
			return int64(failed)
		}
	}
	if f.written == f.length {
		f.finish()
	}
	return 0
}

// finish says that the content of the request is whole.
func (f *fetch) finish() {
	f.finished = true
	if f.pipe != nil {
		f.pipe.finish(io.EOF)
	} else {
		f.serve()
	}
}

// fetchFinish is fetch_finish.
func (c *call) fetchFinish() int64 {
	f := c.fetch()
	switch {
	case f == nil:
		return int64(invalid)
	case f.finished:
		return 0
	case f.length >= 0 && f.written < f.length:
		f.finished = true
		f.end()
		return int64(invalid)
	}
	f.finish()
	return 0
}

// response waits for the head of the response. The result is negative if there is
// none.
func (c *call) response(f *fetch) int64 {
	switch {
	case f == nil || f.x != nil && !f.begun:
		return int64(invalid)
	case f.status != 0:
		return int64(f.status)
	case f.x == nil:
		return int64(failed)
	}
	c.wait(func() { <-f.done })
	err := f.err
	r := &f.x.Response
	if err == nil && (r.Status < 200 || r.Status > 999 || r.Tunnel != nil) {
		err = fmt.Errorf("the response has the status %d", r.Status)
	}
	if err != nil {
		return c.fetchFailed(f, err)
	}
	f.status, f.fields = r.Status, r.Fields.Clone()
	return int64(f.status)
}

// fetchFailed ends a fetch that has failed, and returns the result that says so.
func (c *call) fetchFailed(f *fetch, err error) int64 {
	cause := context.Cause(f.ctx)
	f.end()
	switch {
	case errors.Is(cause, errFetchTime):
		return int64(timedOut)
	case c.Exchange.Cancelled() != nil || c.in.Err() != nil:
		return int64(gone)
	}
	return c.fail("fetch", err)
}

func (c *call) fetchStatus() int64 { return c.response(c.fetch()) }

// fetchNames is fetch_names.
func (c *call) fetchNames() int64 {
	f := c.fetch()
	if n := c.response(f); n < 0 {
		return n
	}
	var names []string
	for name := range f.fields.All() {
		if name = strings.ToLower(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return c.putList(1, names)
}

// fetchValues is fetch_values.
func (c *call) fetchValues() int64 {
	f, name := c.fetch(), string(c.bytes(1))
	if n := c.response(f); n < 0 {
		return n
	}
	return c.putList(3, slices.Collect(f.fields.Values(name)))
}

// fetchRead is fetch_read.
func (c *call) fetchRead() int64 {
	f, p := c.fetch(), c.bytes(1)
	if len(p) > maxRead {
		p = p[:maxRead]
	}
	if n := c.response(f); n < 0 {
		return n
	}
	switch {
	case f.whole || len(p) == 0:
		return 0
	case f.x == nil:
		return int64(failed)
	}
	body := f.x.Response.Body
	if body == nil {
		f.whole = true
		f.end()
		return 0
	}
	var n int
	var err error
	c.wait(func() {
		for n == 0 && err == nil {
			n, err = body.Read(p)
		}
	})
	switch {
	case err == io.EOF:
		f.whole = true
		f.end()
	case err != nil && n == 0:
		return c.fetchFailed(f, err)
	}
	return int64(n)
}

// maxRead is the most that is read at a time, in bytes: a result is 31 bits.
const maxRead = 1 << 20

// fetchClose is fetch_close.
func (c *call) fetchClose() int64 {
	f := c.fetch()
	if f == nil {
		return int64(invalid)
	}
	f.end()
	c.fetches[c.ptr(0)-1] = nil
	return 0
}
