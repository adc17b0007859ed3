package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// asks returns what sends a request of JSON to an API, with fields as "Name: value",
// and returns the answer and what it says.
func asks(t *testing.T, url string) func(method, path, body string, fields ...string) (*http.Response, string) {
	return func(method, path, body string, fields ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
}

// A method that a resource does not have is refused with those that it has, and what is
// no resource is not found.
func TestMethods(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	ask := asks(t, "http://"+addr)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"POST", "/v1/filters/f", 405, "DELETE, GET, HEAD, PUT"},
		{"OPTIONS", "/v1/filters/f", 204, "DELETE, GET, HEAD, PUT"},
		{"GET", "/v1/filters/f/try", 405, "POST"},
		{"PUT", "/v1/filters/f/versions", 405, "GET, HEAD, POST"},
		{"DELETE", "/v1/kv/flags", 405, "GET, HEAD"},
		{"POST", "/v1/kv/flags/a/b", 405, "DELETE, GET, HEAD, PUT"},
		{"BREW", "/v1/status", 405, "GET, HEAD"},
		{"HEAD", "/v1/filters/f", 200, ""},
		{"GET", "/v1/filters/f/versions/1", 404, ""},
		{"GET", "/v1/nothing", 404, ""},
	} {
		res, body := ask(c.method, c.path, "")
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: got %d, Allow %q, want %d, %q: %s", c.method, c.path, res.StatusCode, res.Header.Get("Allow"), c.status, c.allow, body)
		}
		if got := res.Header.Get("Content-Type"); c.status >= 400 && got != api.ContentType {
			t.Errorf("%s %s: Content-Type %q", c.method, c.path, got)
		}
	}
}

// A parameter that is misspelt, said twice or not to be understood is refused before
// anything is done; what would have been a dry run is not taken for the write.
func TestParameters(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	ask := asks(t, "http://"+addr)
	for _, c := range []struct{ method, path, says string }{
		{"PUT", "/v1/filters/f?dryrun=1", `did you mean \"dry_run\"?`},
		{"PUT", "/v1/filters/f?onn=shop", `takes no \"onn\"; have \"on\", \"config\", \"dry_run\"`},
		{"PUT", "/v1/functions/f?on=shop", `takes no \"on\"; have \"route\"`},
		{"DELETE", "/v1/filters/f?dry_run=maybe", "neither yes nor no"},
		{"DELETE", "/v1/filters/f?dry_run=0&dry_run=1", "is there twice"},
		{"DELETE", "/v1/filters/f?dry_run=%zz", "malformed"},
		{"GET", "/v1/filters?all=1", `takes no \"all\"`},
		{"GET", "/v1/kv/flags?prefx=a", `did you mean \"prefix\"?`},
	} {
		res, body := ask(c.method, c.path, string(guest(t, "deny")))
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: got %d %s, want %q", c.method, c.path, res.StatusCode, body, c.says)
		}
	}
	if f, err := client(t, addr, "").Filter(context.Background(), "f"); err != nil || f.Live != 1 || len(f.Versions) != 1 {
		t.Errorf("something was done: %+v, %v", f, err)
	}
}

