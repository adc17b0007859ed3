package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

func TestTableFits(t *testing.T) {
	table := newTable("NAME", ">COUNT", "WHERE")
	table.add("a", "1", "on every route of the shop and of the other shop")
	table.add("a rather long name of a filter", "1,234", "nowhere")
	f := func(columns int, want string) {
		t.Helper()
		var b bytes.Buffer
		if err := table.print(&b, columns); err != nil {
			t.Fatal(err)
		}
		if b.String() != strings.TrimPrefix(want, "\n") {
			t.Errorf("in %d columns: got\n%s\nwant\n%s", columns, &b, want)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns >= 21 && n > columns {
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
NAME                       COUNT  WHERE
a                              1  on every route of the sho…
a rather long name of a …  1,234  nowhere
`)
	f(3, `
NAME    COUNT  WHERE
a           1  on ev…
a rat…  1,234  nowhe…
`) // no narrower than can be read
}

func TestPrintable(t *testing.T) {
	if got, want := printable("a\x1b[2Jb\nc\u202e"), "a\uFFFD[2Jb\uFFFDc\uFFFD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTexts(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(bytesText(0), "0B")
	f(bytesText(1023), "1023B")
	f(bytesText(1024), "1KB")
	f(bytesText(1536), "1.5KB")
	f(bytesText(1<<20-1), "1MB")
	f(bytesText(1<<62), "4EB")
	f(percentText(2.5), "2.5%")
	f(percentText(100), "100%")
	f(countText(0), "0")
	f(countText(999), "999")
	f(countText(1000), "1,000")
	f(countText(1234567), "1,234,567")
	f(ageText(-time.Second), "0s")
	f(ageText(59*time.Second), "59s")
	f(ageText(61*time.Minute), "1h01m")
	f(ageText(50*time.Hour), "2d02h")
	f(plural(1, "reload"), "1 reload")
	f(plural(0, "reload"), "0 reloads")
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	clock := now
	p := newProgress(&b, 60, "upload auth", 4<<20, func() time.Time { return clock })
	f := func(after time.Duration, done int64, want string) {
		t.Helper()
		clock = clock.Add(after)
		b.Reset()
		p.set(done)
		if b.String() != want {
			t.Errorf("got %q, want %q", &b, want)
		}
	}
	f(999*time.Millisecond, 1<<20, "") // what takes less than a second shows nothing
	f(time.Millisecond, 1<<20, "\rupload auth [=======                      ]  25% 1MB of 4MB\x1b[K")
	f(99*time.Millisecond, 2<<20, "") // not too often
	f(time.Millisecond, 2<<20, "\rupload auth [==============               ]  50% 2MB of 4MB\x1b[K")
	f(0, 4<<20, "\rupload auth [=============================] 100% 4MB of 4MB\x1b[K") // the end shows at once
	b.Reset()
	p.clear()
	p.clear()
	if got, want := b.String(), "\r\x1b[K"; got != want {
		t.Errorf("clear: got %q, want %q", got, want)
	}
	narrow := newProgress(&b, 20, "upload auth", 0, func() time.Time { return clock })
	clock = clock.Add(time.Hour)
	b.Reset()
	narrow.set(0)
	if got, want := b.String(), "\rupload auth  100% …\x1b[K"; got != want {
		t.Errorf("narrow: got %q, want %q", got, want)
	}
}

// Whatever shares are asked for, the weights are those, and 100 in sum.
func TestDivide(t *testing.T) {
	f := func(have []float64, want map[string]float64, asked ...string) {
		t.Helper()
		s := api.Split{Route: "r"}
		for i, share := range have {
			s.Arms = append(s.Arms, api.Arm{Name: string(rune('a' + i)), Share: share})
		}
		shares, err := parseShares(asked)
		if err != nil {
			t.Fatal(err)
		}
		got, err := divide(s, shares)
		if err != nil {
			t.Errorf("%v of %v: %v", asked, have, err)
			return
		}
		sum := 0.0
		for name, w := range got {
			sum += w
			if w != want[name] {
				t.Errorf("%v of %v: got %v, want %v", asked, have, got, want)
				break
			}
		}
		if len(got) != len(want) || round(sum) != 100 {
			t.Errorf("%v of %v: got %v, %v in sum", asked, have, got, sum)
		}
	}
	f([]float64{95, 5}, map[string]float64{"a": 90, "b": 10}, "10%")
	f([]float64{95, 5}, map[string]float64{"a": 97.5, "b": 2.5}, "2.5")
	f([]float64{95, 5}, map[string]float64{"a": 0, "b": 100}, "100%")
	f([]float64{95, 5}, map[string]float64{"a": 30, "b": 70}, "a=30%")
	f([]float64{100, 0}, map[string]float64{"a": 0, "b": 100}, "a=0")
	f([]float64{50, 30, 20}, map[string]float64{"a": 70, "b": 18, "c": 12}, "a=70")
	f([]float64{50, 30, 20}, map[string]float64{"a": 50, "b": 30, "c": 20}, "a=50", "b=30", "c=20")
	f([]float64{100, 0, 0}, map[string]float64{"a": 40, "b": 30, "c": 30}, "a=40")
	f([]float64{40, 20, 20, 20}, map[string]float64{"a": 0, "b": 33.333333, "c": 33.333333, "d": 33.333334}, "a=0")
}
