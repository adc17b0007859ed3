package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The modules that the binary carries are those of the examples.
func TestDemoModules(t *testing.T) {
	for path, have := range map[string][]byte{
		"wasm-testdata/hello/hello.wasm": demoFilter,
		"examples/headers/headers.wasm":  demoUpload,
	} {
		want, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("cmd/sluice/demo/%s differs from %s: copy it", filepath.Base(path), path)
		}
	}
}

// Every command that the demo prints works as it stands, and the demo leaves
// nothing behind.
func TestDemo(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	binary := build(t)
	tmp := t.TempDir()
	cmd := exec.Command(binary, "demo", "--http", free(t), "--https", free(t), "--admin", free(t))
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // fails where the test has not

	var commands []string
	text := bufio.NewScanner(stdout)
	for text.Scan() && !strings.HasPrefix(text.Text(), "Ctrl-C") {
		if line := strings.TrimSpace(text.Text()); strings.HasPrefix(line, "curl") || strings.HasPrefix(line, binary) {
			commands = append(commands, line)
		}
	}
	if len(commands) != 9 {
		t.Fatalf("the demo printed %d commands:\n%s\n%s", len(commands), strings.Join(commands, "\n"), stderr.String())
	}
	wants := []string{
		"X-Sluice-Filter: hello v1",
		"HTTP/2 200",
		"HTTP/3 200",
		"Cache-Status: sluice; fwd=uri-miss; stored",
		"data: it is ",
		`"live": true`,
		"X-Sluice-Filter: headers",
		"50%",
		"demo/shop",
	}
	for i, line := range commands {
		if out := runUntil(t, line, wants[i]); !strings.Contains(out, wants[i]) {
			t.Errorf("%s\nprinted no %q:\n%s", line, wants[i], out)
		}
	}

	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v:\n%s", err, stderr.String())
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("the demo has left %v", left)
	}
}

// build builds the binary, and returns its path.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// runUntil runs a command line until it ends, or has printed part.
func runUntil(t *testing.T, line, part string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	cmd.Stderr = io.Discard // curl's progress
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := stdout.Read(buf)
		out.Write(buf[:n])
		if err != nil || strings.Contains(out.String(), part) {
			break
		}
	}
	cancel() // events go on for ever
	cmd.Wait()
	return out.String()
}

// free returns an address of loopback that was free a moment ago.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
