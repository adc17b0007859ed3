package cache

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

const fresh = "Cache-Control: max-age=60"

func TestKey(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"GET http://h/a", "GET http://h/a", "hit"},
		{"GET http://h/a", "GET http://H:80/a", "hit"},
		{"GET https://h:443/a", "GET https://h/a", "hit"},
		{"GET http://h/a", "GET https://h/a", "miss"},
		{"GET http://h/a", "GET http://h:8080/a", "miss"},
		{"GET http://h/a", "GET http://h/A", "miss"},
		{"GET http://h/a", "GET http://h/a?b", "miss"},
		{"GET http://h/a?b", "GET http://h/a?b", "hit"},
		{"GET http://h/a?b", "GET http://h/a?c", "miss"},
		{"GET http://h/a", "GET http://h2/a", "miss"},
	} {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", fresh)
		r.want("miss", c.first)
		r.want(c.want, c.second)
	}
}

// The arm of a split is part of the key, and yet an unsafe request invalidates
// what all arms have stored.
func TestArms(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	for _, arm := range []string{"", "a", "b"} {
		r.arm = arm
		r.origin(200, "of arm "+arm, fresh)
		r.want("miss", "GET /a")
	}
	for _, arm := range []string{"", "a", "b"} {
		r.arm = arm
		if got := r.want("hit", "GET /a"); got.body != "of arm "+arm {
			t.Errorf("arm %q got %q", arm, got.body)
		}
	}
	r.origin(204, "")
	r.want("pass", "DELETE /a")
	if n := r.store.Stats().Entries; n != 0 {
		t.Errorf("%d entries after DELETE", n)
	}
}

// Keys of one hash are told apart.
func TestCollision(t *testing.T) {
	r := newRig(t, Config{Memory: minMemory}, Policy{})
	s := r.store.shards[0]
	put := func(key string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		l := fill{shard: s, buf: make([]byte, metaSize, 4096)}
		l.buf, _ = appendHead(l.buf, []byte(key), "", &edge.Fields{}, &edge.Fields{})
		metaOf(l.buf).key = uint32(len(key))
		if !l.setHead() {
			t.Fatal("no room")
		}
		s.link(l.rec, hash{1}, []byte(key), "", &edge.Fields{})
	}
	find := func(key string) bool {
		f := s.lookup(hash{1}, []byte(key), "", &edge.Fields{})
		if f.rec != 0 {
			f.release()
		}
		return f.rec != 0
	}
	put("one")
	if !find("one") || find("two") {
		t.Errorf("one: %v, two: %v, want only one", find("one"), find("two"))
	}
	s.invalidate(hash{1}, []byte("two"))
	if !find("one") {
		t.Error("one was invalidated for two")
	}
	put("two")
	if find("one") || !find("two") {
		t.Errorf("one: %v, two: %v, want only two", find("one"), find("two"))
	}
}

