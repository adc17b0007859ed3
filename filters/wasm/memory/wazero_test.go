package memory_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/sluice-edge/sluice/filters/wasm/memory"
)

var _ experimental.LinearMemory = (*memory.Linear)(nil)

// module is
//
//	(module (memory (export "memory") 1 4)
//	 (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
//	 (func (export "size") (result i32) memory.size)
//	 (func (export "poke") (param i32 i32) local.get 0 local.get 1 i32.store8)
//	 (func (export "peek") (param i32) (result i32) local.get 0 i32.load8_u))
const module = "\x00asm\x01\x00\x00\x00\x01\x0f\x03\x60\x01\x7f\x01\x7f\x60\x00\x01\x7f\x60\x02\x7f\x7f" +
	"\x00\x03\x05\x04\x00\x01\x02\x00\x05\x04\x01\x01\x01\x04\x07\x26\x05\x06memory\x02\x00\x04grow\x00\x00\x04siz" +
	"e\x00\x01\x04poke\x00\x02\x04peek\x00\x03\x0a\x1f\x04\x06\x00\x20\x00\x40\x00\x0b\x04\x00\x3f\x00\x0b\x09\x00\x20" +
	"\x00\x20\x01\x3a\x00\x00\x0b\x07\x00\x20\x00\x2d\x00\x00\x0b"

// The runtime and the compiled code see the memory as it is, at each turn.
func TestWazero(t *testing.T) {
	engines := map[string]wazero.RuntimeConfig{
		"compiler":    wazero.NewRuntimeConfigCompiler(),
		"interpreter": wazero.NewRuntimeConfigInterpreter(),
	}
	for name, config := range engines {
		for _, cfg := range []memory.Config{{}, {Method: memory.Compare}, {Copied: true}} {
			s, err := memory.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name+"/"+s.Method().String(), func(t *testing.T) { testWazero(t, config, s) })
			s.Close()
		}
	}
}

func testWazero(t *testing.T, config wazero.RuntimeConfig, s *memory.System) {
	const limit = 3 * memory.PageSize // one page below the module's maximum
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, config)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, []byte(module))
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.NewLinear(limit)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Free()

	content := bytes.Repeat([]byte{7}, 2*memory.PageSize)
	im, err := s.NewImage(content)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	if err := l.Use(im); err != nil {
		t.Fatal(err)
	}
	allocate := func(capacity, maximum uint64) experimental.LinearMemory { return l }
	mod, err := runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(allocate)),
		compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string, args ...uint64) int32 {
		t.Helper()
		result, err := mod.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			t.Fatalf("%s%v: %v", name, args, err)
		}
		if len(result) == 0 {
			return 0
		}
		return int32(uint32(result[0]))
	}
	want := func(want int32, name string, args ...uint64) {
		t.Helper()
		if got := call(name, args...); got != want {
			t.Errorf("%s%v: got %d, want %d", name, args, got, want)
		}
	}
	traps := func(at uint64) {
		t.Helper()
		if _, err := mod.ExportedFunction("peek").Call(ctx, at); err == nil {
			t.Errorf("the guest has read at %d", at)
		}
	}
	for range 3 {
		want(2, "size") // of the image, not the one of the module
		want(7, "peek", 2*memory.PageSize-1)
		traps(2 * memory.PageSize)
		call("poke", 5, 200)
		want(200, "peek", 5)
		if got := l.Bytes()[5]; got != 200 {
			t.Errorf("the host sees %d, want 200", got)
		}
		want(2, "grow", 1)
		want(-1, "grow", 1) // the module may, the memory may not
		want(3, "size")
		want(0, "peek", limit-1)
		call("poke", limit-1, 9)
		if _, err := l.Reset(); err != nil {
			t.Fatal(err)
		}
		if !l.Publish(mod.Memory().Grow) {
			t.Fatal("the runtime did not take the length")
		}
		want(2, "size")
		want(7, "peek", 5)
		traps(2 * memory.PageSize)
		want(2, "grow", 1)
		want(0, "peek", limit-1)
		if _, err := l.Reset(); err != nil || !l.Publish(mod.Memory().Grow) {
			t.Fatalf("not reset: %v", err)
		}
	}

	refuse := true
	l.Grow = func(from, to int64) bool { return !refuse }
	want(-1, "grow", 1)
	refuse = false
	want(2, "grow", 1)

	short, err := s.NewImage(content[:memory.PageSize])
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	if err := l.Use(short); err != nil || !l.Publish(mod.Memory().Grow) {
		t.Fatalf("no other image: %v", err)
	}
	want(1, "size")
	want(7, "peek", memory.PageSize-1)
	traps(memory.PageSize)

	if err := mod.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := l.Use(im); err == nil {
		t.Error("the runtime did not free the memory")
	}
}

// The memory of an instance that failed to start is left to whoever made it.
func TestWazeroFailedStart(t *testing.T) {
	ctx := context.Background()
	s, err := memory.Open(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.NewLinear(4 * memory.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	// (module (memory 1) (func unreachable) (start 0))
	const traps = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x05\x03\x01\x00\x01\x08\x01\x00\x0a\x05\x01\x03\x00\x00\x0b"
	allocate := func(capacity, maximum uint64) experimental.LinearMemory { return l }
	_, err = runtime.Instantiate(experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(allocate)), []byte(traps))
	if err == nil {
		t.Fatal("the instance has started")
	}
	if got, want := l.Len(), int64(memory.PageSize); got != want {
		t.Errorf("the memory has %d bytes, want %d", got, want)
	}
	l.Free()
}
