package httpwasm

import (
	"io"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// An exchange allocates nothing, from the connection's second request on.
func TestExchangeAllocatesNothing(t *testing.T) {
	if edge.Poisons {
		t.Skip("under -race pools forget what they are given")
	}
	body := &pieces{}
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, body, 17)
		body.left = 3
		return nil
	})
	check := func(guest string, cfg Config) {
		t.Helper()
		f := load(t, guest, cfg)
		x := request("GET", "/", nil, 0)
		defer x.End()
		n := testing.AllocsPerRun(100, func() {
			again(x)
			if err := f.Filter(x, next); err != nil {
				t.Fatal(err)
			}
			x.End()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", guest, n)
		}
	}
	check("hello", Config{})
	check("header-set", Config{})
	check("header-set", Config{OnError: wasm.Skip}) // what is kept to go back to
	check("deny", Config{})                         // an answer of its own
	check("early-body", Config{})
	check("upper-buffered", Config{}) // content, read and written
	check("pass-ctx", Config{})
}

// pieces is content that comes in pieces, and again.
type pieces struct{ left int }

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return copy(b, "piece"), nil
}

func (p *pieces) Close() error { return nil }

// No host function allocates, whatever it reads or writes.
func TestHostFunctionsAllocateNothing(t *testing.T) {
	if edge.Poisons {
		t.Skip("under -race pools forget what they are given")
	}
	f := load(t, "hello", Config{Config: []byte("config"), Fields: 1 << 40})
	x := request("GET", "/a?b", nil, 7, "A", "b", "a", strings.Repeat("c", 100))
	g := f.begin(x)
	defer x.End()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	defer g.end()
	const buf, limit = 1024, 1024
	copy(g.in.Read(0, 64), "x-a\x00value\x00/path?query\x00PUT\x00content-length\x00")
	g.features = allFeatures
	calls := map[string][5]uint64{
		"enable_features":      {1},
		"log_enabled":          {0},
		"log":                  {3, 0, 3}, // at a level that is not logged
		"set_method":           {22, 3},
		"set_uri":              {10, 11},
		"get_header_names":     {0, buf, limit},
		"get_header_values":    {0, 26, 14, buf, limit},
		"set_header_value":     {0, 0, 3, 4, 5},
		"add_header_value":     {0, 0, 3, 4, 5},
		"remove_header":        {0, 0, 3},
		"read_body":            {0, buf, limit},
		"write_body":           {0, 0, 1},
		"get_status_code":      {},
		"set_status_code":      {204},
		"get_config":           {buf, limit},
		"get_method":           {buf, limit},
		"get_uri":              {buf, limit},
		"get_protocol_version": {buf, limit},
		"get_source_addr":      {buf, limit},
	}
	stack := make([]uint64, 5)
	for _, fn := range host.Funcs {
		args, ok := calls[fn.Name]
		if !ok {
			t.Errorf("%s is not tried", fn.Name)
		}
		// Lists and arenas grow now and then, however large they are.
		if n := testing.AllocsPerRun(1000, func() {
			copy(stack, args[:])
			fn.Call(g.in, stack)
		}); n >= 1 {
			t.Errorf("%s: %v allocations, want 0", fn.Name, n)
		}
	}
}
