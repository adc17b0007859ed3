package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/filters"
)

// A filter of proxy-wasm is tried as any other: one that pauses, for as long as a trial
// may take.
func TestProxyWasm(t *testing.T) {
	f := func(path string, cfg Config, want ...string) {
		t.Helper()
		got := told(t, try(t, filterOf(t, "proxy-filter", filters.Config{}, cfg), get("http://example.org"+path)))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: got\n%s\nwant %s", path, got, w)
			}
		}
	}
	f("/", Config{}, `"abi":"proxy-wasm" "verdict":"next"`, `{"in":"response" "what":"field" "x-filter" "do":"added" "to":"yes"}`)
	f("/h", Config{}, `"verdict":"next"`, `{"in":"request" "what":"path" "do":"set" "from":"/h" "to":"/new"},{"in":"request" "what":"query" "do":"added" "to":"q"}`)
	f("/l", Config{}, `"verdict":"answered"`, `"status":418`, "teapot")
	f("/c", Config{}, `"verdict":"answered"`, `"status":503`) // it has no upstream to call
	w := worldOf(t, WorldConfig{Upstreams: map[string]edge.Handler{"api": answers(t, `{"GET /check": {"status": 202, "body": "made"}}`)}})
	got := told(t, try(t, filterOf(t, "proxy-filter", filters.Config{Proxy: w.Proxy("")}, Config{World: w}), get("http://example.org/c")))
	for _, want := range []string{`"verdict":"next"`, `"x-call" "do":"added" "to":"202"`, `"fetches":[{"upstream":"api" "method":"GET" "uri":"/check" "status":202}]`} {
		if !strings.Contains(got, want) {
			t.Errorf("with an upstream: got\n%s\nwant %s", got, want)
		}
	}
	f("/t", Config{}, `"verdict":"failed" "cause":"trap"`)
	f("/z", Config{Time: 20 * time.Millisecond}, `"verdict":"`+api.TrialFailed, "the trial is not over within 20ms")
}
