package examples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/httpwasm"
)

// everything builds the guest of a language that does what it is asked, once in a
// process.
func (l lang) everything(t testing.TB) []byte {
	t.Helper()
	env := l.ready(t)
	once, _ := built.LoadOrStore(l.name+" everything", sync.OnceValues(func() ([]byte, error) {
		out := filepath.Join(t.TempDir(), "everything.wasm")
		cmd := exec.Command("sh", "everything/build.sh", l.name, out)
		cmd.Env = append(os.Environ(), env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", cmd.Args, err, text)
		}
		return os.ReadFile(out)
	}))
	b, err := once.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each language has all of the module sluice, with its types, and none makes a guest of
// which each request needs an instance that is made for it.
func TestImports(t *testing.T) {
	var want []string
	for _, f := range hostmod.Host().Funcs {
		want = append(want, f.Name)
	}
	slices.Sort(want)
	for _, l := range langs {
		t.Run(l.name, func(t *testing.T) {
			all := map[string][]byte{"everything": l.everything(t)}
			for name, binary := range l.build(t) {
				all[name] = binary
			}
			for name, binary := range all {
				m := compile(t, binary)
				if err := m.Missing(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if why := m.Info.Fresh; len(why) > 0 {
					t.Errorf("%s: each request makes an instance: %s", name, why)
				}
				var got []string
				for _, i := range m.Info.Imports {
					if i.Module == hostmod.Name {
						got = append(got, i.Name)
					}
				}
				if slices.Sort(got); name == "everything" && !slices.Equal(got, want) {
					t.Errorf("it imports %q, want %q", got, want)
				} else if name != "everything" && got != nil {
					t.Errorf("%s imports %q", name, got)
				}
			}
		})
	}
}

// named is an upstream or a function.
type named string

func (n named) Serve(x *edge.Exchange) error {
	switch n {
	case "slow":
		<-x.Context().Done()
		return context.Cause(x.Context())
	case "broken":
		return errors.New("it is broken")
	}
	r := &x.Request
	var b []byte
	if r.Body != nil {
		var err error
		if b, err = io.ReadAll(r.Body); err != nil {
			return err
		}
	}
	answer := fmt.Sprintf("%s %s %s?%s %s %d %s", r.Method, r.Authority, r.Path, r.Query, r.Fields.Get("X-Field"), r.Length, b)
	if r.Path == "/long" {
		answer = strings.Repeat("l", 20_000)
	}
	x.Respond(201, edge.Content([]byte(answer)), int64(len(answer)))
	x.Response.Fields.Add("Content-Type", "text/plain")
	x.Response.Fields.Add("X-Two", "1")
	x.Response.Fields.Add("x-two", "2")
	x.Response.Fields.Add("X-Long", strings.Repeat("l", 5000))
	return nil
}

// one finds those that have one of some names.
func one(names ...string) func(string) (edge.Handler, bool) {
	return func(name string) (edge.Handler, bool) { return named(name), slices.Contains(names, name) }
}

// client is an engine that has one.
type client struct{ informed string }

func (c *client) Block() {}
func (c *client) Inform(status int, f *edge.Fields) error {
	c.informed += fmt.Sprint(status, " ", f.Get("Link"), ";")
	return nil
}

// proxy is a filter that does what it is asked, and what it has of the module sluice.
type proxy struct {
	t       testing.TB
	f       *httpwasm.Filter
	metrics *hostmod.Registry
	log     *strings.Builder
	trailer string // that the origin got
}

// key is a secret.
var key = strings.Repeat("k", 5000)

func serve(t testing.TB, binary []byte, config string) *proxy {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := kv.Open(filepath.Join(t.TempDir(), "kv"), kv.Config{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	p := &proxy{t: t, metrics: hostmod.NewRegistry(hostmod.MeterConfig{}), log: new(strings.Builder)}
	grants := hostmod.Grants{KV: []string{"a", "b"}, Fetch: []string{"api", "slow", "broken"}, Metrics: true, Route: true, Hints: true,
		Secrets: map[string]string{"key": key, "empty": ""}}
	p.f, err = httpwasm.New(compile(t, binary), httpwasm.Config{Config: []byte(config), Timeout: time.Minute, Start: time.Minute,
		Log: slog.New(slog.NewTextHandler(p.log, nil)),
		Host: hostmod.New(grants, hostmod.Env{KV: store, Upstream: one("api", "slow", "broken", "other"), Function: one("other"),
			Metrics: p.metrics.Of("filter", "f"), Log: quiet})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.f.Close)
	if why := p.f.Stats().Fresh; len(why) > 0 && config == "" {
		t.Errorf("each request makes an instance: %s", why)
	}
	return p
}

// step is what the guest is to do in an exchange, and what it is to say that it did.
type step struct{ do, did string }

// whatever is what a step may say.
const whatever = "?"

// run has an exchange in which the guest does some steps. Prepare and check, which may be
// nil, see it before and after.
func (p *proxy) run(steps []step, prepare, check func(x *edge.Exchange)) {
	p.t.Helper()
	x, heard := new(edge.Exchange), new(client)
	addr := netip.MustParseAddrPort
	c := edge.NewClient(addr("192.0.2.7:1234"), addr("[2001:db8::1]:443"), nil)
	x.Begin(heard, &c, time.Now())
	defer x.End()
	x.Record.ID, x.Record.Route = "01JD3N", "/route"
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Proto = "POST", "http", "example.org", "/", "HTTP/2.0"
	var want []string
	for _, s := range steps {
		r.Fields.Add("X-Do", s.do)
		want = append(want, s.did)
	}
	if prepare != nil {
		prepare(x)
	}
	err := p.f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Body != nil {
			if _, err := io.ReadAll(x.Request.Body); err != nil {
				return err
			}
		}
		p.trailer = strings.Clone(x.Request.Trailers.Get("X-Sum")) // which the exchange takes with it
		x.Respond(200, edge.Content([]byte("answer")), 6)
		return nil
	}))
	if err != nil {
		p.t.Fatalf("%q: %v\n%s", steps, err, p.log)
	}
	got := slices.Collect(x.Response.Fields.Values("X-Did"))
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] && want[i] != whatever {
			p.t.Errorf("%.200q: got %.200q, want %.200q", steps[min(i, len(steps)-1)].do, got[min(i, len(got)):], want[min(i, len(want)):])
			break
		}
	}
	if informed := "103 </a.css>;"; steps[0].do == "hints|Link|</a.css>" && heard.informed != informed {
		p.t.Errorf("the client was informed of %q, want %q", heard.informed, informed)
	}
	if check != nil {
		check(x)
	}
}

