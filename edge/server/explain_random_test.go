package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

var (
	explainSeeds = flag.Int("explain.seeds", 80, "random configurations of TestExplainAgrees")
	explainFrom  = flag.Uint64("explain.from", 1, "seed of the first of them")
)

// Whatever the configuration and the request are, serving does what Explain says of
// it; and it does the same where nobody has asked for an explanation.
func TestExplainAgrees(t *testing.T) {
	p := startPair(t)
	n := *explainSeeds
	if edge.Poisons {
		n /= 4 // -race is that much slower
	}
	for i := range n {
		p.play(t, *explainFrom+uint64(i))
	}
	p.end(t)
}

func FuzzExplain(f *testing.F) {
	p := startPair(f)
	f.Cleanup(func() { p.end(f) })
	for seed := range uint64(3) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { p.play(t, seed) })
}

// pair is two proxies of the same configurations, which serve the same requests. One
// explains them, too.
type pair struct {
	told, plain *party
	checked     []checked
	counts      map[string]int // of what was compared
}

// checked is what is compared with the access log in the end.
type checked struct {
	what string
	e    api.Explanation
	a, b *outcome
}

// party is a proxy with its origin.
type party struct {
	*proxy
	vars   []string // what stands for the addresses in configurations
	listen []string // $P0, ...
	texts  *strings.Replacer
	origin *echo
	ends   []string // endpoints
}

const ports, endpoints = 4, 5

func startPair(t testing.TB) *pair {
	return &pair{told: startParty(t), plain: startParty(t), counts: make(map[string]int)}
}

func startParty(t testing.TB) *party {
	y := &party{origin: new(echo)}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "script.wasm"), module(t, "script"), 0o644); err != nil {
		t.Fatal(err)
	}
	var symbols []string
	for i, n := range quietPorts(t, ports) {
		y.listen = append(y.listen, n)
		y.vars = append(y.vars, fmt.Sprintf("$P%d", i), n)
		symbols = append(symbols, ":"+n, fmt.Sprintf(":$P%d", i))
	}
	for i := range endpoints {
		addr := y.origin.start(t)
		y.ends = append(y.ends, addr)
		y.vars = append(y.vars, fmt.Sprintf("$E%d", i), addr)
		symbols = append(symbols, addr, fmt.Sprintf("$E%d", i))
	}
	y.texts = strings.NewReplacer(symbols...)
	y.proxy = startIn(t, dir, `
admin:  off
listen: { http: "127.0.0.1:$P3" }
sites:  { "http://*:$P0": { respond: 204 }, "http://*:$P1": { respond: 204 }, "http://127.0.0.1:$P2": { respond: 204 }, plain.test: { respond: 204 } }
`, y.vars...)
	return y
}

// quietPorts returns ports that nobody listens on. They are none of those that systems
// give away by themselves, which the many connections of these tests might get.
func quietPorts(t testing.TB, n int) (list []string) {
	t.Helper()
	for range 1000 {
		p := fmt.Sprint(10_000 + rand.IntN(22_000))
		l, err := net.Listen("tcp", ":"+p)
		if err != nil {
			continue
		}
		defer l.Close()
		if list = append(list, p); len(list) == n {
			return list
		}
	}
	t.Fatal("there are no ports")
	return nil
}

// echo is an origin that answers as it is told, and keeps what it was asked.
type echo struct {
	mu   sync.Mutex // guards the following fields
	next http.Header
	code int
	body string
	got  []*http.Request
}

func (o *echo) start(t testing.TB) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: o, DisableGeneralOptionsHandler: true}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func (o *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, r)
	tag := o.next.Get("ETag")
	for name, values := range o.next {
		w.Header()[name] = values
	}
	if tag != "" && strings.Contains(r.Header.Get("If-None-Match"), tag) && (r.Method == "GET" || r.Method == "HEAD") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(o.code)
	io.WriteString(w, o.body)
}

func (o *echo) say(code int, body string, fields http.Header) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.code, o.body, o.next, o.got = code, body, fields, nil
}

func (o *echo) asked() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got
}

// outcome is what can be seen of an exchange.
type outcome struct {
	status   int
	fields   http.Header
	body     string
	asked    []*http.Request
	endpoint string // that the origin was asked at
}

// logged is a line of the access log.
type logged struct {
	ID, Site, Route, Arm, Cache, Upstream, Endpoint, Function, Encoding string
}

// send sends a request, and waits until the proxy has forgotten it: the connection is
// closed by then.
func (y *party) send(t testing.TB, r *request) *outcome {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+y.listen[r.port])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, r.head(y)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%s: %v after %q; the proxy's log:\n%s", r, err, all, y.log)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), &http.Request{Method: r.method})
	if err != nil {
		t.Fatalf("%s: %v in %q", r, err, all)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	o := &outcome{status: res.StatusCode, fields: res.Header, body: string(body), asked: y.origin.asked()}
	if len(o.asked) > 0 {
		o.endpoint = o.asked[0].Context().Value(http.LocalAddrContextKey).(net.Addr).String()
	}
	return o
}

