package rewrite

import (
	"context"
	"slices"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// hot is a module whose functions do nothing but what the meter costs most in.
var hot = mod{
	types:   []string{"i32 -> i32"},
	memory:  []uint32{1},
	exports: []string{"loop func 0", "memory func 1", "fib func 2"},
	funcs: []fn{
		// a linear congruential generator
		{0, "i32", `loop; local.get 1; i32.const 1103515245; i32.mul; i32.const 12345; i32.add; local.set 1;
			local.get 0; i32.const 1; i32.sub; local.tee 0; br_if 0; end; local.get 1`},
		// the sum of a memory's bytes
		{0, "i32", `loop; local.get 1; local.get 0; i32.const 65535; i32.and; i32.load8_u 0 0; i32.add; local.set 1;
			local.get 0; i32.const 1; i32.sub; local.tee 0; br_if 0; end; local.get 1`},
		{0, "", `local.get 0; i32.const 2; i32.lt_s; if i32; local.get 0; else; local.get 0; i32.const 1; i32.sub; call 2;
			local.get 0; i32.const 2; i32.sub; call 2; i32.add; end`},
	},
}

// BenchmarkOverhead measures what the meter costs. Where the code of a loop lies
// makes a difference of up to a half by itself, so the module is made with several
// lengths of what is before. ratio is the median of metered by unmetered.
func BenchmarkOverhead(b *testing.B) {
	for _, bench := range []struct {
		export string
		n      uint64
	}{{"loop", 1_000_000}, {"memory", 1_000_000}, {"fib", 25}} {
		b.Run(bench.export, func(b *testing.B) {
			var ratios, plain, metered []float64
			for pad := range 9 {
				m := hot
				m.funcs = slices.Clone(hot.funcs)
				m.funcs[0].code = repeat("local.get 0; i32.const 77; i32.xor; local.set 0;", 3*pad) + m.funcs[0].code
				a := best(b, nil, &m, bench.export, bench.n)
				c := best(b, &Options{}, &m, bench.export, bench.n)
				ratios, plain, metered = append(ratios, c/a), append(plain, a), append(metered, c)
			}
			for _, l := range [][]float64{ratios, plain, metered} {
				slices.Sort(l)
			}
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(plain[len(plain)/2]/1e3, "plain-us")
			b.ReportMetric(metered[len(metered)/2]/1e3, "metered-us")
		})
	}
}

// best is how long a call takes in ns, at best.
func best(b *testing.B, o *Options, m *mod, export string, n uint64) float64 {
	w := newWorld(b, o)
	w.tick = func(int64) int64 { return 100_000 }
	in, err := w.make(m.binary(), "")
	if err != nil {
		b.Fatal(err)
	}
	f := in.ExportedFunction(export)
	shortest := time.Hour
	for range max(b.N, 10) {
		begun := time.Now()
		stack := [1]uint64{n}
		if err := f.CallWithStack(context.Background(), stack[:]); err != nil {
			b.Fatal(err)
		}
		shortest = min(shortest, time.Since(begun))
	}
	return float64(shortest)
}

// BenchmarkRewrite measures the rewriter on a guest of some megabytes.
func BenchmarkRewrite(b *testing.B) {
	binary := guests.Build(b, "github.com/sluice-edge/sluice/wasm-testdata/everything")
	b.SetBytes(int64(len(binary)))
	b.ReportAllocs()
	var m *Module
	for b.Loop() {
		var err error
		if m, err = Rewrite(binary, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(m.Binary))/float64(len(binary)), "growth")
}
