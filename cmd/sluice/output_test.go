package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

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
