package wasm

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

var many = flag.Int("many", 0, "have TestMany deploy so many modules, which takes a while; it prints what that takes")

// TestMany starts with many modules of 100 KB, without code that was kept and with it.
func TestMany(t *testing.T) {
	if *many == 0 {
		t.Skip("-many is not given: go test ./filters/wasm -run TestMany -many 1000 -v")
	}
	base := guests.Read(t, "rust")
	cfg := Config{Cache: filepath.Join(t.TempDir(), "code"), Time: time.Hour}
	for _, start := range []string{"first start", "second start"} {
		began := time.Now()
		e := NewEngine(cfg)
		pools := make([]*Pool, *many)
		for i := range pools {
			m, err := e.Compile(context.Background(), distinct(t, base, i))
			if err != nil {
				t.Fatal(err)
			}
			p := &process{}
			pools[i], err = NewPool(m, Options{Command: p.command(), Limits: Limits{Start: time.Minute}})
			if err != nil {
				t.Fatal(err)
			}
			m.Close()
		}
		took := time.Since(began)
		runtime.GC()
		compiled, loaded := e.Compiled()
		t.Logf("%s: %d modules of %d bytes in %v: %d compiled, %d loaded; %s", start, *many, len(base), took, compiled, loaded, resident(t))
		if start == "second start" && (compiled != 0 || loaded != uint64(*many)) {
			t.Errorf("%d are compiled again", compiled)
		}
		for _, p := range pools {
			p.Close()
		}
		e.Close()
		for range 3 {
			runtime.GC() // code goes with finalizers
		}
	}
}

// distinct returns a module that differs from others by the name of an export.
func distinct(t *testing.T, module []byte, i int) []byte {
	old, name := "__data_end", fmt.Sprintf("data%06d", i)
	if len(name) != len(old) || bytes.Count(module, []byte("\x0a"+old+"\x03")) != 1 {
		t.Fatalf("%q is not the name of an export", old)
	}
	return bytes.Replace(module, []byte("\x0a"+old+"\x03"), []byte("\x0a"+name+"\x03"), 1)
}

// resident returns what the process has in memory.
func resident(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Sprint(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "VmRSS:") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return "unknown"
}
