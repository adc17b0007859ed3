package httpwasm

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// answers makes a function of the guest "answer".
func answers(t testing.TB, cfg Config) *Function {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	return loadFunction(t, "answer", cfg)
}

// row asks the guest "answer" for what a row of letters says.
func row(method, letters string, body edge.Body) *edge.Exchange {
	return request(method, "/a?"+letters, body, -1, "X-A", "a")
}

func all(x *edge.Exchange) (string, error) {
	if x.Response.Body == nil {
		return "", nil
	}
	b, err := io.ReadAll(x.Response.Body)
	return string(b), err
}

// What is handed on when, and what the response knows of its length.
func TestHandedOn(t *testing.T) {
	f := answers(t, Config{})
	check := func(letters, body string, length int64, pieces ...string) {
		t.Helper()
		var c edge.Body
		if body != "" {
			c = &streamed{pieces: strings.Split(body, "|")}
		}
		x := row("POST", letters, c)
		defer x.End()
		if err := f.Serve(x); err != nil {
			t.Errorf("%s: %v", letters, err)
			return
		}
		if x.Response.Length != length {
			t.Errorf("%s: length is %d, want %d", letters, x.Response.Length, length)
		}
		if whole := edge.Bytes(x.Response.Body) != nil; whole != (length > 0 && len(pieces) == 1) {
			t.Errorf("%s: at hand: %v", letters, whole)
		}
		buf := make([]byte, 1<<20)
		for i := 0; x.Response.Body != nil; i++ {
			n, err := x.Response.Body.Read(buf)
			want := ""
			if i < len(pieces) {
				want = pieces[i]
			}
			if string(buf[:n]) != want || err != nil && err != io.EOF {
				t.Errorf("%s: piece %d is %.20q of %d bytes, %v, want %.20q of %d", letters, i, buf[:n], n, err, want, len(want))
			}
			if err != nil {
				if i+1 < len(pieces) {
					t.Errorf("%s: ends after %d pieces", letters, i+1)
				}
				break
			}
		}
	}
	line := strings.Repeat("x", 1023) + "\n"
	zeros := strings.Repeat("\x00", 64<<10)
	check("", "", 0)
	check("e", "", 0)
	check("o", "", 2, "ok")
	check("ow31", "", 2+31<<10, "ok"+strings.Repeat(line, 31))
	check("w32", "", -1, strings.Repeat(line, 32), "")                      // it could be more
	check("w40", "", -1, strings.Repeat(line, 32), strings.Repeat(line, 8)) //
	check("M1", "", -1, zeros, "")                                          // straight from the guest's memory
	check("oM1", "", -1, "ok"+zeros[:32<<10-2], zeros[:32<<10+2], "")       //
	check("os1o", "", -1, "ok", "ok")                                       // before it sleeps
	check("s1o", "", 2, "ok")                                               // there is nothing to hand on
	check("es1o", "", -1, "ok")                                             // but a head
	check("c", "one|two", -1, "one", "two", "")                             // before it waits for more
	check("do", "one|two", 2, "ok")
	check("boM1s1o", "", 4+64<<10, "ok"+zeros+"ok") // all of it, with buffer_response
	check("os1bo", "", -1, "ok", "lateok")          // too late to ask for it, and so it says
	check("D1C", "one|two", 2, "ne")                // a read returns what is at hand
	check("L40960w40", "", 40<<10, strings.Repeat(line, 32), strings.Repeat(line, 8))
}

