package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// sameExplanation compares but for ages, which differ by the time in between.
func sameExplanation(a, b api.Explanation) bool {
	for _, e := range []*api.Explanation{&a, &b} {
		if e.Cache != nil {
			c := *e.Cache
			c.Age, c.TTL = 0, 0
			e.Cache = &c
		}
	}
	return reflect.DeepEqual(a, b)
}

// compare compares an explanation with what was served, but for the log.
func (p *pair) compare(t testing.TB, what string, r *request, e *api.Explanation, o *outcome, said http.Header) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s", what, fmt.Sprintf(format, args...))
	}
	if !strings.HasSuffix(e.Listener, ":"+p.told.listen[r.port]) {
		bad("listener %q", e.Listener)
	}
	switch {
	case e.Answer != nil:
		p.counts["answer "+fmt.Sprint(e.Answer.Status)]++
		if o.status != e.Answer.Status || o.fields.Get("Location") != e.Answer.Location {
			bad("got %d to %q, explained %d to %q", o.status, o.fields.Get("Location"), e.Answer.Status, e.Answer.Location)
		}
		fallthrough
	case e.Request == nil:
		if len(o.asked) != 0 {
			bad("an upstream was asked")
		}
	case e.Function != "":
		p.counts["function"]++
		if len(o.asked) != 0 {
			bad("an upstream was asked")
		}
		p.function(bad, e.Request, o)
	case len(o.asked) != 1:
		bad("the upstream was asked %d times", len(o.asked))
	default:
		p.counts["upstream"]++
		if want := e.Upstream.Endpoints[0].Address; o.endpoint != want {
			bad("asked %s, explained %s", o.endpoint, want)
		}
		p.upstream(bad, e.Request, o)
	}
	if e.Cache != nil {
		p.counts["cache "+e.Cache.Does]++
	}
	if e.Arm != "" {
		p.counts["arm"]++
	}
	got := o.fields.Get("Content-Encoding")
	validated := e.Cache != nil && e.Cache.Does == "revalidate" // so that the field is of another content
	eligible := !validated && o.status == 200 && o.fields.Get("Content-Type") == "text/plain" && o.fields.Get("X-Large") == "yes"
	if got != "" && got != e.Coding || eligible && got != e.Coding {
		bad("encoded as %q, explained %q", got, e.Coding)
	}
	if got != "" {
		p.counts["coding"]++
	}
}

// upstream compares what the origin was asked.
func (p *pair) upstream(bad func(string, ...any), want *api.Sent, o *outcome) {
	got := o.asked[0]
	if got.Method != want.Method || got.Host != want.Host || got.RequestURI != want.URI {
		bad("asked %s %s%s, explained %s %s%s", got.Method, got.Host, got.RequestURI, want.Method, want.Host, want.URI)
	}
	if got.Header.Get("Upgrade") != want.Upgrade {
		bad("asked for the protocol %q, explained %q", got.Header.Get("Upgrade"), want.Upgrade)
	}
	if want.Upgrade != "" {
		p.counts["upgrade"]++
	}
	fields := make(http.Header)
	for _, f := range want.Fields {
		value := f.Value
		if f.Name == "X-Request-Id" && value == "(new)" {
			value = o.fields.Get("X-Request-Id")
		}
		fields.Add(f.Name, value)
	}
	have := got.Header.Clone()
	for _, name := range []string{"Content-Length", "Connection", "Upgrade"} { // of the framing
		have.Del(name)
	}
	if !reflect.DeepEqual(have, fields) {
		bad("asked with %v,\nexplained %v", have, fields)
	}
}

