package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

const settings = `{
	"facts": {"user": "cookie uid", "plan": "header X-Plan"},
	"flags": {"banner": true, "beta": "on plan=pro; on user=ann,bob", "next": "0%"},
	"admin": "/_flags"}`

const token = "0123456789abcdef"

// memory is a store without a disk. With err it is broken.
type memory struct {
	values map[string]string
	err    error
	ttl    time.Duration // of the last that was set
}

func (m *memory) Get(key string) ([]byte, int64, error) {
	v, ok := m.values[key]
	if !ok && m.err == nil {
		return nil, 0, proxy.None
	}
	return []byte(v), 7, m.err
}

func (m *memory) check(key string, version int64) error {
	_, ok := m.values[key]
	if ok && (version == proxy.Absent || version > 0 && version != 7) || !ok && version > 0 {
		return proxy.Conflict
	}
	return m.err
}

func (m *memory) Set(key string, value []byte, ttl time.Duration, version int64) (int64, error) {
	if err := m.check(key, version); err != nil {
		return 0, err
	}
	m.values[key], m.ttl = string(value), ttl
	return 7, nil
}

func (m *memory) Delete(key string, version int64) error {
	if _, ok := m.values[key]; !ok && m.err == nil {
		return proxy.None
	}
	if err := m.check(key, version); err != nil {
		return err
	}
	delete(m.values, key)
	return nil
}

