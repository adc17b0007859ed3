package proxywasm

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// The root context ends with the filter: at once, when it says so, or when its time is
// over.
func TestClose(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for _, c := range []struct {
			mode string
			cfg  Config
			said string
		}{
			{"-", Config{}, "gone"},
			{"d", Config{Done: patience, Tick: time.Millisecond}, "asked to end, ended, gone"},
			{"f", Config{Done: patience}, "done, gone"},
			{"N", Config{Done: time.Millisecond}, "gone"},
			{"N", Config{Done: patience, Quiet: true}, "gone"},
			{"D", Config{}, ""},
		} {
			c.cfg.Shared = shared
			f, err := loadingModes(t, c.mode, c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			closed(t, f)
			closed(t, f)
			var said []string
			for _, l := range f.Journal().Lines() {
				said = append(said, l.Text)
			}
			if got := strings.Join(said, ", "); got != c.said {
				t.Errorf("%s, shared %v: it says %q, not %q", c.mode, shared, got, c.said)
			}
			if n := f.Stats().Failures[wasm.Trapped]; n != 0 && c.mode != "D" {
				t.Errorf("%s, shared %v: %d failures", c.mode, shared, n)
			}
		}
	}
}

// Close does not wait for a root context that goes on, if somebody else does.
func TestLinger(t *testing.T) {
	for _, shared := range []bool{false, true} {
		waits := make(chan func(), 1)
		f, err := loadingModes(t, "d", Config{Shared: shared, Done: patience, Tick: 50 * time.Millisecond, Linger: func(wait func()) { waits <- wait }})
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		(<-waits)()
		closed(t, f)
		said(t, f, "ended")
	}
}

// proxy_done is of use to a root context that is about to end only.
func TestDone(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	_, v := enterHost(t, f, x)
	if st := callHost(v, "proxy_done"); st != notFound {
		t.Errorf("status %d", st)
	}
	f.root.leaving.Store(true)
	if st := callHost(v, "proxy_done"); st != notFound || f.root.left.Load() {
		t.Errorf("an exchange ends the root context: status %d", st)
	}
}
