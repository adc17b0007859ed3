package text

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := Printable(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	f("", "")
	f("plain, naïve, 日本 🙂", "plain, naïve, 日本 🙂")
	f("a\x1b[2Jb\nc\td\x7f\x00", `a\x1b[2Jb\nc\td\x7f\x00`)
	f("\u202eright to left\u200d\u00a0", `\u202eright to left\u200d\u00a0`)
	f("\u0085\u009b31m", `\u0085\u009b31m`) // C1: a control sequence in one character
	f("\xff\x9b", `\xff\x9b`)
	f("\U000e0041", `\U000e0041`)
	f("�", "�")
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2Jb\nc\u202e\xff")
	f.Add("日本\u0301🙂")
	f.Fuzz(func(t *testing.T, s string) {
		p := Printable(s)
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e }) || !utf8.ValidString(p) {
			t.Errorf("%q: %q can steer a terminal", s, p)
		}
		if again := Printable(p); again != p {
			t.Errorf("%q: %q is not stable: %q", s, p, again)
		}
		for n := range 12 {
			if c := Cut(p, n); Width(c) > n || !utf8.ValidString(c) {
				t.Errorf("%q in %d columns: got %q, of %d", p, n, c, Width(c))
			}
		}
	})
}

func TestLines(t *testing.T) {
	if got, want := Lines("a\x1b\r\n\tb\rc\n"), "a\\x1b\n\tb\\rc\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWidth(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got := Width(s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
	f("", 0)
	f("abc…", 4)
	f("naïve", 5)
	f("nai\u0308ve", 5) // a letter and its accent
	f("日本", 4)
	f("ｆｕｌｌ", 8)
	f("ﾊﾝ", 2)
	f("🙂", 2)
}

func TestCut(t *testing.T) {
	f := func(s string, n int, want string) {
		t.Helper()
		if got := Cut(s, n); got != want {
			t.Errorf("%q in %d columns: got %q, want %q", s, n, got, want)
		}
	}
	f("abc", 3, "abc")
	f("abcd", 3, "ab…")
	f("日本語", 6, "日本語")
	f("日本語", 5, "日本…")
	f("日本語", 4, "日…") // half a character cannot be shown
	f("abc", 1, "…")
	f("abc", 0, "")
	f("nai\u0308ve", 4, "nai\u0308…")
}

func TestWrap(t *testing.T) {
	f := func(s string, n int, want ...string) {
		t.Helper()
		if got := Wrap(s, n); !slices.Equal(got, want) {
			t.Errorf("%q in %d columns: got %q, want %q", s, n, got, want)
		}
	}
	f("", 10, "")
	f("one two  three", 0, "one two three")
	f("one two three", 7, "one two", "three")
	f("a-word-too-long for it", 6, "a-word-too-long", "for it")
	f("日本 日本", 8, "日本", "日本")
}

func TestTableFits(t *testing.T) {
	table := func() *Table {
		t := NewTable("NAME", ">COUNT", "", "??WHERE")
		t.Add("a", "1", "", "on every route of the shop and of the other shop")
		t.Add("a rather long name of a filter", "1,234", "", "nowhere")
		return t
	}
	f := func(columns int, want string) {
		t.Helper()
		var b bytes.Buffer
		if err := table().Write(&b, columns, false); err != nil {
			t.Fatal(err)
		}
		if b.String() != strings.TrimPrefix(want, "\n") {
			t.Errorf("in %d columns: got\n%s\nwant\n%s", columns, &b, want)
		}
		for line := range strings.Lines(b.String()) {
			if n := Width(strings.TrimSuffix(line, "\n")); columns > 0 && n > columns {
				t.Errorf("a line of %d columns, want at most %d: %q", n, columns, line)
			}
		}
	}
	f(0, `
NAME                            COUNT  WHERE
a                                   1  on every route of the shop and of the other shop
a rather long name of a filter  1,234  nowhere
`)
	f(60, `
NAME                            COUNT  WHERE
a                                   1  on every route of th…
a rather long name of a filter  1,234  nowhere
`) // what matters least is cut first
	f(40, `
NAME                     COUNT  WHERE
a                            1  on ever…
a rather long name of …  1,234  nowhere
`)
	f(24, `
NAME      COUNT …
a             1
a rathe…  1,234
`)
	f(3, `
… …
a
…
`)
}

// Numbers are never cut: the rest of one is another number.
func TestTableNumbers(t *testing.T) {
	table := NewTable("NAME", ">BYTES", ">?RUNS")
	table.Add("somewhat long", "123,456,789", "987,654,321")
	for columns := 1; columns < 60; columns++ {
		var b bytes.Buffer
		if err := table.Write(&b, columns, false); err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(b.String()) {
			if strings.ContainsAny(word, "0123456789") && word != "123,456,789" && word != "987,654,321" {
				t.Errorf("in %d columns: %q is no number of the table", columns, word)
			}
		}
	}
}

func TestTableWide(t *testing.T) {
	table := NewTable("NAME", ">N")
	table.Add("日本", "1")
	table.Add("a\x1bb", "2")
	var b bytes.Buffer
	if err := table.Write(&b, 80, true); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "\x1b[1mNAME    N\x1b[0m\n日本    1\na\\x1bb  2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNumbers(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(Bytes(0), "0B")
	f(Bytes(1023), "1023B")
	f(Bytes(1024), "1KB")
	f(Bytes(1536), "1.5KB")
	f(Bytes(1<<20-1), "1MB")
	f(Bytes(1<<62), "4EB")
	f(Percent(2.5), "2.5%")
	f(Percent(100), "100%")
	f(Share(0), "0%")
	f(Share(1e-9), "<0.01%")
	f(Share(0.00123), "0.12%")
	f(Share(0.5), "50.0%")
	f(Share(0.99999), ">99.99%")
	f(Share(1), "100%")
	f(Rate(0), "0/s")
	f(Rate(1.0/60), "<0.1/s")
	f(Rate(12.34), "12.3/s")
	f(Rate(12345.6), "12,346/s")
	f(Milliseconds(0), "0ms")
	f(Milliseconds(0.0001), "<1us")
	f(Milliseconds(0.25), "250us")
	f(Milliseconds(0.9999), "1.0ms")
	f(Milliseconds(1.26), "1.3ms")
	f(Milliseconds(9.999), "10ms")
	f(Milliseconds(999.7), "1.0s")
	f(Milliseconds(61_000), "1m")
	f(Count(0), "0")
	f(Count(999), "999")
	f(Count(1000), "1,000")
	f(Count(1234567), "1,234,567")
	f(Age(-time.Second), "0s")
	f(Age(59*time.Second), "59s")
	f(Age(61*time.Minute), "1h01m")
	f(Age(50*time.Hour), "2d02h")
	f(Plural(1, "reload"), "1 reload")
	f(Plural(0, "reload"), "0 reloads")
	f(Plural(2000, "miss"), "2,000 misses")
}