// long is longer than what a language offers for a value at first.
var long = strings.Repeat("v", 5000)

// calls are exchanges, one after the other, which call every function of the module sluice.
var calls = [][]step{
	{
		{"get|a|k", "-1"},
		{"set|a|k|value|0|0", "1"},
		{"set|a|k|again|0|0", "-2"},
		{"get|a|k", "1 value"},
		{"set|a|k||60000|1", "2"},
		{"get|a|k", "2 "},
		{"set|a|k|" + long + "|0|-1", "3"},
		{"get|a|k", "3 " + long},
		{"get|b|k", "-1"},
		{"get|c|k", "-3"},
		{"get|a|", "-4"},
	},
	{ // in another exchange
		{"get|a|k", "3 " + long},
		{"delete|a|k|2", "-2"},
		{"delete|a|k|3", "ok"},
		{"delete|a|k|-1", "-1"},
		{"add|a|n|5|0", "5"},
		{"add|a|n|-12|60000", "-7"},
		{"get|a|n", "5 -7"},
		{"add|a|n|9223372036854775807|0", "9223372036854775800"},
		{"add|a|n|9223372036854775807|0", "-4"},
	},
	{
		{"list|b||", ""},
		{"set|b|p-" + strings.Repeat("1", 1000) + "|v|0|0", "7"},
		{"set|b|p-2|v|0|0", "8"},
		{"set|b|q|v|0|0", "9"},
		{"list|b|p-|p-1" + strings.Repeat("1", 999), "p-2"},
		{"list|b|q|", "q"},
		{"list|b||q", ""},
		{"list|c||", "-3"},
	},
	{
		{"start|api|POST|/a?b=c|X-Field|f|7|10000", "ok"},
		{"write|1|con", "ok"},
		{"status|1", "-4"},
		{"write|1|tent", "ok"},
		{"write|1|more", "-4"},
		{"status|1", "201"},
		{"names|1", "content-type,x-two,x-long"},
		{"values|1|X-Two", "1,2"},
		{"values|1|X-Long", strings.Repeat("l", 5000)},
		{"values|1|X-None", ""},
		{"read|1", "POST api /a?b=c f 7 content"},
		{"start|api|PUT|/|Host|other.example|-1|0", "ok"},
		{"write|2|not ", "ok"},
		{"write|2|known", "ok"},
		{"finish|2", "ok"},
		{"read|2", "PUT other.example /?  -1 not known"},
		{"start|api|GET|/long|X-Field||0|0", "ok"},
		{"read|3", strings.Repeat("l", 20_000)},
		{"close|3", "ok"},
		{"read|3", "-4"},
	},
	{
		{"start|other|GET|/|X-Field||0|0", "-3"},
		{"start|api|GET|no path|X-Field||0|0", "-4"},
		{"start|api|GET|/|X Field||0|0", "-4"},
		{"start|broken|GET|/|X-Field||0|0", "ok"},
		{"status|1", "-6"},
		{"start|slow|GET|/|X-Field||0|1", "ok"},
		{"status|2", "-7"},
		{"start|api|POST|/|X-Field||2|0", "ok"},
		{"write|3|1", "ok"},
		{"finish|3", "-4"},
		{"start|slow|GET|/|X-Field||0|0", "ok"}, // it ends with the exchange
	},
	{
		{"counter|seen_total|kind|a|3", "ok"},
		{"counter|seen_total|kind|b|5", "ok"},
		{"counter|seen|kind|a|1", "-4"},
		{"gauge|level|7|-9", "ok"},
		{"gauge|seen_total|1|1", "-4"},
		{"histogram|sizes|1000000", "ok"},
		{"histogram|Sizes|1", "-4"},
	},
	{
		{"client|0", "192.0.2.7"},
		{"client|1", "192.0.2.7:1234"},
		{"client|2", "[2001:db8::1]:443"},
		{"client|3", "HTTP/2.0"},
		{"client|4", "-1"},
		{"client|5", "-1"},
		{"client|6", "-1"},
		{"client|7", "-1"},
		{"client|8", "-1"},
		{"client|9", "-1"},
		{"client|10", "01JD3N"},
		{"route|0", "-1"},
		{"route|1", "/route"},
		{"route|4", "-1"},
		{"choose|2|b", "-1"},
		{"choose|3|nobody", "-1"},
		{"choose|1|/", "-4"},
	},
	{
		{"hints|Link|</a.css>", "ok"},
		{"hints|no token|", "-4"},
		{"secret|key", key},
		{"secret|empty", ""},
		{"secret|other", "-3"},
		{"log|user|ann", "ok"},
		{"log|no name|", "-4"},
		{"log|user|" + long, "-5"},
	},
}

