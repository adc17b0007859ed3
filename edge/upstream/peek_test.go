package upstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge/balance"
)

// Peek says in which order endpoints are tried, and why some come last.
func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPool(t, Config{Retries: 3, Suspend: 10 * time.Second}, "a", "b weight 2", "c", "d backup")
		check := func(want string) {
			t.Helper()
			var got []string
			for _, c := range p.Peek() {
				s := c.Address
				switch {
				case c.Suspended > 0:
					s += fmt.Sprintf("(%s for %s)", c.Failure, c.Suspended.Round(time.Second))
				case c.Trial:
					s += fmt.Sprintf("(trial after %s)", c.Failure)
				}
				got = append(got, s)
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("got %q, want %q", s, want)
			}
		}
		check("b a c d")
		check("b a c d")
		f.set(refused, "a", "b", "c", "d")
		send(p)
		if got, want := f.called(), "b a c d"; got != want {
			t.Errorf("called %q, want %q", got, want)
		}
		f.set(nil, "a", "b", "c", "d")
		<-time.After(4 * time.Second)
		f.set(late, "a")
		const kind = "(connection_refused for 6s)"
		check("c" + kind + " a" + kind + " b" + kind + " d" + kind)
		<-time.After(6 * time.Second)
		const trial = "(trial after connection_refused)"
		check("c" + trial + " a" + trial + " b" + trial + " d" + trial)
		send(p)
		if got := f.called(); got != "c" {
			t.Errorf("called %q, want c", got)
		}
	})
}

// Whatever has happened, the first that Peek names is the next that is asked.
func TestPeekAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for range 200 {
			policy := balance.Policy(r.IntN(2))
			addresses := []string{"a", "b weight 3", "c", "d backup", "e backup"}[:2+r.IntN(4)]
			p, f := newPool(t, Config{Balance: policy, Retries: r.IntN(4), Suspend: 5 * time.Second}, addresses...)
			for range 50 {
				<-time.After(time.Duration(r.IntN(4)) * time.Second)
				for _, e := range p.Status().Endpoints {
					f.set([]error{nil, nil, refused, late}[r.IntN(4)], e.Address)
				}
				var want []string
				for _, c := range p.Peek() {
					want = append(want, c.Address)
				}
				send(p)
				if got := strings.Fields(f.called()); got[0] != want[0] {
					t.Fatalf("%s: called %q, want %q", policy, got, want)
				}
			}
		}
	})
}
