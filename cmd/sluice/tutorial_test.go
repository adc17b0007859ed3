package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// TestTutorial does what docs/tutorial.md says, and sees what it shows.
//
// The page's blocks are taken in their order. One of sh is run; sluice demo and
// sluice run go on, in a terminal of their own, until the next. One of text is all
// that the block before has printed, and one of log is a line that comes in the
// terminal of sluice. In both, ... stands for anything, and figures that are never
// the same twice are not compared.
func TestTutorial(t *testing.T) {
	for _, tool := range []string{"curl", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	page, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	blocks := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	ran := 0
	for _, b := range blocks {
		switch kind, text := b[1], b[2]; kind {
		case "sh":
			r.run(text)
			ran++
		case "text":
			r.sees(text)
		case "log":
			r.logs(text)
		default:
			t.Errorf("a block of %q is neither sh, text nor log:\n%s", kind, text)
		}
		if t.Failed() {
			t.FailNow() // what follows builds on it
		}
	}
	if ran < 20 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// reader is somebody who follows the tutorial.
type reader struct {
	t       *testing.T
	dir     string // where the second terminal is
	env     []string
	ports   *strings.Replacer // the page's for those that are free
	back    *strings.Replacer // and the other way
	printed string            // by the last command

	sluice *exec.Cmd // in the foreground of the first terminal; nil: not running
	first  *terminal
}

func newReader(t *testing.T) *reader {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	r := &reader{t: t, dir: home}
	to := []string{"git clone https://github.com/sluice-edge/sluice", "ln -s " + root + " sluice"}
	var from []string
	for _, port := range []string{"127.0.0.1:8080", "127.0.0.1:8443", "127.0.0.1:2024", "127.0.0.1:3000", "127.0.0.1:3001"} {
		address := free(t)
		_, p, _ := strings.Cut(address, ":")
		_, standing, _ := strings.Cut(port, ":")
		to = append(to, ":"+standing, ":"+p)
		from = append(from, ":"+p, ":"+standing)
	}
	r.ports, r.back = strings.NewReplacer(to...), strings.NewReplacer(from...)
	r.env = append(os.Environ(), "HOME="+home, "GOBIN="+bin, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"TMPDIR="+home, "SLUICE_ADMIN="+r.ports.Replace("127.0.0.1:2024"), "GOFLAGS=-buildvcs=false", "LC_ALL=C",
		"GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOWORK=off", "NO_COLOR=1")
	// On a terminal curl shows no progress.
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte("no-progress-meter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
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
	text = r.ports.Replace(text)
	switch command, _, _ := strings.Cut(strings.TrimSpace(text), " #"); command {
	case "sluice demo":
		r.serve("Ctrl-C stops it", "demo", "--http", r.ports.Replace("127.0.0.1:8080"), "--https", r.ports.Replace("127.0.0.1:8443"), "--admin", r.ports.Replace("127.0.0.1:2024"))
		return
	case "sluice run":
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
	if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == exitFound) {
		r.t.Errorf("%v\n%s\nprinted\n%s", err, text, r.printed)
		return
	}
	if b, err := os.ReadFile(cwd); err == nil {
		r.dir = strings.TrimSpace(string(b))
	}
}

// serve starts sluice in the first terminal, in place of the one that was there.
func (r *reader) serve(ready string, args ...string) {
	r.t.Helper()
	r.stop()
	r.first = &terminal{more: make(chan struct{})}
	cmd := exec.Command("sh", append([]string{"-c", `exec sluice "$@"`, "sh"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, r.first, r.first
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.sluice = cmd
	r.first.wait(func(line string) bool { return strings.Contains(line, ready) })
	r.printed = r.first.String()
}

// stop presses Ctrl-C.
func (r *reader) stop() {
	if r.sluice == nil {
		return
	}
	r.sluice.Process.Signal(syscall.SIGINT) // an error says that it has ended by itself
	if err := r.sluice.Wait(); err != nil {
		r.t.Errorf("sluice ended with %v:\n%s", err, r.first)
	}
	r.sluice = nil
}

// sees wants text to be what was printed.
func (r *reader) sees(text string) {
	r.t.Helper()
	want, got := strings.Split(steady(text), "\n"), strings.Split(steady(r.back.Replace(r.printed)), "\n")
	if !alike(want, got) {
		r.t.Errorf("the page shows\n%s\nand this is printed:\n%s", text, r.back.Replace(r.printed))
	}
}

// logs wants text to be a line that comes in the first terminal, after those that
// were wanted before.
func (r *reader) logs(text string) {
	r.t.Helper()
	want := steady(text)
	if !r.first.wait(func(line string) bool { return like(want, steady(r.back.Replace(line))) }) {
		r.t.Errorf("the page shows\n%s\nand this is in the first terminal:\n%s", text, r.first)
	}
}

// terminal keeps what is printed on it, and can be watched.
type terminal struct {
	mu   sync.Mutex // guards the following fields
	all  string
	seen int           // bytes of all that nobody waits for any more
	more chan struct{} // closed at the next Write
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

// The test of the tutorial tells what is the same from what is not.
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
