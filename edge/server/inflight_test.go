package server

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/route"
)

// counted is an exchange, and what it counts in as in flight.
type counted struct {
	x         *edge.Exchange
	route     *Route
	meter     *metrics.Requests // nil: it was only found yet
	rewritten bool              // which is done once
}

// However routes come and go while exchanges are found, begun, rewritten to other routes
// and ended: what a meter has in flight is the exchanges that have entered it and not
// left.
func TestInFlight(t *testing.T) {
	dir := t.TempDir()
	parse := func(routes int) *config.File {
		t.Helper()
		text := "admin: off\nlog: { access: off }\nstate: " + filepath.Join(dir, "state") + "\nsites:\n  \"http://127.0.0.1:0\":\n    name: s\n    routes:\n      /: { respond: 204 }\n"
		for i, name := range []string{"/a", "/b"} {
			if routes&(1<<i) != 0 {
				text += "      " + name + ": { respond: 200 }\n"
			}
		}
		f, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), config.Options{})
		if problems.Failed() {
			t.Fatal(problems)
		}
		return f
	}
	s, problems, err := New(parse(3), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil || problems.Failed() {
		t.Fatal(problems, err)
	}
	defer s.Close()
	client := edge.NewClient(netip.MustParseAddrPort("192.0.2.1:4711"), netip.MustParseAddrPort("198.51.100.1:80"), nil)

	random := rand.New(rand.NewPCG(1, 2))
	meters := make(map[*metrics.Requests]string) // all that there ever were
	var open []*counted
	var trace []string
	step := func(format string, args ...any) {
		trace = append(trace, fmt.Sprintf(format, args...))
		for name, m := range s.shared.meters {
			meters[m] = fmt.Sprint(name)
		}
		for m, name := range meters {
			want := int64(0)
			for _, c := range open {
				if c.meter == m {
					want++
				}
			}
			if got := m.Totals().InFlight; got != want {
				t.Fatalf("%s has %d in flight, want %d, after\n%s", name, got, want, strings.Join(trace[max(0, len(trace)-30):], "\n"))
			}
		}
	}
	pick := func(is func(*counted) bool) *counted {
		var all []*counted
		for _, c := range open {
			if is(c) {
				all = append(all, c)
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all[random.IntN(len(all))]
	}
	end := func(c *counted) {
		open = slices.DeleteFunc(open, func(o *counted) bool { return o == c })
		c.x.End()
	}
	find := func(site *site, path string) *Route {
		x := new(edge.Exchange)
		x.Request = edge.Request{Method: "GET", Path: path}
		var captures route.Captures
		r, err := site.find(x, &captures)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 3000 {
		switch random.IntN(6) {
		case 0:
			routes := random.IntN(4)
			if problems, err := s.Apply(parse(routes), "test"); err != nil || problems.Failed() {
				t.Fatal(problems, err)
			}
			step("the file has routes %02b", routes)
		case 1: // as door.Serve does, as far as the route
			c := &counted{x: new(edge.Exchange)}
			c.x.Begin(nil, &client, time.Now())
			s.begin(c.x)
			c.route = find(s.snapshot.Load().sites[0], []string{"/", "/a", "/b"}[random.IntN(3)])
			open = append(open, c)
			step("found %s", c.route.name)
		case 2, 3:
			if c := pick(func(c *counted) bool { return c.meter == nil }); c != nil {
				if err := c.route.adopt(c.x); err != nil {
					t.Fatal(err)
				}
				c.meter = c.route.meter
				step("begun %s", c.route.name)
			}
		case 4: // as behind does
			c := pick(func(c *counted) bool { return c.meter != nil && !c.rewritten })
			if c == nil {
				continue
			}
			if to := find(c.route.site, []string{"/", "/a", "/b"}[random.IntN(3)]); to != c.route {
				if err := to.goOn(c.x, c.route, new(route.Captures)); err != nil {
					t.Fatal(err)
				}
				c.route, c.meter, c.rewritten = to, to.meter, true
				step("rewritten to %s", to.name)
			}
		case 5:
			if len(open) > 0 {
				c := open[random.IntN(len(open))]
				end(c)
				step("ended %s", c.route.name)
			}
		}
	}
	for len(open) > 0 {
		end(open[0])
		step("ended")
	}
}
