package wasm

import "testing"

// BenchmarkUse is an instance's use: taken, called, and put back. With -cpu 1,2 it
// shows how that grows with processors.
func BenchmarkUse(b *testing.B) {
	p, _ := counter(b, Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		stack := make([]uint64, 1)
		for pb.Next() {
			in := get(b, p)
			if err := in.Call("handle_request", stack); err != nil {
				b.Error(err)
			}
			in.Close()
		}
	})
}
