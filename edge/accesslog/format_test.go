package accesslog

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

func mustParse(t testing.TB, s string) Format {
	t.Helper()
	f, err := ParseFormat(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFormats(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now() // 2000-01-01T00:00:00Z
			<-time.After(42*time.Millisecond + 700*time.Microsecond)
			x := full(start)
			x.Record.Function = edge.FilterRun{Name: "hello", Version: 3, Took: time.Millisecond}
			x.Request.Fields.Add("Referer", "https://example.org/")
			x.Response.Fields.Add("Content-Type", "text/html")
			cfg := Config{Format: mustParse(t, format), Redact: []string{"authorization"}}
			if got := lineOf(x, cfg); got != want+"\n" {
				t.Errorf("%s\ngot  %swant %s", format, got, want)
			}
		})
	}
	f("common", `192.0.2.7 - - [01/Jan/2000:00:00:00 +0000] "POST /cart?item=7&n=2 HTTP/2.0" 201 56789`)
	f("combined", `192.0.2.7 - - [01/Jan/2000:00:00:00 +0000] "POST /cart?item=7&n=2 HTTP/2.0" 201 56789 "https://example.org/" "curl/8.14.1"`)
	f("{ts} {id} {site} {route}", "2000-01-01T00:00:00.000Z 01JD3N shop-site checkout")
	f("{client_ip} {method} {uri} {path} {query}", "192.0.2.7 POST /cart?item=7&n=2 /cart item=7&n=2")
	f("{host} {scheme} {proto}", "example.org https HTTP/2.0")
	f("{status} {why} {error} {cache}", "201 ok - miss")
	f("{bytes_in} {bytes_out} {bytes.common} {encoding}", "1234 56789 56789 br")
	f("{ms.total} {ms.filters} {ms.function} {ms.upstream}", "42.7 0.152 1 41.5")
	f("{upstream} {endpoint} {tries} {arm}", "shop 10.0.0.11:8080 2 shop-v2")
	f("{filters} {function}", "auth@3:0.15,fields:0.002 hello@3")
	f("{guest}", `user=ann;why=\"x\"`)
	f("{tls.version} {tls.kx}", "1.3 X25519MLKEM768")
	f("{time.common}|{request}", "01/Jan/2000:00:00:00 +0000|POST /cart?item=7&n=2 HTTP/2.0")
	f("{request.accept}, {request.X-None}, {request.HOST}", "text/html, */*, -, example.org")
	f("{response.content-type}\t{response.host}", "text/html\t-")
	f("{request.Authorization}", "[redacted]")
	f("{{{status}}} }}{{ ü", "{201} }{ ü")
}

// What is not there is "-", and the line has as many parts as others.
func TestFormatsOfNothing(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			x := new(edge.Exchange)
			x.Begin(nil, nil, time.Now())
			if got := lineOf(x, Config{Format: mustParse(t, format)}); got != want+"\n" {
				t.Errorf("got %swant %s", got, want)
			}
		})
	}
	f("combined", `- - - [01/Jan/2000:00:00:00 +0000] "-" - - "-" "-"`)
	for n := nameID; int(n) < len(names); n++ {
		switch n {
		case nameBytesIn, nameBytesOut, nameMSTotal:
			f("{"+names[n].text+"}", "0")
		case nameTimeCommon:
		default:
			f("{"+names[n].text+"}", "-")
		}
	}
	synctest.Test(t, func(t *testing.T) { // as far as it could be read
		x := new(edge.Exchange)
		x.Begin(nil, nil, time.Now())
		x.Request.Method = "GET"
		x.Parsed()
		x.Request.Fields.Add("User-Agent", "")
		x.Answer(&edge.Error{Kind: edge.RequestError, Op: "read the head"})
		got := lineOf(x, Config{Format: mustParse(t, `"{request}" {status} {error} "{request.user-agent}"`)})
		if want := `"GET - -" 400 read the head: http_request_error "-"` + "\n"; got != want {
			t.Errorf("got %swant %s", got, want)
		}
	})
}

