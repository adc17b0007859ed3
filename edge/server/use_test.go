package server_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Who leaves out the site is told which routes that may be.
func TestRouteWithoutSite(t *testing.T) {
	p := startIn(t, t.TempDir(), `
admin: off
log: { access: off }
sites:
  "http://a.test:0": { name: a, routes: { /x: { respond: 200 }, POST /login: { respond: 200 } } }
  "http://b.test:0": { name: b, routes: { /x: { name: checkout, respond: 200 } } }
`)
	for id, want := range map[string]string{
		"/x":            `"/x" names a route without its site; SITE/PATH is needed; have "a/x", "b/checkout"`,
		"POST /login":   `"POST /login" names a route without its site; SITE/PATH is needed; have "a/POST /login"`,
		"checkout":      `"checkout" names a route without its site; SITE/PATH is needed; have "b/checkout"`,
		"/none":         `"/none" names a route without its site; SITE/PATH is needed; have "a/none", "b/none"`,
		"GET /none":     `"GET /none" names a route without its site; SITE/PATH is needed; have "a/GET /none", "b/GET /none"`,
		"c/x":           `there is no site "c"; have "a", "b"`,
		"a.test.evil/x": `there is no site "a.test.evil"; have "a", "b"`,
		"none":          `there is no site "none"; have "a", "b"`,
	} {
		_, err := p.Route(id)
		problem, ok := errors.AsType[*api.Problem](err)
		if !ok || problem.Detail != want {
			t.Errorf("%s: got %v, want %s", id, err, want)
			continue
		}
		status := http.StatusNotFound
		if strings.Contains(want, "SITE/PATH") {
			status = http.StatusUnprocessableEntity
		}
		if problem.Status != status {
			t.Errorf("%s: got status %d, want %d", id, problem.Status, status)
		}
	}
	// What is named is found as it is listed there.
	for _, id := range []string{"a/x", "b/checkout", "a/POST /login", "b/x"} {
		if _, err := p.Route(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A difference names files as the configuration in force does, wherever sluice was
// started.
func TestDifferenceNamesFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	writeFile(t, "sluice.yaml", stated)
	s, err := serveFile(t, "sluice.yaml", filepath.Join(dir, "state"), new(lines))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Configuration()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sluice.yaml")
	want := "--- " + path + "\n+++ " + path + "\n"
	if got := s.Check(t.Context(), []byte(stated+"# more\n")).Diff; !strings.HasPrefix(got, want) || c.Texts[0].Name != path {
		t.Errorf("got %s, want %s; the file is %s", got, want, c.Texts[0].Name)
	}
}
