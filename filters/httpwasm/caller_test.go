package httpwasm

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// program is what the guest caller does: see wasm-testdata/caller.
type program []byte

// hostCall appends a call of a host function to p.
func (p program) hostCall(name string, args ...uint32) program {
	return p.raw(byte(slices.IndexFunc(host.Funcs, func(f wasm.HostFunc) bool { return f.Name == name })), args...)
}

// next appends the end of handle_request.
func (p program) next() program { return p.raw(255) }

func (p program) raw(fn byte, args ...uint32) program {
	p = append(p, fn)
	for i := range 5 {
		var a uint32
		if i < len(args) {
			a = args[i]
		}
		p = binary.LittleEndian.AppendUint32(p, a)
	}
	return p
}

// do runs a program in an exchange.
func (p program) do(f *Filter) (x *edge.Exchange, err error) {
	x = request("POST", "/a?b", &streamed{pieces: []string{"con", strings.Repeat("tent", 400)}}, -1,
		"X-Program", hex.EncodeToString(p), "A", "b", "a", "c")
	return x, f.Filter(x, &origin{})
}

// usable fails the test unless f serves, and has no instance in use.
func usable(t *testing.T, f *Filter) {
	t.Helper()
	x := request("GET", "/", nil, 0)
	defer x.End()
	if err := f.Filter(x, &origin{}); err != nil || responseBody(t, x) != "hello from origin" {
		t.Errorf("the next exchange: %d, %v", x.Response.Status, err)
	}
	if n := f.Stats().Instances; n != 0 {
		t.Errorf("%d instances are in use", n)
	}
}

