package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// It is waited for that what was written is read, and said why it is not.
func TestAwaitRead(t *testing.T) {
	old := &api.Problem{Title: "error", Detail: "wrong before"}
	edits := []edit{{path: "/a.yaml", now: []byte("new\n")}, {path: "/b.yaml", now: []byte("new\n")}}
	f := func(want string, within time.Duration, states ...api.Status) {
		t.Helper()
		asked := 0
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/config", func(w http.ResponseWriter, _ *http.Request) {
			texts := []api.Text{{Name: "/a.yaml", Text: "new\n"}, {Name: "/b.yaml", Text: "old\n"}} // one is not enough
			if asked >= len(states) && len(states) > 0 {
				texts[1].Text = "new\n"
			}
			answer(w, 200, api.Configuration{Texts: texts})
		})
		mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
			var s api.Status
			if asked < len(states) {
				s = states[asked]
			}
			asked++
			answer(w, 200, s)
		})
		s := httptest.NewServer(mux)
		defer s.Close()
		c, err := api.NewClient(s.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := ""
		if err := awaitRead(t.Context(), c, edits, old, within); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	still, refused := api.Status{Config: api.Config{Problem: old}}, api.Status{Config: api.Config{Problem: &api.Problem{Title: "error", Detail: "cannot bind"}}}
	f("", time.Minute, still, still)
	f("", time.Minute, still, api.Status{}, still)
	f("/a.yaml and 1 other file: written, but the proxy does not take it, and what was in force goes on: cannot bind", time.Minute, still, refused)
	f("/a.yaml and 1 other file: written, but the proxy has not read it within 1ms", time.Millisecond)

	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c, err := api.NewClient(s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitRead(t.Context(), c, edits, nil, time.Minute); err == nil || !strings.Contains(err.Error(), "/a.yaml and 1 other file: written, but cannot reach") {
		t.Errorf("got %v", err)
	}
	if err := awaitRead(t.Context(), c, nil, nil, time.Minute); err != nil {
		t.Errorf("nothing is waited for: %v", err)
	}
}
