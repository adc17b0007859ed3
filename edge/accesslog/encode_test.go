package accesslog

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// full returns an exchange that has everything to say.
func full(start time.Time) *edge.Exchange {
	x := new(edge.Exchange)
	x.Begin(nil, &edge.Client{IP: "192.0.2.7", TLS: &tls.ConnectionState{Version: tls.VersionTLS13, CurveID: tls.X25519MLKEM768}}, start)
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto = "POST", "https", "example.org", "/cart", "item=7&n=2", "HTTP/2.0"
	x.Parsed()
	r.Fields.Add("user-agent", "curl/8.14.1")
	r.Fields.Add("authorization", "Bearer hunter2")
	r.Fields.Add("accept", "text/html")
	r.Fields.Add("Accept", "*/*")
	x.Response.Status = 201
	x.Record.ID, x.Record.Site, x.Record.Route = "01JD3N", "shop-site", "checkout"
	x.Record.Arm, x.Record.Upstream, x.Record.Endpoint, x.Record.Tries = "shop-v2", "shop", "10.0.0.11:8080", 2
	x.Record.Cache, x.Record.Encoding, x.Record.Why = "miss", "br", "ok"
	x.Record.Received, x.Record.Sent = 1234, 56789
	x.Record.Filters = []edge.FilterRun{
		{Name: "auth", Version: 3, Took: 120 * time.Microsecond},
		{Name: "fields", Took: 2 * time.Microsecond},
		{Name: "auth", Version: 3, Took: 30 * time.Microsecond},
	}
	x.Record.Waited = 41500 * time.Microsecond
	x.Record.Guest.Add("user", "ann")
	x.Record.Guest.Add("why", `"x"`)
	return x
}

// lineOf returns the line of x as a sink gets it.
func lineOf(x *edge.Exchange, cfg Config) string {
	var out bytes.Buffer
	cfg.Output = &out
	l := New(cfg)
	l.Log(x, time.Now())
	l.Close()
	return out.String()
}

func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now() // 2000-01-01T00:00:00Z
		<-time.After(42*time.Millisecond + 700*time.Microsecond)
		got := lineOf(full(start), Config{Fields: []string{"user-agent", "authorization", "accept", "referer"}, Redact: []string{"Authorization", "cookie"}})
		want := `{"ts":"2000-01-01T00:00:00.000Z","id":"01JD3N","site":"shop-site","route":"checkout","client_ip":"192.0.2.7",` +
			`"method":"POST","uri":"/cart?item=7&n=2","proto":"HTTP/2.0","status":201,"why":"ok","cache":"miss",` +
			`"bytes_in":1234,"bytes_out":56789,"encoding":"br","ms":{"total":42.7,"filters":0.152,"upstream":41.5},` +
			`"upstream":"shop","endpoint":"10.0.0.11:8080","tries":2,"arm":"shop-v2","filters":{"auth@3":0.15,"fields":0.002},` +
			`"guest":{"user":"ann","why":"\"x\""},"tls":{"version":"1.3","kx":"X25519MLKEM768"},` +
			`"fields":{"user-agent":"curl/8.14.1","authorization":"[redacted]","accept":"text/html, */*"}}` + "\n"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// What is not there is left out: here a request that could not be read.
func TestLineOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(edge.Exchange)
		x.Begin(nil, nil, time.Now())
		x.Answer(&edge.Error{Kind: edge.RequestError, Op: "read the head", Err: errors.New("bare CR in a field")})
		got := lineOf(x, Config{Fields: []string{"user-agent"}})
		want := `{"ts":"2000-01-01T00:00:00.000Z","status":400,"why":"bad-request","error":"read the head: http_request_error: bare CR in a field",` +
			`"bytes_in":0,"bytes_out":0,"ms":{"total":0}}` + "\n"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestTimeIsUTC(t *testing.T) {
	x := new(edge.Exchange)
	x.Begin(nil, nil, time.Date(2026, 3, 1, 1, 30, 0, 5e6, time.FixedZone("", 2*3600)))
	if got, want := lineOf(x, Config{}), `{"ts":"2026-02-28T23:30:00.005Z",`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want it to begin with %s", got, want)
	}
}

