package wasm

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCacheOnFullDisk: what does not fit is not kept, and nothing is left of it.
func TestCacheOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	defer unix.Unmount(dir, 0)
	var log syncBuffer
	e := NewEngine(Config{Cache: filepath.Join(dir, "code"), Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer e.Close()
	m := compile(t, e, "rust")
	if c, _ := e.Compiled(); c != 1 || m.compiled == nil {
		t.Errorf("%d compiled", c)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space left on device") {
		t.Errorf("log is %q", got)
	}
	if list := files(t, filepath.Join(dir, "code")); len(list) != 0 {
		t.Errorf("left are %v", list)
	}
}
