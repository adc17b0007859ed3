package memory

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

// BenchmarkReset writes a byte to so many pages and resets, in images of different
// lengths, with one thread and with two.
func BenchmarkReset(b *testing.B) { benchmarkResets(b, false) }

// BenchmarkResetRead does so after the guest has read all pages, which the kernel
// then has to look at each time.
func BenchmarkResetRead(b *testing.B) { benchmarkResets(b, true) }

func benchmarkResets(b *testing.B, read bool) {
	for _, c := range configs {
		for _, length := range []int{64 << 10, 1 << 20, 3 << 20, 76 << 20} {
			for _, pages := range []int{0, 3, 22, 544} {
				for _, threads := range []int{1, 2} {
					name := fmt.Sprintf("%s/%dKiB/pages=%d/threads=%d", c.name, length>>10, pages, threads)
					b.Run(name, func(b *testing.B) { benchmarkReset(b, open(b, c.Config), length, pages, threads, read) })
				}
			}
		}
	}
}

func benchmarkReset(b *testing.B, s *System, length, pages, threads int, read bool) {
	if pages*s.page > length {
		b.Skip("the image has fewer pages")
	}
	im := newImage(b, s, pattern(length))
	step := 0
	if pages > 0 {
		step = length / s.page / pages * s.page
	}
	guests := make([]*guest, threads)
	for i := range guests {
		guests[i] = newGuest(b, s, int64(length), length/PageSize).use(b, im)
		for at := 0; read && at < length; at += s.page {
			if !bytes.Equal(guests[i].b[at:at+1], im.content[at:at+1]) {
				b.Fatal("a memory differs from its image")
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for _, g := range guests {
		all.Go(func() {
			for i := range b.N {
				for p := range pages {
					g.b[p*step+64] = byte(i + 1)
				}
				if _, err := g.Reset(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkUse makes a memory, gives it an image, lets it write to three pages, and
// frees it.
func BenchmarkUse(b *testing.B) {
	for _, c := range configs {
		for _, length := range []int{64 << 10, 1 << 20, 3 << 20, 76 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, length>>10), func(b *testing.B) {
				s := open(b, c.Config)
				im := newImage(b, s, pattern(length))
				for b.Loop() {
					l, err := s.NewLinear(int64(length))
					if err != nil {
						b.Fatal(err)
					}
					if err := l.Use(im); err != nil {
						b.Fatal(err)
					}
					m := l.Reallocate(0)
					m[0], m[len(m)/2], m[len(m)-1] = 1, 2, 3
					l.Free()
				}
			})
		}
	}
}
