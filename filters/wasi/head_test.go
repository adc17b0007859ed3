package wasi

import (
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

func TestHead(t *testing.T) {
	f := load(t, "script", Config{})
	check := func(raw string, status int, fields, body string) {
		t.Helper()
		x, err := output(t, f, raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			return
		}
		var got []string
		for name, value := range x.Response.Fields.All() {
			got = append(got, name+": "+value)
		}
		b, err := content(x)
		if x.Response.Status != status || strings.Join(got, "|") != fields || b != body || err != nil {
			t.Errorf("%q: got %d, %q and %q, %v, want %d, %q and %q", raw, x.Response.Status, got, b, err, status, fields, body)
		}
	}
	check("Content-Type: text/html\n\n<p>", 200, "Content-Type: text/html", "<p>")
	check("Content-Type: text/html\r\n\r\n\r\n<p>", 200, "Content-Type: text/html", "\r\n<p>")
	check("content-type:text/html\n\r\n\n", 200, "content-type: text/html", "\n")
	check("Status: 404 Not Found\nX-A:\t a b \t\n\n", 404, "X-A: a b", "")
	check("Status: 299\n\nbody", 299, "", "body")
	check("X-Empty:\nStatus: 200\n\n", 200, "X-Empty: ", "")
	// Where to go to is the client's business, also on this site.
	check("Location: https://example.org/a\n\n", 302, "Location: https://example.org/a", "")
	check("Location: /a?b\n\n", 302, "Location: /a?b", "")
	check("Status: 201 Created\nLocation: /a\n\nmade", 201, "Location: /a", "made")
	check("Status: 301\nLocation: /a\nContent-Type: a/b\n\nmoved", 301, "Location: /a|Content-Type: a/b", "moved")
	// Fields may repeat, and keep their order.
	check("Set-Cookie: a=1\nContent-Type: a/b\nSet-Cookie: b=2\n\n", 200, "Set-Cookie: a=1|Content-Type: a/b|Set-Cookie: b=2", "")
	// The connection is ours.
	check("Content-Type: a/b\nConnection: close, x-a\nTransfer-Encoding: chunked\nKeep-Alive: 5\nProxy-Connection: a\nTE: a\nTrailer: a\nUpgrade: h2c\n\nok",
		200, "Content-Type: a/b", "ok")
	check("Content-Type: a/b\nContent-Length: 2\nContent-Length: 2\n\nok", 200, "Content-Type: a/b", "ok")
	check("Content-Type: a/b\nX-Text: süß\n\n", 200, "Content-Type: a/b|X-Text: süß", "")
}

func TestBadHead(t *testing.T) {
	f := load(t, "script", Config{Name: "hello", HeaderBytes: 300})
	check := func(raw, text string) {
		t.Helper()
		before := f.Stats().Failures[wasm.Misused]
		x, err := output(t, f, raw)
		if err == nil {
			t.Errorf("%.80q is accepted", raw)
			return
		}
		if e := edge.AsError(err); e.Kind != edge.FunctionFailed || e.Status != 502 || !strings.Contains(err.Error(), "function hello: ") || !strings.Contains(err.Error(), text) {
			t.Errorf("%.80q: error is %v, want one with %q", raw, err, text)
		}
		if x.Response.Status != 0 || f.Stats().Failures[wasm.Misused] != before+1 {
			t.Errorf("%.80q: response %+v, stats %+v", raw, x.Response, f.Stats())
		}
	}
	check("hello, world\n", "line 1 of the output is no field: \"hello, world\"")
	check("hello, world\n\n", "line 1 of the output is no field: \"hello, world\"")
	check("\n\n", "neither Content-Type nor Status nor Location")
	check("\nContent-Type: a/b\n\n", "neither Content-Type nor Status nor Location")
	check("X-A: b\n\nbody", "neither Content-Type nor Status nor Location")
	check("Content-Type: a/b\n", "does not end with a blank line")
	check("Content-Type: a/b", "does not end with a blank line")
	check("Content-Type", "line 1 of the output is no field")
	check("Content-Type: a/b\nX-A : b\n\n", "line 2 of the output is no field: \"X-A : b\"")
	check("Content-Type: a/b\nX A: b\n\n", "line 2 of the output is no field")
	check("Content-Type: a/b\n: b\n\n", "line 2 of the output is no field")
	check("Content-Type: a/b\n folded\n\n", "line 2 of the output goes on a line before")
	check("Content-Type: a/b\n\tfolded\n\n", "line 2 of the output goes on a line before")
	check("Content-Type: a/b\nX-A: a\rb\n\n", "line 2 of the output has a control character")
	check("Content-Type: a/b\nX-A: a\r\r\n\n", "line 2 of the output has a control character")
	check("Content-Type: a/b\nX-A: a\x00b\n\n", "line 2 of the output has a control character")
	check("Content-Type: a/b\nX-A: a\x7f\n\n", "line 2 of the output has a control character")
	check("Content-Type: a/b\nX-A\x00: a\n\n", "line 2 of the output is no field")
	check("Status: abc\n\n", `"abc" as Status`)
	check("Status: 99\n\n", `"99" as Status`)
	check("Status: 101 Switching Protocols\n\n", `"101 Switching Protocols" as Status`)
	check("Status: 2000\n\n", `"2000" as Status`)
	check("Status: 600\n\n", `"600" as Status`)
	check("Status: -20\n\n", `"-20" as Status`)
	check("Status: 200OK\n\n", `"200OK" as Status`)
	check("Status:\n\n", `"" as Status`)
	check("Status: 200\nStatus: 200\n\n", "more than one Status")
	check("Content-Type: a/b\nContent-Type: a/b\n\n", "more than one Content-Type")
	check("Location: /a\nLocation: /b\n\n", "more than one Location")
	check("Status: 200\nContent-Length: x\n\n", `"x" as Content-Length`)
	check("Status: 200\nContent-Length: -1\n\n", `"-1" as Content-Length`)
	check("Status: 200\nContent-Length: +1\n\na", `"+1" as Content-Length`)
	check("Status: 200\nContent-Length: 99999999999999999999\n\n", `"99999999999999999999" as Content-Length`)
	check("Status: 200\nContent-Length: 1\nContent-Length: 2\n\na", `"2" as Content-Length`)
	check("Status: 200\nContent-Length: 5\n\nfour", "4 bytes of content are written, and Content-Length is 5")
	check("Status: 200\nContent-Length: 3\n\nfour", "more is written than the 3 bytes of Content-Length")
	check("Content-Type: a/b\nX-A: "+strings.Repeat("a", 300)+"\n\n", "the head has more than 300 bytes")
	check(strings.Repeat("no field at all\n", 100), "line 1 of the output is no field")
	check(strings.Repeat("X-A: a\n", 1<<20/7)+"\n", "the head has more than 300 bytes")
	check("Content-Type: a/b\n"+strings.Repeat("X-A: a\n", 1<<20/7)+"\n", "the head has more than 300 bytes")
}

// The end of the head is found wherever writes divide it, and what it allows is
// counted to the byte.
func TestHeadInPieces(t *testing.T) {
	const raw = "Content-Type: a/b\r\nStatus: 201\r\n\r\nbody"
	for size := 1; size <= len(raw); size++ {
		for limit := 33; limit <= 34; limit++ { // of 34 bytes
			c := &call{f: &Function{cfg: Config{HeaderBytes: limit}}}
			var rest []byte
			var failed any
			func() {
				defer func() { failed = recover() }()
				for i := 0; i < len(raw); i += size {
					p := []byte(raw[i:min(i+size, len(raw))])
					if c.head == nil {
						p = c.writeHead(p)
					}
					rest = append(rest, p...)
				}
			}()
			if limit < 34 {
				if failed == nil {
					t.Errorf("pieces of %d: a head of 35 bytes is accepted, of %d allowed", size, limit)
				}
				continue
			}
			if failed != nil || c.head == nil || c.head.status != 201 || len(c.head.fields) != 1 || string(rest) != "body" {
				t.Errorf("pieces of %d: %+v, %q, %v", size, c.head, rest, failed)
			}
		}
	}
}

func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"Content-Type: text/html\n\n<p>", "Status: 404 Not Found\r\nX-A: b\r\n\r\n", "Location: /\n\n", "\n", "\r\n", "",
		"Status: 200\nContent-Length: 5\n\nhello", "A: \x00\n\n", " a: b\n\n", "a : b\n\n", "Transfer-Encoding: chunked\nStatus: 200\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end := endOfHead(b, 0)
		if end < 0 {
			end = len(b)
		} else if strings.Contains(strings.ReplaceAll("\n"+string(b[:end-1]), "\r\n", "\n"), "\n\n\n") {
			t.Errorf("%q has a blank line before its end", b[:end])
		}
		h, err := parseHead(b[:end], true)
		if err != nil {
			return
		}
		if h.status < 200 || h.status > 599 || h.length < -1 {
			t.Errorf("%q: %+v", b, h)
		}
		for _, l := range h.fields {
			if l.Name == "" || strings.ContainsAny(l.Name, " \t\r\n:\x00") || strings.ContainsAny(l.Value, "\r\n\x00") || hopByHop(l.Name) ||
				edge.EqualFold(l.Name, "Content-Length") || edge.EqualFold(l.Name, "Status") || l.Value != strings.Trim(l.Value, " \t") {
				t.Errorf("%q: field %+v", b, l)
			}
		}
	})
}
