package wasi

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// What is handed on when, and what the response knows of its length.
func TestHandedOn(t *testing.T) {
	f := load(t, "script", Config{})
	check := func(script, body string, length int64, pieces ...string) {
		t.Helper()
		var c edge.Body
		if body != "" {
			c = &streamed{pieces: strings.Split(body, "|")}
		}
		x := request("POST", "/?"+script, c, -1)
		defer x.End()
		if err := f.Serve(x); err != nil {
			t.Errorf("%s: %v", script, err)
			return
		}
		if x.Response.Length != length {
			t.Errorf("%s: length is %d, want %d", script, x.Response.Length, length)
		}
		if whole := edge.Bytes(x.Response.Body) != nil; whole != (length > 0) {
			t.Errorf("%s: at hand: %v", script, whole)
		}
		buf := make([]byte, 1<<20)
		for i := 0; x.Response.Body != nil; i++ {
			n, err := x.Response.Body.Read(buf)
			want := ""
			if i < len(pieces) {
				want = pieces[i]
			}
			if string(buf[:n]) != want || err != nil && err != io.EOF {
				t.Errorf("%s: piece %d is %.20q of %d bytes, %v, want %.20q of %d", script, i, buf[:n], n, err, want, len(want))
			}
			if err != nil {
				if i+1 < len(pieces) {
					t.Errorf("%s: ends after %d pieces", script, i+1)
				}
				break
			}
		}
	}
	line := strings.Repeat("x", 1023) + "\n"
	zeros := strings.Repeat("\x00", 100_000)
	check("h", "", 0)
	check("ho", "", 2, "ok")
	check("how31", "", 2+31<<10, "ok"+strings.Repeat(line, 31))
	check("hw32", "", -1, strings.Repeat(line, 32), "")                             // it could be more
	check("hw40", "", -1, strings.Repeat(line, 32), strings.Repeat(line, 8))        //
	check("hW100000", "", -1, zeros, "")                                            // straight from the guest's memory
	check("hoW100000", "", -1, "ok"+zeros[:32<<10-2], zeros[:100_000-32<<10+2], "") //
	check("hos1o", "", -1, "ok", "ok")                                              // before it sleeps
	check("s1ho", "", 2, "ok")                                                      // there is nothing to hand on
	check("hs1s1o", "", -1, "ok")                                                   // but a head
	check("hc", "one|two", -1, "one", "two", "")                                    // before it waits for more
	check("dho", "one|two", 2, "ok")
}

// A piece is handed on when 10 ms have passed since the last one, even if the
// guest does not wait.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := load(t, "script", Config{})
		const pace = 10 * time.Millisecond
		for _, c := range []struct {
			took  time.Duration
			first string
		}{{pace - 1, "okcok"}, {pace, "okc"}} {
			x := request("POST", "/?hoCo", &slow{edge.Content([]byte("c")), c.took}, -1)
			if err := f.Serve(x); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			if n, _ := x.Response.Body.Read(buf); string(buf[:n]) != c.first {
				t.Errorf("after %v the first piece is %q, want %q", c.took, buf[:n], c.first)
			}
			x.End()
		}
	})
}

// slow is content that is at hand, and takes its time all the same.
type slow struct {
	edge.Body
	took time.Duration
}

func (s *slow) Bytes() []byte { return edge.Bytes(s.Body) }

func (s *slow) Read(p []byte) (int, error) {
	<-time.After(s.took)
	return s.Body.Read(p)
}

// A command's time is what it runs and sleeps, not what it waits for the client
// or for content.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := load(t, "script", Config{Timeout: 10 * time.Second})
		hour := &streamed{pieces: []string{"a", "b"}, before: func() { <-time.After(time.Hour) }}
		x := request("POST", "/?hcs4000os4000o", hour, -1)
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for buf := make([]byte, 100); ; {
			<-time.After(time.Hour) // the client is slow, too
			n, err := x.Response.Body.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != "abokok" {
			t.Errorf("got %q", got)
		}
		x.End()

		begun := time.Now()
		x = request("GET", "/?hos4000os4000os4000o", nil, 0)
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(x.Response.Body)
		if edge.AsError(err).Kind != edge.FunctionFailed || string(got) != "okokok" || time.Since(begun) != 10*time.Second {
			t.Errorf("got %q, %v after %v", got, err, time.Since(begun))
		}
		if s := f.Stats(); s.Failures[wasm.TimedOut] != 1 {
			t.Errorf("stats are %+v", s)
		}
		x.End()
	})
}

