package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/sdk/function"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

const (
	ann = "ann-s-token-is-long"
	bob = "bob-s-token-is-long"
)

type entry struct {
	value   []byte
	version int64
	until   time.Time
}

// memory is a store in memory. Err, if it is not nil, is what happens to keys with the
// prefix fail.
type memory struct {
	keys    map[string]entry
	version int64
	now     time.Time
	fail    string
	err     error
}

func (m *memory) entry(key string) (entry, bool) {
	e, ok := m.keys[key]
	if ok && !e.until.IsZero() && !m.now.Before(e.until) {
		delete(m.keys, key)
		return entry{}, false
	}
	return e, ok
}

func (m *memory) broken(key string) bool { return m.err != nil && strings.HasPrefix(key, m.fail) }

func (m *memory) Get(key string) ([]byte, int64, error) {
	if m.broken(key) {
		return nil, 0, m.err
	}
	e, ok := m.entry(key)
	if !ok {
		return nil, 0, proxy.None
	}
	return e.value, e.version, nil
}

func (m *memory) Set(key string, value []byte, ttl time.Duration, version int64) (int64, error) {
	if m.broken(key) {
		return 0, m.err
	}
	if e, ok := m.entry(key); version == proxy.Absent && ok || version > 0 && e.version != version {
		return 0, proxy.Conflict
	}
	m.version++
	e := entry{bytes.Clone(value), m.version, time.Time{}}
	if ttl > 0 {
		e.until = m.now.Add(ttl)
	}
	m.keys[key] = e
	return m.version, nil
}

func (m *memory) Delete(key string, version int64) error {
	if m.broken(key) {
		return m.err
	}
	e, ok := m.entry(key)
	if !ok {
		return proxy.None
	}
	if version >= 0 && e.version != version {
		return proxy.Conflict
	}
	delete(m.keys, key)
	return nil
}

func (m *memory) Add(key string, delta int64, ttl time.Duration) (int64, error) {
	if m.broken(key) {
		return 0, m.err
	}
	e, ok := m.entry(key)
	n, _ := strconv.ParseInt(string(e.value), 10, 64)
	n += delta
	if !ok && ttl > 0 {
		e.until = m.now.Add(ttl)
	}
	e.value = strconv.AppendInt(nil, n, 10)
	m.keys[key] = e
	return n, nil
}

func (m *memory) List(prefix, after string) ([]string, error) {
	if m.broken(prefix) {
		return nil, m.err
	}
	var keys []string
	for key := range m.keys {
		if _, ok := m.entry(key); ok && strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), 7)], nil // some
}

// site is a shortener under test.
type site struct {
	t     *testing.T
	m     *memory
	s     *shortener
	env   map[string]string
	codes []string // that the generator is to make first
	log   []string
}

func newSite(t *testing.T) *site {
	x := &site{t: t, m: &memory{keys: make(map[string]entry), now: time.Unix(1000, 0)}, env: map[string]string{"HOSTS": "s.example.org short.example:8443"}}
	x.s = &shortener{
		links: x.m,
		secret: func(string) ([]byte, error) {
			return []byte("ann " + ann + "\nbob " + bob + "\r\n\nshort a\nbad/name " + ann + "x\n"), nil
		},
		getenv: func(name string) string { return x.env[name] },
		now:    func() time.Time { return x.m.now },
		code: func() string {
			if len(x.codes) == 0 {
				return newCode()
			}
			code := x.codes[0]
			x.codes = x.codes[1:]
			return code
		},
		log: func(text string) { x.log = append(x.log, text) },
	}
	return x
}

func (x *site) do(method, path, token, content string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(content))
	r.Host = "go.example.org:8080"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	function.Handler(x.s.serve).ServeHTTP(w, r)
	return w
}

// make makes a link and returns its code.
func (x *site) make(token, content string) string {
	x.t.Helper()
	w := x.do("POST", "/", token, content)
	var made shown
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 || w.Header().Get("Location") != "http://go.example.org:8080/"+made.Code || !isCode(made.Code) {
		x.t.Fatalf("%s: %d %v %s: %v", content, w.Code, w.Header(), w.Body, err)
	}
	return made.Code
}

func (x *site) want(w *httptest.ResponseRecorder, status int, text string) {
	x.t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), text) {
		x.t.Errorf("got %d %s, want %d %q", w.Code, w.Body, status, text)
	}
}

