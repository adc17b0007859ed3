package trial

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// engine compiles for all tests: under -race that takes longest.
var engine = sync.OnceValue(func() *wasm.Engine { return wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) })

func filterOf(t *testing.T, name string, c filters.Config, cfg Config) *Guest {
	t.Helper()
	m, err := filters.Compile(context.Background(), engine(), guests.Read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if c.Timeout == 0 {
		c.Timeout = time.Minute // what is tested is not time
	}
	c.Name, c.Version = name, 7
	g, err := NewFilter(m, c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func functionOf(t *testing.T, name string, c function.Config, cfg Config) *Guest {
	t.Helper()
	m, err := function.Compile(context.Background(), engine(), guests.Read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	c.Name = name
	g, err := NewFunction(m, c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func try(t *testing.T, g *Guest, q api.TryRequest) api.Trial {
	t.Helper()
	got, err := g.Run(t.Context(), &q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// told returns a trial as one line of JSON, without what differs each time.
func told(t *testing.T, tr api.Trial) string {
	t.Helper()
	tr.Cost = api.TrialCost{}
	b, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	s, _, _ := strings.Cut(string(b), `,"cost"`)
	return strings.ReplaceAll(strings.NewReplacer(`"name":`, "", `"value":`, "").Replace(s), `","`, `" "`)
}

func get(url string, fields ...string) api.TryRequest {
	q := api.TryRequest{Request: api.HTTPRequest{URL: url}}
	for i := 0; i < len(fields); i += 2 {
		q.Request.Headers = append(q.Request.Headers, api.Field{Name: fields[i], Value: fields[i+1]})
	}
	return q
}

func TestFilter(t *testing.T) {
	f := func(guest string, q api.TryRequest, want ...string) {
		t.Helper()
		got := told(t, try(t, filterOf(t, guest, filters.Config{}, Config{}), q))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: got\n%s\nwant %s", guest, got, w)
			}
		}
	}
	// Fields, of the request and of the response.
	f("header-set", get("http://example.org/a?b=c", "X-Set", "zero", "X-Kept", "1"),
		`"filter":"header-set" "version":7,"abi":"http-wasm" "verdict":"next"`,
		`"request":{"method":"GET" "url":"http://example.org/a?b=c"`,
		`"response":{"status":200,"headers":[{"x-set" "two"}]}`,
		`"changes":[{"in":"request" "what":"field" "X-Set" "do":"set" "from":"zero" "to":"one"},`+
			`{"in":"request" "what":"field" "x-add" "do":"added" "to":"one"},{"in":"request" "what":"field" "x-add" "do":"added" "to":"two"},`+
			`{"in":"response" "what":"field" "x-set" "do":"added" "to":"two"}]`)

	// An answer of the filter's own: nothing has gone on.
	f("deny", get("https://example.org/"), `"verdict":"answered" "response":{"status":401,"headers":[{"WWW-Authenticate" "Basic realm=test"}],"body":"no entry\n" "bytes":9},"changes":[]`)

	// Content.
	q := get("http://example.org/", "Content-Type", "text/plain")
	q.Request.Method, q.Request.Body = "POST", "question"
	q.Response = &api.HTTPResponse{Status: 201, Body: "answer"}
	f("upper-buffered", q, `"body":"QUESTION" "bytes":8},"response":{"status":201,"body":"ANSWER" "bytes":6}`,
		`{"in":"request" "what":"content" "do":"set" "from":"8" "to":"8"},{"in":"response" "what":"content" "do":"set" "from":"6" "to":"6"}`)

	// Content that is no text.
	q.Request.Body, q.Request.Base64 = "", []byte("a\xff")
	f("upper-buffered", q, `"body_base64":"Qf8=" "bytes":2}`)

	// Trailers.
	f("trailers", get("http://example.org/"), `{"in":"request" "what":"trailer" "x-trail" "do":"added" "to":"one"}`)

	// An error in place of a response: the filter sees the answer that it becomes.
	q = get("http://example.org/")
	q.Response = &api.HTTPResponse{Error: "connection_refused"}
	f("header-set", q, `"verdict":"next"`, `"response":{"status":502`, `{"Proxy-Status" "sluice; error=connection_refused"},{"x-set" "two"}`)
	f("chatty", q, `"verdict":"next"`, `"response":{"status":502,"error":"connection_refused"`, `"changes":[]`)

	// What it logs, within its limit, and only the last lines.
	f("chatty", get("http://example.org/"), `"said":[{"level":"INFO" "text":"said"}`)

	// Failures.
	f("trap", get("http://example.org/"), `"verdict":"failed" "cause":"trap" "failure":"filter trap: handle request: `, `"response":{"status":500`)
	f("exit", get("http://example.org/"), `"verdict":"failed" "cause":"exit"`)
	f("trap-response", get("http://example.org/"), `"verdict":"failed" "cause":"trap"`, `"request":{"method":"GET"`)
}

// What a filter is allowed is what its configuration says.
func TestFilterLimits(t *testing.T) {
	f := func(guest string, c filters.Config, cfg Config, verdict, cause string) api.Trial {
		t.Helper()
		q := get("http://example.org/")
		q.Request.Body = "content of more than eight bytes"
		got := try(t, filterOf(t, guest, c, cfg), q)
		if got.Verdict != verdict || got.Cause != cause {
			t.Errorf("%s: %s of %q, want %s of %q: %+v", guest, got.Verdict, got.Cause, verdict, cause, got)
		}
		return got
	}
	f("spin", filters.Config{Timeout: time.Millisecond}, Config{}, api.TrialFailed, "timeout")
	f("trap", filters.Config{OnError: wasm.Skip}, Config{}, api.TrialSkipped, "trap")
	f("upper-buffered", filters.Config{Body: 8}, Config{}, api.TrialFailed, "oversized")
	if got := f("grow", filters.Config{Memory: 4 << 20}, Config{}, api.TrialAnswered, ""); got.Cost.Memory != 4<<20 || got.Response.Status != 208 {
		t.Errorf("got status %d, and the most memory was %d bytes, want 208 and 4 MiB", got.Response.Status, got.Cost.Memory)
	}
	if got := f("deny", filters.Config{}, Config{}, api.TrialAnswered, ""); got.Cost.Memory != 64<<10 || got.Cost.Fresh || got.Cost.MS <= 0 || got.Cost.StartMS <= 0 {
		t.Errorf("got the cost %+v", got.Cost)
	}
	got := f("chatty", filters.Config{LogBytes: 1 << 20}, Config{Lines: 3}, api.TrialNext, "")
	if len(got.Said) != 3 {
		t.Errorf("%d lines are told, want the last 3", len(got.Said))
	}

	// Trials of one guest know nothing of each other.
	g := filterOf(t, "chatty", filters.Config{}, Config{Lines: 4})
	first, second := try(t, g, get("http://example.org/")), try(t, g, get("http://example.org/"))
	if len(second.Said) != len(first.Said) || &first.Said[0] == &second.Said[0] {
		t.Errorf("%d lines, and then %d", len(first.Said), len(second.Said))
	}
	g = filterOf(t, "header-set", filters.Config{}, Config{})
	once, twice := told(t, try(t, g, get("http://example.org/"))), told(t, try(t, g, get("http://example.org/")))
	if once != twice {
		t.Errorf("first %s\nthen %s", once, twice)
	}
}

func TestFunction(t *testing.T) {
	f := func(guest, query string, c function.Config, cfg Config, want ...string) api.Trial {
		t.Helper()
		q := get("http://example.org/?" + query)
		q.Request.Method, q.Request.Body = "POST", "question"
		trial := try(t, functionOf(t, guest, c, cfg), q)
		got := told(t, trial)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s %s: got\n%.2000s\nwant %s", guest, query, got, w)
			}
		}
		return trial
	}
	f("script", "hoc", function.Config{}, Config{}, `"function":"script"`, `"abi":"WASI command" "verdict":"answered"`, `"status":200`, `okquestion`)
	f("answer", "S404o", function.Config{}, Config{}, `"abi":"http-wasm guest" "verdict":"answered" "response":{"status":404,"body":"ok" "bytes":2}`)
	f("script", "x3", function.Config{}, Config{}, `"verdict":"failed" "cause":"exit"`, `"status":500`)
	f("script", "t", function.Config{}, Config{}, `"verdict":"failed" "cause":"trap"`)

	// Content without end, or much of it, is cut off.
	got := f("answer", "M64", function.Config{}, Config{Content: 1000}, `"truncated":true`)
	if got.Response.Bytes != 1000 || len(got.Response.Content()) != 1000 {
		t.Errorf("%d bytes, want 1000", got.Response.Bytes)
	}

	// It sleeps for longer than a trial may take.
	f("script", "s60000", function.Config{Timeout: 10 * time.Minute}, Config{Time: 20 * time.Millisecond}, `"verdict":"failed"`, "the trial is not over within 20ms")
}

// Who asks for what cannot be is told so.
func TestRefused(t *testing.T) {
	g := filterOf(t, "deny", filters.Config{}, Config{Content: 10})
	f := func(change func(q *api.TryRequest), want string) {
		t.Helper()
		q := get("http://example.org/")
		q.Response = new(api.HTTPResponse)
		change(&q)
		_, err := g.Run(t.Context(), &q)
		p, ok := errors.AsType[*api.Problem](err)
		if !ok || p.Status != 422 || !strings.Contains(p.Detail, want) {
			t.Errorf("got %v, want a problem with %q", err, want)
		}
	}
	f(func(q *api.TryRequest) { q.Request.URL = "/only/a/path" }, "has no host")
	f(func(q *api.TryRequest) { q.Request.Method = "G T" }, "http_request_error")
	f(func(q *api.TryRequest) { q.Client = "here" }, "is no address")
	f(func(q *api.TryRequest) { q.Request.Headers = []api.Field{{Name: "a\nb"}} }, "is no name of a field")
	f(func(q *api.TryRequest) { q.Request.Body = "eleven byte" }, "more than the 10 of a trial")
	f(func(q *api.TryRequest) { q.Response.Body = "eleven byte" }, "more than the 10 of a trial")
	f(func(q *api.TryRequest) { q.Response.Status = 100 }, "is no status of a response")
	f(func(q *api.TryRequest) { q.Response.Status = 600 }, "is no status of a response")
	f(func(q *api.TryRequest) { q.Response.Error = "bad" }, "is no error type of RFC 9209")
	f(func(q *api.TryRequest) { q.Response.Headers = []api.Field{{Name: "a b"}} }, "is no name of a field")
	f(func(q *api.TryRequest) { q.Response.Trailers = []api.Field{{Name: "a", Value: "b\r\nc: d"}} }, "has a control character")
}

// A response is what HTTP has it to be.
func TestAnswers(t *testing.T) {
	g := filterOf(t, "chatty", filters.Config{LogBytes: 1}, Config{})
	f := func(method string, given api.HTTPResponse, want string) {
		t.Helper()
		q := get("http://example.org/")
		q.Request.Method, q.Response = method, &given
		if got := told(t, try(t, g, q)); !strings.Contains(got, `"response":`+want+`,"changes":[]`) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	f("HEAD", api.HTTPResponse{Body: "of GET"}, `{"status":200}`)
	f("GET", api.HTTPResponse{Status: 204}, `{"status":204}`)
	f("GET", api.HTTPResponse{Headers: []api.Field{{Name: "Connection", Value: "close"}, {Name: "Etag", Value: "1"}}}, `{"status":200,"headers":[{"Etag" "1"}]}`)
	f("GET", api.HTTPResponse{Body: "a", Trailers: []api.Field{{Name: "Sum", Value: "1"}}}, `{"status":200,"body":"a" "bytes":1,"trailers":[{"Sum" "1"}]}`)
}

func TestFieldChanges(t *testing.T) {
	f := func(from, to, want string) {
		t.Helper()
		if got := changesText(from, to); got != want {
			t.Errorf("%q to %q: got %q, want %q", from, to, got, want)
		}
	}
	f("", "", "")
	f("a=1", "a=1", "")
	f("a=1 b=2", "b=2 A=1", "") // of different names: the order means nothing
	f("a=1", "a=2", "a set 1 2")
	f("a=1", "", "a removed 1 ")
	f("", "a=1", "a added  1")
	f("a=1 a=2", "a=2", "a removed 1 ")
	f("a=1 a=1", "a=1", "a removed 1 ")
	f("a=1 a=2", "a=2 a=1", "a set 1, 2 2, 1") // of one name: it does
	f("a=1 a=2", "a=3 a=4 a=5", "a removed 1 ; a removed 2 ; a added  3; a added  4; a added  5")
	f("a=1 b=1", "a=2 c=3", "a set 1 2; b removed 1 ; c added  3")
}

func changesText(from, to string) string {
	of := func(s string) *edge.Fields {
		var f edge.Fields
		for _, w := range strings.Fields(s) {
			name, value, _ := strings.Cut(w, "=")
			f.Add(name, value)
		}
		return &f
	}
	var all []string
	for _, c := range fieldChanges("request", "field", of(from), of(to)) {
		all = append(all, strings.Join([]string{c.Name, c.Do, c.From, c.To}, " "))
	}
	return strings.Join(all, "; ")
}
