package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// answering returns a module whose handle_request returns n, below 64. Modules of
// different numbers differ in that only.
func answering(n byte) []byte {
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		[]byte{1, 5, 1, 0x60, 0, 1, 0x7e},                            // a type () -> i64
		[]byte{3, 2, 1, 0},                                           // a function
		[]byte{7, 18, 1, 14}, []byte("handle_request"), []byte{0, 0}, // export
		[]byte{10, 6, 1, 4, 0, 0x42, n, 0x0b}) // i64.const n
}

// answer returns what handle_request does, of a module that e makes of binary.
func answer(t testing.TB, e *Engine, binary []byte, hosts ...*Host) (m *Module, n uint64) {
	t.Helper()
	m, err := e.Compile(context.Background(), binary, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPool(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	in := get(t, p)
	defer in.Close()
	var stack [1]uint64
	if err := in.Call("handle_request", stack[:]); err != nil {
		t.Fatal(err)
	}
	return m, stack[0]
}

// TestStores: modules share what their host functions take, and nothing else. A store
// goes with the last of its modules.
func TestStores(t *testing.T) {
	a, b := &Host{Name: "env"}, &Host{Name: "env"}
	for _, cfg := range []Config{{Parallel: 1}, {Parallel: 1, Cache: filepath.Join(t.TempDir(), "code")}} {
		e := NewEngine(cfg)
		var list []*Module
		add := func(n byte, hosts ...*Host) *store {
			t.Helper()
			m, got := answer(t, e, answering(n), hosts...)
			if got != uint64(n) {
				t.Errorf("module %d answers %d", n, got)
			}
			list = append(list, m)
			return m.store
		}
		first := add(1)
		if s := add(2); s != first {
			t.Error("two modules do not share a store")
		}
		if s := add(3, a); s != first {
			t.Error("a module with a host does not share the store")
		}
		// Hosts are what they import from only if there is something to import.
		first.hosts["env"] = a
		second := add(4, b)
		if second == first {
			t.Error("hosts of the same name share a store")
		}
		second.types = maxStoreTypes
		third := add(5)
		if third == second {
			t.Error("a store with too many types takes another module")
		}
		if _, err := e.Compile(context.Background(), append(answering(6)[:len(answering(6))-3], 0x41, 6, 0x0b)); err == nil {
			t.Error("an invalid module is compiled")
		}
		if s := add(7); s == third {
			t.Error("a store in which something has failed takes another module")
		}
		e.Close()
		for i, m := range list {
			if m.store.refs.Load() <= 0 {
				t.Errorf("the store of module %d is closed", i)
			}
			m.Close()
		}
		e.jobs.Wait() // a compilation has its own for a moment longer than it is waited for
		for i, m := range list {
			if n := m.store.refs.Load(); n != 0 {
				t.Errorf("the store of module %d has %d references left", i, n)
			}
		}
	}
}

// TestCodeOfAnotherRuntime: code that is authentic, and that the runtime does not take,
// is made anew; nobody gets a shell's.
func TestCodeOfAnotherRuntime(t *testing.T) {
	for what, change := range map[string]func(file string) error{
		"another version": func(file string) error {
			b, err := os.ReadFile(file)
			if err == nil {
				b[len("WAZEVO")+1] ^= 1 // of the version's text
				err = os.WriteFile(file, b, 0o600)
			}
			return err
		},
		"no code": func(file string) error { return os.WriteFile(file, []byte("no code"), 0o600) },
		"another processor": func(file string) error {
			return os.Rename(file, filepath.Join(filepath.Dir(file), string(bytes.Repeat([]byte("0"), 64))))
		},
		"another directory": func(file string) error { return os.Rename(filepath.Dir(file), filepath.Dir(file)+"0") },
	} {
		dir := filepath.Join(t.TempDir(), "code")
		for start, want := range [][2]uint64{{1, 0}, {1, 0}, {0, 1}} {
			if start == 1 {
				file := files(t, dir)[0]
				entry := filepath.Dir(filepath.Dir(file))
				if err := change(file); err != nil {
					t.Fatal(err)
				}
				c, err := openCache(dir, 1<<20, slog.Default())
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join(entry, authentic)); err != nil {
					t.Fatal(err)
				}
				mac, _, err := c.authenticate(entry, filepath.Base(entry))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(entry, authentic), mac, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var log syncBuffer
			e := NewEngine(Config{Cache: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
			m, n := answer(t, e, answering(9))
			if n != 9 {
				t.Errorf("%s, start %d: answer is %d", what, start, n)
			}
			if c, l := e.Compiled(); c != want[0] || l != want[1] || log.String() != "" {
				t.Errorf("%s, start %d: %d compiled and %d loaded, want %v; log: %s", what, start, c, l, want, &log)
			}
			m.Close()
			e.Close()
		}
	}
}

// TestModulesAreSmall: what a module takes of the heap, once its code is kept, is less
// than its binary.
func TestModulesAreSmall(t *testing.T) {
	const n = 4
	base := guests.Read(t, "rust")
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code")}
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	e := NewEngine(cfg)
	defer e.Close()
	add := func(i int) *Module {
		m, err := e.Compile(context.Background(), distinct(t, base, i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m
	}
	add(0) // with the host functions
	before := heap()
	var list []*Module
	for i := range n {
		list = append(list, add(1+i))
	}
	if each := (heap() - before) / n; each > int64(len(base))*3/4 {
		t.Errorf("a module of %d bytes takes %d of the heap", len(base), each)
	}
	runtime.KeepAlive(list)
}