// What has been read of the request is not read again, and what is written to it goes
// nowhere; a guest's changes to the request are its own, and it sees the one that it
// was asked to the end.
func TestOwnRequest(t *testing.T) {
	f := answers(t, Config{})
	x := row("GET", "RUumos1umf", nil)
	defer x.End()
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	r := &x.Request
	if r.Method != "GET" || r.Path != "/a" || r.Query != "RUumos1umf" || r.Body != nil {
		t.Errorf("the request has become %+v", r)
	}
	r.Method, r.Path, r.Authority = "POST", "/other", "other.example" // as who rewrites it on its last step takes that back
	r.Fields.Set("X-A", "other")
	if got, err := all(x); got != "/ownHEADok/ownHEADaexample.org" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Status and fields can be changed until content has been handed on: with
// buffer_response, until all is done.
func TestLateHead(t *testing.T) {
	f := answers(t, Config{Body: 100 << 10})
	check := func(method, letters string, status int, length int64, late string) {
		t.Helper()
		x := row(method, letters, nil)
		defer x.End()
		if err := f.Serve(x); err != nil {
			t.Errorf("%s: %v", letters, err)
			return
		}
		b, err := all(x)
		if r := &x.Response; r.Status != status || r.Length != length || r.Fields.Get("X-Late") != late || r.Fields.Has("Content-Length") || err != nil {
			t.Errorf("%s: got %d, length %d, X-Late %q, %v", letters, r.Status, r.Length, r.Fields.Get("X-Late"), err)
		}
		if got := int64(len(b)); got != length && length >= 0 && method != "HEAD" {
			t.Errorf("%s: %d bytes of content", letters, got)
		}
	}
	check("GET", "oS404h", 404, 2, "yes")
	check("GET", "w31S503h", 503, 31<<10, "yes")
	check("GET", "bw99S404h", 404, 99<<10, "yes")
	check("GET", "bos1s1oh", 200, 4, "yes")
	check("GET", "bS204oS200o", 200, 4, "")
	check("GET", "bM1S304", 304, 0, "")
	check("GET", "oS204h", 204, 0, "yes")
	check("HEAD", "oS404h", 404, 2, "yes")
	check("GET", "L2o", 200, 2, "")
	check("GET", "oL2", 200, 2, "")
	check("GET", "L3XL2o", 200, 2, "")
	check("GET", "L2A2o", 200, 2, "")
}

// What has been handed on in part ends with an error, never as if it were whole.
func TestCut(t *testing.T) {
	patient, short := answers(t, Config{}), answers(t, Config{Timeout: 100 * time.Millisecond})
	check := func(letters string, n int, cause wasm.Cause, text string) {
		t.Helper()
		f := patient
		if cause == wasm.TimedOut {
			f = short
		}
		before := f.Stats().Failures[cause]
		x := row("GET", letters, nil)
		defer x.End()
		if err := f.Serve(x); err != nil {
			t.Errorf("%s: %v", letters, err)
			return
		}
		got, err := all(x)
		if e := edge.AsError(err); e.Kind != edge.FunctionFailed || !strings.Contains(err.Error(), text) || len(got) != n {
			t.Errorf("%s: %d bytes and %v, want %d and an error with %q", letters, len(got), err, n, text)
		}
		if _, again := x.Response.Body.Read(make([]byte, 1)); again != err {
			t.Errorf("%s: the next read: %v", letters, again)
		}
		if s := f.Stats(); s.Failures[cause] != before+1 || s.Instances != 0 || !x.Record.Function.Failed {
			t.Errorf("%s: stats are %+v", letters, s)
		}
	}
	check("w40t", 40<<10, wasm.Trapped, "unreachable")
	check("w32l", 32<<10, wasm.TimedOut, "not done within")
	check("w32n", 32<<10, wasm.Misused, "wants the next handler")
	check("os1p", 2, wasm.Misused, "beyond the end of memory")
	check("w40S404", 40<<10, wasm.Misused, "the status cannot be changed any more: content has been sent")
	check("w32h", 32<<10, wasm.Misused, "a response field cannot be changed any more")
	check("L40000w32", 32<<10, wasm.Misused, "32768 bytes of content are written, and Content-Length is 40000")
	check("L40000w40", 39<<10, wasm.Misused, "more is written than the 40000 bytes of Content-Length")
}

// What fails before anything has been handed on is an error in its place.
func TestFailsAtOnce(t *testing.T) {
	patient, short := answers(t, Config{Body: 100 << 10}), answers(t, Config{Timeout: 100 * time.Millisecond})
	check := func(letters string, status int, cause wasm.Cause, text string) {
		t.Helper()
		f := patient
		if cause == wasm.TimedOut {
			f = short
		}
		before := f.Stats().Failures[cause]
		x := row("GET", letters, nil)
		defer x.End()
		err := f.Serve(x)
		if e := edge.AsError(err); err == nil || e.Kind != edge.FunctionFailed || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error is %v, want one with %q", letters, err, text)
			return
		}
		if x.Answer(err); x.Response.Status != status || f.Stats().Failures[cause] != before+1 {
			t.Errorf("%s: status %d, stats %+v", letters, x.Response.Status, f.Stats())
		}
	}
	check("w31t", 500, wasm.Trapped, "unreachable")
	check("ol", 500, wasm.TimedOut, "not done within")
	check("on", 500, wasm.Misused, "wants the next handler")
	check("bw99t", 500, wasm.Trapped, "unreachable")
	check("bw101", 502, wasm.Oversized, "content written is more than the 102400 bytes that may be held")
	check("bM1000", 502, wasm.Oversized, "content written is more")
	check("L3o", 500, wasm.Misused, "2 bytes of content are written, and Content-Length is 3")
	check("L1o", 500, wasm.Misused, "more is written than the 1 bytes of Content-Length")
	check("oL1", 500, wasm.Misused, "2 bytes of content are written, and Content-Length is 1")
	check("L3A4", 500, wasm.Misused, "two of Content-Length, 3 and 4")
	check("N", 500, wasm.Misused, `"-1" is no Content-Length`)
	check("S204oS200", 500, wasm.Misused, "the status cannot be changed any more") // what it wrote is gone
}

