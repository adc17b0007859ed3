package outside

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"os/exec"

	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// inKit is how many tests the kit has.
const inKit = 35

// TestTCK runs the technology compatibility kit of http-wasm over HTTP/1.1 and
// HTTP/2: each test of the kit is one here.
func TestTCK(t *testing.T) {
	download(t, "tck")
	edgetest.Watch(t, "../..", "cmd", "edge", "filters", "sdk")
	cmd := exec.Command("go", "-C", "tck", "test", "-json", "-count=1", ".")
	out, err := cmd.Output() // an error is a test that fails, or a build: below
	results, passed := make(map[string]result), 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test, Output string }
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		r := results[e.Test]
		r.text += e.Output
		if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
			r.action = e.Action
		}
		results[e.Test] = r
	}
	if results["TestTCK"].action == "" {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	for _, version := range []string{"HTTP1.1", "HTTP2"} {
		tests := 0
		for name, r := range results {
			name, ok := strings.CutPrefix(name, "TestTCK/"+version+"/")
			if !ok {
				continue
			}
			tests++
			t.Run(version+"/"+name, func(t *testing.T) {
				if r.action != "pass" {
					t.Errorf("it did not pass, %q:\n%s", r.action, r.text)
					return
				}
				passed++
			})
		}
		if tests != inKit {
			t.Errorf("%s: %d tests were run, want %d", version, tests, inKit)
		}
	}
	if r := results["TestTCK"]; r.action != "pass" {
		t.Errorf("the run as a whole: %q:\n%s", r.action, r.text)
	}
	t.Logf("%d of %d pass", passed, 2*inKit)
}

// result is how a test of the kit has ended.
type result struct{ action, text string }

// download fetches the modules that a module of its own requires, and skips the test
// where they are not to be had.
func download(t *testing.T, dir string) {
	t.Helper()
	if text, err := exec.Command("go", "-C", dir, "mod", "download").CombinedOutput(); err != nil {
		t.Skipf("modules of %s cannot be downloaded: %s", dir, text)
	}
}
