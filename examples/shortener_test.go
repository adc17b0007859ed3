package examples

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// A link is made, followed by many at once, counted and deleted, in the key-value store.
func TestShortener(t *testing.T) {
	const token = "ann-s-token-of-the-test"
	addr := startExample(t, "url-shortener", "", map[string]string{"owners": "ann " + token + "\n"})
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	do := func(method, url, content string) (*http.Response, string) {
		req, err := http.NewRequest(method, url, strings.NewReader(content))
		if err != nil {
			t.Error(err)
			return new(http.Response), ""
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return new(http.Response), ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res, string(body)
	}
	res, body := do("POST", "http://"+addr+"/", `{"url":"https://example.com/long?a=b"}`)
	short := res.Header.Get("Location")
	if res.StatusCode != 201 || !strings.HasPrefix(short, "http://"+addr+"/") {
		t.Fatalf("made: %d %q %s", res.StatusCode, short, body)
	}
	const many = 20
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			res, body := do("GET", short, "")
			if got := res.Header.Get("Location"); res.StatusCode != 301 || got != "https://example.com/long?a=b" {
				t.Errorf("followed: %d %q %s", res.StatusCode, got, body)
			}
		})
	}
	all.Wait()
	_, body = do("GET", "http://"+addr+"/", "")
	var list struct {
		Links []struct {
			Short string
			Count int
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Links) != 1 || list.Links[0].Short != short || list.Links[0].Count != many {
		t.Errorf("listed: %s: %v", body, err)
	}
	if res, _ := do("DELETE", short, ""); res.StatusCode != 204 {
		t.Errorf("deleted: %d", res.StatusCode)
	}
	if res, _ := do("GET", short, ""); res.StatusCode != 404 {
		t.Errorf("followed when it is deleted: %d", res.StatusCode)
	}
}
