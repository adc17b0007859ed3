package trial

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

func answers(t testing.TB, text string) *Answers {
	t.Helper()
	a, err := ParseAnswers([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask returns what an upstream answers.
func ask(t testing.TB, h edge.Handler, method, path, query string) string {
	t.Helper()
	x := &edge.Exchange{Request: edge.Request{Method: method, Path: path, Query: query}}
	defer x.End()
	if err := h.Serve(x); err != nil {
		return edge.AsError(err).Kind.String() + ": " + edge.AsError(err).Err.Error()
	}
	var b []byte
	if x.Response.Body != nil {
		var err error
		if b, err = io.ReadAll(x.Response.Body); err != nil {
			t.Fatal(err)
		}
	}
	out := strconv.Itoa(x.Response.Status)
	for name, value := range x.Response.Fields.All() {
		out += " " + name + "=" + value
	}
	return strings.TrimSpace(out + " " + string(b))
}

func TestPlayedUpstream(t *testing.T) {
	a := answers(t, `{
		"GET /keys": { "body": { "keys": [1, "a"] } },
		"GET /keys?v=2": { "headers": { "Content-Type": "text/plain", "ETag": "x" }, "body": "two" },
		"/keys": { "status": 405 },
		"GET /turns": [ { "body": "one" }, { "error": "connection_refused" }, { "status": 204 } ],
		"*": { "status": 404, "body": "" },
		"POST *": { "status": 201, "body": [] }
	}`)
	check := func(method, path, query, want string) {
		t.Helper()
		if got := ask(t, a, method, path, query); got != want {
			t.Errorf("%s %s?%s: got %q, want %q", method, path, query, got, want)
		}
	}
	check("GET", "/keys", "", `200 Content-Type=application/json { "keys": [1, "a"] }`)
	check("GET", "/keys", "v=1", `200 Content-Type=application/json { "keys": [1, "a"] }`) // a request without a query is meant with any
	check("GET", "/keys", "v=2", "200 Content-Type=text/plain ETag=x two")
	check("PUT", "/keys", "v=2", "405")
	check("GET", "/turns", "", "200 one")
	check("GET", "/turns", "", "connection_refused: it was given as the answer")
	check("GET", "/turns", "", "204")
	check("GET", "/turns", "", "204") // the last stays
	check("GET", "/none", "", "404")
	check("POST", "/none", "", "201 Content-Type=application/json []")
	check("POST", "/keys", "", "405") // a path says more than a method

	a = answers(t, `{"GET /a": {}}`)
	check("GET", "/b", "", "destination_not_found: there is no answer for that")
	a, err := Always(503, []byte("closed"))
	if err != nil {
		t.Fatal(err)
	}
	check("DELETE", "/x", "y", "503 closed")
	if _, err := Always(99, nil); err == nil || !strings.Contains(err.Error(), "99 is no status") {
		t.Errorf("status 99: %v", err)
	}
}

func TestBadUpstream(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		if _, err := ParseAnswers([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	bad("", "EOF")
	bad("{}", "no answers")
	bad("[]", "cannot unmarshal")
	bad(`{"GET /": {}} x`, "something follows")
	bad(`{"keys": {}}`, `is no request: write "GET /path"`)
	bad(`{"GE(T /keys": {}}`, `"GE(T" is no method`)
	bad(`{"GET  /keys": {}}`, "is no request")
	bad(`{"/a b": {}}`, `"/a" is no method`)
	bad(`{"/a#b": {}}`, "percent-encoded")
	bad(`{"/": {"state": 200}}`, `unknown field "state"`)
	bad(`{"/": {"status": 100}}`, "100 is no status")
	bad(`{"/": {"error": "bad_luck"}}`, "no error type")
	bad(`{"/": {"headers": {"a b": "c"}}}`, "no name of a field")
	bad(`{"/": {"headers": {"a": "b\r\nc"}}}`, "control character")
	bad(`{"/": []}`, "has no answer")
	bad(`{"/": [{}, 1]}`, "cannot unmarshal")
	bad(`{"/": {"body": "`+strings.Repeat("x", maxAnswer+1)+`"}}`, "more than the 1048576")
}

// What can be parsed answers what it says, and nothing makes the parser panic.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"GET /": {"body": "a"}}`, `{"*": [{"status": 404}, {"error": "dns_error"}]}`, `{"/a?b=c": {"headers": {"A": "b"}, "body": {"c": [1]}}}`, `{"/": null}`, `{"": {}}`, `{"GET /": {"body": null}}`} {
		f.Add([]byte(s), "GET", "/", "")
	}
	f.Fuzz(func(t *testing.T, text []byte, method, path, query string) {
		a, err := ParseAnswers(text)
		if err != nil {
			return
		}
		for range 3 {
			got := ask(t, a, method, path, query)
			if status, _ := strconv.Atoi(got[:min(3, len(got))]); (status < 200 || status > 599) && !strings.Contains(got, ": ") {
				t.Fatalf("%q: answers %q", text, got)
			}
		}
	})
}
