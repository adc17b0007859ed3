package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/sdk"
)

func TestAuth(t *testing.T) {
	a := new(auth)
	h, err := sdk.Middleware(a.filter(), []byte(`{"keys":{"ann":"k-1"},"secret":"s"}`),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Origin", r.Header.Get("X-User")+r.Header.Get("X-Api-Key"))
		}))
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().Add(time.Hour).Unix()
	f := func(name, value string, status int, user string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-User", "root")
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("X-Origin"); w.Code != status || got != user {
			t.Errorf("%s %q: %d, user %q", name, value, w.Code, got)
		}
	}
	f("X-Api-Key", "k-1", 200, "ann")
	f("X-Api-Key", "k-2", 401, "")
	f("X-Other", "", 401, "")
	f("Authorization", "Bearer "+sign("bob", hour, "s"), 200, "bob")
	f("Authorization", "bearer "+sign("bob", hour, "s"), 200, "bob")
	f("Authorization", "Basic "+sign("bob", hour, "s"), 401, "")
	f("Authorization", "Bearer "+sign("bob", hour, "other"), 401, "")
	f("Authorization", "Bearer "+sign("bob", time.Now().Unix(), "s"), 401, "") // expired
	f("Authorization", "Bearer "+sign("", hour, "s"), 401, "")
	f("Authorization", "Bearer x", 401, "")
	f("Authorization", "Bearer .", 401, "")
}

func TestConfigure(t *testing.T) {
	for _, config := range []string{"", "{", "{}", `{"keys":{"ann":""}}`, `{"keys":["ann"]}`} {
		if err := new(auth).configure([]byte(config)); err == nil {
			t.Errorf("%q is accepted", config)
		}
	}
}
