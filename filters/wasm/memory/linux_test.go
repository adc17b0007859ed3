package memory

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// usage is what /proc/self/smaps says of a part of the address space, in bytes.
type usage struct{ anonymous, pss, swap int64 }

// usageOf sums up the mappings that lie in b.
func usageOf(t testing.TB, parts ...[]byte) (sum usage) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skipf("not on this system: %v", err)
	}
	defer f.Close()
	within := func(from, to uint64) bool {
		for _, b := range parts {
			begin := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
			if from >= begin && to <= begin+uint64(len(b)) {
				return true
			}
		}
		return false
	}
	in := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uint64
		var n int64
		line := lines.Text()
		if k, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); k == 2 {
			in = within(from, to)
		}
		if !in {
			continue
		}
		for name, field := range map[string]*int64{"Anonymous": &sum.anonymous, "Pss": &sum.pss, "Swap": &sum.swap} {
			if k, _ := fmt.Sscanf(line, name+": %d kB", &n); k == 1 {
				*field += n << 10
			}
		}
	}
	return sum
}

// What a memory holds is what requests write, however many there were.
func TestPrivateMemory(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		if !s.mapped {
			t.Skip("images are copied")
		}
		const pages = 10
		content := pattern(64 * PageSize)
		g := newGuest(t, s, 128*PageSize, 129).use(t, newImage(t, s, content))
		for i := range 1000 {
			for p := range pages {
				g.b[5*p*s.page+i%s.page]++
			}
			if i%10 == 0 {
				g.grow(30)
				for at := len(content); at < len(g.b); at += s.page {
					g.b[at] = 1
				}
			}
			g.reset(t)
		}
		g.same(t, content) // which reads all
		want := int64(pages * s.page)
		if got := usageOf(t, g.space[:len(content)]).anonymous; got != want {
			t.Errorf("the kernel says that %d bytes are private, want %d", got, want)
		}
		if got := g.Private(); got != want {
			t.Errorf("the memory says that %d bytes are private, want %d", got, want)
		}
		if err := g.Trim(); err != nil {
			t.Fatal(err)
		}
		if got := usageOf(t, g.space).anonymous; got != 0 {
			t.Errorf("%d bytes are private after Trim", got)
		}
	})
}

// What nobody writes is there once.
func TestSharedMemory(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		if !s.mapped {
			t.Skip("images are copied")
		}
		const memories = 100
		content := pattern(32 * PageSize)
		im := newImage(t, s, content)
		spaces := [][]byte{im.content}
		for range memories {
			g := newGuest(t, s, 40*PageSize, 41).use(t, im)
			for range 3 {
				g.b[0]++
				g.reset(t)
			}
			g.same(t, content)
			spaces = append(spaces, g.space)
		}
		got := usageOf(t, spaces...)
		private := int64(memories * s.page)
		if got.anonymous != private {
			t.Errorf("%d bytes are private, want %d", got.anonymous, private)
		}
		// The kernel rounds each mapping's part to a KiB.
		if most := private + im.Len() + memories<<11; got.pss > most {
			t.Errorf("%d memories take %d bytes together, want at most %d", memories, got.pss, most)
		}
	})
}

// Zeros take no memory, as long as nobody reads them.
func TestSparseImage(t *testing.T) {
	content := make([]byte, 64*PageSize)
	content[10*PageSize] = 1
	content[len(content)-1] = 2
	for _, test := range []struct {
		dense bool
		want  int64
	}{{false, int64(2 * os.Getpagesize())}, {true, int64(len(content))}} {
		s := open(t, Config{})
		if !s.mapped {
			t.Skip("images are copied")
		}
		s.dense = test.dense
		im := newImage(t, s, content)
		g := newGuest(t, s, im.Len(), 65).use(t, im)
		g.reset(t)
		var stat unix.Stat_t
		if err := unix.Fstat(im.file.fd, &stat); err != nil {
			t.Fatal(err)
		}
		if got := stat.Blocks * 512; got != test.want {
			t.Errorf("dense %v: the image takes %d bytes, want %d", test.dense, got, test.want)
		}
		if got, want := im.Held(), int64(2*s.page); got != want {
			t.Errorf("the image says that it takes %d bytes, want %d", got, want)
		}
		g.same(t, content)
	}
}

