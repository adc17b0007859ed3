package api

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a change of a key asks for is asked for, and what is said of a value is read.
func TestKeys(t *testing.T) {
	var asked string
	etag, expires, status := `"7"`, "", 200
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery + " " + r.Header.Get("If-Match") + " " + r.Header.Get("If-None-Match")
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		for name, value := range map[string]string{"ETag": etag, ExpiresField: expires} {
			if value != "" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(status)
		io.WriteString(w, "{}")
	}), "")
	f := func(change KeyChange, want string) {
		t.Helper()
		if _, err := c.SetKey(t.Context(), "a", "k", nil, change); err != nil || asked != want {
			t.Errorf("%+v: asked %q, %v, want %q", change, asked, err, want)
		}
	}
	f(KeyChange{}, "  ")
	f(KeyChange{TTL: 90 * time.Second, Version: 7}, `ttl=1m30s "7" `)
	f(KeyChange{Absent: true}, "  *")
	f(KeyChange{TTL: time.Hour, DryRun: true}, "dry_run=1&ttl=1h0m0s  ")
	if _, err := c.Keys(t.Context(), "a", "p&", "x", 5); err != nil && !strings.Contains(err.Error(), "not sluice") || asked != "after=x&limit=5&prefix=p%26  " {
		t.Errorf("asked %q", asked)
	}

	k, value, err := c.Value(t.Context(), "a", "k")
	if err != nil || string(value) != "{}" || k.Version != 7 || k.Bytes != 2 || k.Expires != nil {
		t.Errorf("got %+v, %q, %v", k, value, err)
	}
	expires = "2026-03-01T12:00:00.5Z"
	if k, _, err := c.Value(t.Context(), "a", "k"); err != nil || k.Expires == nil || k.Expires.Format(time.RFC3339Nano) != expires {
		t.Errorf("got %+v, %v", k, err)
	}
	g := func(want string) {
		t.Helper()
		if _, _, err := c.Value(t.Context(), "a", "k"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	expires = "soon"
	g("wrong time")
	etag = "x"
	g("no version")
	etag = ""
	g("is not sluice's admin API")
	etag, status = `"7"`, 500
	g("is not sluice's admin API")
}
