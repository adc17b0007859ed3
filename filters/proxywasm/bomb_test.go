package proxywasm

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// loadBomb makes a filter of the guest proxy-bomb.
func loadBomb(t *testing.T, mode int, cfg Config) *Filter {
	t.Helper()
	cfg.Config = []byte(strings.Repeat("x", mode))
	f, err := loadingBytes(t, guests.Read(t, "proxy-bomb"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f
}

// Guests that do not end: other exchanges are served while they run, until their time is
// over, whether instances are shared or not. A machine that is busy elsewhere is given
// another try, with more time.
func TestServesWhileGuestsRun(t *testing.T) {
	fine := load(t, Config{})
	meanwhile := func(f *Filter) bool {
		ended := make(chan error)
		go func() { ended <- exchange(f, &origin{}, request1("GET", "/", nil, 0)).err }()
		until(t, func() bool { s := f.Stats(); return s.Instances > 0 || s.Failures[wasm.TimedOut] > 0 })
		for range 3 {
			if r := try(t, fine, &origin{}, "GET", "/"); r.err != nil || r.status != 200 {
				t.Errorf("another exchange: %d, %v", r.status, r.err)
			}
		}
		served := f.Stats().Failures[wasm.TimedOut] == 0
		if err := <-ended; err == nil {
			t.Error("a guest that does not end has ended")
		}
		return served
	}
	for _, shared := range []bool{false, true} {
		for limit := 100 * time.Millisecond; ; limit *= 4 {
			if limit > patience {
				t.Fatal("nothing is served while the guest runs")
			}
			f := loadBomb(t, 1, Config{Timeout: limit, Shared: shared})
			if meanwhile(f) {
				break
			}
		}
	}
}

// Guests that go wrong in each way, again and again, while others are served: each costs
// its exchange at most.
func TestServesWhileGuestsFail(t *testing.T) {
	fine := load(t, Config{})
	check := func(mode int, want string, cause wasm.Cause) {
		t.Helper()
		for _, shared := range []bool{false, true} {
			const memory = 4 << 20
			f := loadBomb(t, mode, Config{Memory: memory, Shared: shared})
			for range 3 {
				r := exchange(f, &origin{}, request1("GET", "/", nil, 0))
				if want == "" && r.err != nil || want != "" && (r.err == nil || !strings.Contains(r.err.Error(), want)) {
					t.Errorf("mode %d, shared %v: %d, %v; want %q", mode, shared, r.status, r.err, want)
				}
				if r := try(t, fine, &origin{}, "GET", "/"); r.err != nil || r.status != 200 {
					t.Errorf("mode %d: another exchange: %d, %v", mode, r.status, r.err)
				}
			}
			s := f.Stats()
			if want != "" && s.Failures[cause] != 3 || want == "" && s.Failures != ([wasm.Causes]uint64{}) {
				t.Errorf("mode %d, shared %v: failures are %v", mode, shared, s.Failures)
			}
			if peak := f.pool.Peak(); peak > memory || mode == 3 && peak < memory/2 {
				t.Errorf("mode %d, shared %v: an instance has had %d bytes", mode, shared, peak)
			}
		}
	}
	check(0, "", 0)
	check(2, "stack", wasm.Trapped)
	check(3, "", 0) // as much as there is, again each time
	check(4, "", 0)
	check(5, "exit code 0", wasm.Exited)
	check(6, "exit code 7", wasm.Exited)
	check(7, "unreachable", wasm.Trapped)
}
