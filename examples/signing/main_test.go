package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// secrets are those of a test.
func secrets(name string) ([]byte, error) {
	text, ok := map[string]string{"shared": testShared, "private": testPrivate, "public": testPublic}[name]
	if !ok {
		return nil, proxy.Denied
	}
	return []byte(text), nil
}

// memory is a store without a disk.
type memory struct {
	values map[string]time.Duration
	err    error
}

func (m *memory) Set(key string, _ []byte, ttl time.Duration, version int64) (int64, error) {
	if _, ok := m.values[key]; ok && version == proxy.Absent {
		return 0, proxy.Conflict
	}
	m.values[key] = ttl
	return 1, m.err
}

// behind returns a handler behind a filter.
func behind(t *testing.T, config string, next http.Handler) http.Handler {
	t.Helper()
	h, err := sdk.Middleware((&filter{secret: secrets}).filter(), []byte(config), next)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const (
	signing   = `{"sign": {"key": "private", "algorithm": "ed25519", "keyid": "edge", "tag": "app", "expires": "1m"}}`
	verifying = `{"verify": {"keys": {"edge": {"key": "public", "algorithm": "ed25519"}}, "max-age": "2m", "tag": "app"}}`
)

// What one filter signs another verifies, unless it was changed on the way.
func TestSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var change func(*http.Request)
		origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %v", r.Header.Get(signerField), body, err)
		})
		second := behind(t, verifying, origin)
		first := behind(t, signing, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			second.ServeHTTP(w, r)
		}))
		f := func(body string, status int, want string, c func(*http.Request)) {
			t.Helper()
			change = c
			r := httptest.NewRequest("POST", "/a/b?c=d", strings.NewReader(body))
			r.Header.Set("Signature", "sluice=:AAAA:, other=:AAAA:") // the client's own
			r.Header.Set(signerField, "root")                        // likewise
			w := httptest.NewRecorder()
			first.ServeHTTP(w, r)
			if w.Code != status || !strings.Contains(w.Body.String(), want) {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, status, want)
			}
			if got := w.Header().Get("Accept-Signature"); (status == 401) != (got == `sig=("@method" "@authority" "@path" "@query" "content-digest");created;keyid;tag="app"`) {
				t.Errorf("Accept-Signature is %s", got)
			}
		}
		edit := func(field, old, new string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set(field, strings.Replace(r.Header.Get(field), old, new, 1)) }
		}
		f("hello", 200, "edge hello <nil>", func(*http.Request) {})
		f("", 200, "edge  <nil>", func(*http.Request) {})
		f("a", 401, "it is not that of the request", func(r *http.Request) { r.Method = "PUT" })
		f("a", 401, "it is not that of the request", func(r *http.Request) { r.Host = "example.org" })
		f("a", 401, "it is not that of the request", func(r *http.Request) { r.URL.Path = "/a" })
		f("a", 401, "it is not that of the request", func(r *http.Request) { r.URL.RawQuery = "" })
		f("a", 401, "it is not that of the request", edit("Date", "20", "21"))
		f("a", 401, "it is not that of the request", edit("Content-Digest", ":", ":A"))
		f("a", 401, "the sha-256 of Content-Digest is not that", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("b")) })
		f("a", 401, "the request is not signed", func(r *http.Request) { r.Header.Del("Signature-Input") })
		f("a", 401, `there is no signature "sluice"`, edit("Signature", "sluice", "other"))
		f("a", 401, "the field Signature: ", edit("Signature", "sluice", "!"))
		f("a", 401, "the field Signature-Input: ", edit("Signature-Input", "sluice", "!"))
		f("a", 401, "the field Signature: ", func(r *http.Request) { r.Header.Add("Signature", "sluice=:AAAA:") })
		f("a", 401, `the key "other" is not known`, edit("Signature-Input", `"edge"`, `"other"`))
		f("a", 401, "alg is hmac-sha256, and the key", edit("Signature-Input", `"ed25519"`, `"hmac-sha256"`))
		f("a", 401, `tag is "", want "app"`, edit("Signature-Input", `;tag="app"`, ""))
		f("a", 401, "created is missing", edit("Signature-Input", ";created=", ";made="))
		f("a", 401, "it is not that of the request", edit("Signature-Input", ` "@path"`, ""))
		f("a", 401, `"@path" is there twice`, edit("Signature-Input", ` "@path"`, ` "@path" "@path"`))
		f("a", 401, `"@status" is not supported`, edit("Signature-Input", ` "@path"`, ` "@status"`))
		f("a", 401, `no field "x-none"`, edit("Signature-Input", ` "@path"`, ` "x-none"`))
		f("a", 200, "edge a", func(*http.Request) { time.Sleep(59 * time.Second) })
		f("a", 401, "it has expired", func(*http.Request) { time.Sleep(time.Minute) })
		f("a", 401, "it is older than 2m0s", func(*http.Request) { time.Sleep(121 * time.Second) })
		f("a", 401, "created is in the future", func(r *http.Request) {
			edit("Signature-Input", "created="+fmt.Sprint(time.Now().Unix()), "created="+fmt.Sprint(time.Now().Unix()+31))(r)
		})
	})
}

