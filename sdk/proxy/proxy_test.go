package proxy

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

// Outside of a module everything says that it is not to be had.
func TestNative(t *testing.T) {
	f := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, Unavailable) {
			t.Errorf("%s: error is %v", what, err)
		}
	}
	ns := Namespace("n")
	_, _, err := ns.Get("k")
	f("get", err)
	_, err = ns.Set("k", nil, 0, Always)
	f("set", err)
	f("delete", ns.Delete("k", Absent))
	_, err = ns.Add("k", 1, 0)
	f("add", err)
	_, err = ns.List("", "")
	f("list", err)
	_, err = (&Fetch{Upstream: "u", URI: "/"}).Start()
	f("fetch", err)
	_, err = NewCounter("c_total")
	f("counter", err)
	_, err = Client(TLS)
	f("client", err)
	_, err = Name(Arm)
	f("name", err)
	f("choose", Choose(Arm, "a"))
	f("log", LogField("a", "b"))
	f("hints", Hints(Field{"link", "</a>"}))
	_, err = Secret("s")
	f("secret", err)
}

// A getter is called again with room for what it has.
func TestRead(t *testing.T) {
	want := make([]byte, 1000)
	want[999] = 1
	calls := 0
	got, err := read(func(buf []byte) int32 {
		if calls++; len(buf) >= len(want) {
			copy(buf, want)
		}
		return int32(len(want))
	})
	if err != nil || !slices.Equal(got, want) || calls != 2 {
		t.Errorf("%d bytes after %d calls, %v", len(got), calls, err)
	}
	if _, err := read(func([]byte) int32 { return -3 }); !errors.Is(err, Denied) {
		t.Errorf("error is %v", err)
	}
	list := func(text string, result int64) ([]string, error) {
		return readList(func(buf []byte) int64 { copy(buf, text); return result })
	}
	if got, err := list("a\x00\x00b\x00", 3<<32|5); err != nil || !slices.Equal(got, []string{"a", "", "b"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := list("", 0); err != nil || got != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := list("", -8); !errors.Is(err, Unavailable) {
		t.Errorf("error is %v", err)
	}
}

func TestArguments(t *testing.T) {
	if got, want := pairs([]Field{{"a", "b"}, {"c", ""}}), "a\x00b\x00c\x00\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Millisecond: 1, time.Second: 1000, -1: -1, -time.Hour: -1} {
		if got := milliseconds(d); got != want {
			t.Errorf("%v: got %d, want %d", d, got, want)
		}
	}
}

// A fetch whose time is over before it begins does not begin.
func TestFetchTooLate(t *testing.T) {
	if _, err := (&Fetch{Upstream: "u", URI: "/", Timeout: -1}).Start(); !errors.Is(err, Timeout) {
		t.Errorf("error is %v", err)
	}
}

// All languages have the same functions, which are those that docs/abi.md has.
func TestFunctions(t *testing.T) {
	all := os.DirFS("../..")
	f := func(name, pattern string) []string {
		t.Helper()
		text, err := fs.ReadFile(all, name)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			list = append(list, string(m[1]))
		}
		slices.Sort(list)
		return list
	}
	want := f("docs/abi.md", "(?m)^\\| `((?:kv|fetch|metric|log|client|route|hints|secret)_[a-z]+)` \\| `\\((?:ns|upstream|handle|kind|number|name|what|fields)")
	if len(want) < 22 {
		t.Fatalf("docs/abi.md has %q", want)
	}
	for name, pattern := range map[string]string{
		"sdk/proxy/guest.go":   `(?m)^//go:wasmimport sluice (\w+)`,
		"sdk/c/sluice.h":       `(?m)^SLUICE_PROXY\((\w+)\)`,
		"sdk/rust/src/host.rs": `pub fn ((?:kv|fetch|metric|client|route|hints|secret)_\w+|log_field)\(`,

		"sdk/assemblyscript/assembly/host.ts": `(?m)^@external\("sluice", "(\w+)"\)`,
	} {
		if got := f(name, pattern); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