func TestLinks(t *testing.T) {
	x := newSite(t)
	code := x.make(ann, `{"url":"https://example.com/a?b=c#d"}`)
	for range 3 {
		w := x.do("GET", "/"+code, "", "")
		if w.Code != 301 || w.Header().Get("Location") != "https://example.com/a?b=c#d" || w.Header().Get("Cache-Control") != "no-cache, private" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
	if w := x.do("HEAD", "/"+code, "", ""); w.Code != 301 { // is not counted
		t.Errorf("HEAD: %d", w.Code)
	}
	x.want(x.do("GET", "/", ann, ""), 200, `{"links":[{"code":"`+code+`","short":"http://go.example.org:8080/`+code+`","url":"https://example.com/a?b=c#d","count":3}]}`)
	x.want(x.do("GET", "/", bob, ""), 200, `{"links":[]}`)

	x.want(x.do("DELETE", "/"+code, bob, ""), 403, "somebody else's")
	x.want(x.do("DELETE", "/"+code, "", ""), 401, "a token is needed")
	x.want(x.do("GET", "/"+code, "", ""), 301, "")
	x.want(x.do("DELETE", "/"+code, ann, ""), 204, "")
	x.want(x.do("DELETE", "/"+code, ann, ""), 404, "")
	x.want(x.do("GET", "/"+code, "", ""), 404, "there is no such link")
	if len(x.m.keys) != 0 {
		t.Errorf("left: %v", x.m.keys)
	}
	for _, path := range []string{"/short", "/toolong1", "/a.b.c.d", "/l%2Fabcde", "/abc/efg", "/%00234567", "/1234567"} {
		x.want(x.do("GET", path, "", ""), 404, "")
	}
	for method, path := range map[string]string{"PUT": "/", "POST": "/" + code, "PATCH": "/" + code} {
		if w := x.do(method, path, ann, ""); w.Code != 405 || w.Header().Get("Allow") == "" {
			t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
		}
	}
}

// A link and all that belongs to it go when its time is over.
func TestTTL(t *testing.T) {
	x := newSite(t)
	code := x.make(ann, `{"url":"https://example.com/","ttl":"1h"}`)
	x.want(x.do("GET", "/", ann, ""), 200, `"until":"1970-01-01T01:16:40Z"`)
	x.m.now = time.Unix(1000+3599, 0)
	x.want(x.do("GET", "/"+code, "", ""), 301, "")
	x.m.now = time.Unix(1000+3600, 0)
	x.want(x.do("GET", "/"+code, "", ""), 404, "")
	x.want(x.do("GET", "/", ann, ""), 200, `{"links":[]}`)
	x.m.List("", "")
	if len(x.m.keys) != 0 {
		t.Errorf("left: %v", x.m.keys)
	}
	for _, ttl := range []string{"1", "-1h", "0s", "999ms", "100000h", "24", "1 h"} {
		x.want(x.do("POST", "/", ann, `{"url":"https://example.com/","ttl":"`+ttl+`"}`), 422, "ttl is not")
	}
}

func TestTargets(t *testing.T) {
	x := newSite(t)
	f := func(url, want string) {
		t.Helper()
		content, err := json.Marshal(map[string]string{"url": url})
		if err != nil {
			t.Fatal(err)
		}
		w := x.do("POST", "/", ann, string(content))
		if want == "" && w.Code != 201 || want != "" && (w.Code != 422 || !strings.Contains(w.Body.String(), want)) {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
	}
	for _, good := range []string{"https://example.com", "HTTP://EXAMPLE.com:8080/%20?a#b", "https://192.0.2.1/", "https://[2001:db8::1]/", "https://xn--bcher-kva.example/", "https://example.com."} {
		f(good, "")
	}
	for _, bad := range []string{"", "/a", "//example.com", "example.com", "javascript:alert(1)", "JavaScript://example.com/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://example.com", "https:example.com", "https:///a", "https://:80/"} {
		f(bad, "url ")
	}
	for _, bad := range []string{" https://example.com", "https://example.com/a b", "https://example.com/\r\nX: y", "java\tscript:a", "https://exämple.com", "https://example.com/?ä"} {
		f(bad, "have to be encoded")
	}
	f("https://example.org@evil.example/", "has a user")
	f("https://a!b.example/", "no name or address")
	f("https://example.com/"+strings.Repeat("a", maxURL), "too long")
	for _, own := range []string{"http://go.example.org/", "http://go.example.org:8080/abcdefg", "https://GO.example.org./", "https://s.example.org", "http://short.example/"} {
		f(own, "leads here")
	}
	for _, private := range []string{"http://localhost/", "http://a.localhost:3000/", "http://127.0.0.1/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
		"http://[fe80::1]/", "http://0.0.0.0/", "http://router/", "http://2130706433/", "http://127.1/", "http://0x7f.0x1/"} {
		f(private, "private network")
	}
	x.env["PRIVATE"] = "yes"
	f("http://wiki/", "")
}

func TestCreate(t *testing.T) {
	x := newSite(t)
	for _, token := range []string{"", "x", "a", ann + "x", ann[:10], strings.ToUpper(ann)} {
		for method, path := range map[string]string{"POST": "/", "GET": "/", "DELETE": "/1234567"} {
			if w := x.do(method, path, token, `{"url":"https://example.com"}`); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %q: %d", method, token, w.Code)
			}
		}
	}
	for _, content := range []string{"", "x", "[]", `{"url":1}`, `{"link":"https://example.com"}`, `{"url":"https://example.com"}{}`} {
		x.want(x.do("POST", "/", ann, content), 400, "the content is not like")
	}
	x.want(x.do("POST", "/", ann, `{"url":"`+strings.Repeat("a", maxContent)), 413, "")

	// A code that is taken is not taken again.
	x.codes = []string{"aaaaaaa", "aaaaaaa", "bbbbbbb"}
	if a, b := x.make(ann, `{"url":"https://example.com/1"}`), x.make(bob, `{"url":"https://example.com/2"}`); a != "aaaaaaa" || b != "bbbbbbb" {
		t.Errorf("got %s and %s", a, b)
	}
	x.codes = slices.Repeat([]string{"aaaaaaa"}, 100)
	x.want(x.do("POST", "/", ann, `{"url":"https://example.com/3"}`), 503, "")
	if w := x.do("GET", "/aaaaaaa", "", ""); w.Header().Get("Location") != "https://example.com/1" {
		t.Errorf("leads to %q", w.Header().Get("Location"))
	}
}

func TestPages(t *testing.T) {
	x := newSite(t)
	want := make(map[string]bool)
	for i := range page + 5 {
		want[x.make(ann, fmt.Sprintf(`{"url":"https://example.com/%d"}`, i))] = true
	}
	x.make(bob, `{"url":"https://example.com/"}`)
	after := ""
	for _, n := range []int{page, 5} {
		var got struct {
			Links []shown
			Next  string
		}
		w := x.do("GET", "/?after="+after, ann, "")
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Links) != n {
			t.Fatalf("%d links, want %d: %v", len(got.Links), n, err)
		}
		for _, l := range got.Links {
			if !want[l.Code] {
				t.Errorf("%s is there twice, or not ann's", l.Code)
			}
			delete(want, l.Code)
		}
		after = got.Next
	}
	if len(want) > 0 || after != "" {
		t.Errorf("%d are missing, next is %q", len(want), after)
	}
}