// Every function of the module sluice gets what it is given, and says what has come of
// it, in each language.
func TestCalls(t *testing.T) {
	for _, l := range langs {
		t.Run(l.name, func(t *testing.T) {
			p := serve(t, l.everything(t), "")
			for _, steps := range calls {
				p.run(steps, nil, nil)
			}
			p.run([]step{{"choose|3|other", "ok"}, {"choose|4|other", "ok"}, {"log|user|ann", "ok"}, {"log|user|bob", "ok"}}, nil, func(x *edge.Exchange) {
				if x.Target != edge.Handler(named("other")) {
					t.Errorf("the target is %v", x.Target)
				}
				if got := x.Record.Guest.Get("user"); got != "bob" || x.Record.Guest.Len() != 1 {
					t.Errorf("the log has %v", x.Record.Guest)
				}
			})
			if l.name != "rust" { // whose durations are not negative
				p.run([]step{{"set|a|k|v|-1|-1", "-4"}, {"add|a|m|1|-1", "-4"}, {"get|a|k", "-1"}}, nil, nil)
			}
			p.run([]step{{"route|2", "a"}, {"choose|2|none", "-1"}, {"choose|2|b", "ok"}, {"arm", "b"}, {"set-arm|c", "ok"}, {"arm", "c"}},
				func(x *edge.Exchange) { x.Record.Arm, x.Arms = "a", []string{"a", "b"} }, func(x *edge.Exchange) {
					if got := x.Request.Fields.Get("X-Sluice-Arm"); got != "c" {
						t.Errorf("the arm is %q", got)
					}
				})
			got := ""
			p.metrics.All(func(_, _ string, s *hostmod.Series) { got += fmt.Sprintf("%s%v %d;", s.Name, s.Labels, s.Value()) })
			if want := "seen_total[[kind a]] 3;seen_total[[kind b]] 5;level[] -2;sizes[] 1000000;"; got != want {
				t.Errorf("metrics are %s, want %s", got, want)
			}
		})
	}
}

