package wasi

import (
	"io"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// beside serves f, but for requests of /other, which are answered at once.
func beside(t *testing.T, f *Function) (bomb, other *client) {
	t.Helper()
	addr := serve(t, edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Path == "/other" {
			x.Respond(200, edge.Content([]byte("fine")), 4)
			return nil
		}
		return f.Serve(x)
	}))
	return dial(t, addr), dial(t, addr)
}

// fine checks that a request that has nothing to do with the command is answered.
func (c *client) fine(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c, "GET /other HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res := c.response(t, "GET")
	if b, err := io.ReadAll(res.Body); res.StatusCode != 200 || string(b) != "fine" || err != nil {
		t.Errorf("another request: %d %q, %v", res.StatusCode, b, err)
	}
}

// Commands that do not end: other requests are answered while they run, until their time
// is over. A machine that is busy elsewhere is given another try, with more time.
func TestServesWhileCommandsRun(t *testing.T) {
	meanwhile := func(script string, limit time.Duration) bool {
		f := load(t, "script", Config{Timeout: limit})
		bomb, other := beside(t, f)
		if _, err := io.WriteString(bomb, "GET /?"+script+" HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the command runs", func() bool { s := f.Stats(); return s.Instances == 1 || s.Failures[wasm.TimedOut] == 1 })
		for range 3 {
			other.fine(t)
		}
		served := f.Stats().Failures[wasm.TimedOut] == 0
		if res := bomb.response(t, "GET"); res.StatusCode != 500 {
			t.Errorf("%s: status %d", script, res.StatusCode)
		}
		return served
	}
	for _, script := range []string{"l", "s1000000"} {
		for limit := 100 * time.Millisecond; !meanwhile(script, limit); limit *= 4 {
			if limit > patience {
				t.Fatalf("%s: nothing is answered while the command runs", script)
			}
		}
	}
}

// Commands that fail in each way, again and again on one connection, while others are
// served on another: each is an answer, and the connection lives on.
func TestServesWhileCommandsFail(t *testing.T) {
	for _, c := range []struct {
		script string
		status int
		cause  wasm.Cause
	}{
		{"t", 500, wasm.Trapped}, {"g", 500, wasm.Trapped}, {"x3", 500, wasm.Exited}, {"x0", 502, wasm.Misused}, {"o", 502, wasm.Misused},
	} {
		f := load(t, "script", Config{Memory: 4 << 20})
		bomb, other := beside(t, f)
		for range 3 {
			res := bomb.get(t, "GET", c.script)
			if _, err := io.Copy(io.Discard, res.Body); res.StatusCode != c.status || err != nil || res.Close {
				t.Errorf("%s: status %d, %v, close %v", c.script, res.StatusCode, err, res.Close)
			}
			other.fine(t)
		}
		if s := f.Stats(); s.Failures[c.cause] != 3 || s.Instances != 0 {
			t.Errorf("%s: stats are %+v", c.script, s)
		}
	}
}