func TestFailures(t *testing.T) {
	x := newSite(t)
	code := x.make(ann, `{"url":"https://example.com/"}`)
	const content = `{"url":"https://example.com/"}`
	x.m.err = proxy.Failed
	for _, f := range []struct {
		fail, method, path string
		status             int
	}{
		{"n/", "GET", "/" + code, 301}, // it is only not counted
		{"l/", "GET", "/" + code, 503},
		{"l/", "POST", "/", 503},
		{"o/", "POST", "/", 503},
		{"o/", "GET", "/", 503},
		{"n/", "GET", "/", 503},
		{"l/", "DELETE", "/" + code, 503},
		{"o/", "DELETE", "/" + code, 204},
	} {
		x.m.fail, x.log = f.fail, nil
		if w := x.do(f.method, f.path, ann, content); w.Code != f.status || len(x.log) == 0 || strings.Contains(w.Body.String(), proxy.Failed.Error()) {
			t.Errorf("%s %s without %s: %d %s, logged %q", f.method, f.path, f.fail, w.Code, w.Body, x.log)
		}
	}
	x.m.fail = "x"
	for key := range x.m.keys {
		if strings.HasPrefix(key, "l/") {
			t.Errorf("%s is left", key)
		}
	}
	x.m.err, x.m.fail = proxy.Limit, "l/"
	x.want(x.do("POST", "/", ann, content), 507, "no room")
	x.s.secret = func(string) ([]byte, error) { return nil, errors.New("none") }
	x.want(x.do("POST", "/", ann, content), 503, "")
}

func TestCodes(t *testing.T) {
	seen, letters := make(map[string]bool), make(map[byte]int)
	const n = 10_000
	for range n {
		code := newCode()
		if !isCode(code) || seen[code] {
			t.Fatalf("%q", code)
		}
		seen[code] = true
		for i := range len(code) {
			letters[code[i]]++
		}
	}
	for _, c := range alphabet {
		if got, want := letters[byte(c)], n*codeLength/len(alphabet); got < want*3/4 || got > want*5/4 {
			t.Errorf("%c: %d times, want about %d", c, got, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://example.com/", "javascript:a", "http://[::1]:80/?a#b", "https://a@b", "http://%41.b/"} {
		f.Add(s)
	}
	s := &shortener{getenv: func(string) string { return "" }}
	r := &function.Request{Host: "go.example.org"}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := s.target(r, text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(got, "http://") && !strings.HasPrefix(got, "https://") || strings.ContainsAny(got, "\x00\r\n\t \\") {
			t.Errorf("%q becomes %q", text, got)
		}
		if again, err := s.target(r, got); err != nil || again != got {
			t.Errorf("%q becomes %q, which becomes %q: %v", text, got, again, err)
		}
	})
}