// What an exchange has besides is there in each language; C has no word for some of it.
func TestWholeExchange(t *testing.T) {
	for _, l := range langs {
		t.Run(l.name, func(t *testing.T) {
			p := serve(t, l.everything(t), "")
			p.run([]step{{"enable|7", "7"}, {"trailer|X-Sum", "3"}, {"trailer|X-Sum", "1"}},
				func(x *edge.Exchange) {
					x.Request.Body, x.Request.Length = edge.Content([]byte("content")), 7
					x.Request.Trailers.Set("X-Sum", "3")
				}, nil)
			if p.trailer != "1" {
				t.Errorf("the origin got the trailer %q", p.trailer)
			}
			if l.name == "c" {
				return
			}
			p.run([]step{{"enable|2", "2"}, {"enable|4", "6"}, {"value|kept", "ok"}}, nil, func(x *edge.Exchange) {
				if got := x.Response.Fields.Get("X-Value"); got != "kept, failed false" {
					t.Errorf("the response has %q", got)
				}
				if got := x.Response.Trailers.Get("X-Sum"); got != "2" {
					t.Errorf("the response's trailer is %q", got)
				}
			})
			p.run([]step{{"cookie|b", "2"}, {"cookie|a", "1=1"}, {"cookie|c", ""}, {"cookie|A", ""}, {"cookie|d", "4"}, {"map", "64"}},
				func(x *edge.Exchange) {
					x.Request.Fields.Add("Cookie", "a=1=1; b=2;b=3;c")
					x.Request.Fields.Add("Cookie", " d=4 ")
				}, nil)
			p.run([]step{{"redirect|303|/login", "ok"}}, nil, func(x *edge.Exchange) {
				if got := x.Response.Fields.Get("Location"); x.Response.Status != 303 || got != "/login" || x.Response.Length > 0 {
					t.Errorf("%d %q, %d bytes", x.Response.Status, got, x.Response.Length)
				}
			})
		})
	}
}

