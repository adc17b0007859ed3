package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

func TestExplain(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, ctx := client(t, addr, ""), context.Background()
	e, err := c.Explain(ctx, api.ExplainRequest{URL: "http://127.0.0.1/plain"})
	if err != nil || e.Site != "shop" || e.Match != "/plain" || e.Answer == nil || e.Answer.Status != 204 {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = c.Explain(ctx, api.ExplainRequest{Method: "POST", URL: "127.0.0.1/other", Headers: []api.Field{{Name: "X-A", Value: "<b>"}}, Client: "192.0.2.7"})
	if err != nil || e.Route != "other" || e.Upstream == nil || e.Upstream.Name != e.Arm || e.Request == nil || e.Request.Method != "POST" || e.Request.Fields[0].Value != "<b>" {
		t.Errorf("%+v, %v", e, err)
	}
	_, err = c.Explain(ctx, api.ExplainRequest{URL: "ftp://127.0.0.1/"})
	status(t, err, 422)
	_, err = c.Explain(ctx, api.ExplainRequest{URL: strings.Repeat("x", 2<<20)})
	status(t, err, 413)

	check := func(method, mediaType, body string, want int) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+addr+"/v1/explain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s of %s %q: got %d, want %d", method, mediaType, body, res.StatusCode, want)
		}
	}
	check("POST", "application/json", `{"url": "127.0.0.1"}`, 200)
	check("POST", "text/plain", `{"url": "127.0.0.1"}`, 415)
	check("POST", "application/json", `{"uri": "127.0.0.1"}`, 400)
	check("POST", "application/json", `{"url": 1}`, 400)
	check("POST", "application/json", ``, 400)
	check("GET", "application/json", ``, 405)
}