// A write that says what it has seen is refused if that is not so any more (RFC 9110,
// section 13.1.1), and does nothing; with what is so now it is done.
func TestIfMatchOfWrites(t *testing.T) {
	r := startRig(t)
	ask := asks(t, r.url)
	if _, err := r.pushFunction("f", "script", api.Use{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello", "deny"} {
		if _, err := r.pushFilter("f", name, api.Use{}); err != nil {
			t.Fatal(err)
		}
	}
	const shares = `{"weights": {"one": 30, "two": 70}}`
	for _, c := range []struct{ method, path, of, body string }{
		{"PUT", "filters/f", "filters/f/deployment", string(guest(t, "header-set"))},
		{"POST", "filters/f/versions", "filters/f/deployment", string(guest(t, "trap"))},
		{"POST", "filters/f/rollback", "filters/f/deployment", ""},
		{"DELETE", "filters/f", "filters/f/deployment", ""},
		{"PUT", "functions/f", "functions/f/deployment", string(guest(t, "environ"))},
		{"POST", "functions/f/rollback", "functions/f/deployment", ""},
		{"DELETE", "functions/f", "functions/f/deployment", ""},
		{"PUT", "splits/split", "splits/split", shares},
	} {
		look := func() string {
			res, body := ask("GET", "/v1/"+c.of, "")
			if res.StatusCode != http.StatusOK || res.Header.Get("ETag") == "" {
				t.Fatalf("%s: %d %s", c.of, res.StatusCode, body)
			}
			return res.Header.Get("ETag")
		}
		before := look()
		for _, query := range []string{"", "?dry_run=1"} {
			if res, body := ask(c.method, "/v1/"+c.path+query, c.body, `If-Match: "another"`); res.StatusCode != http.StatusPreconditionFailed || look() != before {
				t.Errorf("%s %s%s: got %d %s", c.method, c.path, query, res.StatusCode, body)
			}
		}
		if res, body := ask(c.method, "/v1/"+c.path, c.body, "If-Match: "+before); res.StatusCode >= 300 {
			t.Errorf("%s %s: got %d %s", c.method, c.path, res.StatusCode, body)
		}
	}
	// Of what there is not, nothing matches.
	for _, path := range []string{"filters/none", "functions/none"} {
		if res, body := ask("PUT", "/v1/"+path, string(guest(t, "answer")), `If-Match: "another"`); res.StatusCode != http.StatusPreconditionFailed {
			t.Errorf("%s: got %d %s", path, res.StatusCode, body)
		}
	}
}

// A dry run says what would be, and leaves no trace.
func TestDryRuns(t *testing.T) {
	r := startRig(t)
	ask := asks(t, r.url)
	guard := "roll back if traps > 1%"
	for _, name := range []string{"hello", "deny"} {
		if _, err := r.pushFilter("f", name, api.Use{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.c.DeployFilter(context.Background(), "f", api.DeploymentChange{Versions: []api.DeployedShare{{Version: 1, Percent: 50}, {Version: 2, Percent: 50}}, Guard: &guard}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	// The guard that there is stays, and is said to.
	_, body := ask("PUT", "/v1/filters/f/deployment?dry_run=1", `{"versions": [{"version": 1, "percent": 90}, {"version": 2, "percent": 10}]}`)
	var d api.Deployment
	if err := json.Unmarshal([]byte(body), &d); err != nil || d.Guard != guard || len(d.Versions) != 2 || d.Versions[0].Percent != 90 {
		t.Errorf("got %s, %v", body, err)
	}

	res, body := ask("POST", "/v1/captures?dry_run=1", `{"count": 3}`)
	if want := "{\n  \"asked\": {\n    \"count\": 3,\n    \"for\": \"1m\",\n    \"bodies\": \"off\"\n  },\n  \"exchanges\": 0,\n  \"bytes\": 0\n}\n"; res.StatusCode != http.StatusOK || body != want {
		t.Errorf("got %d %s, want %s", res.StatusCode, body, want)
	}
	told, err := r.c.StartCapture(context.Background(), api.CaptureRequest{For: "1h"})
	if err != nil {
		t.Fatal(err)
	}
	if res, body := ask("DELETE", "/v1/captures/"+told.ID+"?dry_run=1", ""); res.StatusCode != http.StatusNoContent {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if res, body := ask("GET", "/v1/captures", ""); strings.Count(body, `"id"`) != 1 {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if err := r.c.RemoveCapture(context.Background(), told.ID); err != nil {
		t.Fatal(err)
	}
	if res, body := ask("PUT", "/v1/filters/f?dry_run=1", string(guest(t, "trap"))); res.StatusCode != http.StatusOK || strings.Contains(body, "uploaded\"") {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
}

// What is wrong with JSON is said in the words of JSON, not of the source.
func TestMalformedJSON(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	ask := asks(t, "http://"+addr)
	for body, says := range map[string]string{
		"":                                  "there is none",
		"[]":                                "the body cannot be a JSON array",
		`{"versions": [{"percent": "5%"}]}`: "percent cannot be a JSON string",
		`{"version": 1}`:                    `unknown field \"version\"`,
		`{"versions": []} {}`:               "something follows the value",
	} {
		res, got := ask("PUT", "/v1/filters/f/deployment", body)
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(got, says) || strings.Contains(got, "Go ") || strings.Contains(got, "api.") {
			t.Errorf("%s: got %d %s, want %q", body, res.StatusCode, got, says)
		}
	}
}

// A name that is misspelt is answered with those that there are.
func TestUnknownNames(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	for _, name := range []string{"deny", "hello"} {
		if _, err := r.pushFilter(name, name, api.Use{}); err != nil {
			t.Fatal(err)
		}
	}
	_, shown := r.c.Filter(ctx, "denny")
	_, back := r.c.RollBackFilter(ctx, "denny")
	for what, err := range map[string]error{"show": shown, "remove": r.c.RemoveFilter(ctx, "denny"), "back": back} {
		if p := status(t, err, http.StatusNotFound); !strings.Contains(p.Detail, `"denny"; have "deny", "hello"`) || p.Hint != `did you mean "deny"?` {
			t.Errorf("%s: got %+v", what, p)
		}
	}
}
