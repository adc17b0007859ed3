package wasm

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
	"github.com/tetratelabs/wazero"
)

// TestTables spreads what is left over several tables.
func TestTables(t *testing.T) {
	module := append([]byte("\x00asm\x01\x00\x00\x00"), secTable, 13, 3,
		0x70, 0, 10, // 10 or more
		0x70, 1, 1, 2, // 1 to 2
		0x6f, 1, 5, 0xe8, 0x07) // 5 to 1000
	_, got, err := bound(module, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte("\x00asm\x01\x00\x00\x00"), secTable, 13, 3,
		0x70, 1, 10, 10+28,
		0x70, 1, 1, 2,
		0x6f, 1, 5, 5+28)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if _, _, err := bound(module, 15); err == nil || !strings.Contains(err.Error(), "tables have 16 entries") {
		t.Errorf("error is %v", err)
	}
}

// filling is a module that fills a memory of 32 MiB n times, without a loop.
func filling(n int) []byte {
	section := func(b []byte, id byte, body ...byte) []byte {
		return append(appendU32(append(b, id), uint32(len(body))), body...)
	}
	fill := []byte{0x41, 0, 0x41, 0xfc, 0, 0x41, 0x80, 0x80, 0x80, 0x10, 0xfc, 0x0b, 0} // 0xfc is in a constant, too
	code := append([]byte{0}, bytes.Repeat(fill, n)...)
	code = append(code, 0x42, 1, 0x0b)
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = section(b, secType, 1, 0x60, 0, 1, byte(I64))
	b = section(b, secFunc, 1, 0)
	b = section(b, secMemory, 1, 0, 0x80, 0x04)
	b = section(b, secExport, append([]byte{1, 14}, "handle_request\x00\x00"...)...)
	return section(b, secCode, append(appendU32([]byte{1}, uint32(len(code))), code...)...)
}

func TestBulk(t *testing.T) {
	_, got, err := bound(filling(2), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(got, append(check[:], 0xfc, 0x0b)); n != 2 || bytes.Count(got, check[:]) != 3 {
		t.Errorf("%d of 2 are checked in %x", n, got)
	}
	e := NewEngine(Config{})
	defer e.Close()
	m, err := e.Compile(context.Background(), filling(500))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in, err := newPool(t, m, Options{Limits: Limits{Call: 10 * time.Millisecond}}).Get(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var stack [1]uint64
	if err := in.Call("handle_request", stack[:]); cause(err) != TimedOut {
		t.Errorf("error is %v", err)
	}
}

// bombs are modules that say they have more than the machine.
var bombs = [][]byte{
	[]byte("\x00asm\x01\x00\x00\x00\t\x10\xff\xff\xff\xff\x01\x00`\x10\x92\x92\x10\n\x80\x92\x7f\x00"), // segments
	[]byte("\x00asm\x01\x00\x00\x00\x09\x08\x01\x01\x00\xff\xff\xff\xff\x0f"),                          // elements
	[]byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"),                                      // types
	[]byte("\x00asm\x01\x00\x00\x00\x01\x07\x01\x60\xff\xff\xff\xff\x0f"),                              // parameters
	[]byte("\x00asm\x01\x00\x00\x00\x06\x05\xff\xff\xff\xff\x0f"),                                      // globals
	[]byte("\x00asm\x01\x00\x00\x00\x07\x06\x01\xff\xff\xff\xff\x0f"),                                  // name of an export
	[]byte("\x00asm\x01\x00\x00\x00\x0b\x07\x01\x01\xff\xff\xff\xff\x0f"),                              // bytes of data
	[]byte("\x00asm\x01\x00\x00\x00\x0a\x06\x01\xff\xff\xff\xff\x0f"),                                  // bytes of code
	[]byte("\x00asm\x01\x00\x00\x00\x00\x05\xff\xff\xff\xff\x0f"),                                      // name of a custom section
}

func TestBombs(t *testing.T) {
	e := NewEngine(Config{})
	defer e.Close()
	for _, b := range bombs {
		if _, err := e.Compile(context.Background(), b); err == nil || !strings.Contains(err.Error(), "section") {
			t.Errorf("%x: %v", b, err)
		}
	}
	// What is wrong with names does not matter: there are none then.
	names := []byte("\x00asm\x01\x00\x00\x00\x00\x0c\x04name\x01\x05\xff\xff\xff\xff\x0f")
	m, err := e.Compile(context.Background(), names)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// FuzzCompile feeds bytes to the engine. Bounding a module must not change
// whether it is valid, and one that can be made must be contained.
func FuzzCompile(f *testing.F) {
	for _, name := range guests.Names(f) {
		f.Add(guests.Read(f, name))
	}
	f.Add(filling(3))
	for _, b := range bombs {
		f.Add(b)
	}
	e := NewEngine(Config{Size: 1 << 16, Tables: 1000})
	f.Fuzz(func(t *testing.T, binary []byte) {
		_, bounded, err := bound(binary, 1000)
		if err == nil && !bytes.Contains(binary, []byte("\x04name")) { // which the runtime refuses to read wrongly
			if before, after := valid(binary), valid(bounded); (before == nil) != (after == nil) {
				t.Fatalf("before: %v, after: %v", before, after)
			}
		}
		m, err := e.Compile(t.Context(), binary)
		if err != nil {
			return
		}
		defer m.Close()
		p, err := NewPool(m, Options{Limits: Limits{Memory: 1 << 20, Start: 10 * time.Millisecond}})
		if err != nil {
			return
		}
		defer p.Close()
		if in, err := p.Get(nil, nil); err == nil {
			in.Close()
		}
	})
}

func valid(binary []byte) error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithDebugInfoEnabled(false))
	defer r.Close(ctx)
	_, err := r.CompileModule(ctx, binary)
	return err
}
