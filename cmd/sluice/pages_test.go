package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/edgetest"
)

// The pages of docs that tell what to do say what is so: their blocks are taken in
// their order, as a reader would.
//
//   - sh is run, in a second terminal. sluice demo and sluice run, which stand alone,
//     go on in the first, until the next.
//   - text is all that the block before has printed.
//   - log is a line that comes in the first terminal.
//   - yaml is a configuration, which becomes sluice.yaml as long as sluice does not
//     run.
//   - Others are not for a shell, or not for this machine.
//
// In text and log, ... stands for anything, and figures that are never the same twice
// are not compared.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/how-to/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(len(pages), err)
	}
	bin := filepath.Dir(build(t))
	for _, path := range append(pages, "../../docs/tutorial.md", "../../README.md") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			page := string(b)
			if path == "../../README.md" { // what stands before needs no test to be run
				var ok bool
				if _, page, ok = strings.Cut(page, "save this as `sluice.yaml`:"); !ok {
					t.Fatal("README.md has no configuration")
				}
			}
			follow(t, page, bin)
		})
	}
}

func follow(t *testing.T, page, bin string) {
	needed := []string{"curl", "sh"}
	if strings.Contains(page, "clang") && strings.Contains(page, "--lang c\n") {
		needed = append(needed, "clang", "wasm-ld")
	}
	if strings.Contains(page, "clang --target=wasm32-wasi") {
		needed = append(needed, "clang", "wasm-ld")
		if _, err := os.Stat("/usr/lib/wasm32-wasi/libc.a"); err != nil {
			t.Skip("needs wasi-libc")
		}
	}
	for _, tool := range needed {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	if strings.Contains(page, "go install") {
		bin = "" // it makes its own
	}
	r := newReader(t, bin)
	switch {
	case strings.Contains(page, "--lang rust\n"):
		r.rust("wasm32-unknown-unknown")
	case strings.Contains(page, "rustc "):
		r.rust("wasm32-wasi", "wasm32-wasip1")
	case strings.Contains(page, "--lang as\n"):
		r.npm()
	}
	for _, b := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		switch kind, text := b[1], b[2]; kind {
		case "sh":
			r.run(text)
		case "text":
			r.sees(text)
		case "log":
			r.logs(text)
		case "yaml":
			r.configures(text)
		case "", "c", "conf", "console", "go", "ini", "rules":
		default:
			t.Errorf("a block of %q is none that this test knows:\n%s", kind, text)
		}
		if t.Failed() {
			t.FailNow() // what follows builds on it
		}
	}
}

// reader is somebody who follows a page.
type reader struct {
	t       *testing.T
	dir     string // where the second terminal is
	bin     string // where sluice is
	env     []string
	ports   func(string) string // the page's, made free ones
	back    func(string) string // and the other way
	printed string              // by the last command

	sluice *exec.Cmd // in the foreground of the first terminal; nil: not running
	first  *terminal
	ended  error // valid once first.closed is closed
}