func TestMilliseconds(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		var e encoder
		if e.ms(d); string(e.b) != want {
			t.Errorf("%v: got %s, want %s", d, e.b, want)
		}
	}
	f(0, "0")
	f(-time.Second, "0") // a clock that was set back
	f(999*time.Nanosecond, "0")
	f(time.Microsecond, "0.001")
	f(120*time.Microsecond, "0.12")
	f(time.Millisecond, "1")
	f(90*time.Second+5*time.Microsecond, "90000.005")
}

func TestTLSWithoutGroup(t *testing.T) {
	f := func(s tls.ConnectionState, want string) {
		t.Helper()
		e := encoder{maxValue: 100}
		if e.tls(&s); string(e.b) != want {
			t.Errorf("got %s, want %s", e.b, want)
		}
	}
	f(tls.ConnectionState{Version: tls.VersionTLS12}, `,"tls":{"version":"1.2"}`) // RSA key exchange
	f(tls.ConnectionState{Version: 0x0305, CurveID: tls.X25519}, `,"tls":{"version":"other","kx":"X25519"}`)
}

func TestEscape(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		e := encoder{maxValue: 1 << 10}
		if e.quoted(s); string(e.b) != want {
			t.Errorf("%q: got %s, want %s", s, e.b, want)
		}
	}
	f(`plain`, `"plain"`)
	f(`a"b\c`, `"a\"b\\c"`)
	f("{\"x\":1}\n{\"forged\":1}", `"{\"x\":1}\u000a{\"forged\":1}"`)
	f("\x00\x1b[31mred\x7f\u009b31m", `"\u0000\u001b[31mred\u007f\u009b31m"`) // what steers a terminal
	f("\u2028\u2029", `"\u2028\u2029"`)                                       // ends a line in JavaScript
	f("blåbær 🫐", `"blåbær 🫐"`)
	f("a\xffb\xc3", "\"a\uFFFDb\uFFFD\"") // no UTF-8
	f("\xed\xa0\x80", "\"\uFFFD\uFFFD\uFFFD\"")
}

