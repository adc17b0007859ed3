package deploy

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// tried is a version in shadow, and the filter that has it.
type tried struct {
	*Shadow
	filter  *Filter
	running sync.WaitGroup
	cancel  func()
}

// shadow returns a filter with a version in shadow of another.
func shadow(t testing.TB, cfg ShadowConfig, live, other func(*edge.Exchange, *edge.FilterRun, edge.Handler) error) *tried {
	t.Helper()
	tr := new(tried)
	g := &guest{name: "f", version: 5, does: other}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cfg.Name, cfg.Version, cfg.Context, tr.cancel = "f", 5, ctx, cancel
	cfg.Run = func(x *edge.Exchange, next edge.Handler, script string) error {
		if script != "" {
			return g.ServeAt(x, script)
		}
		return g.Filter(x, next)
	}
	cfg.Go = func(f func()) bool {
		if ctx.Err() != nil {
			return false
		}
		tr.running.Go(f)
		return true
	}
	tr.Shadow = NewShadow(cfg)
	p, err := New(Config{Name: "f", Versions: []Version{{3, rollout.Whole}}})
	if err != nil {
		t.Fatal(err)
	}
	tr.filter = NewFilter(p, []edge.Filter{&guest{name: "f", version: 3, does: live}}, tr.Shadow)
	return tr
}

// streamed is content that is not at hand.
type streamed struct {
	io.Reader
	closed atomic.Bool
}

func (s *streamed) Close() error { s.closed.Store(true); return nil }

func stream(s string) edge.Body { return &streamed{Reader: strings.NewReader(s)} }

// serve does what an engine does: it delivers what the filter makes of x, before an
// upstream.
func (tr *tried) serve(t testing.TB, x *edge.Exchange, upstream edge.HandlerFunc) (status int, content string) {
	t.Helper()
	if err := tr.filter.Filter(x, upstream); err != nil {
		x.Answer(err)
	}
	status = x.Response.Status
	if b := x.Response.Body; b != nil {
		all, err := io.ReadAll(b)
		if err != nil {
			t.Error(err)
		}
		content = string(all)
		b.Close()
	}
	x.End()
	tr.running.Wait()
	return status, content
}

func request(content string, fields ...string) *edge.Exchange {
	x := from("10.0.0.1")
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Query = "POST", "http", "example.org", "/a", "b=c"
	for i := 0; i < len(fields); i += 2 {
		r.Fields.Add(fields[i], fields[i+1])
	}
	x.Record.ID = "id"
	if content != "" {
		r.Body, r.Length = stream(content), int64(len(content))
	}
	return x
}

// echo answers with what it was asked.
func echo(x *edge.Exchange) error {
	content := ""
	if x.Request.Body != nil {
		b, err := io.ReadAll(x.Request.Body)
		if err != nil {
			return err
		}
		content = string(b)
	}
	x.Respond(200, stream("echo "+content), -1)
	x.Response.Fields.Add("Server", "test")
	return nil
}

