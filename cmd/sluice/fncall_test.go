package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// A function is found by the API, and called at the address of the proxy, whatever
// its host resolves to.
func TestFnCall(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s %q %s\n", r.Method, r.Host, r.URL, body, r.Header.Get("X-A"))
	}))
	defer proxy.Close()
	address := strings.TrimPrefix(proxy.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, api.Status{Listeners: []api.Listener{{Address: "unix:/run/x"}, {Address: "http://[::]:" + port}, {Address: "http://" + address}},
			Functions: []api.Function{{Name: "hello", Routes: []string{"example.com/hello"}}}})
	})
	mux.HandleFunc("GET /v1/routes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, []api.Route{{Site: "example.com", Target: "function:hello"}, {Site: "other.example", Target: "a 95%, function:hello 5%"}, {Site: "plain.example", Target: "shop"}})
	})
	mux.HandleFunc("POST /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		var asked api.ExplainRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		u, err := url.Parse(asked.URL)
		if err != nil {
			t.Error(err)
			return
		}
		e := api.Explanation{Site: u.Hostname()}
		switch {
		case u.Path == "/both" && strings.Contains(u.Host, "example"), u.Path == "/hello" && u.Host == "example.com", u.Path == "/post" && u.Host == "example.com" && asked.Method == "POST":
			e.Function = "hello@3"
		}
		answer(w, 200, e)
	})
	admin := httptest.NewServer(mux)
	defer admin.Close()
	t.Setenv("SLUICE_ADMIN", admin.URL)
	t.Setenv("SLUICE_TOKEN", "")
	f := func(want string, args ...string) {
		t.Helper()
		if got := sluice(t, append([]string{"fn", "call"}, args...)...); got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	const ok = "--- stderr\nHTTP/1.1 200 OK\n--- exit 0\n"
	f("GET example.com/hello \"\" \n"+ok, "/hello")
	f("GET example.com/hello?x=1 \"\" b\n"+ok, "example.com/hello?x=1", "-H", "X-A: b")
	f("POST example.com/post \"data\" \n"+ok, "/post", "-d", "data")
	f("GET example.com/hello \"\" \n--- exit 0\n", "http://example.com/hello", "-q")
	const hint = "sluice fn call --help says how it is used.\n"
	f("--- stderr\nsluice: no function answers /none: hello answers example.com/hello\n--- exit 2\n", "/none")
	f("--- stderr\nsluice: no function answers https://example.com/hello: hello answers example.com/hello\n--- exit 2\n", "https://example.com/hello")
	f("--- stderr\nsluice: several functions answer /both: name one of http://example.com/both (hello@3), http://other.example/both (hello@3)\n--- exit 2\n", "/both")
	f("--- stderr\nsluice: URL is missing: sluice fn call URL\n" + hint + "--- exit 2\n")
}

func TestReachable(t *testing.T) {
	f := func(addr, admin, want string) {
		t.Helper()
		if got, err := reachable(addr, admin); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", addr, got, err, want)
		}
	}
	f("[::]:80", "127.0.0.1", "127.0.0.1:80")
	f("0.0.0.0:80", "10.0.0.5", "10.0.0.5:80")
	f(":80", "::1", "[::1]:80")
	f("10.0.0.7:443", "127.0.0.1", "10.0.0.7:443")
	if _, err := reachable("/run/x", ""); err == nil {
		t.Error("a path has no port")
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add("2026-03-01T11:59:00.000000005Z v3 01JX a  b")
	f.Add("(3 lines were missed)")
	f.Fuzz(func(t *testing.T, s string) {
		l := parseLine(s)
		if !strings.HasSuffix(s, l.Text) || l.Time.IsZero() && l.Text != s && l.Request == "" {
			t.Errorf("%q: got %v", s, l)
		}
	})
}

func TestParseLine(t *testing.T) {
	f := func(s string, want logLine) {
		t.Helper()
		if got := parseLine(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
	at := time.Date(2026, 3, 1, 11, 59, 0, 5, time.UTC)
	f("2026-03-01T11:59:00.000000005Z v3 01JX a  b", logLine{at, 3, "01JX", "a  b"})
	f("(3 lines were missed)", logLine{Text: "(3 lines were missed)"})
	f("2026-03-01T11:59:00Z vx 01JX a", logLine{Text: "2026-03-01T11:59:00Z vx 01JX a"})
	f("", logLine{})
}
