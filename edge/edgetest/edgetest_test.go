package edgetest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"
)

// reverse is the standard library's proxy. Its configuration is a file with the
// address of the origin.
type reverse struct {
	dir         string
	to          atomic.Pointer[string]
	http, https *httptest.Server
	log         Log
}

func startReverse(t testing.TB, dir string) Proxy {
	r := &reverse{dir: dir}
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: *r.to.Load()})
			p.SetXForwarded()
		},
		Transport:     &http.Transport{},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.NewTextHandler(&r.log, nil), slog.LevelError),
	}
	t.Cleanup(proxy.Transport.(*http.Transport).CloseIdleConnections)
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(&r.log, "%s %s\n", req.Method, req.URL)
		proxy.ServeHTTP(w, req)
	})
	r.http, r.https = httptest.NewUnstartedServer(h), httptest.NewUnstartedServer(h)
	for _, s := range []*httptest.Server{r.http, r.https} {
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	}
	r.http.Config.Protocols = new(http.Protocols)
	r.http.Config.Protocols.SetHTTP1(true)
	r.http.Config.Protocols.SetUnencryptedHTTP2(true)
	r.https.EnableHTTP2 = true
	r.http.Start()
	r.https.StartTLS()
	return r
}

func (r *reverse) Addr(name string) string {
	if name == "https" {
		return r.https.Listener.Addr().String()
	}
	return r.http.Listener.Addr().String()
}

func (r *reverse) Reload() error {
	data, err := os.ReadFile(filepath.Join(r.dir, "proxy.conf"))
	if err != nil {
		return err
	}
	to, ok := strings.CutPrefix(string(data), "to ")
	if !ok {
		return fmt.Errorf("%q does not say where to", data)
	}
	to = strings.TrimSpace(to)
	r.to.Store(&to)
	return nil
}

func (r *reverse) Close()    { r.http.CloseClientConnections(); r.http.Close(); r.https.Close() }
func (r *reverse) Log() *Log { return &r.log }

func TestScripts(t *testing.T) { Run(t, "testdata/*.txt", startReverse) }

// direct is no proxy at all: clients get to the origin.
type direct struct{ to string }

func (d *direct) Addr(string) string { return d.to }
func (d *direct) Reload() error      { return nil }
func (d *direct) Close()             {}

func TestScriptsWithoutProxy(t *testing.T) {
	Run(t, "testdata/direct/*.txt", func(t testing.TB, dir string) Proxy {
		to, err := os.ReadFile(filepath.Join(dir, "origin"))
		if err != nil {
			t.Fatal(err)
		}
		return &direct{strings.TrimSpace(string(to))}
	})
}

// recorder is a test that may fail without failing the one that runs it.
type recorder struct {
	testing.TB
	mu     sync.Mutex // guards the following field
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errors) > 0
}

func (r *recorder) Helper() {}