// Each difference is found, is told once, and is of its kind.
func TestDifferences(t *testing.T) {
	type does = func(*edge.Exchange, *edge.FilterRun, edge.Handler) error
	after := func(change func(*edge.Exchange)) does {
		return func(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error {
			err := next.Serve(x)
			change(x)
			return err
		}
	}
	before := func(change func(*edge.Exchange)) does {
		return func(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error {
			change(x)
			return next.Serve(x)
		}
	}
	answers := func(status int, content string) does {
		return func(x *edge.Exchange, _ *edge.FilterRun, _ edge.Handler) error {
			if x.Request.Body != nil {
				io.Copy(io.Discard, x.Request.Body)
			}
			x.Respond(status, edge.Content([]byte(content)), int64(len(content)))
			return nil
		}
	}
	f := func(what string, live, other does, kinds string, details ...string) {
		t.Helper()
		tr := shadow(t, ShadowConfig{Redact: []string{"authorization"}}, live, other)
		x := request("hello", "Accept", "*/*", "Authorization", "s3cret", "Cookie", "s3cret")
		want := request("hello", "Accept", "*/*", "Authorization", "s3cret", "Cookie", "s3cret")
		alone := shadow(t, ShadowConfig{}, live, goOn)
		alone.filter.shadow = nil
		wantStatus, wantContent := alone.serve(t, want, echo)
		if status, content := tr.serve(t, x, echo); status != wantStatus || content != wantContent {
			t.Errorf("%s: the client gets %d %q, without a shadow %d %q", what, status, content, wantStatus, wantContent)
		}
		r := tr.Report()
		if kinds == "" {
			if r.Same != 1 || r.Differs != 0 || len(r.Examples) != 0 {
				t.Errorf("%s: %+v", what, r)
			}
			return
		}
		if r.Differs != 1 || r.Same != 0 || len(r.Examples) != 1 {
			t.Fatalf("%s: %+v", what, r)
		}
		e := r.Examples[0]
		if got := strings.Join(e.Kinds, " "); got != kinds {
			t.Errorf("%s: kinds %q, want %q", what, got, kinds)
		}
		for _, k := range e.Kinds {
			if r.Kinds[k] != 1 {
				t.Errorf("%s: kind %s is counted %d times", what, k, r.Kinds[k])
			}
		}
		text := strings.Join(e.Details, "\n")
		for _, want := range details {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %q", what, want, text)
			}
		}
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s: %q tells a secret", what, text)
		}
		if e.ID != "id" || e.Method != "POST" || e.Target != "/a?b=c" || e.Live != 3 || e.Time.IsZero() {
			t.Errorf("%s: %+v", what, e)
		}
	}
	f("nothing", goOn, goOn, "")
	f("both answer", answers(401, "no"), answers(401, "no"), "")
	f("the order of fields", before(func(x *edge.Exchange) { x.Request.Fields.Add("A", "1"); x.Request.Fields.Add("B", "2") }),
		before(func(x *edge.Exchange) { x.Request.Fields.Add("b", "2"); x.Request.Fields.Add("a", "1") }), "")
	f("one answers", goOn, answers(401, "no"), "verdict", "goes on; in shadow it answers 401")
	f("the other answers", answers(403, "no"), goOn, "verdict", "answers 403; in shadow it goes on")
	f("status", answers(401, "no"), answers(403, "no"), "status", "status: 401; in shadow 403")
	f("path", goOn, before(func(x *edge.Exchange) { x.Request.Path, x.Request.Query = "/z", "" }), "request", "POST example.org/a?b=c; in shadow POST example.org/z")
	f("field of the request", goOn, before(func(x *edge.Exchange) { x.Request.Fields.Set("Accept", "text/html") }), "request-fields", `request field Accept: "*/*"; in shadow "text/html"`)
	f("secret fields", goOn, before(func(x *edge.Exchange) {
		x.Request.Fields.Set("Authorization", "s3cret2")
		x.Request.Fields.Del("cookie")
		x.Request.Fields.Add("New", "n")
	}), "request-fields", "Authorization: (redacted); in shadow (redacted)", "Cookie: (redacted); in shadow none", `New: none; in shadow "n"`)
	f("secrets in queries", goOn, before(func(x *edge.Exchange) {
		x.Request.Query = "access%5Ftoken=s3cret"
		x.Request.Fields.Add("Referer", "http://example.org/?token=s3cret")
		x.Request.Fields.Add("X-Api-Key", "s3cret")
	}), "request request-fields", "/a?b=c; in shadow POST example.org/a?access%5Ftoken=%5Bredacted%5D", "Referer: none", "X-Api-Key: none; in shadow (redacted)")
	f("content of the request", goOn, before(func(x *edge.Exchange) { x.Request.Body = edge.Content([]byte("hallo")) }), "request-content", "request content: 5 bytes")
	f("field of the response", goOn, after(func(x *edge.Exchange) { x.Response.Fields.Set("Set-Cookie", "s3cret") }), "fields", "Set-Cookie: none; in shadow (redacted)")
	f("content of the response", goOn, after(func(x *edge.Exchange) {
		x.Response.Body.Close()
		x.Response.Body = stream("echo HELLO")
	}), "content", "content: 10 bytes")
	f("no content", after(func(x *edge.Exchange) { io.Copy(io.Discard, x.Response.Body); x.Respond(200, nil, 0) }), goOn, "fields content", "content: none; in shadow 10 bytes")
	f("everything", goOn, after(func(x *edge.Exchange) {
		x.Respond(404, edge.Content([]byte("x")), 1)
		x.Response.Fields.Add("X", strings.Repeat("x", 1000))
	}), "status fields content", "status: 200; in shadow 404")
	f("many fields", goOn, before(func(x *edge.Exchange) {
		for i := range 100 {
			x.Request.Fields.Add("X-"+string(rune('A'+i%26))+string(rune('a'+i/26)), "1")
		}
	}), "request-fields", "and 80 more")
}

