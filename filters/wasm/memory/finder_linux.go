package memory

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxRegions is how many regions one system call finds: those of most requests, in
// 3 KiB.
const maxRegions = 128

// brief is how many bytes the system looks through in a few microseconds: the
// scheduler is not told, since to be told costs as much.
const brief = 256 << 10

// maxEntries is how many pages one read of /proc/self/pagemap is about.
const maxEntries = 512

// finder finds the pages of a memory that are private.
type finder struct {
	base    uint64 // address of the memory
	regions []region
	entries []uint64 // of /proc/self/pagemap
	arg     scanArg
}

// region is struct page_region of linux/fs.h: addresses of pages in a row.
type region struct{ start, end, categories uint64 }

// scanArg is struct pm_scan_arg of linux/fs.h.
type scanArg struct {
	size, flags       uint64
	start, end        uint64
	walkEnd           uint64
	vec, vecLen       uint64
	maxPages          uint64
	categoryInverted  uint64
	categoryMask      uint64
	categoryAnyOfMask uint64
	returnMask        uint64
}

const (
	pagemapScan = 0xc0606610 // PAGEMAP_SCAN

	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4

	// Bits of an entry of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
	entryPresent = 1 << 63
	entrySwapped = 1 << 62
	entryFile    = 1 << 61
)

func openPagemap() (int, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open /proc/self/pagemap: %w", err)
	}
	return fd, nil
}

func closePagemap(fd int) { _ = unix.Close(fd) }

// start makes room for what is found in a memory of so many pages.
func (f *finder) start(s *System, pages int) {
	switch s.method {
	case Scan:
		if n := min(maxRegions, (pages+1)/2); len(f.regions) < n {
			f.regions = make([]region, n)
		}
	case Pagemap:
		if n := min(maxEntries, pages); len(f.entries) < n {
			f.entries = make([]uint64, n)
			f.regions = make([]region, (n+1)/2)
		}
	}
}

// find returns regions of private pages of a memory, in order, from a place on, and
// how far it has come. A page is a private copy if it is not the file's; it may have
// been swapped out since.
func (f *finder) find(s *System, memory []byte, at int) (found []region, next int, err error) {
	f.base = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	if s.method == Scan {
		return f.scan(s.pagemap, memory, at)
	}
	return f.read(s, memory, at)
}

func (f *finder) scan(fd int, memory []byte, at int) (found []region, next int, err error) {
	f.arg = scanArg{
		size:              uint64(unsafe.Sizeof(f.arg)),
		start:             f.base + uint64(at),
		end:               f.base + uint64(len(memory)),
		vec:               uint64(uintptr(unsafe.Pointer(unsafe.SliceData(f.regions)))),
		vecLen:            uint64(len(f.regions)),
		categoryInverted:  pageIsFile,
		categoryMask:      pageIsFile,
		categoryAnyOfMask: pageIsPresent | pageIsSwapped,
		returnMask:        pageIsFile, // the same of all that are found: neighbours are one region
	}
	for {
		var n uintptr
		var errno unix.Errno
		if len(memory)-at <= brief {
			n, _, errno = unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), pagemapScan, uintptr(unsafe.Pointer(&f.arg)))
		} else {
			n, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pagemapScan, uintptr(unsafe.Pointer(&f.arg)))
		}
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return nil, 0, fmt.Errorf("PAGEMAP_SCAN: %w", errno)
		case f.arg.walkEnd <= f.arg.start || f.arg.walkEnd > f.arg.end || n > uintptr(len(f.regions)):
			return nil, 0, fmt.Errorf("PAGEMAP_SCAN: from %#x to %#x: %d regions up to %#x", f.arg.start, f.arg.end, n, f.arg.walkEnd)
		}
		// The walk ends early when the regions are full.
		return f.regions[:n], int(f.arg.walkEnd - f.base), nil
	}
}

func (f *finder) read(s *System, memory []byte, at int) (found []region, next int, err error) {
	page := uint64(s.page)
	address := f.base + uint64(at)
	want := min(len(f.entries), (len(memory)-at)/s.page)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f.entries))), want*8)
	n, err := unix.Pread(s.pagemap, b, int64(address/page*8))
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Pread(s.pagemap, b, int64(address/page*8))
	}
	if err == nil && n < 8 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read /proc/self/pagemap: %w", err)
	}
	count := 0
	for _, e := range f.entries[:n/8] {
		if e&(entryPresent|entrySwapped) != 0 && e&entryFile == 0 {
			if count > 0 && f.regions[count-1].end == address {
				f.regions[count-1].end += page
			} else {
				f.regions[count] = region{start: address, end: address + page}
				count++
			}
		}
		address += page
	}
	return f.regions[:count], int(address - f.base), nil
}
