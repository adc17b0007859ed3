package kv

import (
	"strconv"
	"sync/atomic"
	"testing"
)

func BenchmarkGet(b *testing.B) {
	s := open(b, file(b), Config{})
	for n := range 100 {
		set(b, s, "a", strconv.Itoa(n), "value", Any, nil)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := s.Look("a", "50", func(Entry) {}); err != nil {
				b.Error(err)
			}
		}
	})
}

// Writers that wait at the same time share a sync: 2, 16 and 256 of them, with two processors.
func BenchmarkSet(b *testing.B) {
	for _, writers := range []int{2, 16, 256} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			s := open(b, file(b), Config{})
			var n atomic.Int64
			b.SetParallelism(writers / 2)
			b.RunParallel(func(pb *testing.PB) {
				key := strconv.FormatInt(n.Add(1), 10)
				for pb.Next() {
					if _, err := s.Set("a", key, []byte("value"), 0, Any); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