// A script that says what is not so fails, at its line, with what was got.
func TestScriptsFail(t *testing.T) {
	f := func(script, want string) {
		t.Helper()
		const rules = `origin GET /a -> 200 A="1" body="hello"
origin POST /echo -> 200 echo
origin GET /cut -> 200 length=10 body="hello"
origin GET /hint -> 103 Link="</a>" 200
`
		archive := txtar.Parse([]byte("-- proxy.conf --\nto $ORIGIN\n-- script --\n" + rules + script + "\n"))
		r := &recorder{TB: t}
		run(r, "s.txt", archive, startReverse)
		got := strings.Join(r.errors, "\n")
		if ok := regexp.MustCompile(want).MatchString(got); !ok || got == "" {
			t.Errorf("%s\ngot %q, want %q", script, got, want)
		}
	}
	f(`client GET /a -> 404`, `^s.txt:8: client GET /a -> 404\n\tgot status 200, .*"hello", want 404$`)
	f(`client GET /a -> 200 A="2"`, `got A "1", want A="2"`)
	f(`client GET /a -> 200 !A`, `got A "1", want none`)
	f(`client GET /a -> 200 B="2"`, `got no B, want B="2"`)
	f(`client GET /a -> 200 body="hell"`, `got content "hello", want body="hell"`)
	f(`client GET /a -> 200 body=~"^x"`, `got content "hello", want body=~"`)
	f(`client GET /a -> 200 size=6`, `got 5 bytes of content, want 6`)
	f(`client GET /a -> 200 size=5`, `got 5 bytes of other content`)
	f(`client GET /a -> 200 cut`, `got whole content "hello", want it cut`)
	f(`client GET /a -> fail`, `got status 200, want no answer`)
	f(`client GET /a -> 103 200`, `got status 200, .*, want 103`)
	f(`client GET /hint -> 200`, `got status 103, .*, want 200`)
	f(`client GET /a -> 200 103`, `got no head after the final one, want 103`)
	f(`client GET /a -> 200 nonsense=1`, `nonsense="1" is not something to expect`)
	f(`client GET /cut -> 200`, `got "hello", then: unexpected EOF`)
	f(`client4 GET /a -> 200`, `no such client`)
	f(`client3 GET /a -> 200`, `has no HTTP/3 client`)
	f(`client GET /a`, `want METHOD TARGET`)
	f(`client GET /b -> 200`, `origin got GET /b, for which it has no rule`)
	f(`client GET /a -> 404 &`, `in the background: client GET /a -> 404\n\tgot status 200`)
	f(`parallel 2 client GET /a -> 404`, `got status 200(?s:.*)\n.*got status 200`)
	f(`parallel x client GET /a -> 404`, `"x" is not a count`)
	f(`parallel 2 raw closed`, `only clients run beside others`)
	f(`origin requests == 1`, `got 0 requests, want 1`)
	f(`origin teapots == 1`, `not teapots`)
	f(`origin got GET /a`, `there was no such request`)
	f("client GET /a -> 200\norigin got GET /a B=1", `s.txt:9(?s:.*)got no B, want B="1"`)
	f(`reload -> fail`, `got no error, want one`)
	f(`raw send="GET / HTTP/1.0\r\n\r\n" recv="HTTP/2"`, `got "HTTP/1.*, want "HTTP/2"`)
	f(`raw send="GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n" recv=~"never" closed`, `got "HTTP/1.1 400.*, then EOF, want recv=~`)
	f(`raw jump`, `jump is not something that a raw client does`)
	f(`wait log`, `no such statement`)
	f(`no log`, `no such statement`)
}

func TestParse(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		lines, err := parse(text, 7)
		got := fmt.Sprint(err)
		if err == nil {
			got = ""
			for _, l := range lines {
				got += fmt.Sprintf("%d %s;", l.number, texts(l.words))
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("a  b\tc", "7 a b c;")
	f("a\n# no\n\nb # no", "7 a;10 b;")
	f("a \\\n b\nc", "7 a b;9 c;")
	f("A=\"x y\" b=1 c=~\"^d\" ~`e`", `7 A="x y" b="1" c=~"(?s)^d" =~"(?s)e";`)
	f(`requests == 1`, `7 requests == 1;`)
	f(`GET /a?b=c&d=e -> 200`, `7 GET /a?b="c&d=e" -> 200;`)
	f(`GET /~user`, `7 GET /~user;`)
	f(`A="\r\n"`, `7 A="\r\n";`)
	f("a\nA=\"x", `8: "x is not well quoted`)
	f(`A="x"y`, `7: no space after "x"`)
	f(`A"x"`, `7: no space before "x"`)
	f(`A=~"("`, "7: error parsing regexp: missing closing ): `(?s)(`")
	f(`a \`, `7: the last line goes on`)
}

func TestParseStepsRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		words, err := parseLine(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = parseSteps(words); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	f(``, `the answer has no step`)
	f(`A="1" 200`, `A="1" comes before a status`)
	f(`chunked 200`, `chunked comes before a status`)
	f(`200 dance`, `dance is not something that an origin does`)
	f(`200 size=-1`, `size=-1 is not a count`)
	f(`200 body=~"a"`, `body=~"(?s)a" is not something that an origin does`)
}