// What has been handed on in part ends with an error, never as if it were whole.
func TestCut(t *testing.T) {
	f := load(t, "script", Config{Timeout: 100 * time.Millisecond, Memory: 4 << 20})
	check := func(script, raw string, n int, cause wasm.Cause, text string) {
		t.Helper()
		before := f.Stats().Failures[cause]
		x, err := run(t, f, script, raw)
		if err != nil {
			t.Errorf("%s: %v", script, err)
			return
		}
		got, err := content(x)
		if e := edge.AsError(err); e.Kind != edge.FunctionFailed || !strings.Contains(err.Error(), text) || len(got) != n {
			t.Errorf("%s: %d bytes and %v, want %d and an error with %q", script, len(got), err, n, text)
		}
		if _, again := x.Response.Body.Read(make([]byte, 1)); again != err {
			t.Errorf("%s: the next read: %v", script, again)
		}
		if s := f.Stats(); s.Failures[cause] != before+1 || s.Instances != 0 {
			t.Errorf("%s: stats are %+v", script, s)
		}
	}
	check("hw40t", "", 40<<10, wasm.Trapped, "unreachable")
	check("hw32l", "", 32<<10, wasm.TimedOut, "not done within")
	check("hw32x9", "", 32<<10, wasm.Exited, "exit code 9")
	check("hos1g", "", 2, wasm.Trapped, "unreachable")
	const head = "Content-Type: text/plain\nContent-Length: 40000\n\n"
	check("cw32", head, 32<<10, wasm.Misused, "32768 bytes of content are written, and Content-Length is 40000")
	check("cw32w7x3", head, 39<<10, wasm.Exited, "exit code 3")
	check("cw32w8", head, 39<<10, wasm.Misused, "more is written than the 40000 bytes of Content-Length")
}

// An exit code is no failure of a response that is whole by its own account.
func TestExitAfterAll(t *testing.T) {
	f := load(t, "script", Config{})
	for i, script := range []string{"cw39W64x3", "cW40000x3"} {
		x, err := run(t, f, script, "Content-Type: text/plain\nContent-Length: 40000\n\n")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := content(x); len(got) != 40000 || err != nil || x.Response.Status != 200 {
			t.Errorf("%d %d bytes, %v", x.Response.Status, len(got), err)
		}
		if s := f.Stats(); s.Failures[wasm.Exited] != uint64(i+1) || !x.Record.Function.Failed {
			t.Errorf("stats are %+v", s)
		}
	}
}

func TestWithoutContent(t *testing.T) {
	f := load(t, "script", Config{})
	check := func(method, script, raw string, status int, length int64) {
		t.Helper()
		x := request(method, "/?"+script, edge.Content([]byte(raw)), int64(len(raw)))
		err := f.Serve(x)
		if r := &x.Response; err != nil || r.Status != status || r.Body != nil || r.Length != length {
			t.Errorf("%s %s: %d, %d, %v, %v", method, script, r.Status, r.Length, r.Body, err)
		}
		x.End()
		if s := f.Stats(); s.Instances != 0 || s.Failures != ([wasm.Causes]uint64{}) {
			t.Errorf("%s %s: stats are %+v", method, script, s)
		}
	}
	check("HEAD", "h", "", 200, -1) // who knows what GET would have
	check("HEAD", "ho", "", 200, 2)
	check("HEAD", "hM100", "", 200, 100*64<<10)
	check("HEAD", "hos1000000o", "", 200, -1) // the head is all that is wanted
	check("HEAD", "c", "Content-Type: a/b\nContent-Length: 12\n\n", 200, 12)
	check("GET", "co", "Status: 204 No Content\n\n", 204, 0)
	check("GET", "cs1os1M100", "Status: 204\n\n", 204, 0) // it runs to its end
	check("GET", "co", "Status: 304\nETag: \"a\"\nContent-Length: 7\n\n", 304, 7)
}

// A client that leaves stops the guest, wherever that is.
func TestClientGone(t *testing.T) {
	f := load(t, "script", Config{Timeout: time.Hour})
	gone := errors.New("the client has gone")
	for _, script := range []string{"l", "hol", "s3000000", "ds3000000"} {
		x := request("GET", "/?"+script, &streamed{pieces: []string{"a"}}, -1)
		x.Cancel(gone) // at the latest
		err := f.Serve(x)
		if err == nil {
			_, err = content(x)
		}
		if edge.AsError(err).Kind != edge.ClientGone || !errors.Is(err, gone) {
			t.Errorf("%s: %v", script, err)
		}
		x.End()
	}
	// While it runs.
	for _, script := range []string{"dl", "hdol"} {
		read := make(chan struct{})
		x := request("GET", "/?"+script, &streamed{before: func() {
			select {
			case <-read:
			default:
				close(read)
			}
		}}, -1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-read
			x.Cancel(gone)
		}()
		err := f.Serve(x)
		if err == nil {
			_, err = content(x)
		}
		if edge.AsError(err).Kind != edge.ClientGone {
			t.Errorf("%s: %v", script, err)
		}
		<-done
		x.End()
	}
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) || s.Instances != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// A body that is closed early, or never read, stops the guest.
func TestClosed(t *testing.T) {
	f := load(t, "script", Config{Timeout: time.Hour})
	x := request("GET", "/?hM1000l", nil, 0)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Response.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	x.Response.Body.Close()
	x.Response.Body.Close()
	rest, err := io.ReadAll(x.Response.Body)
	if err == nil || len(rest) > 64<<10 {
		t.Errorf("after Close: %d bytes, %v", len(rest), err)
	}
	x.End()

	x = request("GET", "/?hM1000l", nil, 0)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	x.End()

	// From another goroutine, while the guest waits for content.
	wait := newWaiting()
	x = request("POST", "/?hc", wait, -1)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	body, done := x.Response.Body, make(chan struct{})
	go func() {
		defer close(done)
		<-wait.begun
		body.Close()
	}()
	if _, err := io.ReadAll(body); err == nil {
		t.Error("the body ends as if it were whole")
	}
	<-done
	x.End()
	if s := f.Stats(); s.Instances != 0 || s.Failures != ([wasm.Causes]uint64{}) {
		t.Errorf("stats are %+v", s)
	}
}