func TestParseFormatRefuses(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if _, err := ParseFormat(s); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", s, err, want)
		}
	}
	f("", `"" is neither json, common nor combined, and a template has {names} in it`)
	f("combind", `"combind" is neither json, common nor combined, and a template has {names} in it; did you mean "combined"?`)
	f("{{status}}", `the template "{{status}}" has no {names} in it: all lines would be the same`)
	f("{status} {stauts}", `character 10 of the template: there is no {stauts}; did you mean "status"?`)
	f("ü {Status}", `character 3 of the template: there is no {Status}; did you mean "status"?`)
	f("{ms}", `character 1 of the template: there is no {ms}; have "ms.total", "ms.filters", "ms.function", "ms.upstream"`)
	f("{tls}", `character 1 of the template: there is no {tls}; have "tls.version", "tls.kx"`)
	f("{user_agent}", `character 1 of the template: there is no {user_agent}; a field is written {request.user-agent}`)
	f("{fields}", `character 1 of the template: there is no {fields}; a field is written like {request.user-agent}`)
	f("{}", `character 1 of the template: there is no {}`)
	f("{request.}", `character 1 of the template: {request.} names no field; write it like {request.user-agent}`)
	f("{response.a b}", `character 1 of the template: {response.a b} names no field; write it like {request.user-agent}`)
	f("{status", `the { at character 1 is not closed; write {{ for a brace`)
	f("{status {why}", `the { at character 1 is not closed; write {{ for a brace`)
	f("{status}}", `the } at character 9 closes nothing; write }} for a brace`)
	f("{status}\n{why}", `character 9 of the template is U+000A, and a line has no control characters but tabs`)
	f("{status}\u2028", `character 9 of the template is U+2028, and a line has no control characters but tabs`)
	f("{status}\xff", `the template is not UTF-8`)
	f("{status}"+strings.Repeat("x", maxTemplate), `the template has 4104 bytes; at most 4096`)
	f(strings.Repeat("y", 100), `"`+strings.Repeat("y", 40)+`..." is neither json, common nor combined, and a template has {names} in it`)
}

func TestASCII(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		e := encoder{maxValue: 1 << 10}
		if e.ascii(s, 1<<10); string(e.b) != want {
			t.Errorf("%q: got %s, want %s", s, e.b, want)
		}
	}
	f(`plain ~ text`, `plain ~ text`)
	f(`a"b\c`, `a\"b\\c`)
	f("1\r\n2\t3\v4\b5", `1\r\n2\t3\v4\b5`)
	f("\x00\x1b[31m\x7f", `\x00\x1b[31m\x7f`)
	f("\u2028å\xff", `\xe2\x80\xa8\xc3\xa5\xff`)
	e := encoder{}
	if room := e.ascii("abcd", 3); room != -1 || string(e.b) != "abc..." {
		t.Errorf("got %s, room %d, want it cut", e.b, room)
	}
}

// Redaction follows SetFields, in every format, for requests and responses.
func TestRedactionInTemplates(t *testing.T) {
	var out strings.Builder
	l := New(Config{Output: &out, Format: mustParse(t, "{request.Authorization} {response.set-cookie} {request.accept} {request.host}")})
	x := full(time.Now())
	x.Response.Fields.Add("Set-Cookie", "sid=hunter2")
	l.Log(x, time.Now())
	l.SetFields(nil, []string{"AUTHORIZATION", "Set-Cookie", "host"})
	l.Log(x, time.Now())
	l.Close()
	want := "Bearer hunter2 sid=hunter2 text/html, */* example.org\n[redacted] [redacted] text/html, */* [redacted]\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestHostIsAField(t *testing.T) {
	got := lineOf(full(time.Now()), Config{Fields: []string{"host", "accept"}})
	if want := `"fields":{"host":"example.org","accept":"text/html, */*"}}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

// quotedPart is what stands between two quotes.
const quotedPart = `"((?:[^"\\]|\\.)*)"`

// combinedLine is how tools read the format.
var combinedLine = regexp.MustCompile(`^(\S+) (\S+) (\S+) \[([^\]]+)\] ` + quotedPart + ` (\d+|-) (\d+|-) ` + quotedPart + ` ` + quotedPart + `\n$`)

