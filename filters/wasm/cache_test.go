package wasm

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// syncBuffer takes log lines of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// started is an engine that keeps code in dir, and compiles guests there; it fails the
// test unless so many are compiled, and so many loaded. It returns what was logged.
func started(t testing.TB, cfg Config, compiled, loaded uint64, names ...string) string {
	t.Helper()
	var log syncBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	e := NewEngine(cfg)
	defer e.Close()
	for _, name := range names {
		m, err := e.Compile(context.Background(), guests.Read(t, name), anyHost(t, name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPool(m, Options{Limits: Limits{Call: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		in := get(t, p)
		var stack [1]uint64
		if err := in.Call("handle_request", stack[:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		in.Close()
		p.Close()
		m.Close()
	}
	if c, l := e.Compiled(); c != compiled || l != loaded {
		t.Errorf("%d compiled and %d loaded, want %d and %d; log: %s", c, l, compiled, loaded, &log)
	}
	return log.String()
}

// files returns the files of code that are kept.
func files(t testing.TB, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != authentic {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestCache: a start finds what was compiled at another, under the same limits.
func TestCache(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "cache", "code")}
	names := []string{"hello", "deny", "leaky"}
	started(t, cfg, 3, 0, names...)
	started(t, cfg, 0, 3, names...)
	cfg.Stack = 4 << 20
	started(t, cfg, 3, 0, names...)
	if n := len(files(t, cfg.Cache)); n != 6 {
		t.Errorf("%d files", n)
	}
	info, err := os.Lstat(cfg.Cache)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

// TestCacheTampered: what is not as it was written is not run.
func TestCacheTampered(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	for what, tamper := range map[string]func(dir, file string) error{
		"a bit": func(_, file string) error {
			b, err := os.ReadFile(file)
			if err == nil {
				b[len(b)/2] ^= 1
				err = os.WriteFile(file, b, 0o600)
			}
			return err
		},
		"cut off":    func(_, file string) error { return os.Truncate(file, 100) },
		"removed":    func(_, file string) error { return os.Remove(file) },
		"no code":    func(dir, _ string) error { return os.Remove(filepath.Join(dir, authentic)) },
		"other code": func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, authentic), make([]byte, 32), 0o600) },
		"renamed":    func(_, file string) error { return os.Rename(file, file+"0") },
		"one more": func(_, file string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(file), "another"), nil, 0o600)
		},
		"a link": func(_, file string) error {
			if err := os.Rename(file, cfg.Cache+".elsewhere"); err != nil {
				return err
			}
			return os.Symlink(cfg.Cache+".elsewhere", file)
		},
		"others may write": func(dir, _ string) error { return os.Chmod(dir, 0o770) },
		"another key": func(_, _ string) error {
			return os.WriteFile(cfg.Cache+cacheKeyName, bytes.Repeat([]byte{1}, keySize), 0o600)
		},
	} {
		if err := os.RemoveAll(cfg.Cache); err != nil {
			t.Fatal(err)
		}
		started(t, cfg, 1, 0, "hello")
		file := files(t, cfg.Cache)[0]
		if err := tamper(filepath.Dir(filepath.Dir(file)), file); err != nil {
			t.Fatal(err)
		}
		if log := started(t, cfg, 1, 0, "hello"); !strings.Contains(log, "compiled code is not used, and made anew") {
			t.Errorf("%s: log is %s", what, log)
		}
		if log := started(t, cfg, 0, 1, "hello"); log != "" {
			t.Errorf("%s: log is %s", what, log)
		}
	}
}

// TestCacheMoved: an entry is no other's.
func TestCacheMoved(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	started(t, cfg, 2, 0, "hello", "deny")
	list, err := os.ReadDir(cfg.Cache)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	a, b := filepath.Join(cfg.Cache, list[0].Name()), filepath.Join(cfg.Cache, list[1].Name())
	for _, mv := range [][2]string{{a, a + "x"}, {b, a}, {a + "x", b}} {
		if err := os.Rename(mv[0], mv[1]); err != nil {
			t.Fatal(err)
		}
	}
	started(t, cfg, 2, 0, "hello", "deny")
}

// TestCacheRefused: a directory that others could write to is not used, and what is
// wrong is said; modules are compiled all the same.
func TestCacheRefused(t *testing.T) {
	for what, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"link":     {func(dir string) error { return os.Symlink(t.TempDir(), dir) }, "is a symbolic link"},
		"file":     {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "not what belongs there"},
		"writable": {func(dir string) error { os.Mkdir(dir, 0o700); return os.Chmod(dir, 0o770) }, "may be used by others"},
		"key":      {func(dir string) error { return os.WriteFile(dir+cacheKeyName, make([]byte, 3), 0o600) }, "has 3 bytes, and a key has 32"},
		"open key": {func(dir string) error {
			os.WriteFile(dir+cacheKeyName, make([]byte, keySize), 0o600)
			return os.Chmod(dir+cacheKeyName, 0o644)
		}, "may be used by others"},
	} {
		cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
		if err := c.make(cfg.Cache); err != nil {
			t.Fatal(err)
		}
		if log := started(t, cfg, 1, 0, "hello"); !strings.Contains(log, c.want) || !strings.Contains(log, "modules are compiled at each start") {
			t.Errorf("%s: log is %q", what, log)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	os.Mkdir(cfg.Cache, 0o700)
	if err := os.Chown(cfg.Cache, 1, 1); err != nil {
		t.Fatal(err)
	}
	if log := started(t, cfg, 1, 0, "hello"); !strings.Contains(log, "belongs to user 1, and this process runs as 0") {
		t.Errorf("log is %q", log)
	}
}

// TestCacheIsBounded: what has not been used for longest goes.
func TestCacheIsBounded(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	started(t, cfg, 2, 0, "hello", "deny")
	long := time.Now().Add(-time.Hour)
	list, err := os.ReadDir(cfg.Cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		os.Chtimes(filepath.Join(cfg.Cache, d.Name()), long, long)
	}
	started(t, cfg, 0, 1, "deny") // used just now
	cfg.CacheBytes = 3 * size(cfg.Cache) / 4
	started(t, cfg, 1, 0, "rng")
	started(t, cfg, 0, 1, "rng")
	if n := size(cfg.Cache); n > cfg.CacheBytes {
		t.Errorf("%d bytes are kept, more than the %d allowed", n, cfg.CacheBytes)
	}
	started(t, cfg, 1, 0, "hello")

	// Nothing at all is kept of what is larger than the bound.
	cfg.CacheBytes = 1
	started(t, cfg, 1, 0, "leaky")
	started(t, cfg, 1, 0, "leaky")
}

// TestCacheCannotBeWritten: modules are compiled all the same.
func TestCacheCannotBeWritten(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	var log syncBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	e := NewEngine(cfg)
	defer e.Close()
	if err := os.RemoveAll(cfg.Cache); err != nil {
		t.Fatal(err)
	}
	newPool(t, compile(t, e, "hello"), Options{})
	if c, _ := e.Compiled(); c != 1 || !strings.Contains(log.String(), "compiled code is not kept") {
		t.Errorf("%d compiled; log is %q", c, &log)
	}
}

// TestCacheLeftovers: what a process has left that was killed goes, in time.
func TestCacheLeftovers(t *testing.T) {
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	started(t, cfg, 0, 0)
	for i, age := range []time.Duration{0, 2 * abandoned} {
		dir := filepath.Join(cfg.Cache, fmt.Sprint(unfinished, i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(dir, time.Now().Add(-age), time.Now().Add(-age))
	}
	started(t, cfg, 0, 0)
	if list, _ := os.ReadDir(cfg.Cache); len(list) != 1 || list[0].Name() != unfinished+"0" {
		t.Errorf("left are %v", list)
	}
}