func TestVary(t *testing.T) {
	for _, c := range []struct {
		vary          string // field lines of the response
		first, second string // field lines of the requests
		want          string
	}{
		{"Vary: Foo", "Foo: 1", "Foo: 1", "hit"},
		{"Vary: Foo", "Foo: 1", "foo: 1", "hit"},
		{"Vary: Foo", "Foo: 1", "Foo: 2", "miss"},
		{"Vary: Foo", "Foo: 1", "", "miss"},
		{"Vary: Foo", "", "Foo: 1", "miss"},
		{"Vary: Foo", "", "Foo: ", "miss"},
		{"Vary: Foo", "", "", "hit"},
		{"Vary: Foo", "Foo: 1", "Foo: 1|Bar: 2", "hit"},
		{"Vary: Foo, Bar", "Foo: 1|Bar: 2", "Bar: 2|Foo: 1", "hit"},
		{"Vary: Foo, Bar", "Foo: 1|Bar: 2", "Foo: 1|Bar: 3", "miss"},
		{"Vary: Foo|Vary: Bar", "Foo: 1|Bar: 2", "Foo: 1|Bar: 3", "miss"},
		{"Vary: Foo", "Foo: 1, 2", "Foo: 1|Foo: 2", "hit"},
		{"Vary: Foo", "Foo: 1,2", "Foo: 1 ,  2", "hit"},
		{"Vary: Foo", "Foo: 1, 2", "Foo: 2, 1", "miss"},
		{"Vary: Foo", "Foo: 12", "Foo: 1, 2", "miss"},
		{"Vary: Foo", `Foo: "a, b"`, `Foo: "a,b"`, "miss"},
		{"Vary: Foo", "Foo: a", "Foo: A", "miss"},
		{"Vary: Accept-Language", "Accept-Language: en, de", "Accept-Language: EN,DE", "hit"},
		{"Vary: Accept-Encoding", "Accept-Encoding: identity", "Accept-Encoding: identity", "hit"},
		{"Vary: , Foo,", "Foo: 1", "Foo: 2", "miss"},
	} {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", append(lines(c.vary), fresh)...)
		r.want("miss", "GET /a", lines(c.first)...)
		got := r.do("GET /a", lines(c.second)...)
		if got.cache != c.want {
			t.Errorf("%q: %q, then %q: %q, want %q", c.vary, c.first, c.second, got.cache, c.want)
		}
		if c.want == "miss" {
			if status := got.fields.Get("Cache-Status"); status != "sluice; fwd=vary-miss; stored" {
				t.Errorf("Cache-Status %q", status)
			}
			r.want("hit", "GET /a", lines(c.first)...) // next to the other
			r.want("hit", "GET /a", lines(c.second)...)
		}
	}
}

// Of many answers under one key the oldest give way.
func TestAnswers(t *testing.T) {
	r := newRig(t, Config{Answers: 3}, Policy{})
	r.origin(200, "content", fresh, "Vary: Foo")
	for _, v := range []string{"1", "2", "3", "4"} {
		r.want("miss", "GET /a", "Foo: "+v)
	}
	if n := r.store.Stats().Entries; n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	for _, v := range []string{"4", "3", "2"} {
		r.want("hit", "GET /a", "Foo: "+v)
	}
	r.want("miss", "GET /a", "Foo: 1")
}

// What lies behind changes the request; the key is what the client sent.
func TestKeyIsOfTheClientsRequest(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	r.origin(200, "content", fresh, "Vary: Foo")
	r.stage = edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Request.Fields.Set("Foo", "changed")
		return r.answer(x)
	}), edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
		was := x.Request.Fields.Get("Foo")
		err := next.Serve(x)
		x.Request.Fields.Set("Foo", was)
		return err
	}), r.store.Stage(Policy{}))
	r.want("miss", "GET /a", "Foo: 1")
	r.want("hit", "GET /a", "Foo: 1")
	r.want("miss", "GET /a", "Foo: changed")
}

func TestFieldsThatAreStored(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	r.origin(200, "content", fresh, `Cache-Control: no-cache="A, b", private=C`, "A: 1", "B: 2", "C: 3", "D: 4", "D: 5",
		"Proxy-Authenticate: x", "Proxy-Authentication-Info: x", "Proxy-Authorization: x", "Keep-Alive: x", "TE: x", "Upgrade: x",
		"Cache-Status: origin; hit")
	r.do("GET /a")
	got := r.want("hit", "GET /a")
	got.fields.Del("Date")
	var list []string
	for n, v := range got.fields.All() {
		list = append(list, n+": "+v)
	}
	want := fresh + `|Cache-Control: no-cache="A, b", private=C|D: 4|D: 5|Cache-Status: origin; hit|Cache-Status: sluice; hit; ttl=59|Age: 0`
	if have := strings.ReplaceAll(strings.Join(list, "|"), "ttl=60", "ttl=59"); have != want {
		t.Errorf("fields\n%s, want\n%s", have, want)
	}
}