// Each language has the proxy's clock, one for measuring, and random numbers of the system's.
func TestSystem(t *testing.T) {
	for _, l := range langs {
		t.Run(l.name, func(t *testing.T) {
			p := serve(t, l.everything(t), "")
			seen := make(map[string]bool)
			for range 5 {
				begun := time.Now()
				p.run([]step{{"now", whatever}, {"monotonic", whatever}, {"monotonic", whatever}, {"now", whatever}, {"draw|16", whatever}, {"draw|16", whatever}, {"draw|200", whatever}, {"draw|0", ""}}, nil, func(x *edge.Exchange) {
					var n [4]int64
					i := 0
					for did := range x.Response.Fields.Values("X-Did") {
						if i < len(n) {
							var err error
							if n[i], err = strconv.ParseInt(did, 10, 64); err != nil {
								t.Fatal(err)
							}
						} else if did != "" {
							if want := []int{32, 32, 400}[i-len(n)]; len(did) != want || strings.Trim(did, "0123456789abcdef") != "" || seen[did] || strings.Count(did, "00") > 20 {
								t.Errorf("drawn is %s", did)
							}
							seen[strings.Clone(did)] = true
						}
						i++
					}
					if from, to := begun.Truncate(time.Millisecond).UnixNano(), time.Now().UnixNano(); n[0] < from || n[3] > to || n[3] < n[0] {
						t.Errorf("the time is %d and %d, want it between %d and %d", n[0], n[3], from, to)
					}
					if n[1] <= 0 || n[2] < n[1] || n[2]-n[1] > int64(time.Since(begun)) {
						t.Errorf("the monotonic clock says %d and %d", n[1], n[2])
					}
				})
			}
		})
	}
}

// Random numbers do not come twice: neither in an exchange nor in two, whatever was drawn
// while the module was initialised. In C and Rust there are none but those of TestSystem.
func TestRandom(t *testing.T) {
	for _, l := range langs {
		if l.name != "go" && l.name != "assemblyscript" {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			for _, config := range []string{"", "draw"} {
				p := serve(t, l.everything(t), config)
				// Go keeps what the system has drawn as it is, where it can be replaced.
				if fresh := len(p.f.Stats().Fresh) > 0; fresh != (config == "draw" && l.name == "assemblyscript") {
					t.Errorf("with the configuration %q each request makes an instance: %t", config, fresh)
				}
				seen := make(map[string]bool)
				for range 20 {
					p.run([]step{{"random", whatever}, {"random", whatever}}, nil, func(x *edge.Exchange) {
						for n := range x.Response.Fields.Values("X-Did") {
							if seen[n] {
								t.Errorf("with the configuration %q %s comes twice", config, n)
							}
							seen[strings.Clone(n)] = true
						}
					})
				}
			}
		})
	}
}

// Content is copied as io.Copy does it, in a filter in Go.
func TestCopy(t *testing.T) {
	p := serve(t, langs[0].everything(t), "")
	for _, how := range []string{"own", "plain"} {
		for _, size := range []int{0, 1, 4096, 4097, 100_000} {
			content := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			h := fnv.New64a()
			h.Write(content)
			p.run([]step{{"copy|" + how, fmt.Sprint(size, " ", h.Sum64())}}, func(x *edge.Exchange) {
				x.Request.Body, x.Request.Length = edge.Content(content), int64(size)
			}, nil)
		}
	}
}

// What io.Copy costs with the SDK's own way, and without.
func BenchmarkCopy(b *testing.B) {
	f := serve(b, langs[0].everything(b), "").f
	client := &edge.Client{Addr: netip.MustParseAddrPort("192.0.2.1:1234")}
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 512 << 10} {
		content := make([]byte, size)
		for _, how := range []string{"own", "plain"} {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, how), func(b *testing.B) {
				x := new(edge.Exchange)
				for b.Loop() {
					x.Begin(nil, client, time.Now())
					r := &x.Request
					r.Method, r.Scheme, r.Authority, r.Path, r.Proto = "POST", "http", "example.org", "/", "HTTP/1.1"
					r.Fields.Add("X-Do", "copy|"+how+"|")
					r.Body, r.Length = edge.Content(content), int64(size)
					if err := f.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error { x.Respond(200, nil, 0); return nil })); err != nil {
						b.Fatal(err)
					}
					x.End()
				}
			})
		}
	}
}