// What the upstream failed with is what a version in shadow sees.
func TestShadowOfFailure(t *testing.T) {
	sees := func(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error {
		err := next.Serve(x)
		if e := edge.AsError(err); e.Kind != edge.ConnectionRefused {
			t.Errorf("next returns %v", err)
		}
		return err
	}
	tr := shadow(t, ShadowConfig{}, goOn, sees)
	tr.serve(t, request(""), func(*edge.Exchange) error { return &edge.Error{Kind: edge.ConnectionRefused, Op: "connect"} })
	if r := tr.Report(); r.Same != 1 {
		t.Errorf("%+v", r)
	}
}

// A version in shadow that fails, or panics, is told of, and nobody else notices.
func TestShadowFails(t *testing.T) {
	fails := func(x *edge.Exchange, run *edge.FilterRun, _ edge.Handler) error {
		run.Failed = true
		return &edge.Error{Kind: edge.FilterFailed, Op: "f", Err: errors.New(strings.Repeat("unreachable ", 100))}
	}
	tr := shadow(t, ShadowConfig{}, goOn, fails)
	if status, content := tr.serve(t, request("a"), echo); status != 200 || content != "echo a" {
		t.Errorf("got %d %q", status, content)
	}
	r := tr.Report()
	if r.Failed != 1 || len(r.Examples) != 1 || r.Examples[0].Kinds[0] != "failed" || !strings.HasPrefix(r.Examples[0].Details[0], "unreachable") || len(r.Examples[0].Details[0]) > 300 {
		t.Errorf("%+v", r)
	}
	tr = shadow(t, ShadowConfig{}, goOn, func(*edge.Exchange, *edge.FilterRun, edge.Handler) error { panic("BUG") })
	tr.serve(t, request(""), echo)
	if r := tr.Report(); r.Failed != 1 || tr.busy.Load() != 0 {
		t.Errorf("%+v, %d busy", r, tr.busy.Load())
	}
}

// What is not copied as a whole is dropped, and counted by why.
func TestDropped(t *testing.T) {
	f := func(what, why string, x *edge.Exchange, live func(*edge.Exchange, *edge.FilterRun, edge.Handler) error, upstream edge.HandlerFunc) {
		t.Helper()
		tr := shadow(t, ShadowConfig{Bytes: 10}, live, func(*edge.Exchange, *edge.FilterRun, edge.Handler) error {
			t.Errorf("%s: the shadow runs", what)
			return nil
		})
		tr.serve(t, x, upstream)
		r := tr.Report()
		if r.Dropped[why] != 1 || len(r.Dropped) != 1 || tr.busy.Load() != 0 {
			t.Errorf("%s: dropped %v, %d busy", what, r.Dropped, tr.busy.Load())
		}
	}
	ok := func(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil }
	up := request("")
	up.Request.Upgrade = "websocket"
	f("an upgrade", "upgrade", up, goOn, ok)
	f("a tunnel", "upgrade", request(""), goOn, func(x *edge.Exchange) error {
		x.Respond(101, nil, 0)
		x.Response.Tunnel = func(edge.Stream) error { return nil }
		return nil
	})
	f("a large request", "large", request("0123456789a"), goOn, ok)
	unknown := request("0123456789a")
	unknown.Request.Length = -1
	f("a large request of no length", "large", unknown, goOn, echo)
	f("a large response", "large", request("012345"), goOn, echo)
	f("a version that did not begin", "incomplete", request(""), func(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error {
		x.Record.Filters = x.Record.Filters[:0]
		return next.Serve(x)
	}, ok)

	tr := shadow(t, ShadowConfig{}, goOn, goOn)
	tr.cancel()
	tr.serve(t, request(""), ok)
	if r := tr.Report(); r.Dropped["closed"] != 1 || tr.busy.Load() != 0 {
		t.Errorf("closed: %v, %d busy", r.Dropped, tr.busy.Load())
	}
}

// Content that nobody has read when the exchange was served, as where a request is denied,
// keeps no version out of the shadow that does not ask for it.
func TestShadowOfUnread(t *testing.T) {
	type does = func(*edge.Exchange, *edge.FilterRun, edge.Handler) error
	denies := func(x *edge.Exchange, _ *edge.FilterRun, _ edge.Handler) error {
		x.Respond(403, nil, 0)
		return nil
	}
	reads := func(n int) does {
		return func(x *edge.Exchange, _ *edge.FilterRun, _ edge.Handler) error {
			io.ReadFull(x.Request.Body, make([]byte, n))
			x.Respond(403, nil, 0)
			return nil
		}
	}
	replaces := func(x *edge.Exchange, _ *edge.FilterRun, next edge.Handler) error {
		if err := next.Serve(x); err != nil {
			return err
		}
		x.Response.Body.Close()
		x.Respond(404, edge.Content([]byte("no")), 2)
		return nil
	}
	early := func(x *edge.Exchange) error { x.Respond(413, nil, 0); return nil }
	long := strings.Repeat("x", 100)
	f := func(what, want string, live, other does, length int64, upstream edge.HandlerFunc) {
		t.Helper()
		tr := shadow(t, ShadowConfig{}, live, other)
		x := request(long)
		x.Request.Length = length
		tr.serve(t, x, upstream)
		r := tr.Report()
		got := ""
		switch {
		case r.Same == 1:
			got = "same"
		case r.Differs == 1:
			got = strings.Join(r.Examples[0].Kinds, " ")
		case r.Dropped["incomplete"] == 1:
			got = "incomplete"
		}
		if got != want || r.Same+r.Differs+r.Failed+r.Dropped["incomplete"] != 1 || tr.busy.Load() != 0 {
			t.Errorf("%s: %q, want %q: %+v", what, got, want, r)
		}
	}
	for _, length := range []int64{100, -1} {
		f("both deny", "same", denies, denies, length, echo)
		f("the live one goes on", "verdict", goOn, denies, length, echo)
		f("an answer before the content", "same", goOn, goOn, length, early)
		f("the other goes on", "verdict", denies, goOn, length, echo)
		f("the live one reads less", "incomplete", reads(10), reads(20), length, echo)
		f("the live one reads nothing", "incomplete", denies, reads(1), length, echo)
		f("the live one reads more", "same", reads(20), reads(10), length, echo)
		f("both replace the answer", "same", replaces, replaces, length, echo)
		f("the live one replaces it", "incomplete", replaces, goOn, length, echo)
	}
	// Who knows how long it is need not ask for its end.
	f("exactly as much", "same", reads(100), func(x *edge.Exchange, run *edge.FilterRun, next edge.Handler) error {
		if b, err := io.ReadAll(x.Request.Body); string(b) != long || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		return denies(x, run, next)
	}, 100, echo)
}

// Copies are bounded by number, and by what is kept of them.
func TestShadowBounds(t *testing.T) {
	release := make(chan struct{})
	tr := shadow(t, ShadowConfig{Concurrent: 3, Keep: 2}, goOn, func(x *edge.Exchange, _ *edge.FilterRun, _ edge.Handler) error {
		<-release
		x.Respond(404, nil, 0)
		return nil
	})
	var all []*edge.Exchange
	for range 5 {
		x := request("")
		all = append(all, x)
		if err := tr.filter.Filter(x, edge.HandlerFunc(origin)); err != nil {
			t.Fatal(err)
		}
	}
	for i, x := range all {
		x.Record.ID = string(rune('a' + i)) // not the copy's
		x.End()
	}
	if r := tr.Report(); r.Dropped["busy"] != 2 {
		t.Errorf("%+v", r)
	}
	close(release)
	tr.running.Wait()
	r := tr.Report()
	if r.Differs != 3 || len(r.Examples) != 2 || tr.busy.Load() != 0 {
		t.Errorf("%+v, %d busy", r, tr.busy.Load())
	}
	if tr.serve(t, request(""), origin); tr.Report().Differs != 4 {
		t.Errorf("later: %+v", tr.Report())
	}
}

// A copy whose exchange takes long loses its place, and what it holds, when others want that.
func TestShadowSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := shadow(t, ShadowConfig{Concurrent: 1}, goOn, goOn)
		slow := request("content")
		if err := tr.filter.Filter(slow, edge.HandlerFunc(origin)); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(slow.Request.Body, make([]byte, 3))
		copied := tr.open[0]
		tr.serve(t, request(""), origin)
		if r := tr.Report(); r.Dropped["busy"] != 1 || len(r.Dropped) != 1 {
			t.Errorf("at once: %+v", r)
		}
		time.Sleep(10 * time.Second)
		tr.serve(t, request(""), origin)
		if r := tr.Report(); r.Same != 1 || r.Dropped["slow"] != 1 || copied.request.bytes != nil {
			t.Errorf("later: %+v, %q is kept", r, copied.request.bytes)
		}
		if rest, err := io.ReadAll(slow.Request.Body); string(rest) != "tent" || err != nil || copied.request.bytes != nil {
			t.Errorf("the rest is %q, %v, and %q is kept", rest, err, copied.request.bytes)
		}
		slow.End()
		tr.running.Wait()
		if r := tr.Report(); r.Same != 1 || r.Dropped["slow"] != 1 || r.Dropped["busy"] != 1 || tr.busy.Load() != 0 || len(tr.open) != 0 {
			t.Errorf("in the end: %+v, %d busy", r, tr.busy.Load())
		}
	})
}