func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, Policy{})
		modified := date(-time.Hour)
		r.origin(200, "content", fresh, `ETag: "a"`, "Last-Modified: "+modified, "Kept: 1", "Changed: 1", "Content-MD5: 1")
		r.want("miss", "GET /a")
		time.Sleep(2 * time.Minute)

		r.origin(304, "", fresh, `ETag: "a"`, "Changed: 2", "Changed: 3", "Content-Length: 99", "Content-Encoding: br", "Content-MD5: 2", "Date: "+date(0))
		got := r.want("revalidated", "GET /a", `If-None-Match: "other"`, "X: 1")
		if have, want := strings.Join(r.seen, "|"), `X: 1|If-None-Match: "a"|If-Modified-Since: `+modified; have != want {
			t.Errorf("the origin was asked with %q, want %q", have, want)
		}
		check := func(got reply, status string) {
			t.Helper()
			f := &got.fields
			if got.status != 200 || got.body != "content" || got.length != 7 {
				t.Errorf("%d %q of length %d", got.status, got.body, got.length)
			}
			var changed []string
			for v := range f.Values("Changed") {
				changed = append(changed, v)
			}
			if f.Get("Kept") != "1" || strings.Join(changed, ",") != "2,3" || f.Has("Content-Length") || f.Has("Content-Encoding") || f.Get("Content-MD5") != "1" || f.Get("Cache-Status") != status {
				t.Errorf("fields %v, want Cache-Status %q", *f, status)
			}
		}
		check(got, "sluice; fwd=stale; fwd-status=304")
		if got.fields.Get("Age") != "0" {
			t.Errorf("Age %q", got.fields.Get("Age"))
		}
		time.Sleep(59 * time.Second)
		check(r.want("hit", "GET /a"), "sluice; hit; ttl=1")

		// The client's own precondition is evaluated against what is validated.
		time.Sleep(time.Hour)
		r.origin(304, "", fresh)
		if got = r.want("revalidated", "GET /a", `If-None-Match: "a"`); got.status != 304 || got.body != "" {
			t.Errorf("%d %q, want 304", got.status, got.body)
		}
		// A new response takes its place.
		time.Sleep(time.Hour)
		r.origin(200, "new", fresh, `ETag: "b"`)
		if got = r.want("miss", "GET /a"); got.body != "new" || got.fields.Get("Cache-Status") != "sluice; fwd=stale; stored" {
			t.Errorf("%q %v", got.body, got.fields)
		}
		if got = r.want("hit", "GET /a"); got.body != "new" || r.store.Stats().Entries != 1 {
			t.Errorf("%q, %d entries", got.body, r.store.Stats().Entries)
		}
		// A failure does not, and is no reason to answer with what is stale.
		time.Sleep(time.Hour)
		r.origin(503, "down")
		if got = r.want("miss", "GET /a"); got.status != 503 {
			t.Errorf("%d, want 503", got.status)
		}
		r.origin(304, "", fresh)
		if got = r.want("revalidated", "GET /a"); got.body != "new" {
			t.Errorf("%q", got.body)
		}
		// A 304 about something else freshens nothing.
		time.Sleep(time.Hour)
		r.origin(304, "", fresh, `ETag: "c"`)
		if got = r.want("revalidated", "GET /a"); got.body != "new" || got.fields.Get("ETag") != `"b"` {
			t.Errorf("%q %v", got.body, got.fields)
		}
		if n := r.store.Stats().Entries; n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}

// An entry that is validated again and again while somebody reads it must not
// gather heads without end, nor change under the reader.
func TestRevalidationUnderReader(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	r.origin(200, "content", "Cache-Control: max-age=60", `ETag: "a"`, "X: first")
	r.do("GET /a")
	var x edge.Exchange
	x.Begin(nil, &edge.Client{}, time.Now())
	x.Record.Site = "site"
	x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/a"}
	if err := r.stage.Serve(&x); err != nil {
		t.Fatal(err)
	}
	r.origin(304, "", "X: second")
	n := 0
	for ; n < 100 && r.do("GET /a", "Cache-Control: no-cache").cache == "revalidated"; n++ {
	}
	if n != maxRetired+1 {
		t.Errorf("%d times validated, want %d", n, maxRetired+1)
	}
	if got := string(edge.Bytes(x.Response.Body)); got != "content" || x.Response.Fields.Get("X") != "first" {
		t.Errorf("the reader has %q, %v", got, x.Response.Fields)
	}
	x.End()
}