// behind returns a handler that says what the origin is told.
func behind(t *testing.T, m *memory) http.Handler {
	t.Helper()
	h, err := sdk.Middleware((&flags{store: m, token: []byte(token)}).filter(), []byte(settings),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, v := range r.Header {
				if flag, ok := strings.CutPrefix(name, "X-Flag-"); ok {
					w.Header().Set(flag, v[0])
				}
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestFlags(t *testing.T) {
	m := &memory{values: map[string]string{}}
	h := behind(t, m)
	f := func(cookie, plan, want string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		r.Header.Set("X-Plan", plan)
		r.Header.Set("X-Flag-Next", "on")
		r.Header.Set("X-Flag-Other", "on")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := fmt.Sprint(w.Header().Get("Banner"), " ", w.Header().Get("Beta"), " ", w.Header().Get("Next"), w.Header().Get("Other"))
		if w.Code != 200 || got != want {
			t.Errorf("cookie %q, plan %q: %d, got %q, want %q", cookie, plan, w.Code, got, want)
		}
	}
	f("", "", "on off off")
	f("", "pro", "on on off")
	f("a=b; uid=bob", "free", "on on off")
	f("uid=eve", "free", "on off off")

	m.values["banner"], m.values["beta"], m.values["next"] = "off", "100%", "on user=eve"
	f("", "", "off on off")
	f("uid=eve", "", "off on on")
	m.values["banner"], m.values["beta"], m.values["next"] = "", "what", "on country=DE" // others have written these
	f("uid=bob", "", "on on off")
	m.err = proxy.Failed
	f("uid=bob", "", "on on off")
}

func TestAdmin(t *testing.T) {
	m := &memory{values: map[string]string{}}
	h := behind(t, m)
	f := func(request, field, value, body string, status int, want string) {
		t.Helper()
		method, target, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "bearer "+token)
		if field != "" {
			r.Header.Set(field, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %q: got %d %q, want %d %q", request, field, body, w.Code, w.Body, status, want)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", request, got)
		}
	}
	f("GET /_flags", "Authorization", "", "", 401, "")
	f("GET /_flags", "Authorization", "Bearer ", "", 401, "")
	f("GET /_flags", "Authorization", "Bearer "+token+"0", "", 401, "")
	f("GET /_flags", "Authorization", "Basic "+token, "", 401, "")
	f("PUT /_flags/beta", "Authorization", token, "on", 401, "")

	f("GET /_flags/beta", "", "", "", 200, "on plan=pro; on user=ann,bob\n")
	f("PUT /_flags/beta", "", "", " 20% plan=free \n", 204, "")
	f("GET /_flags/beta", "", "", "", 200, "20% plan=free\n")
	f("GET /_flags", "", "", "", 200, `"rule": "20% plan=free"`)
	f("HEAD /_flags", "", "", "", 200, "")

	f("PUT /_flags/beta", "", "", "", 400, "a clause is empty")
	f("PUT /_flags/beta", "", "", "on country=DE", 400, `no fact "country"`)
	f("PUT /_flags/beta", "", "", strings.Repeat(" ", maxRule)+"on", 400, "more than 1024")
	f("PUT /_flags/beta?ttl=1h", "", "", "on", 204, "")
	if m.ttl != time.Hour {
		t.Errorf("ttl is %v", m.ttl)
	}
	f("PUT /_flags/beta?ttl=0", "", "", "on", 400, "want a time")
	f("PUT /_flags/beta?ttl=1ms", "", "", "on", 400, "want a time")
	f("PUT /_flags/beta?ttl=%zz", "", "", "on", 400, "invalid URL escape")

	f("PUT /_flags/beta", "If-Match", `"7"`, "off", 204, "")
	f("PUT /_flags/beta", "If-Match", `*`, "off", 204, "")
	f("PUT /_flags/beta", "If-Match", `"8"`, "off", 412, "")
	f("PUT /_flags/beta", "If-Match", `"0"`, "off", 412, "")
	f("PUT /_flags/beta", "If-Match", `"-1"`, "off", 412, "")
	f("PUT /_flags/beta", "If-Match", `7`, "off", 412, "")
	f("PUT /_flags/next", "If-Match", `*`, "off", 412, "")
	f("PUT /_flags/beta", "If-None-Match", "*", "off", 412, "")
	f("DELETE /_flags/beta", "If-Match", `"8"`, "", 412, "")
	f("DELETE /_flags/beta", "", "", "", 204, "")
	f("DELETE /_flags/beta", "", "", "", 204, "")
	f("PUT /_flags/beta", "If-None-Match", "*", "off", 204, "")

	f("GET /_flags/", "", "", "", 404, "")
	f("GET /_flags/Beta", "", "", "", 404, "")
	f("GET /_flags/beta/x", "", "", "", 404, "")
	f("POST /_flags", "", "", "", 405, "want GET, HEAD")
	f("POST /_flags/beta", "", "", "", 405, "want GET, HEAD, PUT, DELETE")
	m.err = proxy.Limit
	f("PUT /_flags/next", "", "", "on", 503, "")
	f("DELETE /_flags/next", "", "", "", 503, "")
	f("GET /_flags", "", "", "", 503, "")
	f("GET /_flags/next", "", "", "", 503, "")
}

func TestConfigure(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		err := new(flags).configure([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", config, err, want)
		}
	}
	f("", "there are 0 flags")
	f(`{"flag": {}}`, `"flag"`)
	f(`{"flags": {"A": "on"}}`, "flags: A: want a name")
	f(`{"flags": {"": "on"}}`, "flags: : want a name")
	f(`{"flags": {"`+strings.Repeat("a", 31)+`": "on"}}`, "at most 30 bytes")
	f(`{"flags": {"a": 1}}`, "1 is no rule")
	f(`{"flags": {"a": "on plan=pro"}}`, `flags: a: there is no fact "plan"`)
	f(`{"flags": {"a": "10%"}}`, `flags: a: 10% of whom? facts does not say where "user" is`)
	f(`{"facts": {"plan": "query plan"}, "flags": {"a": "on"}}`, `facts: plan is "query plan"`)
	f(`{"facts": {"plan": "cookie a b"}, "flags": {"a": "on"}}`, `facts: plan is "cookie a b"`)
	f(`{"flags": {"a": "on"}, "to": {"b": "arm x"}}`, `to: there is no flag "b"`)
	f(`{"flags": {"a": "on"}, "to": {"a": "site x"}}`, `flags: a: goes to "site x"`)
	f(`{"flags": {"a": "on"}, "prefix": "X_"}`, `prefix is "X_"`)
	f(`{"flags": {"a": "on"}, "admin": "flags"}`, `admin is "flags"`)
	f(`{"flags": {"a": "on"}, "admin": "/flags"}`, `the secret "token" cannot be had`)
	err := (&flags{token: []byte("short")}).configure([]byte(settings))
	if err == nil || !strings.Contains(err.Error(), "has 5 bytes, want at least 16") {
		t.Errorf("error is %v", err)
	}
	many := new(strings.Builder)
	for i := range maxFlags + 1 {
		fmt.Fprintf(many, `"f%d": "on",`, i)
	}
	f(`{"flags": {`+strings.TrimSuffix(many.String(), ",")+`}}`, "there are 33 flags")
}
