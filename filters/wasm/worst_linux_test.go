package wasm

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
)

var worst = flag.String("worst", "", "have TestWorst compile what takes as much work as a module may, of the shape of that name or, with all, of each, which takes minutes; it prints what that takes")

// TestWorst compiles modules that are as much as a module may be, of large functions and
// of small ones.
func TestWorst(t *testing.T) {
	if *worst == "" {
		t.Skip("-worst is not given: go test ./filters/wasm -run TestWorst -v -args -worst all")
	}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		for _, work := range []int64{1 << 12, 3 << 19} {
			if *worst != "all" && *worst != name {
				continue
			}
			binary, n := whole(shapes[name], work)
			if n == 0 {
				continue
			}
			cfg := Config{Time: time.Hour, Cache: filepath.Join(t.TempDir(), "code")}
			e := NewEngine(cfg)
			debug.FreeOSMemory()
			if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // what has been the most
				t.Fatal(err)
			}
			began := processorTime(t)
			m, err := e.Compile(context.Background(), binary)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d functions, %d bytes: %v of processor time, %s", name, n, len(binary), processorTime(t)-began, status(t, "VmHWM:"))
			m.Close()
			e.Close()
		}
	}
}

// whole returns the largest module of equal functions of a shape that may be compiled, of
// which one takes so much work at most.
func whole(shape func(int) (int, []byte), work int64) (binary []byte, functions int) {
	const least = 400 // or some shapes are none
	var body []byte
	locals, each, first := 0, int64(0), int64(0)
	for n := least; n < 1<<22; n += n / 8 {
		l, b := shape(n)
		one, err := rewrite.Inspect(bomb(1, l, b, values), rewrite.Options{FunctionWork: work})
		if err != nil {
			break
		}
		two, err := rewrite.Inspect(bomb(2, l, b, values), rewrite.Options{})
		if err != nil {
			break
		}
		locals, body, each, first = l, b, two.Work-one.Work, one.Work
	}
	if body == nil {
		return nil, 0
	}
	n := min((40<<20-first)/each, int64(32<<20/(len(body)+10)))
	return bomb(int(n), locals, body, values), int(n)
}

// processorTime returns what the process has used.
func processorTime(t *testing.T) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// status returns a line of /proc/self/status.
func status(t *testing.T, name string) string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, name) {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return "unknown"
}
