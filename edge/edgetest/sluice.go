package edgetest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Watch has the go command run a test anew when a file in one of the directories of
// root changes. Of itself it knows what the test has read, and nothing of what a
// process has that the test starts.
func Watch(t testing.TB, root string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// Build builds sluice, whose module is in the directory root, and returns the binary.
func Build(t testing.TB, root string) string {
	t.Helper()
	Watch(t, root, "cmd", "edge", "filters", "sdk")
	binary := filepath.Join(t.TempDir(), "sluice")
	cmd := exec.Command("go", "-C", root, "build", "-o", binary, "./cmd/sluice")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	return binary
}

// Process is a sluice that runs as a process of its own.
type Process struct {
	t         testing.TB
	cmd       *exec.Cmd
	addresses []string // that it listens on, as URLs
	log       Log
	ended     chan struct{} // closed when err says how
	err       error
}

const ended = "(the process has ended)"

// startPatience is how long a process may take to serve: large modules are compiled
// first.
const startPatience = 5 * Patience

var (
	serving        = regexp.MustCompile(`msg=serving .*addresses=(?:\[(\S+)\]|"\[([^"]+)\]")`)
	servingOrEnded = regexp.MustCompile(serving.String() + "|" + regexp.QuoteMeta(ended))
)

// Start starts the binary in the directory work, which has its sluice.yaml. It has one
// listener of each scheme, or is asked by ports. [Process.Close] ends it.
func Start(t testing.TB, binary, work string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(binary, "run"), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = work, &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		fmt.Fprintln(&p.log, ended)
		close(p.ended)
	}()
	err := p.log.wait(servingOrEnded, startPatience)
	found := serving.FindStringSubmatch(p.log.String())
	if err != nil || found == nil {
		p.Close()
		t.Fatalf("sluice does not serve: %v", err)
	}
	p.addresses = strings.Fields(found[1] + found[2])
	return p
}

// Addr implements Proxy.
func (p *Process) Addr(name string) string {
	p.t.Helper()
	for _, url := range p.addresses {
		scheme, addr, _ := strings.Cut(url, "://")
		host, port, err := net.SplitHostPort(addr)
		if err != nil || scheme != name && name != ":"+port {
			continue
		}
		if ip := net.ParseIP(host); ip.IsUnspecified() {
			return net.JoinHostPort("127.0.0.1", port)
		}
		return addr
	}
	if !strings.HasPrefix(name, ":") {
		p.t.Fatalf("nothing listens on %q: there are %q", name, p.addresses)
	}
	return "127.0.0.1" + name // what is no site's: metrics, the admin API
}

// Reload implements Proxy: a process is started anew instead.
func (p *Process) Reload() error { return errors.New("the file of this proxy does not change") }

// Log implements Logger.
func (p *Process) Log() *Log { return &p.log }

// Close implements Proxy. It fails the test if the process has ended by itself, or not
// as asked.
func (p *Process) Close() {
	p.cmd.Process.Signal(syscall.SIGQUIT) // cuts what is open; an error says that it has ended by itself
	<-p.ended
	if p.err != nil {
		p.t.Errorf("sluice ended with %v:\n%s", p.err, &p.log)
	}
}

var (
	_ Proxy  = (*Process)(nil)
	_ Logger = (*Process)(nil)
)
