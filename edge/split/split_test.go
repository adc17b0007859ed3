package split

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

const percent = rollout.Percent

// shop is a split of 95% and 5%.
func shop(t testing.TB, by string) *Split {
	t.Helper()
	b, err := ParseBy(by)
	if err != nil {
		t.Fatal(err)
	}
	return mustNew(t, Config{Name: "checkout", Arms: []Arm{{"shop", 95 * percent}, {"shop-v2", 5 * percent}}, By: b})
}

func mustNew(t testing.TB, cfg Config) *Split {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request returns an exchange with fields in pairs.
func request(fields ...string) *edge.Exchange {
	x := new(edge.Exchange)
	for i := 0; i < len(fields); i += 2 {
		x.Request.Fields.Add(fields[i], fields[i+1])
	}
	return x
}

func from(addr string) *edge.Exchange {
	c := edge.NewClient(netip.MustParseAddrPort(addr), netip.AddrPort{}, nil)
	return &edge.Exchange{Client: &c, Record: edge.Record{ClientAddr: c.Addr.Addr(), ClientIP: c.IP}}
}

// A newcomer is dealt an arm, told so, and recognised from then on.
func TestOwnCookie(t *testing.T) {
	s := shop(t, "cookie")
	counts := [2]int{}
	for range 1000 {
		x := request()
		arm, remember := s.Assign(x)
		counts[arm]++
		if !remember {
			t.Fatal("a newcomer is not remembered")
		}
		if want := s.Arms()[arm]; x.Record.Arm != want {
			t.Fatalf("the record says %q, want %q", x.Record.Arm, want)
		}
		s.Remember(x, arm)
		line := x.Response.Fields.Get("Set-Cookie")
		pair, _, _ := strings.Cut(line, ";")
		for _, cookie := range []string{pair, "a=b; " + pair + "; c=d"} {
			again, remember := s.Assign(request("Cookie", cookie))
			if again != arm || remember {
				t.Fatalf("with %q: arm %d, remember %v; want %d, false", cookie, again, remember, arm)
			}
		}
	}
	if counts != [2]int{950, 50} {
		t.Errorf("newcomers: %v, want 950 and 50", counts)
	}
	if got, want := s.Counts(), []uint64{2850, 150}; !slices.Equal(got, want) {
		t.Errorf("Counts() = %v, want %v", got, want)
	}
}

func TestUnknownCookie(t *testing.T) {
	s := shop(t, "cookie")
	other := mustNew(t, Config{Name: "checkout", Arms: []Arm{{"gone", 100 * percent}}})
	x := request()
	other.Remember(x, 0)
	gone, _, _ := strings.Cut(x.Response.Fields.Get("Set-Cookie"), ";")
	for _, cookie := range []string{
		gone, // the arm of an earlier configuration
		"sluice_checkout=", "sluice_checkout=shop", "sluice_checkout=0", "Sluice_checkout=x",
		"sluice_checkout=" + strings.Repeat("x", 10_000),
	} {
		if arm, remember := s.Assign(request("Cookie", cookie)); arm != 0 && arm != 1 || !remember {
			t.Errorf("%.40q: arm %d, remember %v; want a new one", cookie, arm, remember)
		}
	}
}

func TestSetCookie(t *testing.T) {
	s := shop(t, "cookie")
	check := func(scheme string, secure bool) {
		t.Helper()
		x := request()
		x.Request.Scheme = scheme
		s.Remember(x, 1)
		c, err := http.ParseSetCookie(x.Response.Fields.Get("Set-Cookie"))
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != "sluice_checkout" || strings.Contains(c.Value, "shop") || len(c.Value) != 11 {
			t.Errorf("%s=%s", c.Name, c.Value)
		}
		if c.Path != "/" || c.MaxAge != 30*24*3600 || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Domain != "" {
			t.Errorf("%s: attributes %+v", scheme, c)
		}
	}
	check("http", false)
	check("https", true)
	check("", false) // over http in doubt: a browser drops a Secure cookie there

	x := request()
	mustNew(t, Config{Name: "a", Arms: []Arm{{"b", 100 * percent}}, Remember: 90 * time.Second}).Remember(x, 0)
	if got := x.Response.Fields.Get("Set-Cookie"); !strings.Contains(got, "; Max-Age=90;") {
		t.Errorf("got %q, want 90 seconds", got)
	}
}

// The tokens must never change: they are in visitors' browsers.
func TestTokenIsStable(t *testing.T) {
	if got, want := token("checkout", "shop"), "jhc9GbirFKc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCookieName(t *testing.T) {
	check := func(route, want string) {
		t.Helper()
		got := CookieName(route)
		if got != want || !edge.IsToken(got) {
			t.Errorf("CookieName(%q) = %q, want %q", route, got, want)
		}
	}
	check("checkout", "sluice_checkout")
	check("example.com-1", "sluice_example.com-1")
	check("/checkout/*", "sluice_checkout-*_8c5ce4f7")
	check("a b", "sluice_a-b_04833892")
	check("a;b", "sluice_a-b_04a28e95") // not the same
	check("caf\u00e9", "sluice_caf_cfa40d89")
	check("", "sluice__84222325")
}

// A shared cache outside must not give one visitor's arm to all.
func TestRememberIsPrivate(t *testing.T) {
	s := shop(t, "cookie")
	check := func(want string, lines ...string) {
		t.Helper()
		x := request()
		for _, l := range lines {
			x.Response.Fields.Add("Cache-Control", l)
		}
		s.Remember(x, 0)
		if got := strings.Join(slices.Collect(x.Response.Fields.Values("cache-control")), " | "); got != want {
			t.Errorf("%q becomes %q, want %q", lines, got, want)
		}
	}
	check("private")
	check("public, max-age=60 | private", "public, max-age=60")
	check("max-age=60, Private", "max-age=60, Private")
	check("max-age=60 | no-store", "max-age=60", "no-store")
	check(`private="x-a" | private`, `private="x-a"`) // that field only
	check("privately | private", "privately")

	x := request()
	x.Response.Fields.Add("CDN-Cache-Control", "max-age=600")
	s.Remember(x, 0)
	if got := x.Response.Fields.Get("CDN-Cache-Control"); got != "private" {
		t.Errorf("CDN-Cache-Control: %q, want private", got)
	}
}

// Who can be told apart gets the same arm each time, in each process, and no
// cookie; a share of them is the arm's.
func TestByHash(t *testing.T) {
	check := func(by string, visitor func(i int) *edge.Exchange) {
		t.Helper()
		s, other := shop(t, by), shop(t, by)
		counts := [2]int{}
		for i := range 10_000 {
			arm, remember := s.Assign(visitor(i))
			counts[arm]++
			again, _ := s.Assign(visitor(i))
			elsewhere, _ := other.Assign(visitor(i))
			if remember || again != arm || elsewhere != arm {
				t.Fatalf("%s, visitor %d: arm %d, then %d, elsewhere %d; remember %v", by, i, arm, again, elsewhere, remember)
			}
		}
		if counts[1] < 390 || counts[1] > 610 { // 5 sigma
			t.Errorf("%s: %d of 10000 at 5%%", by, counts[1])
		}
	}
	check("cookie sid", func(i int) *edge.Exchange { return request("Cookie", fmt.Sprintf("a=b; sid=%d", i)) })
	check("header X-User", func(i int) *edge.Exchange { return request("x-user", fmt.Sprint(i)) })
	check("client", func(i int) *edge.Exchange { return from(fmt.Sprintf("10.0.%d.%d:1000", i/250, i%250)) })
	check("client", func(i int) *edge.Exchange { return from(fmt.Sprintf("[2001:db8:0:%x::1]:1000", i)) })
}

// Who cannot be told apart is dealt an arm for the one request.
func TestByHashOfNothing(t *testing.T) {
	check := func(by string, x *edge.Exchange) {
		t.Helper()
		s := shop(t, by)
		counts := [2]int{}
		for range 1000 {
			arm, remember := s.Assign(x)
			counts[arm]++
			if remember {
				t.Fatalf("%s: remembered", by)
			}
		}
		if counts != [2]int{950, 50} {
			t.Errorf("%s: %v, want 950 and 50", by, counts)
		}
	}
	check("cookie sid", request())
	check("cookie sid", request("Cookie", "sid="))
	check("header X-User", request("X-Other", "1"))
	check("header X-User", request("X-User", ""))
	check("client", new(edge.Exchange))
	check("client", &edge.Exchange{Client: &edge.Client{}}) // a unix socket
	check("chance", from("10.0.0.1:1"))
}

// One host is one client, whatever port and interface identifier it uses.
func TestClientKey(t *testing.T) {
	same := func(a, b string, want bool) {
		t.Helper()
		if got := clientKey(netip.MustParseAddr(a)) == clientKey(netip.MustParseAddr(b)); got != want {
			t.Errorf("%s and %s: the same %v, want %v", a, b, got, want)
		}
	}
	same("10.0.0.1", "::ffff:10.0.0.1", true)
	same("10.0.0.1", "10.0.0.2", false)
	same("2001:db8::1", "2001:db8::ffff:1", true)
	same("2001:db8::1", "2001:db8:0:1::1", false)
	same("fe80::1%eth0", "fe80::1%eth1", true)
}

// An arm of weight 0 keeps whom it has, and gets nobody new.
func TestDrain(t *testing.T) {
	s := shop(t, "cookie")
	x := request()
	s.Remember(x, 1)
	cookie, _, _ := strings.Cut(x.Response.Fields.Get("Set-Cookie"), ";")
	if err := s.SetWeights([]rollout.Weight{100 * percent, 0}); err != nil {
		t.Fatal(err)
	}
	if arm, remember := s.Assign(request("Cookie", cookie)); arm != 1 || remember {
		t.Errorf("who is remembered: arm %d, remember %v; want 1, false", arm, remember)
	}
	for range 1000 {
		if arm, _ := s.Assign(request()); arm != 0 {
			t.Fatal("a newcomer got the arm of weight 0")
		}
	}
	if err := s.SetWeights([]rollout.Weight{50 * percent, 49 * percent}); err == nil {
		t.Error("99% are accepted")
	}
	if got, want := s.Weights(), []rollout.Weight{100 * percent, 0}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	check := func(want string, cfg Config) {
		t.Helper()
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", cfg, err, want)
		}
	}
	all := []Arm{{"a", 100 * percent}}
	check("no arms", Config{})
	check("two arms", Config{Arms: []Arm{{"a", 50 * percent}, {"a", 50 * percent}}})
	check("not to 100%", Config{Arms: []Arm{{"a", 50 * percent}}})
	check("not the name", Config{Arms: all, By: By{Kind: Cookie}})
	check("not the name", Config{Arms: all, By: By{Header, "a b"}})
	check("less than a second", Config{Arms: all, Remember: time.Millisecond})
	check("less than a second", Config{Arms: all, Remember: -time.Hour})
}

