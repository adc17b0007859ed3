package capture

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/redact"
)

// streamed is a body that is not at hand as a whole.
type streamed struct{ io.Reader }

func (streamed) Close() error { return nil }

// one is an exchange that a recorder is told of.
type one struct {
	method, path     string
	query            string
	question, answer string // content
	status           int
	filter           string
}

// serve has an exchange pass as the server does.
func (o one) serve(r *Recorder) {
	x := new(edge.Exchange)
	client := edge.NewClient(edge.Client{}.Addr, edge.Client{}.Addr, nil)
	x.Begin(nil, &client, time.Now())
	x.Request = edge.Request{Method: o.method, Scheme: "http", Authority: "example.org", Path: o.path, Query: o.query, Proto: "HTTP/1.1"}
	x.Request.Fields.Add("Accept", "*/*")
	if o.question != "" {
		x.Request.Body, x.Request.Length = streamed{strings.NewReader(o.question)}, -1
	}
	x.Parsed()
	if o.filter != "" {
		x.Record.Filters = append(x.Record.Filters, edge.FilterRun{Name: o.filter, Version: 1})
	}
	if r.Active() {
		r.Begin(x, "shop", "/a")
	}
	if x.Request.Body != nil {
		io.Copy(io.Discard, x.Request.Body)
	}
	x.Respond(o.status, nil, 0)
	if o.answer != "" {
		x.Respond(o.status, streamed{strings.NewReader(o.answer)}, -1)
	}
	if r.Active() {
		r.Behind(x, nil)
		r.Answer(x)
	}
	if x.Response.Body != nil {
		io.Copy(io.Discard, x.Response.Body)
	}
	x.End()
}