func TestWithoutContent(t *testing.T) {
	f := answers(t, Config{})
	check := func(method, letters string, status int, length int64) {
		t.Helper()
		x := row(method, letters, nil)
		err := f.Serve(x)
		if r := &x.Response; err != nil || r.Status != status || r.Body != nil || r.Length != length {
			t.Errorf("%s %s: %d, %d, %v, %v", method, letters, r.Status, r.Length, r.Body, err)
		}
		x.End()
		if s := f.Stats(); s.Instances != 0 || s.Failures != ([wasm.Causes]uint64{}) {
			t.Errorf("%s %s: stats are %+v", method, letters, s)
		}
	}
	check("HEAD", "", 200, -1) // who knows what GET would have
	check("HEAD", "o", 200, 2)
	check("HEAD", "L12", 200, 12)
	check("HEAD", "bM30", 200, 30*64<<10)
	check("HEAD", "os1000000o", 200, -1) // the head is all that is wanted
	check("HEAD", "oTr", 200, 2)
	check("GET", "S204o", 204, 0)
	check("GET", "S204os1os1M100", 204, 0) // it runs to its end
	check("GET", "S304L7o", 304, 7)
	check("GET", "S204oTr", 204, 0)
}

func TestFunctionTrailers(t *testing.T) {
	f := answers(t, Config{})
	check := func(letters, content, sum string, length int64) {
		t.Helper()
		x := row("POST", letters, nil)
		defer x.End()
		x.Request.Body = &streamed{pieces: []string{"up"}, end: func() { x.Request.Trailers.Set("X-Sum", "7") }}
		if err := f.Serve(x); err != nil {
			t.Errorf("%s: %v", letters, err)
			return
		}
		got, err := all(x)
		if r := &x.Response; got != content || err != nil || r.Trailers.Get("X-Sum") != sum || r.Length != length {
			t.Errorf("%s: got %q, %v, trailers %v, length %d", letters, got, err, r.Trailers, r.Length)
		}
	}
	check("Tqdq", "none7", "", -1) // they come with the end of the content
	check("dq", "7", "", 1)        // without the feature too: it is for changes
	check("Tor", "ok", "42", -1)
	check("Tro", "ok", "42", -1)
	check("Tr", "", "42", -1)
	check("Tos1r", "ok", "42", -1) // set when the head has gone
	check("Trw40", strings.Repeat(strings.Repeat("x", 1023)+"\n", 40), "42", -1)
	check("bTor", "ok", "42", -1)
}