// function compares what a function was asked that has told its environment.
func (p *pair) function(bad func(string, ...any), want *api.Sent, o *outcome) {
	env := make(map[string]string)
	for line := range strings.Lines(o.body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	if o.status != 200 || env["GATEWAY_INTERFACE"] == "" {
		return
	}
	p.counts["environment"]++
	_, query, _ := strings.Cut(want.URI, "?")
	expected := map[string]string{"REQUEST_METHOD": want.Method, "HTTP_HOST": want.Host, "QUERY_STRING": query}
	for _, f := range want.Fields {
		switch f.Name {
		case "X-Sluice-Arm", "X-Real-IP", "X-Set", "Via", "Accept-Encoding", "X-Forwarded-Proto":
			expected["HTTP_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = f.Value
		}
	}
	for name, value := range expected {
		if env[name] != value {
			bad("the function has %s=%q, explained %q", name, env[name], value)
		}
	}
}

// same compares what the two parties have answered.
func (p *pair) same(t testing.TB, what string, a, b *outcome) {
	t.Helper()
	digest := func(y *party, o *outcome) string {
		stored, _, _ := strings.Cut(o.fields.Get("Cache-Status"), "ttl=") // which passes
		s := fmt.Sprint(o.status, y.texts.Replace(o.fields.Get("Location")), o.fields.Values("Set-Cookie"), stored, o.fields.Get("Content-Encoding"), y.texts.Replace(o.endpoint))
		for _, r := range o.asked {
			s += fmt.Sprint(r.Method, y.texts.Replace(r.RequestURI), r.Header.Get("X-Sluice-Arm"))
		}
		return s
	}
	if x, y := digest(p.told, a), digest(p.plain, b); x != y {
		t.Errorf("%s: with explanations\n%s\nand without\n%s", what, x, y)
	}
}

// offline compares with what would be of the file, as far as nothing has happened to
// that before.
func (p *pair) offline(t testing.TB, what string, file *config.File, r api.ExplainRequest, e api.Explanation) {
	t.Helper()
	got, problems, err := server.Explain(file, r)
	if err != nil || problems.Failed() {
		t.Fatalf("%s: %v, %v", what, problems.Err(), err)
	}
	for _, e := range []*api.Explanation{&e, &got} {
		e.Function, _, _ = strings.Cut(e.Function, "@")
		if strings.Contains(e.ArmWhy, "dealt") {
			*e = api.Explanation{Listener: e.Listener, Site: e.Site, SiteWhy: e.SiteWhy, Route: e.Route, Match: e.Match, Captures: e.Captures, Others: e.Others, Coding: e.Coding}
		}
		if e.Cache != nil {
			e.Request, e.Cache, e.Answer, e.Notes = nil, &api.CacheCase{Key: e.Cache.Key}, nil, nil
		}
		if e.Upstream != nil {
			e.Upstream = &api.Destination{Name: e.Upstream.Name, Balance: e.Upstream.Balance}
		}
		if e.Request != nil {
			sent := *e.Request
			if slices.Contains(p.told.ends, sent.Host) { // which one's turn it is
				sent.Host = ""
			}
			e.Request = &sent
		}
	}
	if !reflect.DeepEqual(got, e) {
		t.Errorf("%s: of the file alone\n%s\nof the server\n%s", what, show(got), show(e))
	}
}

// end compares with the access logs, which are whole once the proxies have ended.
func (p *pair) end(t testing.TB) {
	t.Helper()
	lines := func(y *party) map[string]logged {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		y.Shutdown(ctx)
		all := make(map[string]logged)
		for line := range strings.Lines(y.access.text.String()) {
			var l logged
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all[l.ID] = l
		}
		return all
	}
	told, plain := lines(p.told), lines(p.plain)
	for _, c := range p.checked {
		a, ok := told[c.a.fields.Get("X-Request-Id")]
		b, ok2 := plain[c.b.fields.Get("X-Request-Id")]
		if !ok || !ok2 {
			t.Fatalf("%s: no line in the log", c.what)
		}
		want := logged{ID: a.ID, Site: c.e.Site, Route: c.e.Route, Arm: c.e.Arm, Cache: a.Cache, Endpoint: a.Endpoint, Encoding: a.Encoding}
		if c.e.Request != nil && c.e.Upstream != nil {
			want.Upstream = c.e.Upstream.Name
			if want.Endpoint = c.e.Upstream.Endpoints[0].Address; want.Endpoint == want.Upstream {
				want.Endpoint = ""
			}
		}
		if c.e.Request != nil {
			want.Function = c.e.Function
		}
		if c.e.Cache != nil {
			want.Cache = c.e.Cache.Does
		}
		switch {
		case want.Cache == "revalidate" && (a.Cache == "miss" || a.Cache == "revalidated"):
			want.Cache = a.Cache
		case c.e.Cache != nil && c.e.Cache.Why == "the request asks for another protocol":
			want.Cache = "" // it has nothing to do with a cache
		}
		if a != want {
			t.Errorf("%s: logged\n%+v, explained\n%+v:\n%s", c.what, a, want, show(c.e))
		}
		a.ID, b.ID = "", ""
		a.Endpoint, b.Endpoint = p.told.texts.Replace(a.Endpoint), p.plain.texts.Replace(b.Endpoint)
		a.Upstream, b.Upstream = p.told.texts.Replace(a.Upstream), p.plain.texts.Replace(b.Upstream)
		if a != b {
			t.Errorf("%s: logged\n%+v with explanations and\n%+v without", c.what, a, b)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Log(p.counts)
	if len(p.checked) < 900 {
		return
	}
	for _, what := range []string{"upstream", "upgrade", "function", "environment", "arm", "coding", "answer 200", "answer 308", "answer 400", "answer 404", "answer 413", "answer 417", "answer 501", "answer 504", "cache hit", "cache stale", "cache miss", "cache pass", "cache bypass", "cache revalidate"} {
		if p.counts[what] == 0 {
			t.Errorf("%q never came: nothing is shown of it", what)
		}
	}
}
