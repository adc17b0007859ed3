//go:build unix && !race

package cache

import "golang.org/x/sys/unix"

// reserve returns n bytes outside the Go heap, which the collector neither scans
// nor counts. Pages take memory once they are written to.
func reserve(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func unreserve(b []byte) error { return unix.Munmap(b) }
