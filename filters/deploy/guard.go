package deploy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Guard says when the newer of two versions does not do well. The zero Guard never
// does.
type Guard struct {
	// Traps is the share of its requests that the module may fail on, from 0 to 1: by
	// a trap, its time over, its memory exceeded. Set says that there is such a bound.
	Traps Bound

	// Errors is the share of its requests that may be answered with 5xx, by whomever,
	// or break off.
	Errors Bound

	// Time is how many times as long as the older version's median the median of its
	// own time may be, without what it waits for.
	Time Bound

	// Over is how far back requests count. Default: one minute.
	Over time.Duration

	// Requests is how many of each version there must be within Over before any
	// judgement. Default: 50.
	Requests int
}

// Bound is a bound of a Guard.
type Bound struct {
	Set  bool
	Most float64
}

// The defaults of a Guard, and what its settings may be.
const (
	DefaultOver     = time.Minute
	DefaultRequests = 50

	minOver, maxOver = time.Second, 24 * time.Hour
	maxRequests      = 1_000_000
	maxFactor        = 1000
)

// Some reports whether there is any bound.
func (g Guard) Some() bool { return g.Traps.Set || g.Errors.Set || g.Time.Set }

func (g Guard) over() time.Duration {
	if g.Over == 0 {
		return DefaultOver
	}
	return g.Over
}

func (g Guard) requests() uint64 {
	if g.Requests == 0 {
		return DefaultRequests
	}
	return uint64(g.Requests)
}

// guardForm is what a guard looks like.
const guardForm = "roll back if traps > 0.1% or errors > 1% or time > 2x over 1m after 50 requests"

// ParseGuard reads a guard as it is written in the configuration:
//
//	roll back if CONDITION [or CONDITION]... [over DURATION] [after N requests]
//
// where a condition is "traps > 0.1%", "errors > 1%" or "time > 2x". "off" is the zero
// Guard.
func ParseGuard(s string) (Guard, error) {
	var g Guard
	w := strings.Fields(s)
	if len(w) == 1 && w[0] == "off" {
		return g, nil
	}
	if len(w) < 3 || w[0] != "roll" || w[1] != "back" || w[2] != "if" {
		return g, errors.New("write off, or like: " + guardForm)
	}
	for w = w[2:]; ; {
		if len(w) < 4 {
			return g, errors.New("behind " + w[0] + " stands a condition: traps > 0.1%, errors > 1% or time > 2x")
		}
		if err := g.condition(w[1], w[2], w[3]); err != nil {
			return g, err
		}
		if w = w[4:]; len(w) == 0 || w[0] != "or" {
			break
		}
	}
	if len(w) >= 2 && w[0] == "over" {
		over, err := parseSpan(w[1])
		if err != nil {
			return g, err
		}
		g.Over, w = over, w[2:]
	}
	if len(w) >= 3 && w[0] == "after" && (w[2] == "requests" || w[2] == "request") {
		n, err := strconv.Atoi(w[1])
		if err != nil || n < 1 || n > maxRequests {
			return g, fmt.Errorf("behind after stands a number of requests from 1 to %d", maxRequests)
		}
		g.Requests, w = n, w[3:]
	}
	if len(w) > 0 {
		return g, fmt.Errorf("behind the conditions stands over and a duration, then after N requests, and this has %q", shorten(w[0]))
	}
	return g, nil
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

func (g *Guard) condition(what, sign, most string) error {
	var b *Bound
	unit, limit, example := "%", 100.0, "1%"
	switch what {
	case "traps":
		b = &g.Traps
	case "errors":
		b = &g.Errors
	case "time":
		b, unit, limit, example = &g.Time, "x", maxFactor, "2x"
	default:
		return fmt.Errorf("a guard looks at traps, errors or time, and this has %q", shorten(what))
	}
	if sign != ">" {
		return fmt.Errorf("behind %s stands >, and this has %q", what, shorten(sign))
	}
	if b.Set {
		return fmt.Errorf("%s comes twice", what)
	}
	number, ok := strings.CutSuffix(most, unit)
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || strings.Trim(number, "0123456789.") != "" || n > limit {
		return fmt.Errorf("behind %s > stands a number of at most %v%s, like %s", what, limit, unit, example)
	}
	if what == "time" && n < 1 {
		return errors.New("behind time > stands 1x or more: the older version takes 1x")
	}
	if unit == "%" {
		n /= 100
	}
	*b = Bound{true, n}
	return nil
}

// parseSpan reads a duration of a number and one unit.
func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || strings.Trim(strings.TrimRight(s, "msh"), "0123456789.") != "" || d < minOver || d > maxOver {
		return 0, errors.New("behind over stands a duration from 1s to 24h, like 1m")
	}
	return d.Round(time.Millisecond), nil
}

// String returns the guard as ParseGuard reads it.
func (g Guard) String() string {
	if !g.Some() {
		return "off"
	}
	s, word := "roll back", " if "
	for _, c := range []struct {
		what, unit string
		b          Bound
		scale      float64
	}{{"traps", "%", g.Traps, 100}, {"errors", "%", g.Errors, 100}, {"time", "x", g.Time, 1}} {
		if c.b.Set {
			s += word + c.what + " > " + amount(c.b.Most*c.scale) + c.unit
			word = " or "
		}
	}
	if g.Over != 0 {
		s += " over " + span(g.Over)
	}
	if g.Requests != 0 {
		s += fmt.Sprintf(" after %d requests", g.Requests)
	}
	return s
}

