package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake answers as the admin API, and keeps what it was asked.
type fake struct {
	status int
	media  string
	answer string

	mu  sync.Mutex // guards the following field
	got []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.got = append(f.got, strings.TrimSpace(strings.Join([]string{r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), string(body)}, " ")))
	f.mu.Unlock()
	w.Header().Set("Content-Type", f.media)
	w.WriteHeader(f.status)
	io.WriteString(w, f.answer)
}

// clientOf returns a client of a server that runs h.
func clientOf(t *testing.T, h http.Handler, token string) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := NewClient(s.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRequests(t *testing.T) {
	f := func(answer string, call func(c *Client) (any, error), wantAsked string, want any) {
		t.Helper()
		server := &fake{status: 200, media: "application/json; charset=utf-8", answer: answer}
		if answer == "" {
			server.status = 204
		}
		got, err := call(clientOf(t, server, "secret"))
		if err != nil {
			t.Errorf("%s: %v", wantAsked, err)
			return
		}
		if len(server.got) != 1 || server.got[0] != wantAsked {
			t.Errorf("asked %q, want %q", server.got, wantAsked)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", wantAsked, got, want)
		}
	}
	ctx := t.Context()
	f(`{"ready":true,"requests":7}`, func(c *Client) (any, error) { return c.Status(ctx) }, "GET /v1/status Bearer secret", Status{Ready: true, Requests: 7})
	f(`{"ready":true}`, func(c *Client) (any, error) { return c.Ready(ctx) }, "GET /v1/ready Bearer secret", Ready{Ready: true})
	f(`{"version":"1.2"}`, func(c *Client) (any, error) { return c.Version(ctx) }, "GET /v1/version Bearer secret", Version{Version: "1.2"})
	f(`[{"name":"a","live":2}]`, func(c *Client) (any, error) { return c.Filters(ctx) }, "GET /v1/filters Bearer secret", []Filter{{Name: "a", Live: 2}})
	f(`{"name":"a"}`, func(c *Client) (any, error) { return c.Filter(ctx, "a") }, "GET /v1/filters/a Bearer secret", Filter{Name: "a"})
	f(``, func(c *Client) (any, error) { return nil, c.RemoveFilter(ctx, "a") }, "DELETE /v1/filters/a Bearer secret", nil)
	f(`{"route":"r"}`, func(c *Client) (any, error) { return c.Split(ctx, "shop/a b/*") }, "GET /v1/splits/shop%2Fa%20b%2F%2A Bearer secret", Split{Route: "r"})
	f(`{"route":"r","arms":[{"name":"a","share":2.5}]}`, func(c *Client) (any, error) {
		return c.SetSplit(ctx, "r", SplitChange{map[string]float64{"a": 2.5, "b": 97.5}}, Change{})
	}, `PUT /v1/splits/r Bearer secret {"weights":{"a":2.5,"b":97.5}}`, Split{Route: "r", Arms: []Arm{{Name: "a", Share: 2.5}}})
	f(`[{"name":"a","keys":2,"bytes":7}]`, func(c *Client) (any, error) { return c.Namespaces(ctx) }, "GET /v1/kv Bearer secret", []Namespace{{"a", 2, 7}})
	f(`{"keys":[{"key":"k","version":4}],"next":"k"}`, func(c *Client) (any, error) { return c.Keys(ctx, "a", "k&", "", 1) },
		"GET /v1/kv/a Bearer secret", Keys{Keys: []Key{{Key: "k", Version: 4}}, Next: "k"})
	f(`{"key":"b c/d","version":4}`, func(c *Client) (any, error) {
		return c.SetKey(ctx, "a", "b c/d", []byte("value"), KeyChange{TTL: time.Minute, Version: 3})
	}, "PUT /v1/kv/a/b%20c%2Fd Bearer secret value", Key{Key: "b c/d", Version: 4})
	f(``, func(c *Client) (any, error) { return c.SetKey(ctx, "a", "k", nil, KeyChange{DryRun: true}) }, "PUT /v1/kv/a/k Bearer secret", Key{})
	f(``, func(c *Client) (any, error) { return nil, c.RemoveKey(ctx, "a", "k", KeyChange{}) }, "DELETE /v1/kv/a/k Bearer secret", nil)
	f(`{"filter":"a","version":3}`, func(c *Client) (any, error) {
		return c.PushFilter(ctx, "a", strings.NewReader("module"), 6, Use{}, nil)
	}, "PUT /v1/filters/a Bearer secret module", ModuleVersion{Filter: "a", Version: 3})
}

// Not ready comes with 503, and is an answer all the same.
func TestNotReady(t *testing.T) {
	c := clientOf(t, &fake{status: 503, media: "application/json", answer: `{"ready":false,"reason":"draining"}`}, "")
	got, err := c.Ready(t.Context())
	if want := (Ready{Reason: "draining"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestWrongAnswers(t *testing.T) {
	f := func(status int, media, answer, want string) {
		t.Helper()
		c := clientOf(t, &fake{status: status, media: media, answer: answer}, "")
		_, err := c.Status(t.Context())
		if err == nil {
			t.Errorf("%d %s: got no error, want %q", status, media, want)
		} else if got := strings.ReplaceAll(err.Error(), c.addr, "ADDR"); got != want {
			t.Errorf("%d %s: got %q, want %q", status, media, got, want)
		}
	}
	f(200, "text/html", "<html>", `ADDR is not sluice's admin API: it answers with status 200, "text/html"`)
	f(404, "application/json", "{}", `ADDR is not sluice's admin API: it answers with status 404, "application/json"`)
	f(302, "", "", `ADDR is not sluice's admin API: it answers with status 302, ""`)
	f(204, "", "", `ADDR is not sluice's admin API: it answers with status 204, ""`)
	f(503, "application/json", "{}", `ADDR is not sluice's admin API: it answers with status 503, "application/json"`)
	f(200, "application/json", "{", `read the answer of ADDR: unexpected end of JSON input`)
	f(500, ContentType, "oops", `read the problem that ADDR reports with status 500: invalid character 'o' looking for beginning of value`)
	f(200, "application/json", strings.Repeat(" ", maxAnswer+1), `the answer of ADDR is larger than 16 MiB`)
	f(404, ContentType, `{"title":"no such filter","detail":"no filter \"a\"","hint":"have b"}`, `no filter "a" (hint: have b)`)
	f(418, ContentType, `{}`, `status 418`)
}

func TestProblem(t *testing.T) {
	p := &Problem{Title: "the file is wrong", File: "sluice.yaml", Problems: []Problem{
		{Detail: `no upstream "api-v3"`, File: "sluice.yaml", Line: 14, Column: 15, Hint: "have api"},
		{Title: "unknown key", File: "sluice.yaml", Line: 20},
	}}
	want := "sluice.yaml: the file is wrong\n" +
		"  sluice.yaml:14:15: no upstream \"api-v3\" (hint: have api)\n" +
		"  sluice.yaml:20: unknown key"
	if got := p.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := NewClient(l.Addr().String(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context())
	u, ok := errors.AsType[*Unreachable](err)
	if !ok || u.Addr != l.Addr().String() || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want it to be unreachable", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the token is in the error: %v", err)
	}
}

// A context that ends is not an API that is out of reach.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the user has left")
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel(gone)
		<-r.Context().Done()
	}), "")
	if _, err := c.Status(ctx); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}