// The latest differences come first.
func TestExamplesInOrder(t *testing.T) {
	tr := shadow(t, ShadowConfig{Keep: 3}, goOn, func(x *edge.Exchange, _ *edge.FilterRun, _ edge.Handler) error {
		x.Respond(404, nil, 0)
		return nil
	})
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		x := request("")
		x.Record.ID = id
		tr.serve(t, x, origin)
		var ids []string
		for _, e := range tr.Report().Examples {
			ids = append(ids, e.ID)
		}
		if ids[0] != id || len(ids) > 3 || slices.IsSortedFunc(ids, strings.Compare) && len(ids) > 1 {
			t.Errorf("after %s: %v", id, ids)
		}
	}
}

// A function's copy is answered by itself.
func TestShadowOfFunction(t *testing.T) {
	answer := func(content string, took time.Duration) func(*edge.Exchange, *edge.FilterRun, edge.Handler) error {
		return func(x *edge.Exchange, run *edge.FilterRun, _ edge.Handler) error {
			run.Took = took
			x.Respond(200, stream(content), -1)
			return nil
		}
	}
	for _, c := range []struct {
		content       string
		same, differs uint64
	}{{"hello", 1, 0}, {"hallo", 0, 1}} {
		tr := shadow(t, ShadowConfig{}, nil, answer(c.content, 2*time.Millisecond))
		live := &guest{name: "f", version: 3, does: answer("hello", time.Millisecond)}
		fn := NewFunction(tr.filter.plan, []Server{live}, tr.Shadow)
		x := request("")
		if err := fn.ServeAt(x, "/script"); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(x.Response.Body); string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
		x.End()
		tr.running.Wait()
		if r := tr.Report(); r.Same != c.same || r.Differs != c.differs || r.Live != time.Millisecond || r.Shadow != 2*time.Millisecond {
			t.Errorf("%s: %+v", c.content, r)
		}
	}
}