func TestParseBy(t *testing.T) {
	ok := func(s string, want By) {
		t.Helper()
		got, err := ParseBy(s)
		if got != want || err != nil {
			t.Errorf("ParseBy(%q) = %v, %v", s, got, err)
		}
		if got.String() != s {
			t.Errorf("ParseBy(%q).String() = %q", s, got)
		}
	}
	ok("cookie", By{})
	ok("cookie sid", By{Cookie, "sid"})
	ok("header X-User", By{Header, "X-User"})
	ok("client", By{Kind: Client})
	ok("chance", By{Kind: Chance})
	ok("filter", By{Kind: Filter})
	for _, s := range []string{"", "cookies", "cookie ", "header", "header ", "header a:b", "cookie a b", "client x", "chance 5%", "filter x", "Cookie"} {
		if got, err := ParseBy(s); err == nil {
			t.Errorf("ParseBy(%q) = %v, want an error", s, got)
		}
	}
}

func TestConcurrent(t *testing.T) {
	s := shop(t, "cookie")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				x := request()
				if arm, remember := s.Assign(x); remember {
					s.Remember(x, arm)
				}
			}
		})
	}
	for range 10 {
		if err := s.SetWeights([]rollout.Weight{90 * percent, 10 * percent}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if got := s.Counts(); got[0]+got[1] != 4000 {
		t.Errorf("counted %v, want 4000", got)
	}
}

// Nobody who comes again costs memory, and no newcomer does either.
func TestAllocs(t *testing.T) {
	check := func(by string, x *edge.Exchange) {
		t.Helper()
		s := shop(t, by)
		if n := testing.AllocsPerRun(100, func() {
			if arm, remember := s.Assign(x); remember {
				s.Remember(x, arm)
			}
			x.Response.Fields.Reset()
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", by, n)
		}
	}
	x := request()
	shop(t, "cookie").Remember(x, 1)
	pair, _, _ := strings.Cut(x.Response.Fields.Get("Set-Cookie"), ";")
	check("cookie", request("Cookie", "a=b; "+pair))
	check("cookie", request())
	check("cookie sid", request("Cookie", "sid=1"))
	check("header X-User", request("X-User", "1"))
	check("client", from("[2001:db8::1]:80"))
	check("chance", request())
}

func FuzzAssign(f *testing.F) {
	x := request()
	s := shop(f, "cookie")
	s.Remember(x, 1)
	pair, _, _ := strings.Cut(x.Response.Fields.Get("Set-Cookie"), ";")
	for _, cookie := range []string{pair, "", "a=b; " + pair, pair + pair, "sluice_checkout", `sluice_checkout="x"`} {
		f.Add(cookie)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		arm, remember := s.Assign(request("Cookie", cookie))
		if arm < 0 || arm > 1 {
			t.Fatalf("%q: arm %d", cookie, arm)
		}
		if !remember && !strings.Contains(cookie, s.arms[arm].token) {
			t.Fatalf("%q is taken for arm %d", cookie, arm)
		}
	})
}

func BenchmarkAssign(b *testing.B) {
	x := request("Accept", "*/*", "User-Agent", "x", "Cookie", "theme=dark; sid=8f14e45fceea167a5a36dedd4bea2543")
	for _, by := range []string{"cookie", "cookie sid", "chance"} {
		b.Run(by, func(b *testing.B) {
			s := shop(b, by)
			b.ReportAllocs()
			for b.Loop() {
				s.Assign(x)
			}
		})
	}
}

func FuzzParseBy(f *testing.F) {
	for _, s := range []string{"cookie", "cookie sid", "header X-User", "client", "chance", "cookie  sid", "header a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		by, err := ParseBy(s)
		if err != nil {
			return
		}
		if again, err := ParseBy(by.String()); again != by || err != nil {
			t.Fatalf("%q is %+v, which is written %q, which is %+v, %v", s, by, by, again, err)
		}
		if _, err := New(Config{Arms: []Arm{{"a", rollout.Whole}}, By: by}); err != nil {
			t.Fatalf("%q is accepted, and then: %v", s, err)
		}
	})
}
