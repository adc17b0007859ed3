package cache

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// rig is a stage between a client and an origin that answers as it is told.
type rig struct {
	t      testing.TB
	store  *Store
	stage  edge.Handler
	answer func(x *edge.Exchange) error
	asked  int      // requests that reached the origin
	seen   []string // field lines of the last of them
	arm    string
}

func newRig(t testing.TB, cfg Config, p Policy) *rig {
	t.Helper()
	if cfg.Memory == 0 {
		cfg.Memory = 16 << 20
	}
	s, err := NewStore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: s}
	t.Cleanup(func() {
		s.Close()
		if got := s.Stats(); got.Bytes != 0 || got.Entries != 0 {
			t.Errorf("after Close: %+v, want nothing in use", got)
		}
	})
	r.stage = edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		r.asked++
		r.seen = r.seen[:0]
		for name, value := range x.Request.Fields.All() {
			r.seen = append(r.seen, name+": "+value)
		}
		return r.answer(x)
	}), s.Stage(p))
	return r
}

// origin makes the origin answer with a status, content and field lines.
func (r *rig) origin(status int, content string, lines ...string) {
	r.answer = func(x *edge.Exchange) error {
		respond(x, status, content, lines...)
		return nil
	}
}

func respond(x *edge.Exchange, status int, content string, lines ...string) {
	var body edge.Body
	if content != "" && x.Request.Method != "HEAD" {
		body = &stream{rest: []byte(content), step: 7 + len(content)/3}
	}
	x.Respond(status, body, int64(len(content)))
	add(&x.Response.Fields, lines)
}

func add(f *edge.Fields, lines []string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		f.Add(name, value)
	}
}

// reply is what the client got.
type reply struct {
	status int
	fields edge.Fields
	body   string
	length int64
	cache  string
	err    error // of the content
}

// do sends a request, "GET http://h/path?query", with field lines.
func (r *rig) do(request string, lines ...string) (got reply) {
	r.t.Helper()
	x := &edge.Exchange{}
	defer x.End()
	method, target, _ := strings.Cut(request, " ")
	scheme, target, ok := strings.Cut(target, "://")
	if !ok {
		scheme, target = "http", "h"+scheme
	}
	authority, target, _ := strings.Cut(target, "/")
	path, query, _ := strings.Cut("/"+target, "?")
	x.Begin(nil, &edge.Client{}, time.Now())
	x.Record.Site, x.Record.Arm = "site", r.arm
	x.Request = edge.Request{Method: method, Scheme: scheme, Authority: authority, Path: path, Query: query}
	add(&x.Request.Fields, lines)
	before := x.Request.Fields.Clone()
	if err := r.stage.Serve(x); err != nil {
		got.err = err
		return got
	}
	if fmt.Sprint(x.Request.Fields) != fmt.Sprint(before) {
		r.t.Errorf("%s: the request's fields were left as %v, want %v", request, x.Request.Fields, before)
	}
	res := &x.Response
	got.status, got.fields, got.length, got.cache = res.Status, res.Fields.Clone(), res.Length, x.Record.Cache
	if res.Body != nil {
		b, err := io.ReadAll(res.Body)
		got.body, got.err = string(b), err
		if all := edge.Bytes(res.Body); all != nil && !bytes.Equal(all, b) {
			r.t.Errorf("%s: Bytes differs from what was read", request)
		}
	}
	return got
}

// want sends a request and checks what Record.Cache says.
func (r *rig) want(cache, request string, lines ...string) reply {
	r.t.Helper()
	got := r.do(request, lines...)
	if got.cache != cache {
		r.t.Errorf("%s %q: cache %q (%s), want %q", request, lines, got.cache, got.fields.Get("Cache-Status"), cache)
	}
	return got
}

// stream is content that is not at hand.
type stream struct {
	rest   []byte
	step   int
	err    error // at the end, in place of io.EOF
	closed bool
}

func (s *stream) Close() error { s.closed = true; return nil }

func (s *stream) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), s.step)], s.rest)
	s.rest = s.rest[n:]
	switch {
	case len(s.rest) > 0:
		return n, nil
	case s.err != nil:
		return n, s.err
	}
	return n, io.EOF
}

// date returns now and an offset as an HTTP-date.
func date(offset time.Duration) string {
	return time.Now().Add(offset).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
}
