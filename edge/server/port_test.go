package server_test

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Port 0 is one that is free, and another one for each: also when the file is loaded
// again, they stay.
func TestAnyPort(t *testing.T) {
	const text = `
admin: { listen: "127.0.0.1:0" }
log: { access: off }
listen: { http: "127.0.0.1:0", https: "127.0.0.1:0" }
sites: { "*": { respond: { body: "$BODY" } } }
`
	p := startIn(t, t.TempDir(), text, "$BODY", "one")
	before := p.Addresses()
	if len(before) != 2 || !strings.HasPrefix(before[0], "http://127.0.0.1:") || !strings.HasPrefix(before[1], "https://127.0.0.1:") {
		t.Fatalf("got %q", before)
	}
	p.apply(text, "$BODY", "two")
	if after := p.Addresses(); !slices.Equal(after, before) {
		t.Errorf("got %q, want %q", after, before)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer c.CloseIdleConnections()
	for _, url := range before {
		if res, body := get(t, c, url); body != "two" || (res.TLS != nil) != strings.HasPrefix(url, "https:") {
			t.Errorf("%s: %q over %s", url, body, res.Proto)
		}
		e, err := p.Explain(api.ExplainRequest{URL: url})
		if err != nil || e.Answer == nil || e.Answer.Status != 200 {
			t.Errorf("%s: %+v, %v", url, e, err)
		}
	}
}