func TestAddresses(t *testing.T) {
	f := func(addr, want string) {
		t.Helper()
		c, err := NewClient(addr, "")
		if err != nil {
			t.Errorf("%q: %v", addr, err)
			return
		}
		req, err := c.request(t.Context(), "GET", nil, "v1", "status")
		if err != nil {
			t.Fatal(err)
		}
		if got := req.URL.String(); got != want {
			t.Errorf("%q: got %s, want %s", addr, got, want)
		}
	}
	f("", "http://127.0.0.1:2024/v1/status")
	f("127.0.0.1:80", "http://127.0.0.1:80/v1/status")
	f("localhost:80", "http://localhost:80/v1/status")
	f("[::1]:80", "http://[::1]:80/v1/status")
	f("https://example.org", "https://example.org/v1/status")
	f("https://example.org/sluice/", "https://example.org/sluice/v1/status")
	f("unix:/run/sluice.sock", "http://localhost/v1/status")

	for _, addr := range []string{"unix:", "ftp://example.org", "http://", "http://u:p@example.org", "http://example.org?a", "http://a b", "://"} {
		if _, err := NewClient(addr, ""); err == nil {
			t.Errorf("%q: got no error", addr)
		}
	}
	c, _ := NewClient("", "")
	for _, name := range []string{"", ".", ".."} {
		if err := c.RemoveFilter(t.Context(), name); err == nil || !strings.Contains(err.Error(), "is not a name") {
			t.Errorf("%q: got %v, want it refused before it is sent", name, err)
		}
	}
}

