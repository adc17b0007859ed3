package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/metrics"
)

// proxyWasmFile has filters of both ABIs on one route. The path of a request says what
// those of proxy-wasm do.
const proxyWasmFile = `
tls: { internal: {} }
sites:
  https://$PORT:
    name: s
    filters: [first, hello, second]
    routes:
      /*: app
upstreams: { app: $APP, api: $API }
filters:
  first:  { wasm: proxy-filter.wasm, timeout: 20s, allow: { fetch: [api] } }
  hello:  { wasm: hello.wasm, timeout: 20s }
  second: { wasm: proxy-filter.wasm, abi: proxy-wasm, timeout: 20s, allow: { fetch: [api] }$SECOND }
  ticker: { wasm: proxy-filter.wasm, timeout: 20s, config: t }
`

// proxyWasm is a proxy with these filters.
type proxyWasm struct {
	*proxy
	addr   string
	vars   []string
	called chan struct{} // gets a value when the upstream api is called
	answer chan struct{} // it answers when it can take one from here
	ended  chan struct{} // is closed when a call is given up
}

func startProxyWasm(t *testing.T) *proxyWasm {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"proxy-filter", "hello"} {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &proxyWasm{addr: port(t), called: make(chan struct{}), answer: make(chan struct{}), ended: make(chan struct{})}
	app := origin(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ProtoMajor == 1 {
			if err := control.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{"X-Call", "X-Body", "X-Requests"} {
			w.Header().Set("Got-"+name, strings.Join(r.Header.Values(name), ","))
		}
		control.Flush()
		for b := make([]byte, 100); ; {
			n, err := r.Body.Read(b)
			w.Write(b[:n])
			control.Flush()
			if err != nil {
				return
			}
		}
	})
	api := origin(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.called <- struct{}{}:
			select {
			case <-p.answer:
			case <-r.Context().Done():
				close(p.ended)
			}
		case <-r.Context().Done():
		}
		w.WriteHeader(201)
		fmt.Fprint(w, r.Method, r.URL)
	})
	p.vars = []string{"$PORT", p.addr, "$APP", app, "$API", api}
	p.proxy = startIn(t, dir, proxyWasmFile, append(p.vars, "$SECOND", "")...)
	return p
}

// await waits until the upstream api is called.
func (p *proxyWasm) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.called:
	case <-time.After(20 * time.Second):
		t.Fatalf("nobody calls: %s", p.log)
	}
}

// through returns a client of a version of HTTP.
func through(t *testing.T, version int) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetHTTP2(version == 2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// Content goes through a chain of filters both ways, a piece at a time.
func TestProxyWasmStreams(t *testing.T) {
	p := startProxyWasm(t)
	for _, version := range []int{1, 2} {
		from, to := io.Pipe()
		req, err := http.NewRequest("POST", "https://"+p.addr+"/E", from)
		if err != nil {
			t.Fatal(err)
		}
		res, err := through(t, version).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.ProtoMajor != version || res.Header.Get("X-Sluice-Filter") != "hello v1" || strings.Join(res.Header.Values("X-Filter"), ",") != "yes,yes" {
			t.Errorf("HTTP/%d: %v", version, res.Header)
		}
		for _, piece := range []string{"ab", "cd"} {
			if _, err := io.WriteString(to, piece); err != nil {
				t.Fatal(err)
			}
			// Each of two filters marks a piece of the request, and one of the response.
			got := make([]byte, 4+len(piece))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "||||"+piece {
				t.Fatalf("HTTP/%d: got %q for %q, %v", version, got, piece, err)
			}
		}
		to.Close()
		if rest, err := io.ReadAll(res.Body); err != nil || strings.Trim(string(rest), "|") != "" {
			t.Errorf("HTTP/%d: in the end there is %q, %v", version, rest, err)
		}
		res.Body.Close()
	}
}

// Exchanges that filters have paused end with the configuration and the versions that
// they have begun with.
func TestProxyWasmPaused(t *testing.T) {
	p := startProxyWasm(t)
	for _, version := range []int{1, 2} {
		c := through(t, version)
		done := make(chan *http.Response, 1)
		go func() {
			res, err := c.Get("https://" + p.addr + "/c")
			if err != nil {
				t.Error(err)
			} else {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			done <- res
		}()
		p.await(t) // a call of the first filter
		p.apply(proxyWasmFile, append(p.vars, "$SECOND", fmt.Sprintf(", config: z%d", version))...)
		data := module(t, "proxy-filter")
		data = append(data, 0, 2, 1, byte(version)) // a custom section: another module
		if _, _, err := p.PushFilter(context.Background(), "first", bytes.NewReader(data), api.Use{}); err != nil {
			t.Error(err)
		}
		p.answer <- struct{}{}
		p.await(t) // one of the second
		p.answer <- struct{}{}
		res := <-done
		if res == nil {
			return
		}
		if res.StatusCode != 200 || res.ProtoMajor != version || res.Header.Get("Got-X-Call") != "201,201" || res.Header.Get("Got-X-Body") != "GET/check,GET/check" {
			t.Errorf("HTTP/%d: %d %v", version, res.StatusCode, res.Header)
		}
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(p.access.String(), `"first@1"`) || !strings.Contains(p.access.String(), `"first@2"`); {
		if time.Now().After(end) {
			t.Fatalf("the exchanges were of other versions: %s", p.access)
		}
	}
	// One that its client gives up ends, and so does the call.
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	client := through(t, 2)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://"+p.addr+"/c", nil)
		_, err := client.Do(req)
		gone <- err
	}()
	p.await(t)
	cancel()
	if err := <-gone; err == nil {
		t.Error("an exchange goes on without its client")
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Error("the call of a filter goes on without its exchange")
	}
}

// What filters count is on /metrics, and what their root contexts do happens without a
// request.
func TestProxyWasmRoot(t *testing.T) {
	p := startProxyWasm(t)
	for end := time.Now().Add(time.Minute); !strings.Contains(p.log.String(), "ticked"); {
		if time.Now().After(end) {
			t.Fatalf("nothing ticks: %s", p.log)
		}
	}
	c := through(t, 1)
	for range 3 {
		if _, body := get(t, c, "https://"+p.addr+"/"); body != "" {
			t.Errorf("content is %q", body)
		}
	}
	scrape := httptest.NewRecorder()
	metrics.Handler(p.Metrics, metrics.Config{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`sluice_guest_my_requests_total{filter="first"} 3`, `sluice_guest_my_requests_total{filter="second"} 3`} {
		if !strings.Contains(scrape.Body.String(), want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

// TestProxyWasmVM: filters share data if they are of one virtual machine, and only then.
func TestProxyWasmVM(t *testing.T) {
	app := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Got", strings.Join(r.Header.Values("X-Shared"), ","))
	})
	for vm, want := range map[string]string{"": "1,1", ", vm: ours": "1,2"} {
		dir, addr := t.TempDir(), port(t)
		if err := os.WriteFile(filepath.Join(dir, "proxy-filter.wasm"), module(t, "proxy-filter"), 0o644); err != nil {
			t.Fatal(err)
		}
		startIn(t, dir, `
sites: { "http://$PORT": { name: s, filters: [first, second], to: $APP } }
filters:
  first:  { wasm: proxy-filter.wasm, timeout: 20s$VM }
  second: { wasm: proxy-filter.wasm, timeout: 20s$VM }
`, "$PORT", addr, "$APP", app, "$VM", vm)
		r, err := http.Get("http://" + addr + "/d")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if got := r.Header.Get("Got"); got != want {
			t.Errorf("with %q the filters see %q, want %q", vm, got, want)
		}
	}
}
