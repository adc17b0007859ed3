package wasm

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
)

// bomb returns a module of so many equal functions, () -> (), with locals of type i32.
func bomb(funcs, locals int, body []byte, types ...[]byte) []byte {
	leb := func(n int) []byte {
		var b []byte
		for ; n > 0x7f; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		return append(b, byte(n))
	}
	section := func(id byte, count int, body []byte) []byte {
		n := leb(count)
		return slices.Concat([]byte{id}, leb(len(n)+len(body)), n, body)
	}
	code := slices.Concat([]byte{1}, leb(locals), []byte{0x7f}, body, []byte{0x0b})
	code = append(leb(len(code)), code...)
	typ := slices.Concat(append([][]byte{{0x60, 0, 0}}, types...)...)
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 1+len(types), typ),
		section(3, funcs, make([]byte, funcs)),
		section(4, 1, []byte{0x70, 0, 1}),
		section(5, 1, []byte{0, 1}),
		section(10, funcs, bytes.Repeat(code, funcs)))
}

// shapes are bodies of functions that take the compiler long, each of about n
// instructions.
var shapes = map[string]func(n int) (locals int, body []byte){
	"straight": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x1a}, n/2) }, // local.get drop
	"blocks":   func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x02, 0x40, 0x0b}, n/2) },
	"branches": func(n int) (int, []byte) { // block local.get br_if end
		return 1, bytes.Repeat([]byte{0x02, 0x40, 0x20, 0, 0x0d, 0, 0x0b}, n/4)
	},
	"ifs": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x04, 0x40, 0x0b}, n/3) },
	"ifs-set": func(n int) (int, []byte) { // local.get if local.get local.set end
		return 1, bytes.Repeat([]byte{0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0, 0x0b}, n/7)
	},
	"loops": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x03, 0x40, 0x0b}, n/2) },
	"nested-blocks": func(n int) (int, []byte) {
		n = min(n/2, 9000)
		return 1, append(bytes.Repeat([]byte{0x02, 0x40}, n), bytes.Repeat([]byte{0x0b}, n)...)
	},
	"nested-loops": func(n int) (int, []byte) {
		n = min(n/2, 9000)
		return 1, append(bytes.Repeat([]byte{0x03, 0x40}, n), bytes.Repeat([]byte{0x0b}, n)...)
	},
	"nested-loops-set": func(n int) (int, []byte) {
		n = min(n/8, 9000)
		return 4, slices.Concat(bytes.Repeat([]byte{0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0}, n), bytes.Repeat([]byte{0x20, 0, 0x0d, 0, 0x0b}, n))
	},
	"locals-ifs": func(n int) (int, []byte) { // each if sets another of 1000
		var b []byte
		for i := range n / 7 {
			v := []byte{byte(i%1000) | 0x80, byte(i % 1000 >> 7)}
			b = slices.Concat(b, []byte{0x20}, v, []byte{0x04, 0x40, 0x20}, v, []byte{0x41, 1, 0x6a, 0x21}, v, []byte{0x0b})
		}
		return 1000, b
	},
	"live": func(n int) (int, []byte) { // many values live at once
		var b []byte
		k := n / 4
		for range k {
			b = append(b, 0x20, 0, 0x28, 2, 0) // local.get i32.load
		}
		for range k - 1 {
			b = append(b, 0x6a)
		}
		return 1, append(b, 0x1a)
	},
	"calls": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x10, 0}, n) },
	"live-calls": func(n int) (int, []byte) { // values live over calls
		var b []byte
		k := n / 4
		for range k {
			b = append(b, 0x20, 0, 0x28, 2, 0, 0x10, 0)
		}
		for range k - 1 {
			b = append(b, 0x6a)
		}
		return 1, append(b, 0x1a)
	},
	"br_table": func(n int) (int, []byte) { // one of n labels in 100 blocks
		b := bytes.Repeat([]byte{0x02, 0x40}, 100)
		b = append(b, 0x20, 0, 0x0e, byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14))
		for i := range n + 1 {
			b = append(b, byte(i%100))
		}
		return 1, append(b, bytes.Repeat([]byte{0x0b}, 100)...)
	},
	"br_tables": func(n int) (int, []byte) { // each of 100 labels
		one := bytes.Repeat([]byte{0x02, 0x40}, 100)
		one = append(one, 0x20, 0, 0x0e, 100)
		for i := range 101 {
			one = append(one, byte(i%100))
		}
		one = append(one, bytes.Repeat([]byte{0x0b}, 100)...)
		return 1, bytes.Repeat(one, max(n/300, 1))
	},
	"locals-loops": func(n int) (int, []byte) { // each loop counts another of 1000
		var b []byte
		for i := range n / 8 {
			v := []byte{byte(i%1000) | 0x80, byte(i % 1000 >> 7)}
			b = slices.Concat(b, []byte{0x03, 0x40, 0x20}, v, []byte{0x41, 1, 0x6a, 0x22}, v, []byte{0x0d, 0, 0x0b})
		}
		return 1000, b
	},
	"loads-ifs": func(n int) (int, []byte) { // addresses that are known to be good in all blocks
		var b []byte
		for i := range 200 {
			b = append(b, 0x20, byte(i)|0x80, byte(i>>7), 0x28, 2, 0, 0x1a)
		}
		return 200, append(b, bytes.Repeat([]byte{0x20, 0, 0x04, 0x40, 0x0b}, n/3)...)
	},
	"live-ifs": func(n int) (int, []byte) { // values live over all blocks
		var b []byte
		for range n / 8 {
			b = append(b, 0x20, 0, 0x28, 2, 0, 0x20, 0, 0x04, 0x40, 0x0b)
		}
		return 1, append(append(b, bytes.Repeat([]byte{0x6a}, n/8-1)...), 0x1a)
	},
	"params": func(n int) (int, []byte) { // blocks of 100 values
		values := bytes.Repeat([]byte{0x41, 0}, 100)
		blocks := bytes.Repeat([]byte{0x02, 1, 0x41, 0, 0x0d, 0, 0x0b}, n/100)
		return 1, slices.Concat(values, blocks, bytes.Repeat([]byte{0x1a}, 100))
	},
	"params-loops": func(n int) (int, []byte) {
		values := bytes.Repeat([]byte{0x41, 0}, 100)
		loops := bytes.Repeat([]byte{0x03, 1, 0x41, 0, 0x0d, 0, 0x0b}, n/100)
		return 1, slices.Concat(values, loops, bytes.Repeat([]byte{0x1a}, 100))
	},
	"early":       func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x0d, 0}, n/2) },
	"stores":      func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x41, 1, 0x36, 2, 0}, n/3) },
	"divisions":   func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x20, 0, 0x6d, 0x21, 0}, n/4) },
	"truncations": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0xb7, 0xaa, 0x21, 0}, n/4) },
	"saturations": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0xb7, 0xfc, 2, 0x21, 0}, n/4) },
	"minima": func(n int) (int, []byte) {
		return 1, bytes.Repeat([]byte{0x20, 0, 0xb7, 0x20, 0, 0xb7, 0xa4, 0xaa, 0x21, 0}, n/7)
	},
	"indirects": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x11, 0, 0}, n/2) },
	"loads":     func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x28, 2, 0, 0x21, 0}, n/3) },
	"vectors": func(n int) (int, []byte) {
		return 1, bytes.Repeat([]byte{0x20, 0, 0xfd, 17, 0xfd, 98, 0xfd, 27, 0, 0x21, 0}, n/5)
	},
	"grows": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x40, 0, 0x21, 0}, n/3) },
	"fills": func(n int) (int, []byte) { return 1, bytes.Repeat([]byte{0x20, 0, 0x20, 0, 0x20, 0, 0xfc, 11, 0}, n/4) },
	"nested-ifs": func(n int) (int, []byte) {
		n = min(n/5, 9000)
		return 1, append(bytes.Repeat([]byte{0x20, 0, 0x04, 0x40}, n), bytes.Repeat([]byte{0x20, 0, 0x21, 0, 0x0b}, n)...)
	},
}

