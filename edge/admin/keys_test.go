package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

func TestKeys(t *testing.T) {
	r := startRig(t)
	send := func(method, path, body, condition string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, r.url+"/v1/kv"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if name, value, ok := strings.Cut(condition, ": "); ok {
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
	ask := func(method, path, body, condition string, status int, want string) *http.Response {
		t.Helper()
		res, got := send(method, path, body, condition)
		if res.StatusCode != status || !strings.Contains(got, want) {
			t.Errorf("%s %s: got %s and\n%s\nwant %d and %q", method, path, res.Status, got, status, want)
		}
		return res
	}
	ask("GET", "", "", "", 200, "[]")
	ask("GET", "/links/a", "", "", 404, `the namespace \"links\" has no key \"a\"`)
	ask("PUT", "/links/a", "one", "If-None-Match: *", 200, `"bytes": 3`)
	ask("PUT", "/links/a", "two", "If-None-Match: *", 412, "another version")
	tag := ask("GET", "/links/a", "", "", 200, "one").Header.Get("ETag")
	ask("PUT", "/links/a?dry_run=1", "two", "If-Match: "+tag, 204, "")
	ask("GET", "/links/a", "", "", 200, "one")
	ask("PUT", "/links/a", "two", "If-Match: "+tag, 200, "")
	ask("PUT", "/links/a", "three", "If-Match: "+tag, 412, "")
	ask("PUT", "/links/a?dry_run=1", "three", "If-Match: "+tag, 412, "")
	ask("DELETE", "/links/a", "", "If-Match: "+tag, 412, "")
	ask("PUT", "/links/a%2Fb%20c?ttl=1h", "\x00\xff", "", 200, `"expires"`)
	if res, got := send("GET", "/links/a/b%20c", "", ""); got != "\x00\xff" || res.Header.Get(api.ExpiresField) == "" {
		t.Errorf("got %q, %v", got, res.Header)
	}
	ask("PUT", "/links/b", "", "", 200, `"bytes": 0`)
	ask("GET", "", "", "", 200, `"keys": 3`)
	var part api.Keys
	_, got := send("GET", "/links?prefix=a&limit=1", "", "")
	if err := json.Unmarshal([]byte(got), &part); err != nil || len(part.Keys) != 1 || part.Keys[0].Key != "a" || part.Next != "a" {
		t.Errorf("got %s, %v", got, err)
	}
	part = api.Keys{}
	_, got = send("GET", "/links?prefix=a&limit=1&after=a", "", "")
	if err := json.Unmarshal([]byte(got), &part); err != nil || len(part.Keys) != 1 || part.Keys[0].Key != "a/b c" || part.Keys[0].Expires == nil || part.Next != "" {
		t.Errorf("got %s, %v", got, err)
	}
	ask("DELETE", "/links/a?dry_run=1", "", "", 204, "")
	ask("DELETE", "/links/a", "", "", 204, "")
	ask("DELETE", "/links/a", "", "", 404, "")
	ask("DELETE", "/links/a?dry_run=1", "", "", 404, "")

	ask("PUT", "/a%20b/k", "x", "", 400, "namespace")
	ask("PUT", "/links/"+strings.Repeat("k", 1025), "x", "", 400, "more than the 1024 allowed")
	ask("PUT", "/links/k", strings.Repeat("x", 1<<20+1), "", 413, "")
	ask("PUT", "/links/k?ttl=-1s", "x", "", 400, "a duration like")
	ask("PUT", "/links/k?ttl=1d", "x", "", 400, "a duration like")
	ask("PUT", "/links/k", "x", "If-Match: x", 400, "If-Match is a version")
	ask("PUT", "/links/k", "x", "If-None-Match: x", 400, "If-None-Match is *")
	ask("GET", "/links?limit=0", "", "", 400, "a number from 1 to 1000")
	ask("GET", "/links?limit=1001", "", "", 400, "a number from 1 to 1000")
}
