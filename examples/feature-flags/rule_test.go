package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestRule(t *testing.T) {
	f := func(text, user, plan string, want bool) {
		t.Helper()
		r, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		facts := map[string]string{"user": user, "plan": plan}
		if got := r.on("flag", func(name string) string { return facts[name] }); got != want {
			t.Errorf("%s: user %q, plan %q: got %t", text, user, plan, got)
		}
	}
	f("on", "", "", true)
	f("off", "ann", "", false)
	f("100%", "", "", true)
	f("0%", "ann", "", false)
	f("99.99%", "", "", false) // nobody is in no share
	f("99.99%", "ann", "", true)
	f("on plan=pro", "", "pro", true)
	f("on plan=pro", "", "", false)
	f("on plan=pro", "", "pro,free", false)
	f("on plan=pro,team", "", "team", true)
	f("on plan=pro user=ann", "ann", "free", false)
	f("on plan=pro user=ann", "ann", "pro", true)
	f("off plan=free; on", "", "free", false)
	f("off plan=free; on", "", "pro", true)
	f(" on plan=free ;0%", "", "pro", false)
	f("0.01%;on", "ann", "", false) // the first whose conditions hold decides
}

func TestParse(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
	f("", "a clause is empty")
	f("on;", "a clause is empty")
	f("yes", `the share is "yes"`)
	f("10", `the share is "10"`)
	f("101%", `the share is "101%"`)
	f("-1%", `the share is "-1%"`)
	f("NaN%", `the share is "NaN%"`)
	f("1e1%", `the share is "1e1%"`)
	f("%", `the share is "%"`)
	f("on plan", `the condition is "plan"`)
	f("on =a", `the condition is "=a"`)
	f("on plan=", `the condition is "plan="`)
	f("on plan=a,,b", `the condition is "plan=a,,b"`)
	f("on "+strings.Repeat("a", maxRule), "more than 1024")
}

// Shares hold for names that are alike, one that grows keeps its users, and two
// flags have not the same.
func TestShares(t *testing.T) {
	const users = 10_000
	few, more, both := 0, 0, 0
	for i := range users {
		user := fmt.Sprint("user-", i)
		a, b := percent("a", user), percent("b", user)
		if a < 10 {
			few++
		}
		if a < 30 {
			more++
		}
		if a < 10 && b < 10 {
			both++
		}
	}
	// The names are always the same, so this is no matter of luck.
	if few < users*9/100 || few > users*11/100 || more < users*28/100 || more > users*32/100 {
		t.Errorf("of %d users %d are within 10%%, %d within 30%%", users, few, more)
	}
	if both < users*7/1000 || both > users*13/1000 {
		t.Errorf("of %d users %d are within 10%% of both flags, want about a hundredth", users, both)
	}
}

// A rule that is accepted means the same when it is read again, and decides about
// whomever.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{"on", "off;on", "10% user=ann,bob; off plan=free", "0.5%", "on =", "on a=\x00", " ; ", "100%\tx=y"} {
		f.Add(seed, "ann")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		r, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(r.text)
		if err != nil {
			t.Fatalf("%q becomes %q, which is no rule: %v", text, r.text, err)
		}
		fact := func(string) string { return value }
		if got, want := again.on("f", fact), r.on("f", fact); got != want {
			t.Errorf("%q: got %t, then %t", text, want, got)
		}
	})
}
