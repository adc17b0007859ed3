package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/sdk"
)

const settings = `{
	"plan": "cookie plan", "plans": {"pro": "next"},
	"user": "header X-User", "arms": {"app": 80, "next": 20}}`

func TestArm(t *testing.T) {
	h, err := sdk.Middleware(new(splitter).filter(), []byte(settings),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Sluice-Arm")) }))
	if err != nil {
		t.Fatal(err)
	}
	f := func(cookie, user, want string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		r.Header.Set("X-User", user)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Body.String(); got != want {
			t.Errorf("cookie %q, user %q: got arm %q, want %q", cookie, user, got, want)
		}
	}
	f("", "", "") // nobody decides
	f("plan=pro", "", "next")
	f("a=b; plan=pro", "ann", "next")
	f("plan=free", "", "")
	f("", "ann", "app")
	f("plan=free", "bob", "next")
	f("", "bob", "next")
}

// Shares hold for ids that are alike, and an arm that grows keeps its users.
func TestShares(t *testing.T) {
	load := func(config string) *splitter {
		s := new(splitter)
		if err := s.configure([]byte(config)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	few := load(`{"user": "cookie u", "arms": {"app": 90, "next": 10}}`)
	more := load(`{"user": "cookie u", "arms": {"app": 70, "next": 30}}`)
	const users = 10_000
	n, m := 0, 0
	for i := range users {
		id := fmt.Sprint("user-", i)
		before, after := few.arm("", id), more.arm("", id)
		if before == "next" {
			n++
			if after != "next" {
				t.Fatalf("%s was next, and is %s", id, after)
			}
		}
		if after == "next" {
			m++
		}
	}
	// The ids are always the same, so this is no matter of luck.
	if n < users*9/100 || n > users*11/100 || m < users*28/100 || m > users*32/100 {
		t.Errorf("of %d users %d are next with 10%%, %d with 30%%", users, n, m)
	}
}

func TestConfigure(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		err := new(splitter).configure([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", config, err, want)
		}
	}
	f("", "want plans, arms, or both")
	f(`{"arm": {}}`, `"arm"`)
	f(`{"plans": {"pro": "next"}}`, `plan is "": want "cookie NAME"`)
	f(`{"plan": "query x", "plans": {"pro": "next"}}`, `plan is "query x"`)
	f(`{"arms": {"a": 100}}`, `user is ""`)
	f(`{"user": "cookie ", "arms": {"a": 100}}`, `user is "cookie "`)
	f(`{"user": "cookie u", "plan": "cookie p", "plans": {"pro": "next"}}`, "user is of no use without arms")
	f(`{"user": "cookie u", "arms": {"a": 50, "b": 49}}`, "add up to 99%")
	f(`{"user": "cookie u", "arms": {"a": 150, "b": -50}}`, "b has -50%")
}
