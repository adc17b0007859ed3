package compress

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// memory is content of a cache: at hand or not, with forms.
type memory struct {
	pieces
	all   []byte
	forms map[string][]byte
}

func (m *memory) Bytes() []byte { return m.all }

func (m *memory) Form(coding string) (edge.Body, bool) {
	b, ok := m.forms[coding]
	return edge.Content(b), ok
}

func (m *memory) Keep(coding string, b []byte) { m.forms[coding] = bytes.Clone(b) }

func TestStoredForms(t *testing.T) {
	s := New(Config{Whole: 200_000})
	for _, c := range []struct {
		size   int
		atHand bool
		kept   bool
	}{
		{5000, true, true},
		{300_000, false, true}, // its form is small
		{300_000, true, true},
		{8_000_000, false, false},
	} {
		content := page(c.size)
		forms := map[string][]byte{}
		source := func() *memory {
			m := &memory{forms: forms, pieces: pieces{list: [][]byte{content}}}
			if c.atHand {
				m.all = content
			}
			return m
		}
		for _, coding := range []string{"br", "zstd", "gzip"} {
			for _, again := range []bool{false, true} {
				m := source()
				x := exchange(t, s, "GET", coding, func(x *edge.Exchange) {
					respond(x, 200, m, int64(c.size), "Content-Type: text/html", `ETag: "a"`)
				})
				served := edge.Bytes(x.Response.Body)
				b, err := io.ReadAll(x.Response.Body)
				if got := decode(t, coding, b); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes, %s: %d bytes back, %v", c.size, coding, len(got), err)
				}
				if kept := forms[coding]; (kept != nil) != c.kept || c.kept && !bytes.Equal(kept, b) {
					t.Errorf("%d bytes, %s: %d bytes kept of %d", c.size, coding, len(kept), len(b))
				}
				if again && c.kept && (served == nil || x.Response.Length != int64(len(b)) || m.asked != 0) {
					t.Errorf("%d bytes, %s: the form that is kept was not served at once", c.size, coding)
				}
				if f := &x.Response.Fields; f.Get("ETag") != `W/"a"` || f.Get("Content-Encoding") != coding || x.Record.Encoding != coding {
					t.Errorf("%v", *f)
				}
				x.End()
			}
		}
	}
}

// kept is stored content whose form costs nothing to have.
type kept struct{ form edge.Body }

func (k *kept) Read([]byte) (int, error)      { return 0, io.EOF }
func (k *kept) Close() error                  { return nil }
func (k *kept) Form(string) (edge.Body, bool) { return k.form, true }
func (k *kept) Keep(string, []byte)           {}

func TestAllocs(t *testing.T) {
	if edge.Poisons {
		t.Skip("sync.Pool drops at random under -race")
	}
	s := New(Config{})
	x := &edge.Exchange{}
	var body edge.Body
	h := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, body, 5000)
		x.Response.Fields.Add("Content-Type", "text/html; charset=utf-8")
		x.Response.Fields.Add("ETag", `"0123456789abcdef"`)
		return nil
	})
	run := func() {
		x.Begin(nil, nil, time.Time{})
		x.Request.Method = "GET"
		x.Request.Fields.Add("Accept-Encoding", "gzip, deflate, br, zstd")
		s.Filter(x, h)
		x.End()
	}
	body = &kept{edge.Content(page(1000))}
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("with a kept form: %v allocations, want 0", n)
	}
	body = edge.Content(page(1000))
	h = func(x *edge.Exchange) error {
		x.Respond(200, body, 5000)
		x.Response.Fields.Add("Content-Type", "image/png")
		return nil
	}
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("with nothing to encode: %v allocations, want 0", n)
	}
}