// request is a request, in which $P0 and the like stand for what differs between the
// parties.
type request struct {
	method, target, host string
	fields               []api.Field
	body                 string
	port                 int
	inURL                bool // the host is told by the URL, without a field
}

func (r *request) String() string {
	return fmt.Sprintf("%s %s%s%v to port %d", r.method, r.host, r.target, r.fields, r.port)
}

func (r *request) head(y *party) string {
	var b strings.Builder
	put := strings.NewReplacer(y.vars...).Replace
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target)
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, put(f.Value))
	}
	fmt.Fprintf(&b, "Host: %s\r\n\r\n%s", put(r.host), r.body)
	return b.String()
}

func (r *request) explained(y *party) api.ExplainRequest {
	put := strings.NewReplacer(y.vars...).Replace
	e := api.ExplainRequest{Method: r.method}
	host := put(r.host)
	if !r.inURL {
		e.Headers = append(e.Headers, api.Field{Name: "Host", Value: host})
		host = "127.0.0.1:" + y.listen[r.port]
	}
	for _, f := range r.fields {
		e.Headers = append(e.Headers, api.Field{Name: f.Name, Value: put(f.Value)})
	}
	e.URL = "http://" + host + r.target
	if r.target == "*" {
		e.URL = "http://" + host
	}
	return e
}

// play applies a random configuration, and sends random requests.
func (p *pair) play(t testing.TB, seed uint64) {
	t.Helper()
	p.told.t = t
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	text := g.valid(t, p.told)
	for _, y := range []*party{p.told, p.plain} {
		y.t = t
		for name, content := range g.files {
			if err := os.WriteFile(filepath.Join(y.dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		y.apply(text, y.vars...)
	}
	file := p.told.parse(text, p.told.vars...)
	g.cookies = g.cookies[:0]
	for n := range 12 {
		r := g.request()
		code, body, fields := g.answer()
		what := fmt.Sprintf("seed %d, request %d: %s", seed, n, r)
		asked := r.explained(p.told)
		e, err := p.told.Explain(asked)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if again, err := p.told.Explain(asked); err != nil || !sameExplanation(e, again) {
			t.Fatalf("%s: explained as\n%s\nthen\n%s", what, show(e), show(again))
		}
		if n%4 == 0 {
			p.offline(t, what, file, asked, e)
		}
		p.told.origin.say(code, body, fields)
		p.plain.origin.say(code, body, fields)
		a, b := p.told.send(t, r), p.plain.send(t, r)
		p.compare(t, what, r, &e, a, fields)
		p.same(t, what, a, b)
		for _, c := range a.fields.Values("Set-Cookie") {
			if pair, _, _ := strings.Cut(c, ";"); !slices.Contains(g.cookies, pair) {
				g.cookies = append(g.cookies, pair)
			}
		}
		p.checked = append(p.checked, checked{what, e, a, b})
		if t.Failed() {
			t.Fatalf("%s\nis explained as\n%s\nand answered with %d %v\nby\n%s", what, show(e), a.status, a.fields, text)
		}
	}
	if got, want := p.plain.counted(), p.told.counted(); got != want {
		t.Fatalf("seed %d: with explanations the proxy has counted\n%s\nand without\n%s", seed, want, got)
	}
}

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

func show(v any) string {
	b, _ := json.MarshalIndent(v, "", "  ")
	return string(b)
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

// counted returns what the proxy has counted.
func (y *party) counted() string {
	s := y.Status()
	var b strings.Builder
	fmt.Fprintln(&b, s.Requests, s.Errors)
	for _, r := range s.Routes {
		fmt.Fprintln(&b, r.Route, r.Requests, r.Errors)
	}
	for _, u := range s.Upstreams {
		for _, e := range u.Endpoints {
			fmt.Fprintln(&b, u.Name, e.Address, e.Requests, e.Active)
		}
	}
	for _, sp := range s.Splits {
		fmt.Fprintf(&b, "%s %+v\n", sp.Route, sp.Arms)
	}
	for _, f := range s.Functions {
		fmt.Fprintln(&b, f.Name, f.Runs, f.Failures)
	}
	return y.texts.Replace(b.String())
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
	for _, what := range []string{"upstream", "function", "environment", "arm", "coding", "answer 200", "answer 308", "answer 400", "answer 404", "answer 413", "answer 417", "answer 501", "answer 504", "cache hit", "cache stale", "cache miss", "cache pass", "cache bypass", "cache revalidate"} {
		if p.counts[what] == 0 {
			t.Errorf("%q never came: nothing is shown of it", what)
		}
	}
}
