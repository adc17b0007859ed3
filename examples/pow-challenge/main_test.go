package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/sdk"
)

const settings = `{"bits": 8, "lifetime": "1h", "except": {"paths": ["/robots.txt", "/feeds/*"], "networks": ["192.0.2.0/24", "2001:db8::/32"]}}`

var key = []byte("0123456789abcdef")

// guarded returns a handler that says which cookies the origin got.
func guarded(t *testing.T) http.Handler {
	t.Helper()
	h, err := sdk.Middleware((&guard{key: key}).filter(), []byte(settings),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", r.Header["Cookie"]) }))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func request(method, path, client, cookie string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = client
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return r
}

// prove asks for a challenge and returns the cookie of a proof.
func prove(t *testing.T, h http.Handler, client string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request("GET", "/", client, ""))
	var p struct {
		Status            int
		Challenge, Cookie string
		Bits              int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 403 || p.Status != 403 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	for n := 0; ; n++ {
		if nonce := strconv.Itoa(n); solves(p.Challenge, nonce, p.Bits) {
			return strings.TrimSuffix(p.Cookie, "N") + nonce
		}
	}
}

func TestProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := guarded(t)
		f := func(client, host, cookie string, status int, want string) {
			t.Helper()
			r := request("POST", "/", client, cookie)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != status || want != "" && w.Body.String() != want {
				t.Errorf("%s at %s with %q: got %d %s, want %d", client, host, cookie, w.Code, w.Body, status)
			}
		}
		const ann, host = "198.51.100.1:1234", "example.com"
		proof := prove(t, h, ann)
		f(ann, host, proof, 200, "[]")
		f(ann, "EXAMPLE.com", proof, 200, "[]")
		f("198.51.100.1:9", host, "a=b; "+proof+";c=d", 200, `["a=b; c=d"]`)
		f("[::ffff:198.51.100.1]:9", host, proof, 200, "")

		f(ann, host, "", 403, "")
		f("198.51.100.2:1234", host, proof, 403, "") // of another address
		f(ann, "example.org", proof, 403, "")
		f(ann, host, proof+"0", 403, "")
		f(ann, host, strings.Replace(proof, ".", ".0", 1), 403, "") // another number
		f(ann, host, strings.Replace(proof, "=", "=+", 1), 403, "")
		f(ann, host, proof[:strings.Index(proof, ".")], 403, "")
		f(ann, host, "pow=.", 403, "")
		f(ann, host, "pow=99999999999999999999.1", 403, "")

		six := prove(t, h, "[2001:db9::1]:1")
		f("[2001:db9::ffff:2]:1", host, six, 200, "") // of the same /64
		f("[2001:db9:0:1::1]:1", host, six, 403, "")

		time.Sleep(time.Hour)
		f(ann, host, proof, 200, "")
		time.Sleep(time.Minute)
		f(ann, host, proof, 403, "")
		f(ann, host, prove(t, h, ann), 200, "")
		f("nowhere", host, proof, 403, "403 Forbidden\n")
	})
}

func TestExcept(t *testing.T) {
	h := guarded(t)
	f := func(client, path string, status int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", path, client, ""))
		if w.Code != status {
			t.Errorf("%s %s: got %d, want %d", client, path, w.Code, status)
		}
	}
	const out = "198.51.100.1:1234"
	f("192.0.2.255:1", "/", 200)
	f("[::ffff:192.0.2.1]:1", "/", 200)
	f("[2001:db8::1]:1", "/", 200)
	f("192.0.3.1:1", "/", 403)
	f(out, "/robots.txt", 200)
	f(out, "/robots.txt?a=b", 200)
	f(out, "/feeds/a/b", 200)
	f(out, "/feeds/", 200)
	f(out, "/feeds", 403)
	f(out, "/robots.txt/x", 403)
	// What an origin may take for another path.
	f(out, "/feeds/../x", 403)
	f(out, "/feeds/%2e%2e/x", 403)
	f(out, "/feeds/..%2fx", 403)
	f(out, "/feeds/..%5cx", 403)
	f(out, "/feeds/..;/x", 403)
	f(out, "/feeds/%252e%252e/x", 403)
	f(out, "/feeds//x", 403)
}

func TestPage(t *testing.T) {
	h := guarded(t)
	f := func(method, accept, kind string) *httptest.ResponseRecorder {
		t.Helper()
		r := request(method, "/", "198.51.100.1:1234", "")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); w.Code != 403 || got != kind || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: got %d %s %q", method, accept, w.Code, got, w.Header())
		}
		return w
	}
	f("GET", "*/*", "application/problem+json")
	f("POST", "text/html", "application/problem+json")
	f("HEAD", "text/html", "text/html; charset=utf-8")
	w := f("GET", "text/html,application/xhtml+xml", "text/html; charset=utf-8")
	for _, bad := range []string{"{{", "http:", "src=", "href=", "onload"} {
		if strings.Contains(w.Body.String(), bad) {
			t.Errorf("the page has %s:\n%s", bad, w.Body)
		}
	}
	for _, want := range []string{`data-bits="8"`, `data-cookie="pow"`, `data-age="3600"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page has no %s:\n%s", want, w.Body)
		}
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1:2%eth0":       "fe80::/64",
	} {
		if got := network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

func TestConfigure(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		err := (&guard{key: key}).configure([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", config, err, want)
		}
	}
	f(`{"bit": 8}`, `"bit"`)
	f(`{"bits": 7}`, "bits is 7, want 8 to 26")
	f(`{"bits": 27}`, "bits is 27")
	f(`{"lifetime": "1"}`, `lifetime is "1"`)
	f(`{"lifetime": "1s"}`, `lifetime is "1s"`)
	f(`{"lifetime": "721h"}`, `lifetime is "721h"`)
	f(`{"cookie": "a;b"}`, `cookie is "a;b"`)
	f(`{"cookie": ""}`, `cookie is ""`)
	f(`{"except": {"paths": ["*"]}}`, `the path "*"`)
	f(`{"except": {"networks": ["192.0.2.1"]}}`, "192.0.2.1")
	if err := new(guard).configure(nil); err == nil || !strings.Contains(err.Error(), `the secret "key" cannot be had`) {
		t.Errorf("error is %v", err)
	}
	if err := (&guard{key: key[1:]}).configure(nil); err == nil || !strings.Contains(err.Error(), "has 15 bytes, want at least 16") {
		t.Errorf("error is %v", err)
	}
}

// A cookie is accepted only if it is a proof, whatever it looks like.
func FuzzAccepts(f *testing.F) {
	c := challenger{key, "example.com", "192.0.2.1", 8}
	const now, lifetime = 1_000_000, 60
	for _, minute := range []int64{now - lifetime - 1, now - lifetime, now, now + 1, now + 2} {
		for n := range 1000 {
			if nonce := strconv.Itoa(n); solves(c.challenge(minute), nonce, c.bits) {
				f.Add(fmt.Sprint(minute, ".", nonce))
			}
		}
	}
	for _, seed := range []string{"", ".", "1000000", "1000000.", "-1.1", "+1000000.1", "1000000.-1", "1000000.1.1", "999940.0", "1000002.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		if !c.accepts(cookie, now, lifetime) {
			return
		}
		at, nonce, _ := strings.Cut(cookie, ".")
		minute, err := strconv.ParseInt(at, 10, 64)
		if err != nil || minute < now-lifetime || minute > now+1 || !solves(c.challenge(minute), nonce, c.bits) {
			t.Errorf("%q is accepted", cookie)
		}
	})
}