// waiting is content that does not come.
type waiting struct{ begun, closed chan struct{} }

func newWaiting() *waiting { return &waiting{make(chan struct{}), make(chan struct{})} }

func (w *waiting) Read([]byte) (int, error) {
	close(w.begun)
	<-w.closed
	return 0, errors.New("closed")
}

func (w *waiting) Close() error { close(w.closed); return nil }

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := load(t, "script", Config{Concurrency: 2, Wait: time.Second})
		var held []*edge.Exchange
		for range 2 {
			x := request("GET", "/?hos1o", nil, 0)
			if err := f.Serve(x); err != nil {
				t.Fatal(err)
			}
			held = append(held, x)
		}
		x := request("GET", "/?ho", nil, 0)
		begun := time.Now()
		err := f.Serve(x)
		if e := edge.AsError(err); e.Kind != edge.ConnectionLimitReached || time.Since(begun) != time.Second ||
			!strings.Contains(err.Error(), "all of the 2 instances") {
			t.Errorf("the third: %v after %v", err, time.Since(begun))
		}
		x.Answer(err)
		if x.Response.Status != 503 || x.Record.Why != "limited" {
			t.Errorf("the third: %d %s", x.Response.Status, x.Record.Why)
		}
		x.End()

		// The next comes in time.
		time.AfterFunc(time.Second/2, held[0].End)
		x = request("GET", "/?ho", nil, 0)
		if err := f.Serve(x); err != nil {
			t.Errorf("the fourth: %v", err)
		}
		x.End()
		// One that leaves while it waits.
		x, y := request("GET", "/?hos1o", nil, 0), request("GET", "/?ho", nil, 0)
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second/2, func() { y.Cancel(io.ErrClosedPipe) })
		if err := f.Serve(y); edge.AsError(err).Kind != edge.ClientGone {
			t.Errorf("one that leaves: %v", err)
		}
		y.End()
		x.End()
		held[1].End()
		if s := f.Stats(); s.Failures[wasm.Exhausted] != 1 || s.Instances != 0 {
			t.Errorf("stats are %+v", s)
		}
	})
}

// What requests use is given back, for good.
func TestFlat(t *testing.T) {
	f := load(t, "script", Config{})
	rounds := 10_000
	if edge.Poisons {
		rounds = 500 // under -race
	}
	scripts := []string{"ho", "hw40", "t", "x1", "hos1", "e"}
	serve := func(n int) {
		for i := range n {
			x := request("GET", "/?"+scripts[i%len(scripts)], nil, 0)
			if f.Serve(x) == nil && i%2 == 0 && x.Response.Body != nil {
				io.Copy(io.Discard, x.Response.Body)
			}
			x.End()
		}
	}
	measure := func() (goroutines int, bytes int64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), int64(m.HeapAlloc)
	}
	serve(100)
	g0, b0 := measure()
	serve(rounds)
	g1, b1 := measure()
	if g1 > g0 || b1 > b0+(1<<20) {
		t.Errorf("%d goroutines and %d bytes have become %d and %d", g0, b0, g1, b1)
	}
}

func TestClose(t *testing.T) {
	f := load(t, "script", Config{})
	x := request("GET", "/?hos1o", nil, 0)
	defer x.End()
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	f.Close() // what is under way ends well
	y := request("GET", "/?ho", nil, 0)
	defer y.End()
	if e := edge.AsError(f.Serve(y)); e.Kind != edge.FunctionFailed || e.Status != 503 {
		t.Errorf("after Close: %v", e)
	}
	if got, err := io.ReadAll(x.Response.Body); string(got) != "okok" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if !bytes.Equal(nil, edge.Bytes(x.Response.Body)) {
		t.Error("what was handed on is at hand again")
	}
}
