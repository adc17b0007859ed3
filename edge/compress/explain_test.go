package compress

import (
	"math/rand/v2"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

func TestExplain(t *testing.T) {
	s := New(Config{Prefer: []string{"zstd", "gzip"}})
	check := func(line, wantCoding, wantWhy string) {
		t.Helper()
		x := &edge.Exchange{}
		addLine(x, line)
		if coding, why := s.Explain(x); coding != wantCoding || why != wantWhy {
			t.Errorf("%q: %q, %q; want %q, %q", line, coding, why, wantCoding, wantWhy)
		}
	}
	check("", "", "the request has no Accept-Encoding")
	check("Accept-Encoding: gzip, zstd, br", "zstd", "of zstd, gzip the request likes it best; of those that it likes as much it is the first")
	check("Accept-Encoding: br", "", "the request likes none of zstd, gzip, or likes identity more")
	check("Accept-Encoding: gzip;q=0.5, identity", "", "the request likes none of zstd, gzip, or likes identity more")
	check("Cache-Control: max-age=0, no-transform", "", "the request says Cache-Control: no-transform")
	x := &edge.Exchange{Request: edge.Request{Upgrade: "websocket"}}
	if coding, why := s.Explain(x); coding != "" || why != "the request asks for another protocol" {
		t.Errorf("%q, %q", coding, why)
	}
}

func addLine(x *edge.Exchange, line string) {
	for i := range line {
		if line[i] == ':' {
			x.Request.Fields.Add(line[:i], line[i+2:])
			return
		}
	}
}

// Explain says what Filter then does, and leaves the request alone.
func TestExplainAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := New(Config{})
	encoded := 0
	for range 3000 {
		accept := ""
		for range r.IntN(4) {
			accept += []string{"gzip", "br", "zstd", "identity", "*", "deflate"}[r.IntN(6)] + []string{"", ";q=0", ";q=0.5", ";q=x"}[r.IntN(4)] + ","
		}
		x := &edge.Exchange{Request: edge.Request{Method: "GET"}}
		if r.IntN(5) > 0 {
			x.Request.Fields.Add("Accept-Encoding", accept)
		}
		if r.IntN(10) == 0 {
			x.Request.Fields.Add("Cache-Control", "no-transform")
		}
		before := x.Request.Fields.Clone()
		want, why := s.Explain(x)
		for i := range before.Len() {
			if x.Request.Fields.At(i) != before.At(i) || x.Request.Fields.Len() != before.Len() {
				t.Fatal("Explain has changed the request")
			}
		}
		if err := s.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
			respond(x, 200, edge.Content(page(4096)), 4096, "Content-Type: text/html")
			return nil
		})); err != nil {
			t.Fatal(err)
		}
		if got := x.Response.Fields.Get("Content-Encoding"); got != want {
			t.Fatalf("%q: encoded %q, explained %q, %s", before, got, want, why)
		}
		if want != "" {
			encoded++
		}
		x.End()
	}
	if encoded < 500 {
		t.Errorf("only %d were encoded", encoded)
	}
	var responses int64
	for _, c := range s.Stats() {
		responses += c.Responses
		if c.Responses > 0 && (c.In != c.Responses*4096 || c.Out <= 0 || c.Out >= c.In) {
			t.Errorf("%+v", c)
		}
	}
	if responses != int64(encoded) {
		t.Errorf("counted %d, want %d", responses, encoded)
	}
}