var quoted = regexp.MustCompile(quotedPart)

// unescape undoes what ascii does.
func unescape(t *testing.T, s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'x':
			b.WriteByte(byte(strings.IndexByte(hex, s[i+1])<<4 | strings.IndexByte(hex, s[i+2])))
			i += 2
		case 'b', 'n', 'r', 't', 'v':
			b.WriteByte("\b\n\r\t\v"[strings.IndexByte("bnrtv", s[i])])
		case '"', '\\':
			b.WriteByte(s[i])
		default:
			t.Fatalf("\\%c in %q", s[i], s)
		}
	}
	return b.String()
}

// Whatever an exchange holds, its line in the combined format is one line of the
// same parts, which say the same, and so it is with a template of everything.
func FuzzText(f *testing.F) {
	all := "{request.user-agent}\t{response.Server}"
	for _, n := range texts() {
		all += "\t\"{" + n + "}\""
	}
	everything := mustParse(f, all)
	combined := mustParse(f, "combined")
	f.Add("GET", "/", "", "curl", "https://example.org/", "ok", 200, int64(10))
	f.Add("G\nT", "/\x00\"", "a=\xff", "\" 200 1 \"", "\x1b[0m", "\\", -1, int64(-1))
	f.Add("", "", "?", "\\\"", "\u2028", "\xed\xa0\x80", 0, int64(0))
	f.Add("A", strings.Repeat("å", 50), "q", strings.Repeat("\"", 90), strings.Repeat("\\", fuzzedValue+1), "x", 1<<40, int64(1))
	f.Add("A", "/", "q", "a", strings.Repeat("r", fuzzedValue), "x", 1, int64(1))
	f.Fuzz(func(t *testing.T, method, path, query, agent, referer, name string, n int, size int64) {
		x := new(edge.Exchange)
		x.Begin(nil, &edge.Client{IP: "2001:db8::1"}, time.Now())
		x.Request.Method, x.Request.Path, x.Request.Query, x.Request.Proto = method, path, query, name
		x.Request.Authority, x.Request.Scheme = agent, referer
		x.Parsed()
		x.Request.Fields.Add("User-Agent", agent)
		x.Request.Fields.Add("Referer", referer)
		x.Request.Fields.Add("Referer", name)
		x.Response.Fields.Add("Server", referer)
		x.Response.Status = n
		r := &x.Record
		r.ID, r.Site, r.Route, r.Arm, r.Upstream, r.Endpoint, r.Cache, r.Encoding, r.Why = name, agent, path, name, name, agent, name, referer, name
		r.Sent, r.Err = size, errors.New(name)
		r.Filters = []edge.FilterRun{{Name: name, Version: n}, {Name: agent}}
		r.Function = edge.FilterRun{Name: name}

		line := text(x, combined)
		parts := combinedLine.FindStringSubmatch(line)
		if parts == nil {
			t.Fatalf("not a combined line: %q", line)
		}
		if referer != "" || name != "" {
			sameText(t, "referer", unescape(t, parts[8]), referer+", "+name)
		}
		if agent != "" {
			sameText(t, "user agent", unescape(t, parts[9]), agent)
		}
		if method != "" && path != "" && query != "" && name != "" && len(path)+len(query) <= fuzzedValue && len(method) <= fuzzedValue && len(name) <= fuzzedValue {
			sameText(t, "request", unescape(t, parts[5]), method+" "+path+"?"+query+" "+name)
		}

		line = text(x, everything)
		if got, want := strings.Count(line, "\t"), strings.Count(all, "\t"); got != want {
			t.Errorf("got %d tabs, want %d: %q", got, want, line)
		}
		if strings.Count(line, "\n") != 1 || line[len(line)-1] != '\n' {
			t.Errorf("not one line: %q", line)
		}
		for i := range len(line) - 1 {
			if c := line[i]; c < 0x20 && c != '\t' || c >= 0x7f {
				t.Fatalf("byte %#x in %q", c, line)
			}
		}
		rest := quoted.ReplaceAllString(line, "")
		fields := strings.SplitN(rest, "\t", 3)
		if len(fields) != 3 || strings.Trim(fields[2], "\t\n") != "" {
			t.Errorf("a value has left its quotes: %q", line)
		}
	})
}

