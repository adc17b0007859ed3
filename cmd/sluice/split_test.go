package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// A dry run is one for the proxy, too, and shows what it says.
func TestSplitDryRun(t *testing.T) {
	var asked string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/splits/checkout", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, checkoutSplit) })
	mux.HandleFunc("PUT /v1/splits/checkout", func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		s := checkoutSplit
		s.Arms = []api.Arm{{Name: "shop", Share: 80}, {Name: "shop-v2", Share: 20}}
		answer(w, 200, s)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	t.Setenv("SLUICE_ADMIN", s.URL)
	for line, want := range map[string]string{"split checkout 20% --dry-run": "dry_run=1", "split checkout 20%": ""} {
		out := sluice(t, strings.Fields(line)...)
		if asked != want || !strings.Contains(out, "shop-v2    20%") || !strings.HasSuffix(out, "exit 0\n") {
			t.Errorf("%s: asked %q, printed\n%s", line, asked, out)
		}
	}
}
