package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/capture"
)

const captured = `
admin: off
sites:
  "http://$AT":
    name: shop
    routes:
      /:      { to: $ORIGIN, filters: [head] }
      /down:  127.0.0.1:1
      /fixed: { respond: 204 }
      /deny:  { to: $ORIGIN, filters: [deny] }
filters: { head: { wasm: header-set.wasm, timeout: 1m }, deny: { wasm: deny.wasm, timeout: 1m } }
`

// startCaptured runs a proxy of which exchanges can be captured, with an origin of h.
func startCaptured(t *testing.T, h http.HandlerFunc) (p *proxy, url string) {
	t.Helper()
	dir, at := t.TempDir(), port(t)
	for _, name := range []string{"header-set", "deny"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return startIn(t, dir, captured, "$AT", at, "$ORIGIN", origin(t, h)), "http://" + at
}

// capture starts a capture.
func (p *proxy) capture(a api.CaptureRequest) *capture.Capture {
	p.t.Helper()
	told, err := p.StartCapture(a)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := p.Capture(told.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// recorded waits until a capture has n exchanges, and returns them.
func recorded(t *testing.T, c *capture.Capture, n int) []api.Captured {
	t.Helper()
	var all []api.Captured
	for {
		lines, more := c.Lines(len(all))
		for _, line := range lines {
			var e api.Captured
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		if len(all) >= n {
			return all
		}
		if more == nil {
			t.Fatalf("the capture has ended with %d exchanges, want %d", len(all), n)
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// do sends a request and reads its answer.
func do(t *testing.T, method, url, body string, fields ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func field(list []api.Field, name string) string {
	for _, f := range list {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// A capture has the request as filters get it, the response as they get it, and the
// answer as the client does.
func TestCapture(t *testing.T) {
	p, url := startCaptured(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.Write(bytes.ToUpper(b))
	})
	c := p.capture(api.CaptureRequest{Bodies: "1KB", Count: 4})
	do(t, "POST", url+"/a?b=c", "question", "Content-Type", "text/plain")
	e := recorded(t, c, 1)[0]
	if q := e.Request; q.Method != "POST" || q.URL != url+"/a?b=c" || q.Body != "question" || q.Bytes != 8 || q.Cut ||
		field(q.Headers, "x-set") != "" || field(q.Headers, "X-Forwarded-For") != "127.0.0.1" || field(q.Headers, "Content-Type") != "text/plain" {
		t.Errorf("the request is %+v", q)
	}
	if r := e.Response; r == nil || r.Status != 200 || r.Body != "QUESTION" || field(r.Headers, "x-set") != "" {
		t.Errorf("the response is %+v", r)
	}
	if r := e.Answer; r == nil || r.Status != 200 || r.Body != "QUESTION" || r.Bytes != 8 || field(r.Headers, "x-set") != "two" || field(r.Headers, "X-Request-Id") != e.ID {
		t.Errorf("the answer is %+v", r)
	}
	if e.Format != 1 || e.Site != "shop" || e.Route != "/" || e.Client != "127.0.0.1" || e.Proto != "HTTP/1.1" || e.Why != "ok" || e.MS <= 0 ||
		len(e.Filters) != 1 || e.Filters[0].Name != "head" || e.Filters[0].Version != 1 || e.Filters[0].MS <= 0 || e.Filters[0].MS > e.MS {
		t.Errorf("the exchange is %+v", e)
	}

	do(t, "GET", url+"/down", "")
	do(t, "GET", url+"/fixed", "")
	do(t, "GET", url+"/deny", "")
	all := recorded(t, c, 4)
	if r := all[1].Response; r == nil || r.Status != 502 || r.Error != "connection_refused" || all[1].Answer.Status != 502 {
		t.Errorf("an error is %+v, %+v", r, all[1].Answer)
	}
	if all[2].Response != nil || all[2].Answer.Status != 204 {
		t.Errorf("a fixed answer is %+v, %+v", all[2].Response, all[2].Answer)
	}
	if all[3].Response != nil || all[3].Answer.Status != 401 || all[3].Answer.Body != "no entry\n" {
		t.Errorf("a filter's answer is %+v, %+v", all[3].Response, all[3].Answer)
	}
	if told := c.Tell(); told.State != api.CaptureCounted || told.Exchanges != 4 {
		t.Errorf("the capture is %+v", told)
	}
}

var _ = errors.New
var _ sync.Mutex
var _ context.Context