func TestLongValuesAreCut(t *testing.T) {
	f := func(s string, most int, want string, wantRoom int) {
		t.Helper()
		var e encoder
		if room := e.escaped(s, most); string(e.b) != want || room != wantRoom {
			t.Errorf("%q: got %s, room %d, want %s, %d", s, e.b, room, want, wantRoom)
		}
	}
	f("abc", 4, "abc", 1)
	f("abcd", 4, "abcd", 0)
	f("abcde", 4, "abcd...", -1)
	f("abåc", 3, "ab...", -1) // not within a character
	f("åå", 1, "...", -1)
	x := new(edge.Exchange)
	x.Begin(nil, nil, time.Now())
	x.Request.Path, x.Request.Query = "/"+strings.Repeat("p", 5), strings.Repeat("q", 100)
	x.Parsed()
	x.Request.Fields.Add("A", strings.Repeat("a", 8))
	x.Request.Fields.Add("A", strings.Repeat("b", 8))
	x.Request.Fields.Add("A", strings.Repeat("c", 8))
	x.Request.Fields.Add("B", strings.Repeat("b", 10)) // fills the room, and more comes
	x.Request.Fields.Add("B", "more")
	x.Request.Fields.Add("B", "still more")
	got := lineOf(x, Config{MaxValue: 10, Fields: []string{"a", "b"}})
	for _, want := range []string{`"uri":"/ppppp?qqqq..."`, `"fields":{"a":"aaaaaaaa, bb...","b":"bbbbbbbbbb..."}`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
}

func TestSetFields(t *testing.T) {
	var out bytes.Buffer
	l := New(Config{Output: &out})
	x := full(time.Now())
	l.Log(x, time.Now())
	l.SetFields([]string{"Accept"}, nil)
	l.Log(x, time.Now())
	l.Close()
	first, second, _ := strings.Cut(out.String(), "\n")
	if strings.Contains(first, `"fields":{`) || !strings.Contains(second, `"fields":{"Accept":"text/html, */*"}`) {
		t.Errorf("got\n%s\n%s", first, second)
	}
}

// Whatever an exchange holds, its line is one line of valid JSON, which says the
// same.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/", "", "ok", "curl", "auth", 200)
	f.Add("G\nT", "/\x00\"", "a=\xff", "\u2028", "\x1b[0m", "a\",\"b", -1)
	f.Add("", "", "?", "\\", "\xed\xa0\x80", "", 0)
	f.Add("A", strings.Repeat("å", 5000), "q", "w", strings.Repeat("\x01", 9000), "x", 1<<40)
	f.Fuzz(func(t *testing.T, method, path, query, why, agent, filter string, n int) {
		x := new(edge.Exchange)
		x.Begin(nil, &edge.Client{IP: agent}, time.Now())
		x.Request.Method, x.Request.Path, x.Request.Query = method, path, query
		x.Parsed()
		x.Request.Fields.Add("User-Agent", agent)
		x.Response.Status = n
		x.Record.Why, x.Record.Site = why, path
		x.Record.Err = errors.New(why)
		x.Record.Filters = []edge.FilterRun{{Name: filter, Version: n}, {Name: method, Took: time.Duration(n)}}
		line := lineOf(x, Config{Fields: []string{"user-agent"}})
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Fatalf("not one line: %q", line)
		}
		for i := range len(line) - 1 {
			if line[i] < 0x20 || line[i] == 0x7f {
				t.Fatalf("control character %#x in %q", line[i], line)
			}
		}
		var got struct {
			Method, URI, Why, Error, Site string
			ClientIP                      string `json:"client_ip"`
			Status                        int
			Filters                       map[string]float64
			Fields                        map[string]string
		}
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if _, err := d.Token(); err != io.EOF {
			t.Fatalf("more than one value: %q", line)
		}
		uri := path
		if query != "" {
			uri += "?" + query
		}
		same(t, "method", got.Method, method)
		same(t, "why", got.Why, why)
		same(t, "error", got.Error, why)
		same(t, "site", got.Site, path)
		same(t, "client_ip", got.ClientIP, agent)
		same(t, "user-agent", got.Fields["user-agent"], agent)
		if len(uri) <= 8<<10 {
			same(t, "uri", got.URI, uri)
		}
		if got.Status != n {
			t.Errorf("status: got %d, want %d", got.Status, n)
		}
		if len(got.Filters) == 0 {
			t.Error("no filters")
		}
	})
}

// same compares a decoded value with what was logged: bytes that are no UTF-8
// are U+FFFD each, and what is too long is cut.
func same(t *testing.T, what, got, logged string) {
	t.Helper()
	want := string([]rune(logged))
	if len(logged) > 8<<10 {
		var ok bool
		if got, ok = strings.CutSuffix(got, "..."); !ok || len(got) < 8<<10-4 {
			t.Errorf("%s: %d bytes are left, and it is not marked as cut", what, len(got))
		}
		// A cut within bytes that are no UTF-8 may count them otherwise.
		got, want = got[:4<<10], want[:4<<10]
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	l := New(Config{Output: io.Discard, Fields: []string{"user-agent", "authorization", "accept"}, Redact: []string{"authorization"}})
	defer l.Close()
	x := full(time.Now())
	// The buffers grow in the beginning, and under -race a pool forgets on purpose.
	var n float64
	for range 5 {
		if n = testing.AllocsPerRun(2000, func() { l.Log(x, time.Now()) }); n == 0 {
			return
		}
	}
	if !edge.Poisons {
		t.Errorf("got %v allocations a line, want 0", n)
	}
}

func BenchmarkLog(b *testing.B) {
	l := New(Config{Output: io.Discard, Fields: []string{"user-agent"}})
	defer l.Close()
	x := full(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		l.Log(x, time.Now())
	}
}
