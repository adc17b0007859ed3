package asked

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/http1"
)

func TestRead(t *testing.T) {
	f := func(method, url, want string) {
		t.Helper()
		r, err := Read(&api.ExplainRequest{Method: method, URL: url})
		if err != nil {
			t.Errorf("%s %s: %v", method, url, err)
			return
		}
		var q edge.Request
		if err := r.Parse(http1.Config{}, &q); err != nil {
			t.Errorf("%s %s: %v", method, url, err)
			return
		}
		got := strings.TrimSpace(strings.Join([]string{q.Method, q.Scheme, q.Authority, q.Path, q.Query}, " "))
		if got != want {
			t.Errorf("%s %s: got %s, want %s", method, url, got, want)
		}
	}
	f("", "http://example.org/a?b=c", "GET http example.org /a b=c")
	f("", "example.org", "GET http example.org /")
	f("", "//example.org/a", "GET http example.org /a")
	f("", "HTTPS://example.org:8443?a", "GET https example.org:8443 / a")
	f("POST", "http://[::1]:80/a#b", "POST http [::1]:80 /a")
	f("OPTIONS", "http://example.org", "OPTIONS http example.org *")

	bad := func(r api.ExplainRequest, want string) {
		t.Helper()
		_, err := Read(&r)
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 422 || !strings.Contains(p.Error(), want) {
			t.Errorf("%+v: got %v, want %q", r, err, want)
		}
	}
	bad(api.ExplainRequest{URL: "/a"}, "has no host")
	bad(api.ExplainRequest{URL: "ftp://a/"}, "is no URL of http or https")
	bad(api.ExplainRequest{URL: "http://a/ b"}, "a space is %20")
	bad(api.ExplainRequest{URL: "http://a/ü"}, "it is not ASCII")
	bad(api.ExplainRequest{URL: "http://u:p@a/"}, "has a user or a password")
	bad(api.ExplainRequest{URL: "http://a/", Client: "b"}, "is no address")
	bad(api.ExplainRequest{URL: "http://a/", Method: "GET\r\n"}, "has a line break")
	bad(api.ExplainRequest{URL: "http://a/", Headers: []api.Field{{Name: "a:"}}}, "is no name of a field")
	bad(api.ExplainRequest{URL: "http://a/", Headers: []api.Field{{Name: "a", Value: "b\nc"}}}, "has a line break")
}

// Whatever is described becomes at most one request, of the fields that were said.
func FuzzRead(f *testing.F) {
	f.Add("GET", "http://example.org/a?b=c", "Accept", "*/*")
	f.Add("", "//a?b#c", "Host", "b")
	f.Add("CONNECT", "https://[::1]:1/%2f", "Content-Length", "5")
	f.Add("G T", "http://a/\x7f", "a b", "\x00")
	f.Fuzz(func(t *testing.T, method, url, name, value string) {
		r, err := Read(&api.ExplainRequest{Method: method, URL: url, Headers: []api.Field{{Name: name, Value: value}}})
		if err != nil {
			return
		}
		var q edge.Request
		if r.Parse(http1.Config{}, &q) != nil {
			return
		}
		if q.Path == "" || q.Path[0] != '/' && q.Path != "*" || q.Fields.Len() > 1 {
			t.Errorf("%q %q %q %q: got %+v", method, url, name, value, q)
		}
	})
}