func (r *Recorder) begun(t *testing.T, w Wanted) *Capture {
	t.Helper()
	if w.Count == 0 {
		w.Count = 100
	}
	if w.For == 0 {
		w.For = time.Hour
	}
	told, err := r.Start(w, api.CaptureRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Find(told.ID)
}

func decoded(t *testing.T, c *Capture) []api.Captured {
	t.Helper()
	lines, _ := c.Lines(0)
	var all []api.Captured
	for _, line := range lines {
		e, err := NewReader(bytes.NewReader(line)).Next()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// A capture has the exchanges that all of its conditions hold for.
func TestWanted(t *testing.T) {
	exchanges := []one{
		{method: "GET", path: "/a", status: 200},
		{method: "POST", path: "/a/b", status: 201, filter: "auth"},
		{method: "GET", path: "/c", status: 500},
		{method: "GET", path: "/c/d", status: 503},
	}
	f := func(w Wanted, want string) {
		t.Helper()
		r := New(Config{})
		defer r.Close()
		c := r.begun(t, w)
		for _, o := range exchanges {
			o.serve(r)
		}
		got := ""
		for _, e := range decoded(t, c) {
			got += strings.TrimPrefix(e.Request.URL, "http://example.org") + " "
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%+v: got %s, want %s", w, got, want)
		}
	}
	f(Wanted{}, "/a /a/b /c /c/d")
	f(Wanted{Site: "shop", Route: "/a"}, "/a /a/b /c /c/d")
	f(Wanted{Site: "other"}, "")
	f(Wanted{Site: "shop", Route: "/b"}, "")
	f(Wanted{Method: "POST"}, "/a/b")
	f(Wanted{Path: "/a"}, "/a")
	f(Wanted{Path: "/a*"}, "/a /a/b")
	f(Wanted{Path: "*"}, "/a /a/b /c /c/d")
	f(Wanted{Status: "503"}, "/c/d")
	f(Wanted{Status: "5xx"}, "/c /c/d")
	f(Wanted{Status: "2xx", Filter: "auth"}, "/a/b")
	f(Wanted{Filter: "none"}, "")
	f(Wanted{Count: 2}, "/a /a/b")
}

// Content is kept up to its limit; how much has passed is counted.
func TestContent(t *testing.T) {
	f := func(limit int64, want api.HTTPRequest) {
		t.Helper()
		r := New(Config{})
		defer r.Close()
		c := r.begun(t, Wanted{Content: limit})
		one{method: "POST", path: "/", question: "question", answer: "answer", status: 200}.serve(r)
		q := decoded(t, c)[0].Request
		if q.Body != want.Body || q.Bytes != want.Bytes || q.Cut != want.Cut {
			t.Errorf("%d bytes: got %+v, want %+v", limit, q, want)
		}
	}
	f(0, api.HTTPRequest{})
	f(5, api.HTTPRequest{Body: "quest", Bytes: 8, Cut: true})
	f(8, api.HTTPRequest{Body: "question", Bytes: 8})
	f(100, api.HTTPRequest{Body: "question", Bytes: 8})
}

// Whatever passes, captures never hold more than they may; what they held is given back.
func TestBytes(t *testing.T) {
	const limit = 256 << 10
	r := New(Config{Bytes: limit})
	defer r.Close()
	c := r.begun(t, Wanted{Content: 1 << 20, Count: 1000})
	large := strings.Repeat("x", 20<<10)
	for range 20 {
		one{method: "POST", path: "/", question: large, answer: large, status: 200}.serve(r)
		if used := r.used.Load(); used > limit {
			t.Fatalf("%d bytes are held, more than %d", used, limit)
		}
	}
	told := c.Tell()
	if told.State != api.CaptureFull || told.Exchanges == 0 || told.Exchanges >= 20 || r.Active() {
		t.Errorf("got %+v, want one that is full", told)
	}
	if used := r.used.Load(); used != told.Bytes {
		t.Errorf("%d bytes are held when nothing passes, want the %d of the lines", used, told.Bytes)
	}

	// Content alone is too much.
	again := r.begun(t, Wanted{Content: 1 << 20})
	one{method: "POST", path: "/", question: strings.Repeat("x", 2*limit), status: 200}.serve(r)
	if told := again.Tell(); told.State != api.CaptureFull || told.Exchanges != 0 {
		t.Errorf("got %+v, want a full one without exchanges", told)
	}
	// The one before has made room.
	if told := c.Tell(); told.Exchanges != 0 || r.Find(told.ID) != nil {
		t.Errorf("got %+v, want it dropped", told)
	}
	for _, c := range r.Captures() {
		r.Remove(c.ID)
	}
	if used := r.used.Load(); used != 0 || len(r.recordings) != 0 {
		t.Errorf("%d bytes and %d recordings are held in the end", used, len(r.recordings))
	}
}

// However many exchanges there are at once, a capture has as many as were asked for.
func TestCount(t *testing.T) {
	r := New(Config{})
	defer r.Close()
	first, second := r.begun(t, Wanted{Count: 50, Content: 100}), r.begun(t, Wanted{Count: 30, Status: "404"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				one{method: "GET", path: "/" + strconv.Itoa(i), answer: "answer", status: 200 + n%2*204}.serve(r)
			}
		})
	}
	wg.Wait()
	if told := first.Tell(); told.State != api.CaptureCounted || told.Exchanges != 50 {
		t.Errorf("the first is %+v", told)
	}
	// Others have come in the way of those that were wanted: it has no more than asked.
	if told := second.Tell(); told.Exchanges == 0 || told.Exchanges > 30 {
		t.Errorf("the second is %+v", told)
	}
	for _, e := range decoded(t, second) {
		if e.Answer.Status != 404 {
			t.Errorf("an exchange with %d", e.Answer.Status)
		}
	}
	if len(r.recordings) != 0 {
		t.Errorf("%d recordings are left", len(r.recordings))
	}
}

// A capture ends by itself, is kept for a while, and then goes by itself.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Keep: time.Hour})
		defer r.Close()
		c := r.begun(t, Wanted{For: time.Minute})
		one{method: "GET", path: "/a", status: 200}.serve(r)
		_, more := c.Lines(1)
		time.Sleep(time.Minute + time.Second)
		select {
		case <-more:
		default:
			t.Error("who follows is not told of the end")
		}
		if told := c.Tell(); told.State != api.CaptureTimed || told.Exchanges != 1 || told.Ends.Sub(told.Started) != time.Minute || r.Active() {
			t.Errorf("got %+v", told)
		}
		one{method: "GET", path: "/b", status: 200}.serve(r)
		if lines, more := c.Lines(0); len(lines) != 1 || more != nil {
			t.Errorf("%d lines, want 1 and no more", len(lines))
		}
		time.Sleep(time.Hour)
		if r.Find(c.Tell().ID) != nil || r.used.Load() != 0 {
			t.Error("it is kept for longer than an hour")
		}
	})
}

// What has begun when a capture ends is not part of it, and holds nothing.
func TestEndsMeanwhile(t *testing.T) {
	r := New(Config{})
	defer r.Close()
	c := r.begun(t, Wanted{Content: 100})
	x := new(edge.Exchange)
	x.Begin(nil, nil, time.Now())
	x.Request.Body = streamed{strings.NewReader("question")}
	r.Begin(x, "shop", "/")
	io.Copy(io.Discard, x.Request.Body)
	r.Remove(c.Tell().ID)
	x.Respond(200, nil, 0)
	x.End()
	if told := c.Tell(); told.Exchanges != 0 || r.used.Load() != 0 || len(r.recordings) != 0 {
		t.Errorf("got %+v; %d bytes and %d recordings are held", told, r.used.Load(), len(r.recordings))
	}
}

func TestLimits(t *testing.T) {
	r := New(Config{Running: 2, Kept: 3})
	first, second := r.begun(t, Wanted{}), r.begun(t, Wanted{})
	if _, err := r.Start(Wanted{For: time.Hour}, api.CaptureRequest{}); !errors.Is(err, ErrBusy) {
		t.Errorf("a third capture: %v", err)
	}
	r.stop(first, api.CaptureTimed)
	third := r.begun(t, Wanted{})
	r.stop(second, api.CaptureTimed)
	fourth := r.begun(t, Wanted{}) // makes the first go
	var ids []string
	for _, c := range r.Captures() {
		ids = append(ids, c.ID)
	}
	if got, want := strings.Join(ids, " "), strings.Join([]string{second.id, third.id, fourth.id}, " "); got != want {
		t.Errorf("kept are %s, want %s", got, want)
	}
	if r.Remove("none") || !r.Remove(third.id) || r.Remove(third.id) {
		t.Error("what is removed is not what was asked for")
	}
	r.Close()
	if _, err := r.Start(Wanted{For: time.Hour}, api.CaptureRequest{}); err == nil || r.Active() || len(r.Captures()) != 0 {
		t.Errorf("after Close: %v, %v", err, r.Captures())
	}
}

