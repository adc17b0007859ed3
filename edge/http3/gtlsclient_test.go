package http3_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

// An implementation that is not quic-go's on the other side.
func TestNGTCP2(t *testing.T) {
	client, err := exec.LookPath("gtlsclient")
	if err != nil {
		t.Skip("gtlsclient is missing: it is in Debian's package ngtcp2-client")
	}
	p := start(t, http3.Config{}, func(x *edge.Exchange) error {
		if x.Request.Body != nil {
			x.Respond(200, x.Request.Body, x.Request.Length)
			return nil
		}
		return text(x, 200, strings.Repeat("hello from "+x.Request.Path+"\n", 1000))
	})
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, client, append([]string{"--exit-on-all-streams-close", "--no-quic-dump", "--download=" + dir, host, port}, args...)...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", c.Args, err, out)
		}
		return string(out)
	}
	run("https://example.org/file")
	if b, err := os.ReadFile(filepath.Join(dir, "file")); string(b) != strings.Repeat("hello from /file\n", 1000) {
		t.Errorf("got %d bytes, %v", len(b), err)
	}

	data := strings.Repeat("0123456789", 100_000)
	upload := filepath.Join(dir, "upload")
	if err := os.WriteFile(upload, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	run("-m", "POST", "-d", upload, "https://example.org/echo")
	if b, err := os.ReadFile(filepath.Join(dir, "echo")); string(b) != data {
		t.Errorf("got %d bytes, %v, want %d", len(b), err, len(data))
	}
}