// A guest goes on only when what it has written is read, and content of the request is
// read only when it does: who is slow holds up the other side.
func TestTurns(t *testing.T) {
	f := answers(t, Config{})
	read := 0
	body := &counted{&streamed{pieces: strings.Split(strings.Repeat("0123456789abcdef ", 200), " ")}, &read}
	x := row("POST", "ec", body)
	defer x.End()
	if err := f.Serve(x); err != nil || read != 0 {
		t.Fatalf("%d pieces are read before anybody has asked for more, %v", read, err)
	}
	buf := make([]byte, 1<<10)
	for i := range 100 {
		if n, err := x.Response.Body.Read(buf); n != 16 || err != nil || read != i+1 {
			t.Fatalf("after %d reads of the response %d of the request: %d bytes, %v", i+1, read, n, err)
		}
	}
}

// counted is content of which the reads are counted.
type counted struct {
	edge.Body
	n *int
}

func (c *counted) Read(p []byte) (int, error) { *c.n++; return c.Body.Read(p) }

// What the request's content fails with is not the function's failure.
func TestFunctionContentFails(t *testing.T) {
	f := answers(t, Config{})
	cut := &edge.Error{Kind: edge.RequestError, Op: "read the request"}
	for _, letters := range []string{"d", "ed", "odo"} {
		x := row("POST", letters, &streamed{pieces: []string{"abc"}, err: cut})
		err := f.Serve(x)
		if err == nil {
			_, err = all(x)
		}
		if err != error(cut) {
			t.Errorf("%s: %v", letters, err)
		}
		x.End()
	}
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) || s.Instances != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// A function's time is what it runs and sleeps, not what it waits for the client or
// for content.
func TestFunctionTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(t, Config{Timeout: 10 * time.Second})
		x := row("POST", "eCs4000os4000C", &slow{&streamed{pieces: []string{"a", "b"}}})
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
		if string(got) != "aokb" {
			t.Errorf("got %q", got)
		}
		x.End()

		begun := time.Now()
		x = row("GET", "os4000os4000os4000o", nil)
		if err := f.Serve(x); err != nil {
			t.Fatal(err)
		}
		b, err := all(x)
		if edge.AsError(err).Kind != edge.FunctionFailed || b != "okokok" || time.Since(begun) != 10*time.Second {
			t.Errorf("got %q, %v after %v", b, err, time.Since(begun))
		}
		x.End()
	})
}

// slow is content of which each piece takes an hour.
type slow struct{ edge.Body }

func (s *slow) Read(p []byte) (int, error) {
	<-time.After(time.Hour)
	return s.Body.Read(p)
}

// A client that leaves stops the guest, wherever that is; and so does a body that is
// closed early, or never read.
func TestStopped(t *testing.T) {
	f := answers(t, Config{Timeout: time.Hour})
	gone := errors.New("the client has gone")
	for _, letters := range []string{"l", "ol", "s3000000", "os3000000", "M1000000"} {
		x := row("GET", letters, nil)
		x.Cancel(gone) // at the latest
		err := f.Serve(x)
		if err == nil {
			_, err = all(x)
		}
		if edge.AsError(err).Kind != edge.ClientGone || !errors.Is(err, gone) {
			t.Errorf("%s: %v", letters, err)
		}
		x.End()
	}
	x := row("GET", "M1000l", nil)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	x.Response.Body.Close()
	if rest, err := all(x); err == nil || len(rest) > 64<<10 {
		t.Errorf("after Close: %d bytes, %v", len(rest), err)
	}
	x.End()
	x = row("GET", "M1000l", nil)
	if err := f.Serve(x); err != nil {
		t.Fatal(err)
	}
	x.End()
	if s := f.Stats(); s.Failures != ([wasm.Causes]uint64{}) || s.Instances != 0 {
		t.Errorf("stats are %+v", s)
	}
}