// fuzzedValue is the length of a value that is cut: fuzzing is slow with long
// ones.
const fuzzedValue = 60

// text returns the line of x.
func text(x *edge.Exchange, f Format) string {
	e := encoder{maxValue: fuzzedValue, text: true}
	e.template(x, time.Now(), f.parts)
	return string(e.b)
}

// sameText compares a value with what was logged, which is cut if it is long.
func sameText(t *testing.T, what, got, logged string) {
	t.Helper()
	if kept, ok := strings.CutSuffix(got, "..."); ok && len(logged) > fuzzedValue {
		if len(kept) < fuzzedValue || !strings.HasPrefix(logged, kept[:fuzzedValue]) {
			t.Errorf("%s: %q is left of %q", what, kept, logged)
		}
		return
	}
	if got != logged {
		t.Errorf("%s: got %q, want %q", what, got, logged)
	}
}

// What the parser accepts makes one line, of the text that stands outside of the
// braces.
func FuzzParseFormat(f *testing.F) {
	for _, s := range []string{"json", "common", "combined", common, combined, "{status}", "{{{status}}}", "{request.x}{response.y}", "{", "}", "{{}}", "{ms.total", "\t{id}", "{request.\x00}", "{id}\u2028"} {
		f.Add(s)
	}
	x := full(time.Now())
	f.Fuzz(func(t *testing.T, s string) {
		format, err := ParseFormat(s)
		if err != nil {
			if msg := err.Error(); len(msg) > 400 || strings.ContainsAny(msg, "\n\x1b") {
				t.Errorf("%q: error %q", s, msg)
			}
			return
		}
		line := lineOf(x, Config{Format: format})
		if strings.Count(line, "\n") != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%q: not one line: %q", s, line)
		}
		if s == "json" || s == "common" || s == "combined" {
			return
		}
		var back strings.Builder // the template, made again of its parts
		braces := strings.NewReplacer("{", "{{", "}", "}}")
		for _, p := range format.parts {
			braces.WriteString(&back, p.before)
			switch p.name {
			case nameNothing:
			case nameRequestField:
				back.WriteString("{request." + p.field.name + "}")
			case nameResponseField:
				back.WriteString("{response." + p.field.name + "}")
			default:
				back.WriteString("{" + names[p.name].text + "}")
			}
		}
		if back.String() != s {
			t.Errorf("got the template %q, want %q", &back, s)
		}
	})
}

func TestFormatsAllocateNothing(t *testing.T) {
	for _, format := range []string{"json", "common", "combined", `{ts} {id} "{uri}" {ms.total} {filters} {tls.kx} "{request.accept}" {request.authorization}`} {
		l := New(Config{Output: io.Discard, Format: mustParse(t, format), Redact: []string{"authorization"}})
		x := full(time.Now())
		// The buffers grow in the beginning, and under -race a pool forgets on purpose.
		n := 1.0
		for i := 0; i < 5 && n != 0; i++ {
			n = testing.AllocsPerRun(2000, func() { l.Log(x, time.Now()) })
		}
		if l.Close(); n != 0 && !edge.Poisons {
			t.Errorf("%s: got %v allocations a line, want 0", format, n)
		}
	}
}

func BenchmarkFormats(b *testing.B) {
	for _, format := range []string{"json", "combined", `{ts} {id} {site} {route} {client_ip} "{method} {uri}" {status} {why} {ms.total} {upstream} {endpoint}`} {
		b.Run(strings.Fields(format)[0], func(b *testing.B) {
			l := New(Config{Output: io.Discard, Format: mustParse(b, format), Fields: []string{"user-agent"}})
			defer l.Close()
			x := full(time.Now())
			b.ReportAllocs()
			for b.Loop() {
				l.Log(x, time.Now())
			}
		})
	}
}
