package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRespond(t *testing.T) {
	f := func(method, content, head string, parts ...string) {
		t.Helper()
		var out strings.Builder
		env := func(name string) string { return map[string]string{"REQUEST_METHOD": method}[name] }
		if err := respond(env, strings.NewReader(content), &out); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		gotHead, body, ok := strings.Cut(out.String(), "\n\n")
		if !ok || !strings.HasPrefix(gotHead, head) {
			t.Errorf("%s: the head is %q", method, gotHead)
		}
		for _, p := range parts {
			if not, found := strings.CutPrefix(p, "!"); strings.Contains(body, not) == found {
				t.Errorf("%s %.40q: %q in %q: %v", method, content, not, body, found)
			}
		}
	}
	const html = "Content-Type: text/html; charset=utf-8\n"
	f("GET", "", html, "<title>Markdown at the edge</title>", "<h1>Markdown at the edge</h1>", "<td>POST</td>")
	f("HEAD", "", html)
	f("POST", "a *b* c", html, "<title>Markdown</title>", "<p>a <em>b</em> c</p>")
	f("POST", "# <b>&\n", html, "<title>&lt;b&gt;&amp;</title>")
	f("POST", "<script>alert(1)</script>\n\n[a](javascript:alert(1)) ![b](data:text/html,x)", html, "!<script", "!javascript:", "!data:")
	f("POST", "", html)
	f("POST", strings.Repeat("a", maxContent), html)
	f("POST", strings.Repeat("a", maxContent+1), "Status: 413 Content Too Large\n", "413 Content Too Large\n")
	f("DELETE", "", "Status: 405 Method Not Allowed\nContent-Type: text/plain; charset=utf-8\nAllow: GET, HEAD, POST")

	cut := errors.New("cut")
	if err := respond(func(string) string { return "POST" }, iotest.ErrReader(cut), io.Discard); err != cut {
		t.Errorf("content that is cut: %v", err)
	}
}
