package memory

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const canMap = true

// imageName is how images are called in /proc/PID/maps.
const imageName = "sluice-wasm-image"

// imageFile is a file in memory (memfd_create(2)) that has an image. The zero value
// is none.
type imageFile struct {
	open bool
	fd   int
	view []byte
}

func (f *imageFile) create(n int, dense bool) error {
	fd, err := unix.MemfdCreate(imageName, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL|unix.MFD_ALLOW_SEALING)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3
		fd, err = unix.MemfdCreate(imageName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return mapError("make a file in memory", n, err)
	}
	f.open, f.fd = true, fd
	err = again(func() error { return unix.Ftruncate(fd, int64(n)) })
	if err == nil && dense {
		err = again(func() error { return unix.Fallocate(fd, 0, 0, int64(n)) })
	}
	if err != nil {
		f.close()
		return mapError("extend a file in memory", n, err)
	}
	return nil
}

// again calls a system call until no signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f *imageFile) write(b []byte, at int) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(f.fd, b, int64(at))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return mapError("write a file in memory", len(b), err)
		case n == 0:
			return errors.New("write a file in memory: no progress")
		default:
			b, at = b[n:], at+n
		}
	}
	return nil
}

// seal makes the file's content and length final, and returns the content. It is
// mapped privately, which shares as well, since nobody writes; before Linux 6.7 a
// file that is sealed against writing could not be mapped in another way.
func (f *imageFile) seal(n int) ([]byte, error) {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(f.fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal a file in memory: %w", err)
	}
	view, err := unix.Mmap(f.fd, 0, n, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, mapError("map a file in memory", n, err)
	}
	noHuge(view)
	f.view = view
	return view, nil
}

// mapOver maps the file copy-on-write in place of b, from its beginning.
func (f *imageFile) mapOver(b []byte) error {
	return mapFixed(b, f.fd, unix.PROT_READ|unix.PROT_WRITE, 0)
}

func (f *imageFile) close() {
	if f.view != nil {
		_ = unix.Munmap(f.view)
	}
	if f.open {
		_ = unix.Close(f.fd)
	}
	*f = imageFile{}
}
