package proxywasm

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// FuzzPairs reads lists of pairs. What is one comes out as it went in.
func FuzzPairs(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255})
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0})
	f.Add(listOf(edge.Field{Name: "a", Value: "b"}, edge.Field{Name: ":path"}))
	f.Add(append(listOf(edge.Field{Name: "a", Value: "b"}), "more"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, ok := parsePairs(b)
		if !ok {
			return
		}
		all := fieldsOf(list)
		again, ok := parsePairs(listOf(all...))
		if got := fieldsOf(again); !ok || !slices.Equal(got, all) {
			t.Errorf("%q becomes %q", all, got)
		}
	})
}

// listOf returns a list of pairs.
func listOf(all ...edge.Field) []byte {
	p := newPairs(nil, len(all))
	for _, f := range all {
		p.b = append(p.b, f.Name...)
		p.end()
		p.b = append(p.b, f.Value...)
		p.end()
	}
	return p.b
}

func fieldsOf(list pairList) (all []edge.Field) {
	for list.n > 0 {
		name, value := list.next()
		all = append(all, edge.Field{Name: name, Value: value})
	}
	return all
}

// FuzzHost calls host functions as a guest can: in any order, with any pointers and
// lengths. Whatever happens is a status or a verdict on the guest, and never a fault of
// the host.
func FuzzHost(f *testing.F) {
	for i := range host.Funcs {
		for _, a := range []uint32{0, 1, 64, 65535, 0xfffffff0, 0xffffffff} {
			b := []byte{byte(i)}
			for j := range 12 {
				b = binary.LittleEndian.AppendUint32(b, a*uint32(j%2)+uint32(j))
			}
			f.Add(b)
		}
	}
	filter := load(f, Config{Upstream: api, Fetch: []string{"api"}, Body: 1000, Fields: 2000})
	f.Fuzz(func(t *testing.T, calls []byte) {
		y := request1("POST", "/?a", edge.Content([]byte("content")), 7)
		defer y.End()
		st := filter.begin(y)
		for d := range st.flow {
			st.flow[d].src, st.flow[d].held = y.Request.Body, append(st.flow[d].held, "held"...)
		}
		v, err := filter.join(st)
		if err != nil {
			t.Fatal(err)
		}
		st.v, st.id = v, 7
		v.add(st)
		const size = 1 + 12*4
		for ; len(calls) >= size; calls = calls[size:] {
			fuzzCall(t, v, st, calls[:size])
		}
	})
}

func fuzzCall(t *testing.T, v *vm, s *stream, b []byte) {
	fn := host.Funcs[int(b[0])%len(host.Funcs)]
	var stack [12]uint64
	for i := range stack {
		stack[i] = uint64(binary.LittleEndian.Uint32(b[1+4*i:]))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.serve(s)
	defer v.serve(nil)
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
	fn.Call(v.in, stack[:])
}
