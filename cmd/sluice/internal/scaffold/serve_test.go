package scaffold

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// TestServe builds each project with its one command, and serves it as its own
// sluice.yaml says.
func TestServe(t *testing.T) {
	watch(t)
	binary := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, "../..").CombinedOutput(); err != nil {
		t.Fatalf("build sluice: %v\n%s", err, out)
	}
	f := func(kind Kind, lang Lang, try func(t *testing.T, get func(path string) (int, string, http.Header))) {
		t.Run(string(kind)+" in "+string(lang), func(t *testing.T) {
			dir := project(t, "greet", kind, lang)
			t.Setenv("PATH", toolchain(t, dir, lang))
			offline(t, dir, "./build.sh")
			if config := Config(kind, lang); config != "" { // which it is pushed with
				offline(t, dir, binary, "filter", "test", "greet.wasm", "--config", config)
			}
			address := serve(t, binary, dir)
			try(t, func(path string) (int, string, http.Header) {
				t.Helper()
				res, err := http.Get("http://" + address + path)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				return res.StatusCode, string(b), res.Header
			})
		})
	}
	for _, lang := range Langs() {
		f(Filter, lang, func(t *testing.T, get func(path string) (int, string, http.Header)) {
			if code, body, h := get("/"); code != 200 || body != "hello from the application\n" || h.Get("X-Greeting") != "hello" {
				t.Errorf("/: %d %q %v", code, body, h)
			}
			if code, body, h := get("/teapot"); code != 418 || !strings.HasPrefix(body, "hello") || h.Get("X-Greeting") != "" {
				t.Errorf("/teapot: %d %q %v", code, body, h)
			}
			if code, body, _ := get("/teapots"); code != 200 {
				t.Errorf("/teapots: %d %q", code, body)
			}
		})
	}
	f(Function, Go, func(t *testing.T, get func(path string) (int, string, http.Header)) {
		if code, body, _ := get("/?name=Ann"); code != 200 || body != "hello, Ann\n" {
			t.Errorf("%d %q", code, body)
		}
		if code, body, _ := get("/"); code != 400 {
			t.Errorf("%d %q", code, body)
		}
	})
	for _, lang := range []Lang{C, Rust, AssemblyScript} {
		f(Function, lang, func(t *testing.T, get func(path string) (int, string, http.Header)) {
			if code, body, h := get("/you?a=b"); code != 200 || body != "hello from greet at /you?a=b\n" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
				t.Errorf("%d %q %v", code, body, h)
			}
			if code, body, _ := get("/" + strings.Repeat("a", 5000)); code != 414 {
				t.Errorf("%d %q", code, body)
			}
		})
	}
}

var serving = regexp.MustCompile(`msg=serving `)

// serve starts sluice with a project's sluice.yaml, but for its ports, and returns
// its address.
func serve(t *testing.T, binary, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "sluice.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 2)
	changed := strings.NewReplacer("127.0.0.1:8080", ports[0], "127.0.0.1:8081", ports[1]).Replace(string(text)) + "\nadmin: off\nstate: state\n"
	if err := os.WriteFile(filepath.Join(dir, "test.yaml"), []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	offline(t, dir, binary, "check", "--strict", "sluice.yaml")
	var log edgetest.Log
	cmd := exec.Command(binary, "run", "-c", "test.yaml")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cmd.Process.Signal(syscall.SIGQUIT) // an error says that it has ended by itself
		if err := cmd.Wait(); err != nil {
			t.Errorf("sluice ended with %v:\n%s", err, &log)
		}
	})
	if err := log.Wait(serving); err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// watch looks at what the go command builds here. It runs a test anew when a
// directory that it has read changes; of what another process reads it knows
// nothing.
func watch(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"../../../../cmd", "../../../../edge", "../../../../filters"} {
		if err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// freePorts returns addresses that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}
