package httpwasm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// FuzzHostCalls calls host functions as a guest can: in any order, with any
// pointers and lengths, in each phase. Whatever happens is a verdict on the
// guest, and never a fault of the host.
func FuzzHostCalls(f *testing.F) {
	call := func(fn int, args ...uint32) []byte {
		b := []byte{byte(fn)}
		for i := range 5 {
			var a uint32
			if i < len(args) {
				a = args[i]
			}
			b = binary.LittleEndian.AppendUint32(b, a)
		}
		return b
	}
	all := []byte{7}
	for i := range 2 * len(host.Funcs) { // in both phases
		all = append(all, call(i, 0, 1, 2, 3, 4)...)
		f.Add(append([]byte{7}, call(i, 1, 0xffffffff, 0xffffffff, 0xfffffff0, 0x20)...))
		f.Add(append([]byte{2}, call(i, 3, 0, 8, 65535, 1)...))
		f.Add(append([]byte{0}, call(i, 0, 65536, 0, 65536, 0)...))
	}
	f.Add(all)
	filter := load(f, "hello", Config{Config: []byte("config"), Body: 1000, Fields: 2000})
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) == 0 {
			return
		}
		x := request("POST", "/a?b", &streamed{pieces: []string{"con", strings.Repeat("tent", 400)}}, -1, "A", "b", "a", "c")
		defer x.End()
		g := &guest{f: filter, x: x}
		x.Record.Filters = append(x.Record.Filters, edge.FilterRun{})
		if err := g.start(); err != nil {
			t.Fatal(err)
		}
		g.features = features(calls[0]) & allFeatures
		g.requested.src = x.Request.Body
		clear(g.in.Read(0, uint32(g.in.Bytes()))) // what is called here by itself nobody puts back
		copy(g.in.Read(0, 64), "x-a\x00value\x00/path?query\x00example.org\x00")
		defer g.end()
		calls = calls[1:]
		half := len(calls) / 21 / 2
		for i := 0; len(calls) >= 21; i++ {
			if i == half {
				g.forward()
				if err := (&origin{}).Serve(x); err != nil {
					t.Fatal(err)
				}
				g.merge()
				g.phase, g.responded.src = inResponse, x.Response.Body
			}
			g.fuzzCall(t, calls[:21])
			calls = calls[21:]
		}
		if g.phase == inResponse {
			g.deliver()
		} else {
			g.respond()
		}
		responseBody(t, x)
	})
}

func (g *guest) fuzzCall(t *testing.T, b []byte) {
	var stack [5]uint64
	for i := range stack {
		stack[i] = uint64(binary.LittleEndian.Uint32(b[1+4*i:]))
	}
	fn := host.Funcs[int(b[0])%len(host.Funcs)]
	if fn.ReadOnly {
		before := bytes.Clone(g.in.Read(0, uint32(g.in.Bytes())))
		defer func() {
			if !bytes.Equal(g.in.Read(0, uint32(g.in.Bytes())), before) {
				t.Errorf("%s writes memory", fn.Name)
			}
		}()
	}
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if _, ok := r.(runtime.Error); ok {
			panic(fmt.Sprintf("%s: %v", fn.Name, r))
		}
		if _, ok := r.(error); !ok {
			t.Errorf("%s panics with %v", fn.Name, r)
		}
	}()
	fn.Call(g.in, stack[:])
}