func TestOnlyIfCached(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	r.origin(200, "content", fresh)
	if got := r.want("miss", "GET /a", "Cache-Control: only-if-cached"); got.status != 504 || r.asked != 0 {
		t.Errorf("%d after %d requests", got.status, r.asked)
	}
	r.do("GET /a")
	if got := r.want("hit", "GET /a", "Cache-Control: only-if-cached"); got.status != 200 {
		t.Errorf("%d", got.status)
	}
}

func TestMethods(t *testing.T) {
	for _, c := range []struct {
		request  string
		status   int
		response string
		want     string // of /a afterwards
	}{
		{"POST /a", 200, "", "miss"},
		{"PUT /a", 204, "", "miss"},
		{"M-SEARCH /a", 302, "", "miss"},
		{"POST /a", 404, "", "hit"},
		{"POST /a", 500, "", "hit"},
		{"OPTIONS /a", 200, "", "hit"},
		{"POST /a?q", 200, "", "hit"},
		{"POST /x", 303, "Location: /a", "miss"},
		{"POST /x", 201, "Content-Location: http://h/a", "miss"},
		{"POST /x/y", 201, "Location: ../a", "miss"},
		{"POST /x", 201, "Location: http://h:80/a#x", "miss"},
		{"POST /x", 201, "Location: https://h/a", "hit"},
		{"POST http://evil/x", 201, "Location: http://h/a", "hit"},
		{"POST /x", 201, "Location: http://[/a", "hit"},
		{"POST /x", 500, "Location: /a", "hit"},
	} {
		r := newRig(t, Config{}, Policy{})
		r.origin(200, "content", fresh)
		r.want("miss", "GET /a")
		r.origin(c.status, "", lines(c.response)...)
		if got := r.want("pass", c.request); got.fields.Get("Cache-Status") != "sluice; fwd=method" {
			t.Errorf("Cache-Status %q", got.fields.Get("Cache-Status"))
		}
		r.origin(200, "content", fresh)
		if got := r.do("GET /a"); got.cache != c.want {
			t.Errorf("after %s with %d %q: %q, want %q", c.request, c.status, c.response, got.cache, c.want)
		}
	}
}

// What was on its way while its target was changed is not stored; what others
// change does not matter.
func TestInvalidatedWhileStored(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	var others int
	var changed bool
	r.answer = func(x *edge.Exchange) error {
		if x.Request.Method == "GET" {
			for i := range others {
				r.do("POST /" + strconv.Itoa(i))
			}
			if changed {
				r.do("POST /a")
			}
		}
		respond(x, 200, "content", fresh)
		return nil
	}
	for _, others = range []int{0, 2000} {
		for _, changed = range []bool{true, false} {
			r.do("POST /a")
			r.do("GET /a")
			want := 1
			if changed {
				want = 0
			}
			if n := r.store.Stats().Entries; n != want {
				t.Errorf("%d others, changed: %v: %d entries, want %d", others, changed, n, want)
			}
		}
	}
	for _, s := range r.store.shards {
		if len(s.underway) != 0 {
			t.Errorf("%d keys are still underway", len(s.underway))
		}
	}
}

