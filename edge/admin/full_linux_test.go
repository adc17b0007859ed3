package admin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// A state directory whose disk is full takes nothing new, says so, and loses nothing:
// what is live serves on. When there is room again all goes on, over a restart too.
func TestFullDisk(t *testing.T) {
	r, ctx := &rig{t: t, dir: t.TempDir()}, context.Background()
	disk := filepath.Join(r.dir, "state")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skip("a small file system cannot be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	r.write(used)
	r.start()
	t.Cleanup(func() { r.end() })
	if _, err := r.pushFilter("deny", "deny", api.Use{Route: "shop/api/*"}); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)

	stop, served := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(served)
		for n := 0; ; n++ {
			select {
			case <-stop:
				if n == 0 {
					t.Error("nobody has asked meanwhile")
				}
				return
			default:
			}
			if status, _, body := r.get("/"); status != 200 || body != "front" {
				t.Errorf("meanwhile a request is answered %d %q", status, body)
			}
			if status, _, _ := r.get("/api/x"); status != 401 {
				t.Errorf("meanwhile the filter answers %d", status)
			}
		}
	}()
	for what, change := range map[string]func() error{
		"a version":  func() error { _, err := r.pushFilter("deny", "hello", api.Use{}); return err },
		"a function": func() error { _, err := r.pushFunction("say", "answer", api.Use{Route: "shop/say"}); return err },
		"a route": func() error {
			_, err := r.c.SetRoute(ctx, "shop/x", []byte(`{"respond": {"body": "x"}}`), api.Change{})
			return err
		},
		"shares": func() error {
			_, err := r.c.SetSplit(ctx, "shop/split", api.SplitChange{Weights: map[string]float64{"one": 50, "two": 50}}, api.Change{})
			return err
		},
		"what was there": func() error { _, err := r.pushFilter("deny", "deny", api.Use{Config: "new"}); return err },
	} {
		p, ok := errors.AsType[*api.Problem](change())
		if !ok || p.Status < 500 || !strings.Contains(p.Error(), "no space left on device") && !strings.Contains(p.Error(), "full") {
			t.Errorf("%s: %d %v", what, p.Status, p)
		}
	}
	close(stop)
	<-served
	if f, err := r.c.Filter(ctx, "deny"); err != nil || f.Live != 1 || len(f.Versions) != 1 {
		t.Errorf("%+v, %v", f, err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pushFunction("say", "answer", api.Use{Route: "shop/say"}); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	r.restart()
	if status, _, _ := r.get("/api/x"); status != 401 {
		t.Errorf("after a restart the filter answers %d", status)
	}
	if _, _, body := r.get("/x"); body != "front" {
		t.Errorf("after a restart a route that was refused answers %q", body)
	}
}

// fill fills what is left of the disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
