package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/sdk"
)

func TestRewrite(t *testing.T) {
	h, err := sdk.Middleware(new(rewriter).filter(), []byte(`{
		"rules": [
			{"match": "^/u/([^/]+)$",                "to": "/users?name=$1"},
			{"match": "^/(?P<lang>de|fr)/(.*)$",     "to": "/$2?lang=${lang}"},
			{"match": "^/a/(x)?b$",                  "to": "/c$1"},
			{"match": "^/u/.*$",                     "to": "/never-for-one-segment"}
		],
		"drop": ["utm_*", "fbclid"]}`),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.RequestURI()) }))
	if err != nil {
		t.Fatal(err)
	}
	f := func(target, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if got := w.Body.String(); got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	f("/", "/")
	f("/u/ann", "/users?name=ann")
	f("/u/ann?a=b", "/users?name=ann&a=b")
	f("/u/ann&admin=1", "/users?name=ann%26admin%3D1")
	f("/u/a%20b%2Fc", "/users?name=a+b%2Fc")
	f("/u/ann/x", "/never-for-one-segment")
	f("/fr/pages/1", "/pages/1?lang=fr")
	f("/es/pages/1", "/es/pages/1")
	f("/a/b", "/c") // a group that takes no part
	f("/a/xb", "/cx")
	f("/p?utm_source=x&a=1&fbclid=y&utm%5Fmedium=z&utm", "/p?a=1&utm")
	f("/p?fbclid=y", "/p")
	f("/p?a=%zz&b", "/p?a=%zz&b") // not ours to judge
}

func TestConfigure(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		err := new(rewriter).configure([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", config, err, want)
		}
	}
	f("", "want rules, drop, or both")
	f("{}", "want rules, drop, or both")
	f(`{"rule": []}`, `"rule"`)
	f(`{"rules": [null]}`, "rule 1: want match and to")
	f(`{"rules": [{"match": "/", "to": "/"}, {"match": "(", "to": "/"}]}`, "rule 2: error parsing regexp")
	f(`{"rules": [{"match": "/", "to": "a"}]}`, `rule 1: to is "a"`)
	f(`{"rules": [{"match": "/", "to": "/a b"}]}`, `rule 1: to is "/a b"`)
	f(`{"rules": [{"match": "/"}]}`, `rule 1: to is ""`)
}
