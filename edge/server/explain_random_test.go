package server_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

var (
	explainSeeds = flag.Int("explain.seeds", 80, "random configurations of TestExplainAgrees")
	explainFrom  = flag.Uint64("explain.from", 1, "seed of the first of them")
)

// Whatever the configuration and the request are, serving does what Explain says of
// it; and it does the same where nobody has asked for an explanation.
func TestExplainAgrees(t *testing.T) {
	p := startPair(t)
	n := *explainSeeds
	if edge.Poisons {
		n /= 4 // -race is that much slower
	}
	for i := range n {
		p.play(t, *explainFrom+uint64(i))
	}
	p.end(t)
}

func FuzzExplain(f *testing.F) {
	p := startPair(f)
	f.Cleanup(func() { p.end(f) })
	for seed := range uint64(3) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { p.play(t, seed) })
}

// pair is two proxies of the same configurations, which serve the same requests. One
// explains them, too.
type pair struct {
	told, plain *party
	checked     []checked
	counts      map[string]int // of what was compared
}

// checked is what is compared with the access log in the end.
type checked struct {
	what string
	e    api.Explanation
	a, b *outcome
}

func startPair(t testing.TB) *pair {
	return &pair{told: startParty(t), plain: startParty(t), counts: make(map[string]int)}
}

// play applies a random configuration, and sends random requests.
func (p *pair) play(t testing.TB, seed uint64) {
	t.Helper()
	p.told.t = t
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	text := g.valid(t, p.told)
	for _, y := range []*party{p.told, p.plain} {
		y.t = t
		for name, content := range g.files {
			if err := os.WriteFile(filepath.Join(y.dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		y.apply(text, y.vars...)
	}
	file := p.told.parse(text, p.told.vars...)
	g.cookies = g.cookies[:0]
	for n := range 12 {
		r := g.request()
		code, body, fields := g.answer()
		what := fmt.Sprintf("seed %d, request %d: %s", seed, n, r)
		asked := r.explained(p.told)
		e, err := p.told.Explain(asked)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if again, err := p.told.Explain(asked); err != nil || !sameExplanation(e, again) {
			t.Fatalf("%s: explained as\n%s\nthen\n%s", what, show(e), show(again))
		}
		if n%4 == 0 {
			p.offline(t, what, file, asked, e)
		}
		p.told.origin.say(code, body, fields)
		p.plain.origin.say(code, body, fields)
		a, b := p.told.send(t, r), p.plain.send(t, r)
		p.compare(t, what, r, &e, a, fields)
		p.same(t, what, a, b)
		for _, c := range a.fields.Values("Set-Cookie") {
			if pair, _, _ := strings.Cut(c, ";"); !slices.Contains(g.cookies, pair) {
				g.cookies = append(g.cookies, pair)
			}
		}
		p.checked = append(p.checked, checked{what, e, a, b})
		if t.Failed() {
			t.Fatalf("%s\nis explained as\n%s\nand answered with %d %v\nby\n%s", what, show(e), a.status, a.fields, text)
		}
	}
	if got, want := p.plain.counted(), p.told.counted(); got != want {
		t.Fatalf("seed %d: with explanations the proxy has counted\n%s\nand without\n%s", seed, want, got)
	}
}

func show(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
}
