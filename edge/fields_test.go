package edge

import (
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// fieldsOf makes fields of "Name: value" lines.
func fieldsOf(lines ...string) (f Fields) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		f.Add(name, value)
	}
	return f
}

func linesOf(f *Fields) (lines []string) {
	for name, value := range f.All() {
		lines = append(lines, name+": "+value)
	}
	return lines
}

func TestFieldsChange(t *testing.T) {
	check := func(change func(f *Fields), want ...string) {
		t.Helper()
		f := fieldsOf("A: 1", "B: 2", "a: 3", "C: 4")
		change(&f)
		if got := linesOf(&f); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		// What is beyond the end must not keep strings of lines that are gone.
		for _, l := range f.list[len(f.list):cap(f.list)] {
			if l != (Field{}) {
				t.Errorf("a removed line is still in memory: %q", l)
			}
		}
	}
	check(func(f *Fields) {}, "A: 1", "B: 2", "a: 3", "C: 4")
	check(func(f *Fields) { f.Add("B", "5") }, "A: 1", "B: 2", "a: 3", "C: 4", "B: 5")
	check(func(f *Fields) { f.Set("b", "5") }, "A: 1", "B: 5", "a: 3", "C: 4") // keeps its spelling
	check(func(f *Fields) { f.Set("A", "5") }, "A: 5", "B: 2", "C: 4")         // in the place of the first
	check(func(f *Fields) { f.Set("D", "5") }, "A: 1", "B: 2", "a: 3", "C: 4", "D: 5")
	check(func(f *Fields) { f.Del("a") }, "B: 2", "C: 4")
	check(func(f *Fields) { f.Del("C") }, "A: 1", "B: 2", "a: 3")
	check(func(f *Fields) { f.Del("D") }, "A: 1", "B: 2", "a: 3", "C: 4")
	check(func(f *Fields) { f.DelFunc(func(n, v string) bool { return v > "2" }) }, "A: 1", "B: 2")
	check(func(f *Fields) { f.DelFunc(func(n, v string) bool { return true }) })
	check(func(f *Fields) { f.Reset() })
	check(func(f *Fields) { f.CopyFrom(new(Fields)) })
	check(func(f *Fields) { o := fieldsOf("X: 9"); f.CopyFrom(&o) }, "X: 9")
}

func TestFieldsLookup(t *testing.T) {
	f := fieldsOf("A: 1", "B: ", "a: 3")
	check := func(name, want string, wantOK bool, all ...string) {
		t.Helper()
		if got, ok := f.Lookup(name); got != want || ok != wantOK {
			t.Errorf("Lookup(%q) = %q, %v, want %q, %v", name, got, ok, want, wantOK)
		}
		if got := f.Get(name); got != want {
			t.Errorf("Get(%q) = %q, want %q", name, got, want)
		}
		if got := f.Has(name); got != wantOK {
			t.Errorf("Has(%q) = %v, want %v", name, got, wantOK)
		}
		if got := slices.Collect(f.Values(name)); !slices.Equal(got, all) {
			t.Errorf("Values(%q) = %q, want %q", name, got, all)
		}
	}
	check("A", "1", true, "1", "3")
	check("a", "1", true, "1", "3")
	check("b", "", true, "")
	check("C", "", false)
	check("", "", false)
	for range f.Values("A") {
		break // a caller may stop
	}
	for range f.All() {
		break
	}
	if f.Len() != 3 || f.At(2) != (Field{"a", "3"}) {
		t.Errorf("got %d lines, of which the last is %q", f.Len(), f.At(2))
	}
}

func TestFieldsClone(t *testing.T) {
	head := []byte("NameValue")
	text := unsafe.String(&head[0], len(head))
	var f Fields
	f.Add(text[:4], text[4:])
	c := f.Clone()
	copy(head, "!!!!!!!!!")
	if got := linesOf(&c); !slices.Equal(got, []string{"Name: Value"}) {
		t.Errorf("a clone changed with the buffer of the original: %q", got)
	}
	c.Add("More", "")
	if f.Len() != 1 {
		t.Error("a clone shares its list with the original")
	}
}

func FuzzEqualFold(f *testing.F) {
	f.Add("Content-Length", "content-length")
	f.Add("a", "A")
	f.Add("@", "`") // 0x40 and 0x60 differ in the bit of case, and are no letters
	f.Add("[", "{")
	f.Add("k", "\u212a") // the Kelvin sign folds to k in Unicode
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		lower := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					r += 'a' - 'A'
				}
				return r
			}, s)
		}
		// As bytes: Map would join different invalid bytes to one replacement.
		ascii := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }
		want := a == b
		if ascii(a) && ascii(b) {
			want = lower(a) == lower(b)
		}
		if got := EqualFold(a, b); got != want && ascii(a) && ascii(b) {
			t.Errorf("EqualFold(%q, %q) = %v, want %v", a, b, got, want)
		}
		if EqualFold(a, b) != EqualFold(b, a) || !EqualFold(a, a) {
			t.Errorf("EqualFold(%q, %q) is not symmetric, or not reflexive", a, b)
		}
		if EqualFold(a, b) && !strings.EqualFold(a, b) {
			t.Errorf("EqualFold(%q, %q), but Unicode says that they differ", a, b)
		}
	})
}

func TestConnectionField(t *testing.T) {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade", "Content-Length", "Host"} {
		for _, s := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if !ConnectionField(s) {
				t.Errorf("%s is none", s)
			}
		}
		if ConnectionField(name+"x") || ConnectionField(name[1:]) || ConnectionField("x"+name[1:]) {
			t.Errorf("something like %s is one", name)
		}
	}
	for _, name := range []string{"", "Trailer", "Expect", "Content-Type", "Proxy-Authorization", "Content\x0dLength"} {
		if ConnectionField(name) {
			t.Errorf("%q is one", name)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = ConnectionField("Proxy-Connection") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
