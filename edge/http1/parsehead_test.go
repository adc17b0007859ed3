package http1

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// ParseHead makes of a head what a connection makes of it.
func TestParseHead(t *testing.T) {
	cfg := Config{HeaderBytes: 512, TargetBytes: 64, MethodBytes: 8, Fields: 4}
	full := cfg.withDefaults()
	for _, s := range append([]string{
		"GET /" + strings.Repeat("a", 64) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /" + strings.Repeat("a", 600) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 600) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 512-32) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 512-31) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n",
		"METHOD-TOO-LONG / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"\r\n\r\n",
	}, seeds...) {
		text, _, whole := strings.Cut(s, "\r\n\r\n")
		if whole {
			text += "\r\n\r\n"
		}
		r := newReader([]byte(text), 1<<20, full)
		var want, got edge.Request
		h := head{scheme: "http"}
		block, wantErr := r.in.readHead()
		if wantErr == nil {
			wantErr = h.parseRequest(block, &want, full)
		}
		if refused, ok := errors.AsType[*refusal](wantErr); ok {
			wantErr = refused.answer(r.in.buf[:r.in.w], full)
		}
		err := ParseHead([]byte(text), "http", cfg, &got)
		if !reflect.DeepEqual(err, wantErr) {
			t.Errorf("%.100q: got %v, want %v", text, err, wantErr)
		}
		if err != nil {
			continue
		}
		if h.chunked || h.length > 0 {
			if got.Body == nil || got.Length != h.length {
				t.Errorf("%.100q: body %v of %d, want %d", text, got.Body, got.Length, h.length)
			}
			got.Body, got.Length = nil, 0
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.100q: got %+v, want %+v", text, got, want)
		}
	}
	for _, s := range []string{"", "\r", "\n", "\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a"} {
		if err := ParseHead([]byte(s), "http", cfg, new(edge.Request)); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	text := []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	var r edge.Request
	if err := ParseHead(text, "http", cfg, &r); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Body.Read(make([]byte, 8)); n != 0 || err == nil || !bytes.HasSuffix(text, headEnd) {
		t.Errorf("read %d, %v", n, err)
	}
}
