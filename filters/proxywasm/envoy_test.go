package proxywasm

import (
	"io"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// A guest sees the response that it has given itself, as in Envoy.
func TestOwnResponse(t *testing.T) {
	f := load(t, Config{})
	for _, uri := range []string{"/l", "/L"} {
		if r := try(t, f, &origin{}, "POST", uri, "abc", "def"); r.fields.Get("x-filter") != "yes" || r.err != nil {
			t.Errorf("%s: %d %v, %v", uri, r.status, r.fields, r.err)
		}
	}
}

// Content is let go when the guest resumes, and not only when there is more of it.
func TestResumedContent(t *testing.T) {
	f := load(t, Config{Upstream: api, Fetch: []string{"api"}})
	seen := make(chan struct{})
	first, rest := "", ""
	x := request1("POST", "/D", &gated{pieces: []string{"abc", "def"}, gate: seen}, -1)
	defer x.End()
	err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		b := make([]byte, 100)
		n, err := x.Request.Body.Read(b)
		if first = string(b[:n]); err != nil {
			return err
		}
		close(seen)
		b, err = io.ReadAll(x.Request.Body)
		rest = string(b)
		x.Respond(204, nil, 0)
		return err
	}))
	if err != nil || first != "abc" || rest != "def" {
		t.Errorf("%q and %q, %v", first, rest, err)
	}
}

// gated is content whose second piece comes when a gate is open.
type gated struct {
	pieces []string
	gate   chan struct{}
	read   int
}

func (g *gated) Read(p []byte) (int, error) {
	if g.read == 1 {
		<-g.gate
	}
	g.read++
	s := streamed{pieces: g.pieces}
	n, err := s.Read(p)
	g.pieces = s.pieces
	return n, err
}

func (g *gated) Close() error { return nil }

func TestCompose(t *testing.T) {
	for _, c := range []struct {
		head []edge.Field
		want string // "": it is refused
	}{
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/a?b"}, {Name: ":authority", Value: "x.example"}}, "GET x.example /a?b"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: ""}}, "GET api /"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}}, "GET api /"},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "a b"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "a"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "CONNECT"}, {Name: ":path", Value: "/"}}, ""},
		{[]edge.Field{{Name: ":path", Value: "/"}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "a b", Value: ""}}, ""},
		{[]edge.Field{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: "a", Value: "\r\n"}}, ""},
	} {
		q := edge.Request{Authority: "api"}
		got := ""
		head, _ := parsePairs(listOf(c.head...))
		if compose(&q, head, pairList{}) {
			got = q.Method + " " + q.Authority + " " + pathOf(&q)
		}
		if got != c.want {
			t.Errorf("%v: %q, not %q", c.head, got, c.want)
		}
	}
}
