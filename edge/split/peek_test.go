package split

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// Peek says which arm Assign chooses, whoever comes, and changes nothing.
func TestPeekAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, by := range []string{"cookie", "cookie sid", "header X-User", "client", "chance", "filter"} {
		s := shop(t, by)
		for range 2000 {
			x := request()
			if r.IntN(3) > 0 {
				x.Request.Fields.Add("Cookie", fmt.Sprintf("sid=%d", r.IntN(1000)))
			}
			if r.IntN(3) > 0 {
				x.Request.Fields.Add("X-User", fmt.Sprint(r.IntN(1000)))
			}
			if r.IntN(3) > 0 {
				x.Request.Fields.Add("Cookie", "sluice_checkout="+s.arms[r.IntN(2)].token)
			}
			if r.IntN(3) > 0 {
				x.Record.ClientAddr = netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(256)), byte(r.IntN(256))})
			}
			counts := s.Counts()
			arm, why := s.Peek(x)
			if again, _ := s.Peek(x); again != arm || why == "" {
				t.Fatalf("by %s: arm %d, then %d: %s", by, arm, again, why)
			}
			if x.Record.Arm != "" || !slices.Equal(s.Counts(), counts) {
				t.Fatalf("by %s: Peek has counted or noted", by)
			}
			if got, _ := s.Assign(x); got != arm {
				t.Fatalf("by %s: Assign chose %d, Peek %d, since %s", by, got, arm, why)
			}
			if r.IntN(100) == 0 {
				if err := s.SetWeights([]rollout.Weight{50 * percent, 50 * percent}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestPeekWhy(t *testing.T) {
	const secret = "s3cr3t"
	check := func(by string, x *edge.Exchange, want string) {
		t.Helper()
		s := shop(t, by)
		arm, why := s.Peek(x)
		if why != want {
			t.Errorf("by %s: %q, want %q", by, why, want)
		}
		if strings.Contains(why, secret) || strings.Contains(why, s.arms[arm].token) {
			t.Errorf("by %s: %q tells a secret", by, why)
		}
	}
	token := shop(t, "cookie").arms[1].token
	check("cookie", request("Cookie", "sluice_checkout="+token), "our cookie sluice_checkout says so")
	check("cookie", request(), "a newcomer, without our cookie sluice_checkout: the next one is dealt this arm (95%), and told to remember it")
	check("cookie", request("Cookie", "sluice_checkout="+secret), "our cookie sluice_checkout names no arm that there is: the next one is dealt this arm (95%), and told to remember it")
	check("cookie sid", request("Cookie", "sid="+secret), "the hash of cookie sid falls into its 95%")
	check("cookie sid", request(), "the request has no cookie sid: the next one is dealt this arm (95%)")
	check("header X-User", request("X-User", secret), "the hash of field X-User falls into its 95%")
	check("header X-User", request("X-User", ""), "the request has no field X-User: the next one is dealt this arm (95%)")
	check("client", from("192.0.2.7:1"), "the hash of the client's address falls into its 95%")
	check("client", request(), "the client's address is not known: the next one is dealt this arm (95%)")
	check("chance", request(), "by chance: the next one is dealt this arm (95%)")
	check("filter", request(), "unless a filter chooses another: the next one is dealt this arm (95%)")
}

// Whom a filter leaves alone is dealt an arm, and not told to remember it.
func TestByFilter(t *testing.T) {
	s := shop(t, "filter")
	for range 1000 {
		if _, remember := s.Assign(request("Cookie", "sluice_checkout="+s.arms[1].token)); remember {
			t.Fatal("remembered")
		}
	}
	if got, want := s.Counts(), []uint64{950, 50}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOverride(t *testing.T) {
	s := shop(t, "filter")
	check := func(before, name string, wantArm int, wantOK bool, wantRecord string, want ...uint64) {
		t.Helper()
		x := request()
		x.Record.Arm = before
		arm, ok := s.Override(x, name)
		if arm != wantArm || ok != wantOK || x.Record.Arm != wantRecord {
			t.Errorf("from %q to %q: %d, %v, record %q", before, name, arm, ok, x.Record.Arm)
		}
		if got := s.Counts(); !slices.Equal(got, want) {
			t.Errorf("from %q to %q: counts %v, want %v", before, name, got, want)
		}
	}
	s.Assign(request())
	s.Assign(request())
	check("shop", "shop-v2", 1, true, "shop-v2", 1, 1)
	check("shop-v2", "shop-v2", 1, true, "shop-v2", 1, 1)
	check("shop-v2", "shop", 0, true, "shop", 2, 0)
	check("shop", "nobody", 0, false, "shop", 2, 0)
	check("shop", "", 0, false, "shop", 2, 0)
	check("", "shop-v2", 1, true, "shop-v2", 2, 1) // none was assigned before
	check("gone", "shop-v2", 1, true, "shop-v2", 2, 2)
}

// Nobody is lost on the way from one arm to another.
func TestOverrideConcurrently(t *testing.T) {
	s := shop(t, "filter")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				x := request()
				s.Assign(x)
				s.Override(x, "shop-v2")
				s.Peek(x)
			}
		})
	}
	wg.Wait()
	if got, want := s.Counts(), []uint64{0, 4000}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	x := request()
	if n := testing.AllocsPerRun(100, func() {
		s.Assign(x)
		s.Override(x, "shop-v2")
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
