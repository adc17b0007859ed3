package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

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
