package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// running is a proxy with its admin API, that commands are sent to.
type running struct {
	t    *testing.T
	path string // of its file
	s    *server.Server
}

func (r *running) load() *config.File {
	r.t.Helper()
	file, problems := config.Load(r.path, config.Options{})
	if problems.Failed() {
		r.t.Fatal(problems)
	}
	return file
}

func run(t *testing.T, text string) *running {
	t.Helper()
	r := &running{t: t, path: filepath.Join(t.TempDir(), "sluice.yaml")}
	write(t, r.path, text, 0o640)
	file := r.load()
	s, problems, err := server.New(file, server.Options{})
	if err != nil || problems.Failed() {
		t.Fatal(err, problems)
	}
	t.Cleanup(func() { s.Close() })
	a, err := admin.New(s, file.Admin, buildVersion(), discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- a.Serve() }()
	t.Cleanup(func() {
		a.Shutdown(t.Context()) // whose context is done: at once
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	watching := make(chan error)
	go func() {
		watching <- server.Watch(ctx, file.Files(), func() []string {
			if file, problems := config.Load(r.path, config.Options{}); problems.Failed() {
				s.Refused(problems.Err())
			} else if problems, err := s.Apply(file, "a file has changed"); err != nil || problems.Failed() {
				t.Error(err, problems)
			}
			return file.Files()
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-watching; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("SLUICE_ADMIN", "unix:"+a.Addr().String())
	t.Setenv("SLUICE_TOKEN", "")
	r.s = s
	return r
}

// sluice runs a command line, and wants its exit code, and output that matches.
func (r *running) sluice(code int, want, line string) {
	r.t.Helper()
	out := sluice(r.t, strings.Fields(line)...)
	if end := "--- exit " + string(rune('0'+code)) + "\n"; !strings.HasSuffix(out, end) || !regexp.MustCompile("(?s)"+want).MatchString(out) {
		r.t.Errorf("sluice %s: got\n%s\nwant %s with exit code %d", line, out, want, code)
	}
}

// The way of a filter and a function from the first upload into the file, on a real
// proxy.
func TestLifeOfModules(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("the origin\n")) }))
	defer origin.Close()
	r := run(t, `# the shop
listen: { http: "127.0.0.1:0" }
log: { access: off }
admin:  { listen: "unix:`+filepath.Join(t.TempDir(), "a.sock")+`" }
state:  "`+t.TempDir()+`"
sites:
  example.com: # its only site
    routes:
      /: `+strings.TrimPrefix(origin.URL, "http://")+`
`)
	filter := filepath.Join("..", "..", "wasm-testdata", "hello", "hello.wasm")
	other := filepath.Join("..", "..", "examples", "headers", "headers.wasm")
	function := filepath.Join("..", "..", "examples", "hello", "hello.wasm")

	r.sluice(0, "The API has changed nothing", "diff")
	r.sluice(0, `example.com/ +/ +127\.0\.0\.1`, "routes")
	r.sluice(0, "mark @1 is stored.*Put it to use: sluice filter push mark "+regexp.QuoteMeta(filter)+" --on SITE/PATH", "filter push mark "+filter)
	r.sluice(1, "none.example", "filter push mark "+filter+" --on none.example/")
	r.sluice(0, "is right, and would be live on example.com/ ", "filter push mark "+filter+" --on example.com/ --dry-run")
	r.sluice(0, "The API has changed nothing", "diff")
	r.sluice(0, "mark @1 is live on example.com/ ", "filter push mark "+filter+" --on example.com/")
	r.sluice(0, "X-Sluice-Filter: hello v1.*the origin", "fetch -i "+r.s.Addresses()[0])
	r.sluice(0, "mark @2 is live", "filter push mark "+other)
	r.sluice(0, "X-Sluice-Filter: headers", "fetch -i "+r.s.Addresses()[0])
	r.sluice(0, "mark @1 is live", "filter back mark")
	r.sluice(0, "X-Sluice-Filter: hello v1", "fetch -i "+r.s.Addresses()[0])
	r.sluice(0, "@2 .*@1 +live", "filter show mark")

	r.sluice(0, "hello @1 is live on example.com/hello", "fn push hello "+function+" --route example.com/hello")
	r.sluice(0, "^Hello", "fn call /hello")
	r.sluice(0, "^Hello", "fn call example.com/hello")
	r.sluice(2, "no function answers /none: hello answers example.com/hello", "fn call /none")
	r.sluice(0, `v1 [0-9a-f]+ `, "fn logs hello")
	r.sluice(0, `"function": "hello@1"`, "explain http://example.com/hello -o json")
	r.sluice(0, `filters +1 mark@1.*upstream`, "explain http://example.com/x")
	r.sluice(0, `example.com/hello +/hello +function:hello +by the API`, "routes")

	r.sluice(4, `\+.*/hello: function:hello.*changed by the API .*function hello`, "diff")
	r.sluice(0, "sluice.yaml is written", "apply --write")
	if text := read(t, r.path); !strings.HasPrefix(text, "# the shop\n") || !strings.Contains(text, "# its only site") || !strings.Contains(text, "/hello: function:hello") {
		t.Errorf("the file is now\n%s", text)
	}
	r.sluice(0, "The API has changed nothing", "diff")
	r.sluice(0, "^Hello", "fn call /hello")
	r.sluice(0, "X-Sluice-Filter: hello v1", "fetch -i "+r.s.Addresses()[0])

	// What is written has been read, and what comes next comes after it.
	r.sluice(0, "is live on .*example.com/too", "fn push hello "+function+" --route example.com/too")
	r.sluice(0, "sluice.yaml is written", "apply --write")
	r.sluice(0, "The configuration before is in force again", "rollback")
	r.sluice(4, "-.*/too: function:hello", "diff")
	r.sluice(0, "sluice.yaml is written", "apply --write")
	r.sluice(0, "The files say already", "apply --write")

	write(t, r.path+".new", strings.Replace(read(t, r.path), "/hello: function:hello", "/hello: { respond: { body: fixed } }", 1), 0o600)
	r.sluice(4, `-.*function:hello\n\+.*fixed`, "diff "+r.path+".new")
	r.sluice(0, `-.*function:hello\n\+.*fixed`, "apply "+r.path+".new --dry-run")
	r.sluice(0, "^Hello", "fn call /hello")
	r.sluice(0, "is in force. sluice rollback takes it back", "apply "+r.path+".new")
	r.sluice(0, "Nothing would change", "diff "+r.path+".new")
	r.sluice(2, "no function answers", "fn call /hello")
	r.sluice(0, "answer +200", "explain http://example.com/hello")
	r.sluice(0, `in force .*start`, "history")
	r.sluice(0, "The configuration before is in force again", "rollback")
	r.sluice(0, "^Hello", "fn call /hello")

	write(t, r.path+".wrong", "sites: { example.com: { routes: { /: nowhere } } }\n", 0o600)
	r.sluice(2, `1:38:.*no upstream "nowhere"`, "diff "+r.path+".wrong")
	r.sluice(2, `1:38:.*no upstream "nowhere"`, "apply "+r.path+".wrong")
	r.sluice(0, "^Hello", "fn call /hello")
	r.sluice(0, "last minute: .*example.com/ .*FUNCTION", "status")
}