// amount writes a number with as many digits as it takes, and no rounding errors.
func amount(f float64) string {
	return strconv.FormatFloat(math.Round(f*1e9)/1e9, 'f', -1, 64)
}

// span writes a duration with the largest unit that divides it.
func span(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d%time.Second == 0:
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// figures is what one version has done within the window of a guard.
type figures struct {
	requests, traps, errors uint64
	trapsOf, errorsOf       group // those of the client with the most of them
	median                  time.Duration
}

// others returns what all clients have met but for one, if they are enough for a judgement.
func (g Guard) others(requests, failures uint64, one group) (uint64, uint64) {
	left := requests - min(one.requests, requests)
	if left < g.requests() {
		return requests, failures
	}
	return left, failures - min(one.failures, failures)
}

// judge returns what is wrong with the newer version against the older; "" for nothing.
//
// A share is too high where that is no chance: with the bound as many of so many
// requests would be seen less than once in a thousand times. It is looked at often, and
// one in a hundred would come by chance every few minutes. One of three is no reason.
//
// The share that the older version has takes the place of the bound if it is higher: an
// upstream that fails for both is the fault of neither. For that there must be as many
// requests of it as for any judgement, or so many failures that they are no chance
// either: where nearly all clients are on one side, the other's only request says
// nothing. If it has served too few the bound alone holds, and times are not compared.
//
// Clients stay with a version, so one that fails whatever version it gets fails with one of
// them. What one client has met of the older version excuses nothing, where others have met
// enough of it. What one client has met of the newer counts, though: it may be the only one
// of its kind, and the older version is the safe one. The reason says so.
func (g Guard) judge(newer, older figures) string {
	if newer.requests < g.requests() {
		return ""
	}
	share := func(what string, b Bound, n, old uint64, of, oldOf group) string {
		if !b.Set {
			return ""
		}
		p := b.Most
		served, fails := g.others(older.requests, old, oldOf)
		if served >= g.requests() || tail(served, fails, max(b.Most, leastBound)) < doubt {
			p = max(p, float64(fails)/float64(served))
		}
		n = min(n, newer.requests) // they are counted one after the other
		if n == 0 || tail(newer.requests, n, p) >= doubt {
			return ""
		}
		alone := ""
		if left, fails := g.others(newer.requests, n, of); left < newer.requests && (fails == 0 || tail(left, fails, p) >= doubt) {
			alone = fmt.Sprintf("; but for one client's, %d of %d", fails, left)
		}
		return fmt.Sprintf("%s %s > %s: %d of %d requests, of the older version %d of %d%s",
			what, percent(float64(n)/float64(newer.requests)), percent(b.Most), n, newer.requests, old, older.requests, alone)
	}
	if why := share("traps", g.Traps, newer.traps, older.traps, newer.trapsOf, older.trapsOf); why != "" {
		return why
	}
	if why := share("errors", g.Errors, newer.errors, older.errors, newer.errorsOf, older.errorsOf); why != "" {
		return why
	}
	if g.Time.Set && older.requests >= g.requests() {
		if ratio := float64(newer.median) / float64(max(older.median, leastTime)); ratio > g.Time.Most {
			return fmt.Sprintf("time %.1fx > %sx: %v, of the older version %v", ratio, amount(g.Time.Most), round(newer.median), round(older.median))
		}
	}
	return ""
}

// doubt is how likely chance may be for a guard to act.
const doubt = 0.001

// leastBound is the bound by which the older version's failures are told from chance
// where the guard's is lower: with a bound of 0% one of them would excuse everything.
const leastBound = 0.01

// leastTime is what the older version takes at least: below a microsecond a clock and a
// cache make the difference, and twice nothing is nothing.
const leastTime = time.Microsecond

func percent(share float64) string {
	return amount(math.Round(share*1e5)/1e3) + "%"
}

// round leaves three digits.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// tail returns the probability that of n requests k or more are hit, each with the
// probability p: that of the binomial distribution.
func tail(n, k uint64, p float64) float64 {
	switch {
	case k == 0 || p >= 1:
		return 1
	case p <= 0:
		return 0
	case float64(k) <= float64(n)*p:
		return 1 // expected: not less than about a half
	}
	// Beyond the mean each term is smaller than the one before by a factor that falls:
	// the sum ends soon.
	logOf := func(f float64) float64 { v, _ := math.Lgamma(f); return v }
	fn, fk := float64(n), float64(k)
	term := math.Exp(logOf(fn+1) - logOf(fk+1) - logOf(fn-fk+1) + fk*math.Log(p) + (fn-fk)*math.Log1p(-p))
	sum := 0.0
	for i := k; i <= n && term > 1e-12; i++ {
		sum += term
		term *= float64(n-i) / float64(i+1) * p / (1 - p)
	}
	return min(sum, 1)
}
