//go:build unix && !linux

package memory

const noReserve = 0

func noHuge([]byte) {}

// discard makes a part of a memory zeros, and gives its pages back. That is not
// what MADV_DONTNEED does on all systems.
func discard(b []byte) error { return remap(b) }