// What a client signs by itself.
func TestVerify(t *testing.T) {
	store := &memory{values: map[string]time.Duration{}}
	v := &verifier{store: store}
	h, err := sdk.Middleware((&filter{secret: secrets, Verify: v}).filter(),
		[]byte(`{"verify": {"keys": {"ann": {"key": "shared", "algorithm": "hmac-sha256"}}, "once": "signatures"},
			"sign": {"key": "private", "algorithm": "ed25519", "keyid": "edge"}}`),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header.Get(signerField), " ", r.Header.Get("Content-Digest"))
		}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parseKey(hmacSHA256, []byte(testShared))
	if err != nil {
		t.Fatal(err)
	}
	nonce := 0
	request := func(body, components string, fields ...string) *http.Request {
		r := httptest.NewRequest("POST", "/a", strings.NewReader(body))
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		nonce++
		input := fmt.Sprintf(`(%s);created=%d;keyid="ann";nonce="%d"`, components, time.Now().Unix(), nonce)
		list, err := parseDictionary("c=" + input)
		if err != nil {
			t.Fatal(err)
		}
		m := &message{"POST", "/a", "http", func(name string) []string {
			if name == "host" {
				return []string{r.Host}
			}
			return r.Header.Values(name)
		}}
		text, err := m.base(list[0].items, input)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Signature-Input", "c="+input)
		r.Header.Set("Signature", "c=:"+base64.StdEncoding.EncodeToString(k.sign(text))+":")
		return r
	}
	f := func(r *http.Request, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("got %d %q, want %d %q", w.Code, w.Body, status, want)
		}
	}
	const all = `"@method" "@authority" "@path" "@query"`
	const empty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
	const hello = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
	f(request("", all), 200, "ann "+empty)
	f(request("hello", all), 401, `does not cover "content-digest"`)
	f(request("hello", all, "Content-Digest", hello), 401, `does not cover "content-digest"`)
	f(request("hello", all+` "content-digest"`, "Content-Digest", hello), 200, "ann "+hello)
	f(request("hello", all+` "content-digest"`, "Content-Digest", empty), 401, "sha-256 of Content-Digest is not that")
	f(request("hello", all+` "content-digest"`, "Content-Digest", "sha-512=:"+empty[9:]+", "+hello), 401, "sha-512 of Content-Digest is not that")
	f(request("hello", all+` "content-digest"`, "Content-Digest", "md5=:AAAA:"), 401, "want sha-256 or sha-512")
	f(request("hello", all+` "content-digest"`, "Content-Digest", "sha-256="), 401, "the field Content-Digest: ")
	f(request("", `"@method" "@path" "@query"`), 401, `does not cover "@authority"`)
	f(request("", ""), 401, "does not cover")

	// Content that was read for a signature that is refused counts for the next.
	r, other := request("hello", all), request("hello", all)
	for _, name := range []string{"Signature-Input", "Signature"} {
		r.Header.Add(name, strings.Replace(other.Header.Get(name), "c=", "d=", 1))
	}
	f(r, 401, `the signature "d": it does not cover "content-digest"`)

	r = request("", all)
	f(r.Clone(t.Context()), 200, "ann")
	f(r, 401, "it was used before")
	for _, ttl := range store.values {
		if ttl < 5*time.Minute-time.Second || ttl > 5*time.Minute+2*time.Second {
			t.Errorf("a signature is kept for %v", ttl)
		}
	}
	store.err = proxy.Failed
	f(request("", all), 503, "503 Service Unavailable\n")
}

// What a filter signs, and in which fields.
func TestFields(t *testing.T) {
	h := behind(t, `{"sign": {"key": "shared", "algorithm": "hmac-sha256", "keyid": "edge", "label": "a",
		"components": ["@method", "authorization", "content-type"]}}`,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header["Signature-Input"], r.Header["Signature"], r.Header["Content-Digest"], r.Header["Date"], r.Header[signerField])
		}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Content-Type", "text/plain")
	r.Header["Signature"] = []string{"x=:AAAA:", "y=:AAAA:"}
	r.Header.Set(signerField, "root")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	want := `^\[a=\("@method" "content-type"\);created=[0-9]+;expires=[0-9]+;keyid="edge";alg="hmac-sha256"\] \[a=:[A-Za-z0-9+/]{43}=:\] \[\] \[\] \[\]$`
	if !regexp.MustCompile(want).MatchString(w.Body.String()) {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}

func TestConfigure(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		err := (&filter{secret: secrets}).configure([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", config, err, want)
		}
	}
	sign := func(more string) string {
		return `{"sign": {"key": "private", "algorithm": "ed25519", "keyid": "k"` + more + `}}`
	}
	verify := func(more string) string {
		return `{"verify": {"keys": {"k": {"key": "public", "algorithm": "ed25519"}}` + more + `}}`
	}
	f(``, "want sign, verify, or both")
	f(`{"signs": {}}`, `"signs"`)
	f(`{"sign": {}}`, "sign: keyid is missing")
	f(`{"sign": {"keyid": "k", "key": "none"}}`, `sign: the secret "none" cannot be had: the name is not granted`)
	f(`{"sign": {"keyid": "k", "key": "shared"}}`, `the secret "shared": the algorithm is ""`)
	f(`{"sign": {"keyid": "k", "key": "public", "algorithm": "ed25519"}}`, `"public" is a public key, which cannot sign`)
	f(sign(`, "label": "A"`), `label is "A"`)
	f(sign(`, "tag": "ä"`), `"ä" is more than visible`)
	f(sign(`, "expires": "1ms"`), `expires is "1ms"`)
	f(sign(`, "components": ["@status"]`), `the component "@status" is not supported`)
	f(sign(`, "components": ["Date"]`), `the component "Date" is no field name`)
	f(sign(`, "components": ["date", "date"]`), `the component "date" is there twice`)
	f(`{"verify": {}}`, "verify: there are no keys")
	f(`{"verify": {"keys": {"k": {"key": "none"}}}}`, `verify: keys: k: the secret "none"`)
	f(verify(`, "max-age": "25h"`), `max-age is "25h"`)
	f(verify(`, "components": ["@query-param"]`), `"@query-param" is not supported`)
	if err := new(filter).configure([]byte(sign(""))); !errors.Is(err, proxy.Unavailable) {
		t.Errorf("error is %v", err)
	}
}
