package route

import (
	"fmt"
	"strings"
	"testing"
)

func hostTable(patterns ...string) (*Hosts[string], []Problem) {
	var list []HostEntry[string]
	for _, p := range patterns {
		list = append(list, HostEntry[string]{p, p})
	}
	return NewHosts(list)
}

func TestHosts(t *testing.T) {
	hosts, problems := hostTable("*", "example.com", "WWW.Example.com.", "*.example.com", "*.api.example.com", "[::1]", "10.0.0.1", "a_b.test")
	if problems != nil {
		t.Fatal(problems)
	}
	check := func(authority, want string) {
		t.Helper()
		if got, _ := hosts.Lookup(authority); got != want {
			t.Errorf("%q: got %q, want %q", authority, got, want)
		}
	}
	check("example.com", "example.com")
	check("EXAMPLE.com:8080", "example.com")
	check("example.com.", "example.com")
	check("example.com.:443", "example.com")
	check("www.example.com", "WWW.Example.com.")
	check("shop.example.com", "*.example.com")
	check("a.b.example.com", "*.example.com") // one label or more
	check("api.example.com", "*.example.com")
	check("v1.api.example.com:1", "*.api.example.com") // the longest
	check("a.v1.API.example.com", "*.api.example.com")
	check(".example.com", "*") // no label
	check("xexample.com", "*")
	check("example.com.evil.test", "*")
	check("example.com..", "*")
	check("com", "*")
	check("", "*")
	check(":80", "*")
	check("[::1]", "[::1]")
	check("[::1]:443", "[::1]")
	check("::1", "*")
	check("10.0.0.1:80", "10.0.0.1")
	check("a_b.test", "a_b.test")
	check(strings.Repeat("a", 241)+".example.com", "*.example.com")
	check(strings.Repeat("a", 242)+".example.com", "*") // too long for a name
	check(strings.Repeat("a.", 10_000)+"example.com", "*")

	few, _ := hostTable("example.com")
	for _, authority := range []string{"", "x.example.com", "example.org"} {
		if got, ok := few.Lookup(authority); ok {
			t.Errorf("%q: got %q, want none", authority, got)
		}
	}
}

func TestHostProblems(t *testing.T) {
	check := func(want string, patterns ...string) {
		t.Helper()
		hosts, problems := hostTable(patterns...)
		got := ""
		for _, p := range problems {
			got += fmt.Sprintf("%d %d %v\n", p.Entry, p.Other, p)
		}
		if hosts != nil || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", patterns, got, want)
		}
	}
	check(`1 0 "a.test" and "A.test." are the same host`, "a.test", "A.test.")
	check(`2 1 "*.a.test" and "*.A.test" are`, "x", "*.a.test", "*.A.test")
	check("empty label", "")
	check("empty label", "a..test")
	check("empty label", ".test")
	check("whole labels", "*.")
	check("whole labels", "a*.test")
	check("whole labels", "a.*.test")
	check("whole labels", "**")
	check("a port does not belong", "a.test:80")
	check("in ASCII", "b\u00fccher.test")
	check(`'/' cannot be part`, "a/b")
	check("longer than 253", strings.Repeat("a.", 127)+"a")
	check("1 -1 ", "ok.test", "a b") // all are listed
}

func TestHostname(t *testing.T) {
	check := func(authority, want string) {
		t.Helper()
		if got := Hostname(authority); got != want {
			t.Errorf("Hostname(%q) = %q, want %q", authority, got, want)
		}
	}
	check("a.test", "a.test")
	check("a.test:80", "a.test")
	check("a.test:", "a.test")
	check("[::1]", "[::1]")
	check("[::1]:80", "[::1]")
	check("", "")
}

func TestHostsAllocs(t *testing.T) {
	hosts, _ := hostTable("example.com", "*.example.com")
	for _, authority := range []string{"example.com", "A.B.Example.com:80", "other.test"} {
		if n := testing.AllocsPerRun(100, func() { hosts.Lookup(authority) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", authority, n)
		}
	}
}

func FuzzHosts(f *testing.F) {
	for _, s := range []string{"example.com", "a.example.com:80", "[::1]:443", "..", ":", "EXAMPLE.com.", ".example.com"} {
		f.Add(s)
	}
	hosts, _ := hostTable("example.com", "*.example.com")
	f.Fuzz(func(t *testing.T, authority string) {
		got, _ := hosts.Lookup(authority)
		name := strings.TrimSuffix(strings.ToLower(Hostname(authority)), ".")
		want := ""
		switch label, isBelow := strings.CutSuffix(name, ".example.com"); {
		case len(name) > maxHost:
		case name == "example.com":
			want = "example.com"
		case isBelow && label != "":
			want = "*.example.com"
		}
		// ToLower folds letters beyond ASCII too (U+212A to k), which names have not.
		if got != want && strings.ToLower(authority) == strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			return c
		}, authority) {
			t.Errorf("%q: got %q, want %q", authority, got, want)
		}
	})
}

func BenchmarkHosts(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		patterns := []string{"*"}
		for i := range n {
			patterns = append(patterns, fmt.Sprintf("www.site%d.test", i), fmt.Sprintf("*.wild%d.test", i))
		}
		hosts, _ := hostTable(patterns...)
		for _, authority := range []string{"www.site9.test", "a.b.wild9.test:443", "unknown.test"} {
			b.Run(fmt.Sprintf("%s/%d", authority, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					hosts.Lookup(authority)
				}
			})
		}
	}
}
