package memory

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

const noReserve = unix.MAP_NORESERVE

// noHuge keeps huge pages off: a single byte written would make 2 MiB private. A
// kernel without them refuses, which is as good.
func noHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }

// discard gives the private pages of a part of a memory back. What is there then is
// what was mapped: the image, or zeros.
func discard(b []byte) error { return unix.Madvise(b, unix.MADV_DONTNEED) }

// strictOvercommit reports whether the kernel accounts for memory before it is used
// (vm.overcommit_memory=2). There a file must have its pages beforehand, or a
// guest that touches one could meet with SIGBUS.
func strictOvercommit() bool {
	mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	return err == nil && bytes.Equal(bytes.TrimSpace(mode), []byte("2"))
}
