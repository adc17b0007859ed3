package proxywasm

import (
	"io"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// An exchange allocates nothing, from the connection's second request on.
func TestExchangeAllocatesNothing(t *testing.T) {
	if edge.Poisons {
		t.Skip("under -race pools forget what they are given")
	}
	body := &parts{}
	buf := make([]byte, 100)
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, body, 15)
		body.left = 3
		return nil
	})
	check := func(guest, path string, cfg Config) {
		t.Helper()
		f := loadGuest(t, guest, cfg)
		x := request1("GET", "/", nil, 0)
		defer x.End()
		n := testing.AllocsPerRun(100, func() {
			again(x)
			x.Request.Path = path
			if err := f.Filter(x, next); err != nil {
				t.Fatal(err)
			}
			for b := x.Response.Body; b != nil; {
				if _, err := b.Read(buf); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			x.End()
		})
		if n != 0 {
			t.Errorf("%s, %s: %v allocations, want 0", guest, path, n)
		}
	}
	check("proxy-headers", "/", Config{})
	check("proxy-headers", "/", Config{Shared: true})
	check("proxy-headers", "/", Config{OnError: wasm.Skip}) // what is kept to go back to
	check("proxy-filter", "/", Config{})                    // content that is passed on by pieces
	check("proxy-filter", "/h", Config{})                   // another path, method and host
	check("proxy-filter", "/l", Config{})                   // an answer of its own
	check("proxy-filter", "/y", Config{})                   // content that is held, and replaced
	check("proxy-filter", "/Y", Config{})                   // content that is changed by pieces
}

// parts is content that comes in pieces, and again.
type parts struct{ left int }

func (p *parts) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return copy(b, "piece"), nil
}

func (p *parts) Close() error { return nil }

// loadGuest makes a filter of any guest.
func loadGuest(t testing.TB, guest string, cfg Config) *Filter {
	t.Helper()
	f, err := loadingBytes(t, guests.Read(t, guest), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f
}

// closed closes a filter, of which nothing may be left.
func closed(t testing.TB, f *Filter) {
	t.Helper()
	f.Close()
	if s := f.Stats(); s.Instances != 0 || s.Bytes != 0 {
		t.Errorf("%d instances and %d bytes are left", s.Instances, s.Bytes)
	}
}

// No host function allocates that an exchange calls often, whatever it reads or writes.
func TestHostFunctionsAllocateNothing(t *testing.T) {
	if edge.Poisons {
		t.Skip("under -race pools forget what they are given")
	}
	f := loadGuestIn(t, "-", Config{Fields: 1 << 40})
	x := request1("POST", "/a?b", edge.Content([]byte("content")), 7)
	defer x.End()
	x.Request.Fields.Add("X-A", "b")
	x.Request.Fields.Add("x-a", "c")
	s, v := enterHost(t, f, x)
	copy(v.in.Read(0, 47), "x-a\x00value\x00/path?query\x00request\x00headers\x00:path\x00key")
	v.f.cfg.Data.set(v.f.cfg.VM, "key", []byte("value"), 0)
	number, err := f.cfg.Meters.Define(0, "my_total", "")
	if err != nil {
		t.Fatal(err)
	}
	const r1, r2, r3 = 1024, 1028, 1032
	calls := map[string][]uint64{
		"proxy_log":                          {0, 0, 3}, // at a level that is not logged
		"proxy_get_log_level":                {r1},
		"proxy_get_current_time_nanoseconds": {r1},
		"proxy_get_buffer_bytes":             {0, 0, 100, r1, r2},
		"proxy_set_buffer_bytes":             {0, 0, 3, 0, 3},
		"proxy_get_buffer_status":            {0, r1, r2},
		"proxy_get_header_map_size":          {0, r1},
		"proxy_get_header_map_pairs":         {0, r1, r2},
		"proxy_get_header_map_value":         {0, 0, 3, r1, r2},
		"proxy_add_header_map_value":         {0, 0, 3, 4, 5},
		"proxy_replace_header_map_value":     {0, 0, 3, 4, 5},
		"proxy_remove_header_map_value":      {0, 0, 3},
		"proxy_get_property":                 {22, 21, r1, r2},
		"proxy_set_property":                 {0, 3, 4, 5},
		"proxy_continue_stream":              {0},
		"proxy_get_status":                   {r1, r2, r3},
		"proxy_get_shared_data":              {44, 3, r1, r2, r3},
		"proxy_record_metric":                {uint64(number), 1},
		"proxy_increment_metric":             {uint64(number), 1},
		"proxy_get_metric":                   {uint64(number), r1},
		"proxy_set_effective_context":        {uint64(s.id)},
	}
	stack := make([]uint64, 12)
	v.home = s
	for _, fn := range host.Funcs {
		args, ok := calls[fn.Name]
		if !ok {
			continue
		}
		delete(calls, fn.Name)
		// Lists and arenas grow now and then, however large they are.
		if n := testing.AllocsPerRun(1000, func() {
			copy(stack, args)
			fn.Call(v.in, stack)
		}); n >= 1 {
			t.Errorf("%s: %v allocations, want 0", fn.Name, n)
		}
		if fn.Name != "proxy_record_metric" && stack[0] != 0 { // a counter is not recorded
			t.Errorf("%s: status %d", fn.Name, stack[0])
		}
	}
	if len(calls) > 0 {
		t.Errorf("%v are no host functions", calls)
	}
}

// enterHost is in the midst of a request: host functions can be called.
func enterHost(t testing.TB, f *Filter, x *edge.Exchange) (*stream, *vm) {
	t.Helper()
	s := f.begin(x)
	v, err := f.join(s)
	if err != nil {
		t.Fatal(err)
	}
	s.v, s.id = v, 7
	v.add(s)
	v.serve(s)
	for d := range s.flow {
		s.flow[d].src, s.flow[d].trailers = x.Request.Body, &x.Request.Trailers
		s.flow[d].held = append(s.flow[d].held, "held"...)
	}
	return s, v
}