// Every host function is given every kind of bad pointer and length, in each phase: what
// is beyond the memory is never read or written, the guest's failure says so, and the
// next exchange is served.
func TestBadPointers(t *testing.T) {
	f := load(t, "caller", Config{Config: []byte("config"), Fields: 1 << 30, Body: 1 << 30})
	in, err := f.pool.Get(&guest{f: f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	size := uint32(in.Bytes())
	in.Close()
	const name, nameLen = 0x400, 9 // "x-program", where the linker has put it
	spans := [][2]uint32{
		{size, 1}, {size - 1, 2}, {size - 10, 1000}, {size + 1, 0}, {0, size + 1},
		{0xffffffff, 1}, {0xffffffff, 0xffffffff}, {0, 0xffffffff}, {0xfffffff0, 0x20}, // which wraps around
		{0x7fffffff, 0x7fffffff}, {0x80000000, 0x80000000}, {0x80000000, 1}, {1, 0x80000000},
	}
	outside := func(s [2]uint32) bool { return uint64(s[0])+uint64(s[1]) > uint64(size) }
	// A getter writes what fits in its limit.
	writes := func(n uint32) func([2]uint32) bool {
		return func(s [2]uint32) bool { return n <= s[1] && outside([2]uint32{s[0], n}) }
	}
	some := func(s [2]uint32) bool { return s[1] > 0 && outside(s) } // nothing is refused otherwise
	never := func([2]uint32) bool { return false }
	tries := []struct {
		name   string
		args   func(p, n uint32) []uint32
		traps  func(span [2]uint32) bool
		phases string // in which the function may be called so at all: q, r
	}{
		{"get_config", func(p, n uint32) []uint32 { return []uint32{p, n} }, writes(6), "qr"},
		{"log", func(p, n uint32) []uint32 { return []uint32{0, p, n} }, never, "qr"},
		{"get_method", func(p, n uint32) []uint32 { return []uint32{p, n} }, writes(4), "qr"},
		{"set_method", func(p, n uint32) []uint32 { return []uint32{p, n} }, outside, "q"},
		{"get_uri", func(p, n uint32) []uint32 { return []uint32{p, n} }, writes(4), "qr"},
		{"set_uri", func(p, n uint32) []uint32 { return []uint32{p, n} }, outside, "q"},
		{"get_protocol_version", func(p, n uint32) []uint32 { return []uint32{p, n} }, writes(8), "qr"},
		{"get_source_addr", func(p, n uint32) []uint32 { return []uint32{p, n} }, writes(14), "qr"},
		{"get_header_names", func(p, n uint32) []uint32 { return []uint32{0, p, n} }, writes(17), "qr"},
		{"get_header_values", func(p, n uint32) []uint32 { return []uint32{0, p, n, 0, 0} }, outside, "qr"},
		{"set_header_value", func(p, n uint32) []uint32 { return []uint32{1, p, n, 0, 0} }, outside, "qr"},
		{"set_header_value", func(p, n uint32) []uint32 { return []uint32{1, name, nameLen, p, n} }, outside, "qr"},
		{"add_header_value", func(p, n uint32) []uint32 { return []uint32{3, p, n, 0, 0} }, outside, "qr"},
		{"add_header_value", func(p, n uint32) []uint32 { return []uint32{3, name, nameLen, p, n} }, outside, "qr"},
		{"remove_header", func(p, n uint32) []uint32 { return []uint32{1, p, n} }, outside, "qr"},
		{"read_body", func(p, n uint32) []uint32 { return []uint32{0, p, n} }, some, "q"},
		{"read_body", func(p, n uint32) []uint32 { return []uint32{1, p, n} }, some, "r"},
		{"write_body", func(p, n uint32) []uint32 { return []uint32{0, p, n} }, outside, "q"},
		{"write_body", func(p, n uint32) []uint32 { return []uint32{1, p, n} }, outside, "qr"},
	}
	tried := make(map[string]bool)
	for _, try := range tries {
		tried[try.name] = true
		for _, span := range spans {
			for _, phase := range try.phases {
				p := program{byte(allFeatures)}
				if phase == 'r' {
					p = p.next()
				}
				before := f.Stats().Failures[wasm.Misused]
				x, err := p.hostCall(try.name, try.args(span[0], span[1])...).do(f)
				failed := f.Stats().Failures[wasm.Misused] - before
				// A text inside of the memory is refused if it is none: that is a failure as well.
				beyond := err != nil && strings.Contains(err.Error(), "beyond the end of memory")
				if want := try.traps(span); beyond != want || want && failed != 1 || err != nil && failed != 1 {
					t.Errorf("%c: %s(%#x): %v, %d failures; want one: %v", phase, try.name, try.args(span[0], span[1]), err, failed, want)
				}
				x.End()
				usable(t, f)
			}
		}
	}
	for _, fn := range host.Funcs {
		switch fn.Name {
		case "enable_features", "log_enabled", "get_status_code", "set_status_code": // take no pointer
		default:
			if !tried[fn.Name] {
				t.Errorf("%s is not tried", fn.Name)
			}
		}
	}
}

// FuzzGuest runs a guest that calls any host functions with any arguments, whatever
// they leave of its memory. Only the guest fails; it reads and writes nothing beyond
// its memory, which would end the process; and the next exchange is served.
func FuzzGuest(f *testing.F) {
	for i := range host.Funcs {
		fn := byte(i)
		f.Add([]byte(program{7}.raw(fn, 0, 8, 64, 8, 64).next().raw(fn, 1, 8, 64, 8, 64)))
		f.Add([]byte(program{2}.raw(fn, 1, 0xffffffff, 0xffffffff, 0xfffffff0, 0x20)))
		f.Add([]byte(program{0}.raw(fn, 0, 1, 2, 3, 4).raw(254)))
		f.Add([]byte(program{1}.raw(fn, 0, 0, 100000, 0, 100000).next().raw(fn, 3, 1024, 9, 0, 1)))
	}
	// What a guest makes of its own memory can run for ever.
	filter := load(f, "caller", Config{Config: []byte("config"), Body: 1000, Fields: 2000, Timeout: 100 * time.Millisecond})
	f.Fuzz(func(t *testing.T, calls []byte) {
		x, err := program(calls[:min(len(calls), 10000)]).do(filter)
		if err == nil {
			responseBody(t, x)
		} else if e := edge.AsError(err); e.Kind != edge.FilterFailed {
			t.Errorf("error is %v", err)
		}
		x.End()
		usable(t, filter)
	})
}