func TestHost(t *testing.T) {
	for addr, want := range map[string]string{"": "127.0.0.1", "[::1]:80": "::1", "https://example.org:8443/x": "example.org", "unix:/run/sluice.sock": "127.0.0.1"} {
		c, err := NewClient(addr, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Host(); got != want {
			t.Errorf("%q: got %q, want %q", addr, got, want)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(&fake{status: 200, media: "application/json", answer: `{"version":"1"}`})
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	c, err := NewClient("unix:"+path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if v, err := c.Version(t.Context()); err != nil || v.Version != "1" {
		t.Errorf("got %v, %v", v, err)
	}
}

// The token goes to who was asked, and not where that one points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := &fake{status: 200, media: "application/json", answer: "{}"}
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	c := clientOf(t, http.RedirectHandler(other.URL, http.StatusTemporaryRedirect), "secret")
	if _, err := c.Status(t.Context()); err == nil {
		t.Error("got no error")
	}
	if len(elsewhere.got) != 0 {
		t.Errorf("the redirect was followed: %q", elsewhere.got)
	}
}

func TestUpload(t *testing.T) {
	module := bytes.Repeat([]byte("wasm"), 100_000)
	server := &fake{status: 200, media: "application/json", answer: `{"version":1}`}
	var sent []int64
	_, err := clientOf(t, server, "").PushFilter(t.Context(), "a", bytes.NewReader(module), int64(len(module)), Use{}, func(n int64) { sent = append(sent, n) })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := server.got[0], "PUT /v1/filters/a  "+string(module); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	last := int64(0)
	for _, n := range sent {
		if n <= last {
			t.Fatalf("progress went from %d to %d", last, n)
		}
		last = n
	}
	if last != int64(len(module)) {
		t.Errorf("progress ended at %d, want %d", last, len(module))
	}
}

// A refusal comes before the upload, and the reader is the caller's again.
func TestUploadIsRefused(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ContentType)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"title":"who are you?"}`)
	}), "")
	module := strings.NewReader(strings.Repeat("x", 1<<20))
	_, err := c.PushFilter(t.Context(), "a", module, int64(module.Len()), Use{}, nil)
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Status != http.StatusUnauthorized {
		t.Errorf("got %v, want a problem with status 401", err)
	}
	if module.Len() != 1<<20 {
		t.Errorf("%d bytes were sent to who refused them", 1<<20-module.Len())
	}
}

func TestUploadStops(t *testing.T) {
	u := &upload{r: strings.NewReader("abc")}
	u.stop()
	if n, err := u.Read(make([]byte, 3)); n != 0 || err != io.ErrClosedPipe {
		t.Errorf("got %d, %v after stop, want nothing", n, err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
}