func TestNotStored(t *testing.T) {
	content := strings.Repeat("content ", 50_000)
	at := func(n int, err error) edge.Body { return &stream{rest: []byte(content[:n]), step: 5000, err: err} }
	for _, c := range []struct {
		name   string
		body   edge.Body
		length int64
		want   int // entries
	}{
		{"whole", at(400_000, nil), 400_000, 1},
		{"whole, unknown length", at(400_000, nil), -1, 1},
		{"at hand", edge.Content([]byte(content)), 400_000, 1},
		{"at hand, unknown length", edge.Content([]byte(content)), -1, 1},
		{"no content", nil, 0, 1},
		{"cut", at(399_999, errors.New("reset")), 400_000, 0},
		{"cut at the end", at(400_000, errors.New("reset")), -1, 0},
		{"too short", at(399_999, nil), 400_000, 0},
		{"too long", at(400_000, nil), 399_999, 0},
		{"at hand, too short", edge.Content([]byte(content[1:])), 400_000, 0},
		{"small, too short", at(99, nil), 100, 0},
		{"larger than an entry may be", &stream{rest: make([]byte, 600_000), step: 10_000}, 600_000, 0},
		{"larger, unknown length", &stream{rest: make([]byte, 600_000), step: 10_000}, -1, 0},
	} {
		r := newRig(t, Config{}, Policy{}) // entries of 512 KiB
		r.answer = func(x *edge.Exchange) error {
			x.Respond(200, c.body, c.length)
			x.Response.Fields.Add("Cache-Control", "max-age=60")
			return nil
		}
		first := r.do("GET /a")
		if s := r.store.Stats(); s.Entries != c.want || c.want == 0 && s.Bytes != 0 {
			t.Errorf("%s: %+v, want %d entries", c.name, s, c.want)
		}
		if c.want == 1 {
			if second := r.want("hit", "GET /a"); second.body != first.body || second.length != int64(len(first.body)) {
				t.Errorf("%s: %d bytes stored, length %d; %d came", c.name, len(second.body), second.length, len(first.body))
			}
		}
	}
}

// A client that leaves, or reads no further than it must.
func TestReadInPart(t *testing.T) {
	for _, c := range []struct{ read, entries int }{{0, 0}, {200_000, 0}, {299_999, 0}, {300_000, 1}} {
		r := newRig(t, Config{}, Policy{})
		body := &stream{rest: make([]byte, 300_000), step: 1 << 20, err: errors.New("not the end")}
		var x edge.Exchange
		x.Begin(nil, &edge.Client{}, time.Now())
		x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/a"}
		r.answer = func(x *edge.Exchange) error {
			x.Respond(200, body, 300_000)
			x.Response.Fields.Add("Cache-Control", "max-age=60")
			return nil
		}
		if err := r.stage.Serve(&x); err != nil {
			t.Fatal(err)
		}
		body.err = nil
		body.step = c.read
		if c.read > 0 {
			body.rest = append(body.rest, 0) // so that the last piece does not end it
			if n, err := x.Response.Body.Read(make([]byte, c.read)); n != c.read || err != nil {
				t.Fatalf("read %d, %v", n, err)
			}
		}
		x.Response.Body.Close()
		if !body.closed {
			t.Error("Close was not handed on")
		}
		x.End()
		if s := r.store.Stats(); s.Entries != c.entries || c.entries == 0 && s.Bytes != 0 {
			t.Errorf("%d bytes read: %+v, want %d entries", c.read, s, c.entries)
		}
	}
}

func TestErrorIsPassedOn(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	want := &edge.Error{Kind: edge.ConnectionRefused}
	r.answer = func(x *edge.Exchange) error { return want }
	if got := r.do("GET /a"); got.err != want {
		t.Errorf("error %v", got.err)
	}
	if s := r.store.Stats(); s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestUpgradeAndContent(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	r.stage = edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		respond(x, 200, "content", fresh)
		return nil
	}), edge.FilterFunc(func(x *edge.Exchange, next edge.Handler) error {
		if x.Request.Path == "/upgrade" {
			x.Request.Upgrade = "websocket"
		} else {
			x.Request.Body = edge.Content([]byte("q"))
		}
		err := next.Serve(x)
		x.Request.Upgrade, x.Request.Body = "", nil
		return err
	}), r.store.Stage(Policy{}))
	r.want("", "GET /upgrade")
	r.want("bypass", "GET /content")
	if n := r.store.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}