// newReader returns a reader who has the binary in bin, and two applications that
// say who they are and what they got; or who has nothing, and makes all of it.
func newReader(t *testing.T, bin string) *reader {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	r := &reader{t: t, dir: home}
	free, standing := make(map[string]string), make(map[string]string)
	for _, port := range []string{"2024", "2025", "3000", "3001", "8080", "8081", "8443"} {
		address := freeOf(t, bin != "" && strings.HasPrefix(port, "300"), map[string]string{"3000": "app", "3001": "app-next"}[port])
		_, p, _ := strings.Cut(address, ":")
		free[port], standing[p] = p, port
	}
	r.ports = portMap(free)
	back := portMap(standing)
	r.back = func(s string) string { return strings.ReplaceAll(back(s), home, "/home/ann") }
	if bin == "" {
		bin = filepath.Join(home, "bin")
	} else {
		for _, module := range []string{"headers", "hello"} {
			b, err := os.ReadFile(filepath.Join(root, "examples", module, module+".wasm"))
			if err == nil {
				err = os.WriteFile(filepath.Join(home, module+".wasm"), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	r.bin = bin
	r.env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+filepath.Join(home, "state"), "GOBIN="+bin,
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+home, "SOURCE="+root,
		"SLUICE_ADMIN="+r.ports("127.0.0.1:2024"), "GOFLAGS=-buildvcs=false", "LC_ALL=C", "NO_COLOR=1",
		"GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOWORK=off")
	// curl shows no progress when it prints to a terminal.
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte("no-progress-meter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

// rust puts a toolchain into the path that has one of some targets.
func (r *reader) rust(targets ...string) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, target := range targets {
			cmd := exec.Command(filepath.Join(dir, "rustc"), "--print", "target-libdir", "--target", target)
			cmd.Env = r.env // rustup's has nothing in a home that is new
			lib, err := cmd.Output()
			if err != nil {
				continue
			}
			if _, err := os.Stat(strings.TrimSpace(string(lib))); err == nil {
				r.env = append(r.env, "PATH="+r.bin+string(os.PathListSeparator)+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
				return
			}
		}
	}
	r.t.Skip("needs a rustc with " + strings.Join(targets, " or "))
}

// npm lets the reader have the packages that npm ci has fetched for sdk/assemblyscript.
func (r *reader) npm() {
	if _, err := os.Stat("../../sdk/assemblyscript/node_modules/assemblyscript"); err != nil {
		r.t.Skip("npm ci was not run in sdk/assemblyscript")
	}
	cache, err := exec.Command("npm", "config", "get", "cache").Output()
	if err != nil {
		r.t.Skip("needs npm")
	}
	r.env = append(r.env, "npm_config_cache="+strings.TrimSpace(string(cache)), "npm_config_prefer_offline=true", "npm_config_update_notifier=false")
}

// freeOf returns an address that was free a moment ago, or that of an application.
func freeOf(t *testing.T, app bool, name string) string {
	if !app {
		return free(t)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s got %s\n", name, r.RequestURI)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// portMap returns what puts ports in the place of others, in addresses and in names
// that are made of them.
func portMap(ports map[string]string) func(string) string {
	re := regexp.MustCompile(`[:-](` + strings.Join(slices.Collect(maps.Keys(ports)), "|") + `)\b`)
	return func(s string) string {
		return re.ReplaceAllStringFunc(s, func(found string) string { return found[:1] + ports[found[1:]] })
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// run runs a block of commands.
func (r *reader) run(text string) {
	r.t.Helper()
	text = r.ports(text)
	// What the page clones is what is tested.
	text = strings.ReplaceAll(text, "git clone https://github.com/sluice-edge/sluice", `ln -s "$SOURCE" sluice`)
	switch command, _, _ := strings.Cut(text, " #"); strings.TrimSpace(command) {
	case "sluice demo":
		r.serve("Ctrl-C stops it", "demo", "--http", r.ports("127.0.0.1:8080"), "--https", r.ports("127.0.0.1:8443"), "--admin", r.ports("127.0.0.1:2024"))
		return
	case "sluice run":
		path := filepath.Join(r.dir, "sluice.yaml")
		b, err := os.ReadFile(path)
		if err != nil {
			r.t.Error(err)
			return
		}
		text := r.ports(string(b)) // a project's, for instance
		if !strings.Contains(text, "admin:") {
			text += r.ports("admin: { listen: \"127.0.0.1:2024\" }\n")
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			r.t.Error(err)
			return
		}
		r.serve("msg=serving", "run")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cwd := filepath.Join(r.t.TempDir(), "cwd")
	cmd := exec.CommandContext(ctx, "sh", "-e", "-c", text+"\npwd >"+cwd)
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	r.printed = string(out)
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !(ok && exit.ExitCode() == exitFound) {
		r.t.Errorf("%v\n%s\nprinted\n%s", err, text, r.printed)
		return
	}
	if b, err := os.ReadFile(cwd); err == nil {
		r.dir = strings.TrimSpace(string(b))
	}
}

// configures takes a configuration.
func (r *reader) configures(text string) {
	r.t.Helper()
	text = r.ports(text)
	set := func(string) (string, bool) { return "set", true }
	if _, problems := config.Parse(filepath.Join(r.dir, "sluice.yaml"), []byte(text), config.Options{Env: set}); problems.Failed() {
		r.t.Errorf("%v\n%s", problems.Err(), text)
	}
	if r.sluice == nil {
		if err := os.WriteFile(filepath.Join(r.dir, "sluice.yaml"), []byte(text), 0o644); err != nil {
			r.t.Error(err)
		}
	}
}

// serve starts sluice in the first terminal, in place of the one that was there.
func (r *reader) serve(ready string, args ...string) {
	r.t.Helper()
	r.stop()
	r.first = &terminal{more: make(chan struct{}), closed: make(chan struct{})}
	cmd := exec.Command("sh", append([]string{"-c", `exec sluice "$@"`, "sh"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, r.first, r.first
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.sluice = cmd
	go func() {
		r.ended = cmd.Wait()
		close(r.first.closed)
	}()
	r.first.wait(func(line string) bool { return strings.Contains(line, ready) })
	r.printed = r.first.String()
}

// stop presses Ctrl-C.
func (r *reader) stop() {
	if r.sluice == nil {
		return
	}
	r.sluice.Process.Signal(syscall.SIGINT) // an error says that it has ended by itself
	if <-r.first.closed; r.ended != nil {
		r.t.Errorf("sluice ended with %v:\n%s", r.ended, r.first)
	}
	r.sluice = nil
}

// sees wants text to be what was printed.
func (r *reader) sees(text string) {
	r.t.Helper()
	want, got := strings.Split(steady(text), "\n"), strings.Split(steady(r.back(r.printed)), "\n")
	if !alike(want, got) {
		r.t.Errorf("the page shows\n%s\nand this is printed:\n%s", text, r.back(r.printed))
	}
}

// logs wants text to be a line that comes in the first terminal, after those that
// were wanted before.
func (r *reader) logs(text string) {
	r.t.Helper()
	want := steady(text)
	if !r.first.wait(func(line string) bool { return like(want, steady(r.back(line))) }) {
		r.t.Errorf("the page shows\n%s\nand this is in the first terminal:\n%s", text, r.first)
	}
}

// terminal keeps what is printed on it, and can be watched.
type terminal struct {
	mu   sync.Mutex // guards the following fields
	all  string
	seen int           // bytes of all that nobody waits for any more
	more chan struct{} // closed at the next Write

	closed chan struct{} // closed when nothing more comes
}

func (m *terminal) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all += string(p)
	close(m.more)
	m.more = make(chan struct{})
	return len(p), nil
}

func (m *terminal) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}

// wait waits for a line behind the one that was waited for last.
func (m *terminal) wait(is func(line string) bool) bool {
	patience := time.NewTimer(edgetest.Patience)
	defer patience.Stop()
	for {
		m.mu.Lock()
		more, end := m.more, m.seen
		for line := range strings.Lines(m.all[m.seen:]) {
			end += len(line)
			if strings.HasSuffix(line, "\n") && is(strings.TrimSuffix(line, "\n")) {
				m.seen = end
				m.mu.Unlock()
				return true
			}
		}
		m.mu.Unlock()
		select {
		case <-more:
		case <-m.closed:
			return false
		case <-patience.C:
			return false
		}
	}
}

// alike reports whether got is what want says, line by line. A line of ... is any
// number of lines.
func alike(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "..." {
		return alike(want[1:], got) || len(got) > 0 && alike(want, got[1:])
	}
	return len(got) > 0 && like(want[0], got[0]) && alike(want[1:], got[1:])
}

// like reports whether a line is what want says, in which ... is anything.
func like(want, got string) bool {
	first, rest, open := strings.Cut(want, "...")
	if !open {
		return want == got
	}
	if !strings.HasPrefix(got, first) {
		return false
	}
	got = got[len(first):]
	parts := strings.Split(rest, "...")
	for i, p := range parts {
		if i == len(parts)-1 {
			return strings.HasSuffix(got, p)
		}
		_, after, ok := strings.Cut(got, p)
		if !ok {
			return false
		}
		got = after
	}
	return true
}

// changing are the figures that are never the same twice, with what stands for them.
var changing = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), "DATE"},
	{regexp.MustCompile(`\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000`), "COMMON"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\b[0-9a-f]{12,64}\b`), "HEX"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|us|ms|s|m|h|d)\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(B|KB|MB)\b`), "SIZE"},
	{regexp.MustCompile(`"(total|filters|upstream|function|\w+@\d+)":[0-9.]+`), `"$1":FIGURE`},
	{regexp.MustCompile(`\bgo1\.\d+(\.\d+)?\b`), "GO"},
	{regexp.MustCompile(`\b(linux|darwin)/\w+`), "SYSTEM"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// steady returns a text without what changes from one time to the next.
func steady(s string) string {
	for _, c := range changing {
		s = c.re.ReplaceAllString(s, c.as)
	}
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Every link from one page to another leads to something that is there.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "examples/*/*.md"} {
		some, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, some...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			links++
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			switch there, err := os.ReadFile(to); {
			case err != nil && anchor == "":
				if _, err := os.Stat(to); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			case err != nil:
				t.Errorf("%s: %v", page, err)
			case anchor != "" && !slices.Contains(anchors(string(there)), anchor):
				t.Errorf("%s: %s has no heading for #%s", page, to, anchor)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

// anchors returns those that the headings of a page have.
func anchors(page string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		text := strings.ToLower(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(m[1], ""))
		all = append(all, strings.ReplaceAll(text, " ", "-"))
	}
	return all
}

// The test of the pages tells what is the same from what is not.
func TestAlike(t *testing.T) {
	f := func(want, got string, same bool) {
		t.Helper()
		if alike(strings.Split(steady(want), "\n"), strings.Split(steady(got), "\n")) != same {
			t.Errorf("%q and %q: want %v", want, got, same)
		}
	}
	f("a", "a", true)
	f("a", "b", false)
	f("a", "a\nb", false)
	f("a\nb", "a", false)
	f("a\n...", "a\nb\nc", true)
	f("a\n...\nc", "a\nb\nd", false)
	f("...\nc", "a\nb\nc", true)
	f("a ... c", "a b c", true)
	f("a ... c", "a b d", false)
	f("a...c...e", "abcde", true)
	f("up 1.5s,  2.1KB", "up 12ms, 900B", true)
	f("GET 200", "GET 500", false)
	f("Date: Sat, 21 Nov 2026 07:18:02 GMT", "Date: Sun, 22 Nov 2026 17:18:02 GMT", true)
	f("id 03b165fc7fb91bb587f7666a", fmt.Sprintf("id %024x", 7), true)
	f("greet @1", "greet @2", false)
}