// Nobody can change an image.
func TestSealedImage(t *testing.T) {
	s := open(t, Config{})
	if !s.mapped {
		t.Skip("images are copied")
	}
	im := newImage(t, s, pattern(PageSize))
	_, err := unix.Pwrite(im.file.fd, []byte{1}, 0)
	if err == nil {
		t.Error("the file can be written")
	}
	for _, n := range []int64{0, 2 * PageSize} {
		if err := unix.Ftruncate(im.file.fd, n); err == nil {
			t.Errorf("the file can be made %d bytes long", n)
		}
	}
	flags, err := unix.FcntlInt(uintptr(im.file.fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor has flags %#x, %v: it is inherited by other programs", flags, err)
	}
}

// held returns the open files and mappings of the process.
func held(t testing.TB) (files map[string]int, mappings int) {
	t.Helper()
	files = map[string]int{}
	list, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		target, _ := os.Readlink(name)
		if strings.Contains(target, imageName) || strings.HasSuffix(target, "/pagemap") {
			target, _, _ = strings.Cut(target, " ")
			files[target]++
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skipf("not on this system: %v", err)
	}
	if n := bytes.Count(maps, []byte(imageName)); n > 0 {
		files["mapped"] = n
	}
	return files, bytes.Count(maps, []byte("\n"))
}

func TestNothingIsLeft(t *testing.T) {
	const memories = 200
	each(t, func(t *testing.T, s *System) {
		if !s.mapped {
			t.Skip("images are copied")
		}
		_, before := held(t)
		im := newImage(t, s, pattern(PageSize))
		guests := make([]*guest, memories)
		for i := range guests {
			guests[i] = newGuest(t, s, 4*PageSize, 5).use(t, im)
			guests[i].grow(1)
			guests[i].b[0]++
			guests[i].reset(t)
		}
		if _, during := held(t); during < before+memories {
			t.Errorf("%d memories have %d mappings", memories, during-before)
		}
		for _, g := range guests {
			g.Free()
		}
		im.Close()
		s.Close()
		files, after := held(t)
		if len(files) != 0 {
			t.Errorf("still open: %v", files)
		}
		if after > before+memories/10 { // Go's runtime may have mapped some
			t.Errorf("%d mappings, %d before", after, before)
		}
	})
}

// A method that fails costs time, and nothing else.
func TestMethodFails(t *testing.T) {
	for _, method := range []Method{Scan, Pagemap} {
		t.Run(method.String(), func(t *testing.T) {
			s, err := Open(Config{Method: method})
			if err != nil {
				t.Skipf("not on this system: %v", err)
			}
			defer s.Close()
			closePagemap(s.pagemap)
			null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.pagemap = null
			content := pattern(8 * PageSize)
			g := newGuest(t, s, 10*PageSize, 11).use(t, newImage(t, s, content))
			for i := range int64(3) {
				g.grow(1)
				for at := range g.b {
					g.b[at]++
				}
				if written := g.reset(t); written != 0 {
					t.Errorf("%d pages were written back", written)
				}
				g.same(t, content)
				if n, err := s.Failures(); n != i+1 || err == nil {
					t.Errorf("%d failures, the last %v; want %d", n, err, i+1)
				}
			}
			if got := g.Private(); got != 0 {
				t.Errorf("%d bytes are private, want 0", got)
			}
		})
	}
}

// A memory whose image cannot be mapped is lost, and its slices are of nothing else.
func TestMappingFails(t *testing.T) {
	s := open(t, Config{})
	if !s.mapped {
		t.Skip("images are copied")
	}
	g := newGuest(t, s, 4*PageSize, 5).use(t, newImage(t, s, pattern(2*PageSize)))
	g.b[0] = 99
	bad := newImage(t, s, pattern(3*PageSize))
	fd := bad.file.fd
	bad.file.fd = -1
	t.Cleanup(func() { _ = unix.Close(fd) })
	err := g.Use(bad)
	if err == nil || !strings.Contains(err.Error(), "bad file descriptor") {
		t.Errorf("got error %v", err)
	}
	for i, v := range g.b {
		if v != 0 {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
	g.b[0] = 1 // does not fault
	if g.Bytes() != nil || g.Reallocate(4*PageSize) != nil || g.Publish(g.grow) {
		t.Error("the memory can still be used")
	}
	_, again := g.Reset()
	for _, err := range []error{again, g.Trim(), g.Use(bad)} {
		if err == nil || !strings.Contains(err.Error(), "the memory is lost") {
			t.Errorf("got error %v", err)
		}
	}
	g.Free()
	if got := bad.refs.Load(); got != 1 {
		t.Errorf("the image has %d holds, want 1", got)
	}
}

// Pages that are locked in memory cannot be dropped by madvise.
func TestLocked(t *testing.T) {
	each(t, func(t *testing.T, s *System) {
		content := pattern(2 * PageSize)
		g := newGuest(t, s, 3*PageSize, 4).use(t, newImage(t, s, content))
		lock := func() {
			if err := unix.Mlock(g.b); err != nil {
				t.Skipf("may not lock: %v", err)
			}
		}
		g.grow(1)
		g.b[0], g.b[2*PageSize] = 1, 1
		lock()
		g.reset(t)
		g.same(t, content)
		g.b[0] = 1
		lock()
		if err := g.Trim(); err != nil {
			t.Error(err)
		}
		g.same(t, content)
	})
}

// Pages that have been swapped out are private as before.
func TestSwapped(t *testing.T) {
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil || bytes.Count(swaps, []byte("\n")) < 2 {
		t.Skip("this system has no swap space")
	}
	each(t, func(t *testing.T, s *System) {
		content := pattern(64 * PageSize)
		g := newGuest(t, s, 64*PageSize, 65).use(t, newImage(t, s, content))
		for at := 0; at < len(g.b); at += s.page {
			g.b[at] ^= 0xff
		}
		if err := unix.Madvise(g.b, unix.MADV_PAGEOUT); err != nil {
			t.Skipf("cannot swap out: %v", err)
		}
		if n := usageOf(t, g.space).swap; n == 0 {
			t.Skip("nothing was swapped out")
		}
		if n, err := g.written(); err != nil || n != len(content)/s.page {
			t.Errorf("found %d pages, %v; want %d", n, err, len(content)/s.page)
		}
		g.reset(t)
		g.same(t, content)
	})
}

// What most requests write takes one system call to find.
func TestOneCall(t *testing.T) {
	s := open(t, Config{Method: Scan})
	g := newGuest(t, s, 512*PageSize, 513).use(t, newImage(t, s, pattern(512*PageSize)))
	for p := range maxRegions - 1 {
		g.b[p*2*s.page]++
	}
	found, next, err := g.finder.find(s, g.b, 0)
	if err != nil || next != len(g.b) || len(found) != maxRegions-1 {
		t.Errorf("found %d regions up to %d, %v; want %d up to %d", len(found), next, err, maxRegions-1, len(g.b))
	}
}
