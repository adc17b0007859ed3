package memory

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confined names, in the environment of a process that a test has started, what the
// process is to do without.
const confined = "SLUICE_TEST_CONFINED"

// confine runs the test that calls it in a process of its own, in which it returns
// true. What restricts a process cannot be taken back.
func confine(t *testing.T, what string) (inside bool) {
	t.Helper()
	if os.Getenv(confined) == what {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	cmd.Env = append(os.Environ(), confined+"="+what)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
	if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("the test did not run:\n%s", out)
	}
	return false
}

// works makes a memory, and resets it.
func works(t *testing.T, s *System) {
	t.Helper()
	content := pattern(4 * PageSize)
	g := newGuest(t, s, 8*PageSize, 9).use(t, newImage(t, s, content))
	for range 3 {
		g.grow(3)
		for i := range g.b {
			g.b[i]++
		}
		g.reset(t)
		g.same(t, content)
	}
}

// Where the kernel, or who confines the process, denies a way there is another.
func TestDenied(t *testing.T) {
	for _, test := range []struct {
		name   string
		calls  []uint32
		method Method
		mapped bool
		reason string
	}{
		{"ioctl", []uint32{unix.SYS_IOCTL}, Pagemap, true, "scan does not work: PAGEMAP_SCAN: operation not permitted"},
		{"pread", []uint32{unix.SYS_IOCTL, unix.SYS_PREAD64}, Compare, true, "pagemap does not work: read /proc/self/pagemap: operation not permitted"},
		{"memfd", []uint32{unix.SYS_MEMFD_CREATE}, Compare, false, "compare does not work: make a file in memory, 262144 bytes: operation not permitted"},
		{"seals", []uint32{unix.SYS_FCNTL}, Compare, false, "seal a file in memory: operation not permitted"},
		{"madvise", []uint32{unix.SYS_MADVISE}, Scan, true, "it works"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !confine(t, test.name) {
				return
			}
			if method, reason := Detect(); method != Scan {
				t.Skipf("this system has but %v: %s", method, reason)
			}
			deny(t, test.calls)
			s := open(t, Config{})
			if s.Method() != test.method || s.Mapped() != test.mapped || !strings.Contains(s.Reason(), test.reason) {
				t.Errorf("got %v, mapped %v, because %q; want %v, mapped %v, because %q", s.Method(), s.Mapped(), s.Reason(), test.method, test.mapped, test.reason)
			}
			works(t, s)
		})
	}
}

// deny makes system calls fail with EPERM, as a container's seccomp filter does, in
// all threads.
func deny(t *testing.T, calls []uint32) {
	t.Helper()
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jump    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret     = unix.BPF_RET | unix.BPF_K
		refuse  = 0x00050000 | uint32(unix.EPERM) // SECCOMP_RET_ERRNO
		allow   = 0x7fff0000                      // SECCOMP_RET_ALLOW
		setMode = 1                               // SECCOMP_SET_MODE_FILTER
		allOf   = 1                               // SECCOMP_FILTER_FLAG_TSYNC
	)
	code := []unix.SockFilter{{Code: load, K: 0}} // seccomp_data.nr
	for i, nr := range calls {
		code = append(code, unix.SockFilter{Code: jump, K: nr, Jt: uint8(len(calls) - i)})
	}
	code = append(code, unix.SockFilter{Code: ret, K: allow}, unix.SockFilter{Code: ret, K: refuse})
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skipf("no seccomp: %v", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setMode, allOf, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		t.Skipf("no seccomp: %v", errno)
	}
}

// A process that has gained capabilities from its file may not read its own
// /proc/self/pagemap, which then is root's.
func TestNotDumpable(t *testing.T) {
	if !confine(t, "dumpable") {
		return
	}
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			t.Skipf("cannot become another user: %v", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{})
	if s.Method() != Compare || !s.Mapped() || !strings.Contains(s.Reason(), "open /proc/self/pagemap: permission denied") {
		t.Errorf("got %v, mapped %v, because %q", s.Method(), s.Mapped(), s.Reason())
	}
	works(t, s)
}

// No address space is an error, which says what to do.
func TestNoAddressSpace(t *testing.T) {
	if !confine(t, "address space") {
		return
	}
	s := open(t, Config{})
	var pages uint64
	if statm, err := os.ReadFile("/proc/self/statm"); err != nil {
		t.Skipf("not on this system: %v", err)
	} else if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: pages*uint64(s.page) + 4<<30, Max: math.MaxUint64}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &limit); err != nil {
		t.Skipf("cannot limit the address space: %v", err)
	}
	var list []*Linear
	for range 5 {
		l, err := s.NewLinear(1 << 30)
		if err == nil {
			list = append(list, l)
			continue
		}
		for _, want := range []string{"reserve address space, 1073741824 bytes", "vm.max_map_count", "ulimit -v"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, which should have %q", err, want)
			}
		}
		for _, l := range list {
			l.Free()
		}
		works(t, s)
		return
	}
	t.Error("got 5 GiB of address space, where there are 4")
}

// No descriptors are an error, which says what to do.
func TestNoFiles(t *testing.T) {
	if !confine(t, "files") {
		return
	}
	s := open(t, Config{})
	if !s.mapped {
		t.Skip("images are copied")
	}
	content := pattern(PageSize)
	_ = newImage(t, s, content)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3}); err != nil {
		t.Skipf("cannot limit files: %v", err)
	}
	_, err := s.NewImage(content)
	if got, want := fmt.Sprint(err), "too many open files; the process may not have more files (ulimit -n)"; !strings.Contains(got, want) {
		t.Errorf("got %q, which should have %q", got, want)
	}
}
