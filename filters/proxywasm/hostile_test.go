package proxywasm

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// shapes are the parameters of the host functions: d and n a pointer to what is read and
// its length, R and Q where 4 and 8 bytes are written to, and . any other.
var shapes = map[string]string{
	"proxy_log":                          ".dn",
	"proxy_get_log_level":                "R",
	"proxy_get_current_time_nanoseconds": "Q",
	"proxy_set_tick_period_milliseconds": ".",
	"proxy_get_buffer_bytes":             "...RR",
	"proxy_set_buffer_bytes":             "...dn",
	"proxy_get_buffer_status":            ".RR",
	"proxy_get_header_map_size":          ".R",
	"proxy_get_header_map_pairs":         ".RR",
	"proxy_set_header_map_pairs":         ".dn",
	"proxy_get_header_map_value":         ".dnRR",
	"proxy_add_header_map_value":         ".dndn",
	"proxy_replace_header_map_value":     ".dndn",
	"proxy_remove_header_map_value":      ".dn",
	"proxy_get_property":                 "dnRR",
	"proxy_set_property":                 "dndn",
	"proxy_continue_stream":              ".",
	"proxy_close_stream":                 ".",
	"proxy_continue_request":             "",
	"proxy_continue_response":            "",
	"proxy_clear_route_cache":            "",
	"proxy_send_local_response":          "...dndn.",
	"proxy_get_status":                   "RRR",
	"proxy_get_configuration":            "RR",
	"proxy_http_call":                    "dndndndn.R",
	"proxy_grpc_call":                    "dndndndndn.R",
	"proxy_grpc_stream":                  "dndndndnR",
	"proxy_grpc_send":                    ".dn.",
	"proxy_grpc_cancel":                  ".",
	"proxy_grpc_close":                   ".",
	"proxy_set_shared_data":              "dndn.",
	"proxy_get_shared_data":              "dnRRR",
	"proxy_register_shared_queue":        "dnR",
	"proxy_resolve_shared_queue":         "dndnR",
	"proxy_enqueue_shared_queue":         ".dn",
	"proxy_dequeue_shared_queue":         ".RR",
	"proxy_define_metric":                ".dnR",
	"proxy_record_metric":                "..",
	"proxy_increment_metric":             "..",
	"proxy_get_metric":                   ".Q",
	"proxy_set_effective_context":        ".",
	"proxy_done":                         "",
	"proxy_call_foreign_function":        "dndnRR",
}

// Every host function is given every kind of bad pointer and length: what is beyond the
// memory is never read or written, which the status says, and nothing is done.
func TestBadPointers(t *testing.T) {
	f := loadGuestIn(t, "-", Config{Upstream: api, Fetch: []string{"api"}})
	x := request1("POST", "/a?b", edge.Content([]byte("content")), 7)
	defer x.End()
	s, v := enterHost(t, f, x)
	s.answered = true
	size := uint64(v.in.Bytes())
	queue, _ := f.cfg.Data.register(f.cfg.VM, "q", &f.root)
	number, err := f.cfg.Meters.Define(0, "m_total", "")
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(v.in.Read(0, uint32(size)))
	for _, fn := range host.Funcs[:len(host.Funcs)-len(emscripten)] {
		shape, ok := shapes[fn.Name]
		if !ok || len(shape) != len(fn.Params) {
			t.Errorf("%s has %d parameters, and is not tried with them", fn.Name, len(fn.Params))
			continue
		}
		for i, kind := range shape {
			var spans [][2]uint64 // pointer, and length
			switch kind {
			case 'd':
				spans = [][2]uint64{
					{size, 1}, {size - 1, 2}, {size - 10, 1000}, {size + 1, 0}, {0, size + 1}, {0xffffffff, 1}, {0xffffffff, 0xffffffff},
					{0, 0xffffffff}, {0xfffffff0, 0x20} /* which wraps around */, {0x7fffffff, 0x7fffffff}, {0x80000000, 0x80000000}, {1, 0x80000000},
				}
			case 'R', 'Q':
				spans = [][2]uint64{{size}, {size - 1}, {size - 3}, {size + 1}, {0x7fffffff}, {0x80000000}, {0xfffffffc}, {0xffffffff}}
			}
			for _, span := range spans {
				stack := make([]uint64, 12)
				for j, kind := range shape {
					switch kind {
					case 'R', 'Q':
						stack[j] = 1024 + 8*uint64(j)
					case '.':
						if strings.Contains(fn.Name, "queue") {
							stack[j] = uint64(queue)
						} else if strings.Contains(fn.Name, "_metric") && fn.Name != "proxy_define_metric" {
							stack[j] = uint64(number)
						}
					}
				}
				if stack[i] = span[0]; kind == 'd' {
					stack[i+1] = span[1]
				}
				given := bytes.Clone(asBytes(stack))
				fn.Call(v.in, stack)
				if status(stack[0]) != invalidMemory {
					t.Errorf("%s%x: status %d", fn.Name, given, stack[0])
				}
			}
		}
	}
	if !bytes.Equal(before, v.in.Read(0, uint32(size))) {
		t.Error("memory was written to")
	}
	if s.local != nil || s.pending != 0 || x.Request.Fields.Len() != 0 || string(s.flow[0].held) != "held" {
		t.Error("something was done")
	}
}