// values is the type of 100 parameters and results, which bombs have as type 1.
var values = slices.Concat([]byte{0x60, 100}, bytes.Repeat([]byte{0x7f}, 100), []byte{100}, bytes.Repeat([]byte{0x7f}, 100))

// below returns the largest bomb of a shape that may be compiled, roughly, and one of
// twice as much, or nil if there is none that may not be.
func below(t testing.TB, shape func(int) (int, []byte), o rewrite.Options) (allowed, over []byte) {
	t.Helper()
	for n := 64; n < 1<<22; n += n / 2 {
		locals, body := shape(n)
		b := bomb(1, locals, body, values)
		if _, err := rewrite.Rewrite(b, o); err == nil {
			allowed = b
			continue
		} else if !strings.Contains(err.Error(), "allowed") && !strings.Contains(err.Error(), "may take") {
			t.Fatal(err)
		}
		return allowed, b
	}
	return allowed, nil
}

// TestCompileBombs: what would take the compiler long is refused, with a reason and
// before it is compiled; what is less of the same is compiled.
func TestCompileBombs(t *testing.T) {
	o := rewrite.Options{FunctionWork: 1 << 15}
	e := NewEngine(Config{FunctionWork: o.FunctionWork})
	defer e.Close()
	for name, shape := range shapes {
		allowed, over := below(t, shape, o)
		if m, err := e.Compile(context.Background(), allowed); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			m.Close()
		}
		if over == nil {
			t.Errorf("%s: no size is refused", name)
			continue
		}
		_, err := e.Compile(context.Background(), over)
		if err == nil || !strings.Contains(err.Error(), "units of work to compile, by estimate, more than the 32768 that one function may take") {
			t.Errorf("%s of %d bytes: error is %v", name, len(over), err)
		}
	}
	// Each function is small, and all together are not.
	_, body := shapes["branches"](1000)
	e = NewEngine(Config{Work: 1 << 16})
	defer e.Close()
	if _, err := e.Compile(context.Background(), bomb(10_000, 1, body)); err == nil || !strings.Contains(err.Error(), "more than the 65536 allowed") {
		t.Errorf("many functions: error is %v", err)
	}
	// As are many types, for which the runtime makes code, too.
	wide := slices.Concat([]byte{0x60, 0xe8, 7}, bytes.Repeat([]byte{0x7f}, 1000), []byte{0}) // of 1000 parameters
	if _, err := e.Compile(context.Background(), bomb(1, 1, nil, slices.Repeat([][]byte{wide}, 100)...)); err == nil || !strings.Contains(err.Error(), "more than the 65536 allowed") {
		t.Errorf("many types: error is %v", err)
	}
	m, err := NewEngine(Config{}).Compile(context.Background(), bomb(10_000, 1, nil))
	if err != nil {
		t.Fatalf("10,000 functions: %v", err)
	}
	m.Close()
}

// TestBombsByDefault: the default bounds refuse each shape at some size that a module
// may have.
func TestBombsByDefault(t *testing.T) {
	for name, shape := range shapes {
		switch name {
		case "nested-blocks", "nested-loops", "nested-loops-set", "nested-ifs":
			continue // blocks may not be nested as deep as that
		}
		if _, over := below(t, shape, rewrite.Options{}); over == nil {
			t.Errorf("%s: no size is refused", name)
		}
	}
}

// BenchmarkBombs compiles the largest function of each shape that may be compiled, and
// says what a unit of estimated work takes.
func BenchmarkBombs(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		b.Run(name, func(b *testing.B) {
			allowed, _ := below(b, shapes[name], rewrite.Options{})
			info, err := rewrite.Inspect(allowed, rewrite.Options{})
			if err != nil {
				b.Fatal(err)
			}
			e := NewEngine(Config{Time: time.Hour})
			defer e.Close()
			b.ReportAllocs()
			for b.Loop() {
				m, err := e.Compile(context.Background(), allowed)
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(int64(b.N)*info.Work), "ns/unit")
		})
	}
}
