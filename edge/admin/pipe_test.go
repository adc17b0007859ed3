package admin_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// A pipe in the place of a file is refused; waiting for its other end would hold up
// everything.
func TestPipes(t *testing.T) {
	r, ctx := startRig(t), context.Background()
	pipe := filepath.Join(r.dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // lets go whoever waits
		if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
			f.Close()
		}
	})
	main := r.config().Texts[0].Text
	for _, text := range []string{
		main + "filters: { deny: { wasm: pipe } }\n",
		main + "functions: { say: { wasm: pipe } }\n",
		strings.Replace(main, "respond: { body: front }", "redirect: { map: pipe }", 1),
		strings.Replace(main, "log: { access: off }", "log: { access: pipe }", 1),
		main + "tls: { certificates: [{ cert: pipe, key: pipe }] }\n",
	} {
		_, err := r.c.SetConfig(ctx, []byte(text), api.Change{})
		if p := status(t, err, http.StatusUnprocessableEntity); p != nil && !strings.Contains(p.Error(), "pipe") {
			t.Errorf("%v", p)
		}
	}
}
