package hostmod

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

type answer string

func (a answer) Serve(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil }

func named(name string) func(string) (edge.Handler, bool) {
	return func(n string) (edge.Handler, bool) { return answer(name), n == name }
}

func TestClient(t *testing.T) {
	r := start(t, Grants{}, Env{})
	get := func(what int, want any) {
		t.Helper()
		r.wantText(want, "client_get", what)
	}
	get(0, "192.0.2.7")
	get(1, "192.0.2.7:1234")
	get(2, "[2001:db8::1]:443")
	get(3, "HTTP/2.0")
	for what := 4; what <= 9; what++ {
		get(what, none)
	}
	get(10, "01JD3N")
	get(11, invalid)
	get(-1, invalid)
	c := *r.x.Client
	c.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "example.org", NegotiatedProtocol: "h2",
		PeerCertificates: []*x509.Certificate{{Raw: []byte("abc"), Subject: pkix.Name{CommonName: "ann", Organization: []string{"Example"}}}}}
	r.x.Client = &c
	get(4, "TLSv1.3")
	get(5, "TLS_AES_128_GCM_SHA256")
	get(6, "example.org")
	get(7, "h2")
	get(8, "CN=ann,O=Example")
	get(9, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

// A secret that a guest was granted is in no field that it logs.
func TestLogSecret(t *testing.T) {
	r := start(t, all, Env{})
	r.want(0, "log_field", "tried", "key hunter2")
	if got := r.x.Record.Guest.Get("tried"); got != "key [redacted]" {
		t.Errorf("logged is %q", got)
	}
	if got := r.use.Guest.Secrets(); len(got) != 1 || got[0] != "hunter2" {
		t.Errorf("the secrets are %q", got)
	}
}

func TestLogField(t *testing.T) {
	r := start(t, Grants{}, Env{Limits: Limits{LogFields: 2, LogBytes: 5}})
	r.want(0, "log_field", "user", "ann")
	r.want(0, "log_field", "User", "b\n\"")
	r.want(0, "log_field", "user", "bob")
	r.want(-5, "log_field", "more", "x")
	r.want(-5, "log_field", "user", "123456")
	r.want(-4, "log_field", "", "x")
	r.want(-4, "log_field", "a b", "x")
	r.want(-4, "log_field", strings.Repeat("n", 65), "x")
	got := ""
	for name, value := range r.x.Record.Guest.All() {
		got += fmt.Sprintf("%s=%q ", name, value)
	}
	if want := `user="bob" User="b\n\"" `; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRoute(t *testing.T) {
	r := start(t, all, Env{Upstream: named("u"), Function: named("f")})
	rec := &r.x.Record
	rec.Site, rec.Route = "shop", "checkout"
	r.wantText("shop", "route_get", 0)
	r.wantText("checkout", "route_get", 1)
	r.wantText(none, "route_get", 2)
	r.want(-1, "route_choose", 2, "b") // there is no split
	rec.Arm, rec.Upstream, rec.Function.Name = "a", "up", "fn"
	r.x.Arms = []string{"a", "b"}
	r.wantText("a", "route_get", 2)
	r.wantText("up", "route_get", 3)
	r.wantText("fn", "route_get", 4)
	r.wantText(invalid, "route_get", 5)

	r.want(-1, "route_choose", 2, "c")
	r.want(0, "route_choose", 2, "b")
	if got := r.x.Request.Fields.Get(ArmField); got != "b" {
		t.Errorf("the arm is %q", got)
	}
	chosen := func(want string) {
		t.Helper()
		if got, _ := r.x.Target.(answer); string(got) != want {
			t.Errorf("got the target %q, want %q", got, want)
		}
	}
	chosen("")
	r.want(-1, "route_choose", 3, "f")
	chosen("")
	r.want(0, "route_choose", 3, "u")
	chosen("u")
	r.want(-1, "route_choose", 4, "u")
	r.want(0, "route_choose", 4, "f")
	chosen("f") // the last counts
	r.want(-1, "route_choose", 2, "c")
	chosen("f")
	r.want(0, "route_choose", 2, "a")
	chosen("")
	r.want(-4, "route_choose", 1, "u")
	r.want(-4, "route_choose", 3, "")
	r.want(-4, "route_choose", 2, "a\r\nb: c")
	r.use.Passed = true
	r.want(-8, "route_choose", 3, "u")
	r.wantText("shop", "route_get", 0)
}

func TestHints(t *testing.T) {
	r := start(t, all, Env{Limits: Limits{Hints: 2, HintBytes: 100}})
	r.want(0, "hints_send", "link\x00</a.css>; rel=preload\x00link\x00</b.css>\x00connection\x00close\x00")
	r.want(-4, "hints_send", "link\x00")
	r.want(-4, "hints_send", "a b\x00c\x00")
	r.want(-4, "hints_send", "link\x00a\nb\x00")
	r.want(-5, "hints_send", "link\x00"+strings.Repeat("x", 100)+"\x00")
	r.want(0, "hints_send", "")
	r.want(-5, "hints_send", "link\x00</a.css>\x00")
	if got, want := fmt.Sprint(r.client.informed), "[link: </a.css>; rel=preload;link: </b.css>; ]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecrets(t *testing.T) {
	r := start(t, all, Env{})
	r.wantText("hunter2", "secret_get", "key")
	r.wantText(denied, "secret_get", "other")
	r.wantText(denied, "secret_get", "")
}

func TestMetrics(t *testing.T) {
	reg := NewRegistry(MeterConfig{Series: 4, Labels: 2})
	r := start(t, all, Env{Metrics: reg.Of("filter", "f")})
	define := func(want int64, kind int, name, labels string) {
		t.Helper()
		r.want(want, "metric_define", kind, name, labels)
	}
	define(0, 0, "seen_total", "b\x00two\x00a\x00one\x00")
	define(0, 0, "seen_total", "a\x00one\x00b\x00two\x00") // in whatever order
	define(1, 0, "seen_total", "a\x00one\x00b\x00three\x00")
	define(2, 1, "level", "")
	define(3, 2, "sizes", "")
	define(-5, 1, "more", "")
	define(2, 1, "level", "")
	define(-4, 2, "level", "") // of another kind
	define(-4, 1, "level", "a\x00x\x00")
	define(-4, 3, "x", "")
	define(-4, 0, "seen", "")    // a counter without _total
	define(-4, 1, "a_total", "") // and what is none with it
	define(-4, 1, "x_count", "")
	define(-4, 1, "X", "")
	define(-4, 1, "", "")
	define(-4, 1, strings.Repeat("x", 201), "")
	define(-5, 1, strings.Repeat("x", 200), "") // what is wrong with it is not its name
	define(-4, 1, "level", "a\x00")
	define(-4, 1, "level", "filter\x00x\x00")
	define(-4, 1, "level", "le\x00x\x00")
	define(-4, 1, "level", "a\x00x\x00a\x00y\x00")
	define(-4, 1, "level", "a\x00\xff\x00")
	define(-4, 1, "level", "a\x00"+strings.Repeat("x", 129)+"\x00")
	define(-5, 1, "level", "a\x00x\x00b\x00x\x00c\x00x\x00")

	r.want(0, "metric_add", 0, 3)
	r.want(-4, "metric_add", 0, -1)
	r.want(-4, "metric_record", 0, 1)
	r.want(0, "metric_add", 2, -5)
	r.want(0, "metric_record", 2, 7)
	r.want(0, "metric_add", 2, -9)
	for _, n := range []int{-1, 0, 1, 2, 3, 4, 5, 1 << 30, 1<<30 + 1} {
		r.want(0, "metric_record", 3, n)
	}
	r.want(-4, "metric_add", 3, 1)
	r.want(-4, "metric_add", 4, 1)
	r.want(-4, "metric_add", -1, 1)

	// Another guest means the same by a name, or nothing.
	other := start(t, all, Env{Metrics: reg.Of("function", "g")})
	other.want(-4, "metric_define", 1, "sizes", "")
	other.want(-4, "metric_define", 2, "sizes", "a\x00x\x00")
	other.want(0, "metric_define", 2, "sizes", "")

	got := ""
	tell := func(role, name string, s *Series) {
		got += fmt.Sprintf("%s %s %s%v %d", role, name, s.Name, s.Labels, s.Value())
		for i, n := range s.Buckets() {
			if n > 0 {
				got += fmt.Sprintf(" %d:%d", i, n)
			}
		}
		got += "\n"
	}
	reg.All(tell)
	want := "filter f seen_total[[a one] [b two]] 3\nfilter f seen_total[[a one] [b three]] 0\nfilter f level[] -2\n" +
		"filter f sizes[] 2147483663 0:3 1:1 2:2 3:1 30:1 31:1\nfunction g sizes[] 0\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	// When all who mean something by a name are gone, it is free.
	got = ""
	reg.Keep(func(role, name string) bool { return role == "function" })
	other.want(-4, "metric_define", 1, "sizes", "")
	other.want(1, "metric_define", 1, "level", "b\x00x\x00")
	reg.All(tell)
	if want := "function g sizes[] 0\nfunction g level[[b x]] 0\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// What a guest defines that still runs when its filter is gone takes no name from others.
func TestMetricsLate(t *testing.T) {
	reg := NewRegistry(MeterConfig{})
	late := reg.Of("filter", "f")
	reg.Keep(func(string, string) bool { return false })
	n, err := late.Define(Gauge, "level", "")
	if err != nil || !late.Add(uint32(n), 1) {
		t.Errorf("who is forgotten gets %d, %v", n, err)
	}
	if _, err := reg.Of("filter", "g").Define(Histogram, "level", ""); err != nil {
		t.Errorf("others get %v", err)
	}
	reg.All(func(role, name string, _ *Series) {
		if name != "g" {
			t.Errorf("%s %s is shown", role, name)
		}
	})
}