// Where nothing is recorded nothing is allocated, and a server without a recorder has
// none that is active.
func TestActiveAllocs(t *testing.T) {
	r := New(Config{})
	var none *Recorder
	if n := testing.AllocsPerRun(100, func() {
		if r.Active() || none.Active() {
			t.Error("something is recorded")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRedact(t *testing.T) {
	f := func(name, value, want, did string) {
		t.Helper()
		r := redact.Redactor{Names: []string{"x-key", "Sid"}}
		var fields edge.Fields
		fields.Add(name, value)
		got := fieldsOf(&r, &fields)[0].Value
		if got != want || strings.Join(r.Found(), " ") != did {
			t.Errorf("%s: %s: got %s, %q, want %s, %s", name, value, got, r.Found(), want, did)
		}
	}
	f("Accept", "*/*", "*/*", "")
	f("Authorization", "Bearer s3cret", "[redacted]", "authorization")
	f("COOKIE", "sid=s3cret", "[redacted]", "cookie")
	f("Set-Cookie", "sid=s3cret; Path=/", "[redacted]", "set-cookie")
	f("Proxy-Authorization", "Basic s3cret", "[redacted]", "proxy-authorization")
	f("X-Api-Key", "s3cret", "[redacted]", "x-api-key")
	f("X-Key", "s3cret", "[redacted]", "x-key")
	f("Referer", "https://a.example/b?c=d&access_token=s3cret&e", "https://a.example/b?c=d&access_token=%5Bredacted%5D&e", "access_token")
	f("Location", "/done#id_token=s3cret&state=1", "/done#id_token=%5Bredacted%5D&state=1", "id_token")
	f("Location", "/a?%70assword=s3cret;sid=s3cret", "/a?%70assword=%5Bredacted%5D;sid=%5Bredacted%5D", "password sid")
	f("Location", "/a?x-key=s3cret?token=s3cret", "/a?x-key=%5Bredacted%5D?token=%5Bredacted%5D", "token x-key")
	f("Location", "/token/a?&&?token", "/token/a?&&?token", "")
	f("Location", "https://ann:s3cret@a.example:80/b@c", "https://%5Bredacted%5D@a.example:80/b@c", "")
	f("Location", "https://a.example/b@c?d=e@f", "https://a.example/b@c?d=e@f", "")
	f("Location", "/a?user%5Bpassword%5D=s3cret&x.token=s3cret&my-token=s3cret", "/a?user%5Bpassword%5D=%5Bredacted%5D&x.token=%5Bredacted%5D&my-token=%5Bredacted%5D", "my-token password token")
	f("Location", "/login?back=%2Fa%3Ftoken%3Ds3cret%26b%3D1&c=%2Fd", "/login?back=%2Fa%3Ftoken%3D%255Bredacted%255D%26b%3D1&c=%2Fd", "token")
	f("Location", "/a?%zz=1&token=%zz", "/a?%zz=1&token=%5Bredacted%5D", "token")
}

// Secrets in content are told neither of requests nor of answers. That they are taken out
// does not make the content one that was cut off, nor one that was not.
func TestRedactContent(t *testing.T) {
	r := New(Config{})
	defer r.Close()
	c := r.begun(t, Wanted{Content: 60})
	const question = `{"user": "ann", "password": "s3cret", "again": 1}`
	one{method: "POST", path: "/a", status: 200, question: question, answer: `{"access_token":"s3cret-of-some-length","expires":5}`}.serve(r)
	one{method: "POST", path: "/a", status: 200, question: question, answer: `{"token":"1"}` + strings.Repeat(" ", 60)}.serve(r)
	all := decoded(t, c)
	if len(all) != 2 {
		t.Fatalf("got %d exchanges", len(all))
	}
	if got, want := all[0].Request.Body, `{"user": "ann", "password": "[redacted]", "again": 1}`; got != want || all[0].Request.Cut {
		t.Errorf("the request is %+v, want %s", all[0].Request, want)
	}
	for _, answer := range []*api.HTTPResponse{all[0].Response, all[0].Answer} {
		if want := `{"access_token":"[redacted]","expires":5}`; answer.Body != want || answer.Cut {
			t.Errorf("the response is %+v, want %s", answer, want)
		}
	}
	if a := all[1].Answer; strings.TrimSpace(a.Body) != `{"token":"[redacted]"}` || !a.Cut {
		t.Errorf("the response is %+v, want one that is cut off", a)
	}
	if got := strings.Join(all[0].Redacted, " "); got != "access_token password" {
		t.Errorf("redacted are %s", got)
	}
}
