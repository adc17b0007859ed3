//go:build unix

package memory

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve takes n bytes of address space, which cannot be accessed yet. Nothing is
// accounted for it, also where the kernel does not overcommit.
func reserve(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|noReserve)
	if err != nil {
		return nil, mapError("reserve address space", n, err)
	}
	noHuge(b)
	return b, nil
}

// commit makes a part of a reservation accessible.
func commit(b []byte) error {
	if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return mapError("use address space", len(b), err)
	}
	return nil
}

// remap puts fresh zeros in place of a part of a reservation.
func remap(b []byte) error {
	return mapFixed(b, -1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON)
}

// protect makes a part of a reservation inaccessible.
func protect(b []byte) error { return mapFixed(b, -1, unix.PROT_NONE, unix.MAP_ANON) }

func mapFixed(b []byte, fd, prot, flags int) error {
	if len(b) == 0 {
		return nil
	}
	_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)), prot, flags|unix.MAP_PRIVATE|unix.MAP_FIXED|noReserve)
	if err != nil {
		return mapError("map", len(b), err)
	}
	noHuge(b)
	return nil
}

// release gives a reservation back.
func release(b []byte) error {
	err := unix.Munmap(b)
	if err == nil {
		return nil
	}
	// It has become one mapping with a neighbour, which cannot be split. The address
	// space is lost, the memory is not.
	return errors.Join(mapError("unmap", len(b), err), protect(b))
}

// mapError says what can be done about an error.
func mapError(op string, n int, err error) error {
	fix := ""
	switch {
	case errors.Is(err, unix.ENOMEM):
		fix = "; the process may have too many mappings (sysctl vm.max_map_count), too much address space (ulimit -v), or the system no memory"
	case errors.Is(err, unix.EMFILE):
		fix = "; the process may not have more files (ulimit -n)"
	case errors.Is(err, unix.ENFILE):
		fix = "; the system may not have more files (sysctl fs.file-max)"
	}
	return fmt.Errorf("%s, %d bytes: %w%s", op, n, err, fix)
}