func asBytes(s []uint64) (b []byte) {
	for _, n := range s {
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return b
}

// A guest that traps, in whichever callback, costs its exchange at most, and the next one
// is served.
func TestTraps(t *testing.T) {
	for _, c := range []struct {
		mode   string
		denied bool // the client gets an error instead of the response
	}{
		{"x", true}, {"H", true}, {"B", true}, {"T", true}, {"A", true}, {"R", true}, {"Y", true}, {"U", true}, {"a", true},
		{"D", false}, {"L", false}, {"E", false}, {"K", false}, {"Q", false},
	} {
		for _, shared := range []bool{false, true} {
			f := loadGuestIn(t, c.mode, Config{Upstream: api, Fetch: []string{"api"}, Shared: shared, Tick: time.Millisecond})
			for range 2 {
				x := request1("POST", "/", nil, -1)
				x.Request.Fields.Add("x-a", "b")
				x.Request.Body = &streamed{pieces: []string{"a"}, end: func() { x.Request.Trailers.Add("a", "b") }}
				o := &origin{answer: func(x *edge.Exchange) error {
					x.Respond(200, &streamed{pieces: []string{"c"}, end: func() { x.Response.Trailers.Add("c", "d") }}, -1)
					return nil
				}}
				r := exchange(f, o, x)
				ours := !shared || c.mode != "K" && c.mode != "Q" // else the root context ends the instance of all at any time
				if ours && c.denied != (r.err != nil) || r.err != nil && r.status == 0 && edge.AsError(r.err).Kind != edge.FilterFailed {
					t.Errorf("%s, shared %v: %d, %v", c.mode, shared, r.status, r.err)
				}
			}
			until(t, func() bool { return f.Stats().Failures[wasm.Trapped] > 0 })
			if n := f.Stats().Failures[wasm.Trapped]; (c.denied || c.mode == "D") && n != 2 {
				t.Errorf("%s, shared %v: %d failures", c.mode, shared, n)
			}
			closed(t, f)
		}
	}
	if _, err := loadingModes(t, "C", Config{}); err == nil || !strings.Contains(err.Error(), "proxy_on_configure: trap") {
		t.Errorf("it is made, though it traps when it is configured: %v", err)
	}
}

// A guest that does not come to an end is ended.
func TestStorms(t *testing.T) {
	for _, mode := range []string{"s", "S", "l"} {
		for _, shared := range []bool{false, true} {
			f := loadGuestIn(t, mode, Config{Timeout: 20 * time.Millisecond, Shared: shared})
			for range 3 {
				if r := exchange(f, &origin{}, request1("GET", "/"+strings.Repeat("p", 4000), nil, 0)); r.err == nil {
					t.Errorf("%s: %d", mode, r.status)
				}
			}
			s := f.Stats()
			if s.Failures[wasm.TimedOut] != 3 {
				t.Errorf("%s: failures are %v", mode, s.Failures)
			}
			n := 0
			for _, l := range f.Journal().Lines() {
				n += len(l.Text)
			}
			if n > 3*(4<<10+100) {
				t.Errorf("%s: it has logged %d bytes", mode, n)
			}
		}
	}
}

// Memory that the guest does not give, or gives where there is none, is its own loss, as
// is what it changes while the host waits for it.
func TestAllocations(t *testing.T) {
	for _, c := range []struct{ mode, status string }{
		{"z", "0000000a"}, {"e", "0000000a"}, {"h", "00000000"}, {"i", ""},
	} {
		f := loadGuestIn(t, c.mode, Config{})
		o := &origin{}
		x := request1("GET", "/", nil, 0)
		x.Request.Fields.Add("X-A", "value")
		r := exchange(f, o, x)
		if got := o.fields.Get("x-status"); got != c.status || (c.status == "") != (r.err != nil) {
			t.Errorf("%s: status %q, %v", c.mode, got, r.err)
		}
	}
}

// Nothing crosses from one exchange to the next, and no random number comes twice.
func TestNothingCrosses(t *testing.T) {
	f := loadGuestIn(t, "r", Config{})
	had := make(map[string]bool)
	for range 100 {
		o := &origin{}
		if r := exchange(f, o, request1("GET", "/", nil, 0)); r.err != nil || o.fields.Get("x-seen") != "00000001" {
			t.Fatalf("%v, it has seen %s requests", r.err, o.fields.Get("x-seen"))
		}
		had[o.fields.Get("x-random")] = true
	}
	if len(had) != 100 {
		t.Errorf("%d random numbers in 100 exchanges", len(had))
	}
}

// A guest that pauses for ever is waited for until Pause is over, and no longer than the
// client is there.
func TestPauses(t *testing.T) {
	f := loadGuestIn(t, "p", Config{Pause: time.Millisecond})
	if r := exchange(f, &origin{}, request1("GET", "/", nil, 0)); r.err == nil || !strings.Contains(r.err.Error(), "not resumed it within 1ms") {
		t.Errorf("%v", r.err)
	}
	for _, mode := range []string{"p", "w", "b"} {
		f := loadGuestIn(t, mode, Config{Pause: time.Hour, Shared: mode == "w"})
		x := request1("GET", "/", nil, 0)
		o := &origin{answer: func(x *edge.Exchange) error {
			go x.Cancel(errors.New("gone"))
			x.Respond(200, &streamed{pieces: []string{"a", "b"}, end: func() { <-x.Context().Done() }}, -1)
			return nil
		}}
		if mode == "p" {
			go func() {
				for f.Stats().Instances == 0 {
				}
				x.Cancel(errors.New("gone"))
			}()
		}
		r := exchange(f, o, x)
		if mode != "b" && (r.err == nil || edge.AsError(r.err).Kind != edge.ClientGone) {
			t.Errorf("%s: %d, %v", mode, r.status, r.err)
		}
		if n := f.Stats().Instances; n != 0 && mode != "w" {
			t.Errorf("%s: %d instances are in use", mode, n)
		}
	}
}

// Whatever guests have done, nothing of it is left when their filters are closed.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, mode := range []string{"-", "s", "l", "H", "A", "o", "O", "K", "Q", "p", "w", "b", "F"} {
		for _, shared := range []bool{false, true} {
			f, err := loadingModes(t, mode, Config{Shared: shared, Timeout: 10 * time.Millisecond, Pause: 10 * time.Millisecond,
				Tick: time.Millisecond, CallTime: time.Hour, Upstream: stuck, Fetch: []string{"api"}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				exchange(f, &origin{}, request1("GET", "/", nil, 0))
			}
			closed(t, f)
		}
	}
	until(t, func() bool { return runtime.NumGoroutine() <= before })
}

// loadGuestIn makes a filter of the guest proxy-modes.
func loadGuestIn(t *testing.T, mode string, cfg Config) *Filter {
	t.Helper()
	f, err := loadingModes(t, mode, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f
}

func loadingModes(t *testing.T, mode string, cfg Config) (*Filter, error) {
	t.Helper()
	cfg.Config = []byte(mode)
	return loadingBytes(t, guests.Read(t, "proxy-modes"), cfg)
}
