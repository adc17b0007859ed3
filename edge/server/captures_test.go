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
	told, err := p.StartCapture(a, false)
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

// plain returns a transport that asks for no compression.
func plain(t *testing.T) *http.Transport {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
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

// No secret is in a capture, wherever it was sent, and whatever the log is told to redact
// besides.
func TestCaptureRedacts(t *testing.T) {
	leaky := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "sid=s3cret-1; Path=/")
		w.Header().Set("Location", "/?access_token=s3cret-2&ok=1")
		w.Header().Set("X-Internal", "s3cret-3")
		w.WriteHeader(302)
	})
	p, url := startCaptured(t, func(http.ResponseWriter, *http.Request) {})
	p.apply(strings.Replace(captured, "sites:", "log: { redact: [x-internal] }\nsites:", 1), "$AT", strings.TrimPrefix(url, "http://"), "$ORIGIN", leaky)
	c := p.capture(api.CaptureRequest{Bodies: "1KB", Count: 2})
	do(t, "GET", url+"/fixed?token=s3cret-4&X-Internal=s3cret-5&shown=yes", "", "Authorization", "Bearer s3cret-6", "Cookie", "a=s3cret-7", "X-Internal", "s3cret-8",
		"Proxy-Authorization", "Basic s3cret-9", "X-Api-Key", "s3cret-10", "Referer", "http://a/?password=s3cret-11")
	do(t, "POST", url+"/", "user=ann&password=s3cret-12", "Content-Type", "application/x-www-form-urlencoded")
	all := recorded(t, c, 2)
	lines, _ := c.Lines(0)
	for _, line := range lines {
		if bytes.Contains(line, []byte("s3cret")) {
			t.Errorf("a secret is in %s", line)
		}
	}
	if got, want := strings.Join(all[0].Redacted, " "), "authorization cookie password token x-api-key x-internal"; got != want {
		t.Errorf("redacted are %s, want %s", got, want)
	}
	if q := all[0].Request; !strings.HasSuffix(q.URL, "&shown=yes") || field(q.Headers, "Cookie") != "[redacted]" {
		t.Errorf("the request is %+v", q)
	}
	if q := all[1].Request; !strings.HasPrefix(q.Body, "user=ann&password=") {
		t.Errorf("the form is %q", q.Body)
	}
}

// What streams is not held up by a capture, and is recorded when it has ended.
func TestCaptureStreams(t *testing.T) {
	proceed := make(chan struct{})
	p, url := startCaptured(t, func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		io.WriteString(w, "data: one\n\n")
		out.Flush()
		select { // until the client has the first
		case <-proceed:
		case <-r.Context().Done():
		}
		io.WriteString(w, "data: two\n\n")
	})
	c := p.capture(api.CaptureRequest{Bodies: "1KB"})
	res, err := (&http.Client{Transport: plain(t)}).Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(res.Body, b); err != nil {
		t.Fatal(err)
	}
	if told := c.Tell(); told.Exchanges != 0 {
		t.Errorf("%d exchanges before the end", told.Exchanges)
	}
	close(proceed)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	e := recorded(t, c, 1)[0]
	if want := "data: one\n\ndata: two\n\n"; e.Response.Body != want || e.Answer.Body != want || e.Answer.Bytes != int64(len(want)) || e.Answer.Cut {
		t.Errorf("got %+v and %+v, want %q", e.Response, e.Answer, want)
	}
}

// A client that has gone is recorded with what it got.
func TestCaptureClientGone(t *testing.T) {
	p, url := startCaptured(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c := p.capture(api.CaptureRequest{Bodies: "1KB"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plain(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	e := recorded(t, c, 1)[0]
	if e.Why != "client-gone" || e.Answer == nil || e.Answer.Status != 200 || e.Answer.Body != "begin" {
		t.Errorf("got why %q, %+v", e.Why, e.Answer)
	}
}

// Many at once, captured twice: none has anything of another.
func TestCaptureAtOnce(t *testing.T) {
	p, url := startCaptured(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})
	all, some := p.capture(api.CaptureRequest{Bodies: "1KB", Count: 200}), p.capture(api.CaptureRequest{Count: 40, Route: "shop/"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 25 {
				body := strings.Repeat(string(rune('a'+i)), 10+n)
				if got := do(t, "POST", url+"/", body); got != body {
					t.Errorf("got %q, want %q", got, body)
				}
			}
		})
	}
	wg.Wait()
	for _, e := range recorded(t, all, 200) {
		if e.Request.Body == "" || e.Request.Body != e.Answer.Body || strings.Trim(e.Request.Body, e.Request.Body[:1]) != "" {
			t.Errorf("asked %q and answered %q", e.Request.Body, e.Answer.Body)
		}
	}
	for _, e := range recorded(t, some, 40) {
		if e.Request.Body != "" || e.Request.Bytes == 0 || !e.Request.Cut || e.Answer.Bytes != e.Request.Bytes {
			t.Errorf("without bodies: %+v, %+v", e.Request, e.Answer)
		}
	}
	if all.Tell().State != api.CaptureCounted || some.Tell().State != api.CaptureCounted {
		t.Errorf("got %+v and %+v", all.Tell(), some.Tell())
	}
}

// Who asks for what there is not is told so.
func TestCaptureRefused(t *testing.T) {
	p, _ := startCaptured(t, func(http.ResponseWriter, *http.Request) {})
	f := func(a api.CaptureRequest, want string) {
		t.Helper()
		_, err := p.StartCapture(a, false)
		if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != 422 || !strings.Contains(problem.Error(), want) {
			t.Errorf("%+v: got %v, want %q", a, err, want)
		}
	}
	f(api.CaptureRequest{Route: "shop/fixd"}, `did you mean "shop/fixed"?`)
	f(api.CaptureRequest{Filter: "none"}, `no route has a filter "none"`)
	f(api.CaptureRequest{Status: "6xx"}, "is no status")
	f(api.CaptureRequest{Status: "40"}, "is no status")
	f(api.CaptureRequest{Count: 1001}, "at most 1000 exchanges")
	f(api.CaptureRequest{Count: -1}, "at most 1000 exchanges")
	f(api.CaptureRequest{For: "2h"}, "at most 1h")
	f(api.CaptureRequest{For: "long"}, "for: ")
	f(api.CaptureRequest{Bodies: "2MB"}, "at most 1MB")
	f(api.CaptureRequest{Bodies: "yes"}, "write off, or a size such as 64KB")
	told, err := p.StartCapture(api.CaptureRequest{Route: "shop"}, false)
	if err != nil || told.Asked != (api.CaptureRequest{Route: "shop", Count: 100, For: "1m", Bodies: "off"}) {
		t.Errorf("by default: %+v, %v", told, err)
	}
}

// One capture too many is refused, and says what to do.
func TestCapturesAreBounded(t *testing.T) {
	p, _ := startCaptured(t, func(http.ResponseWriter, *http.Request) {})
	for range 4 {
		p.capture(api.CaptureRequest{})
	}
	_, err := p.StartCapture(api.CaptureRequest{}, false)
	if problem, ok := errors.AsType[*api.Problem](err); !ok || problem.Status != 409 || !strings.Contains(problem.Hint, "DELETE ends one") {
		t.Errorf("a fifth capture: %v", err)
	}
	for _, c := range p.Captures() {
		if err := p.RemoveCapture(c.ID, false); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Capture("none"); err == nil || len(p.Captures()) != 0 {
		t.Errorf("%v, %+v", err, p.Captures())
	}
}
