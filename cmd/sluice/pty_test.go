//go:build linux

package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openPTY returns both sides of a terminal of so many columns.
func openPTY(t *testing.T, columns uint16) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { user.Close() })
	control := func(f *os.File, request uintptr, arg unsafe.Pointer) {
		t.Helper()
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
			t.Fatal(errno)
		}
	}
	var unlock, number int32
	control(user, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(user, syscall.TIOCGPTN, unsafe.Pointer(&number))
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := [4]uint16{24, columns}
	control(program, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	return user, program
}

// onTerminal runs a command line whose standard error is a terminal, by a clock on
// which all takes long, and returns what the terminal got.
func onTerminal(t *testing.T, args ...string) string {
	t.Helper()
	user, program := openPTY(t, 60)
	clock := now
	root := newRootOf(&globals{now: func() time.Time { clock = clock.Add(2 * time.Second); return clock }, width: terminalWidth})
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(program)
	if code := execute(root, args); code != exitOK {
		t.Errorf("%q: exit code %d", args, code)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q: %q is for no terminal", args, &out)
	}
	if _, err := program.WriteString("END"); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 1024)
	for !strings.HasSuffix(got.String(), "END") {
		n, err := user.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
	}
	program.Close()
	return strings.TrimSuffix(got.String(), "END")
}

// Progress is shown on a terminal, and taken away; nothing is left of it elsewhere,
// nor where nobody wants it.
func TestProgressOnTerminal(t *testing.T) {
	t.Setenv("SLUICE_ADMIN", fakeAPI(t).URL)
	t.Setenv("SLUICE_TOKEN", "")
	t.Setenv("TERM", "xterm")
	dir := workspace(t)
	push := []string{"filter", "push", "auth", dir + "/auth.wasm"}
	got := onTerminal(t, push...)
	if !strings.HasPrefix(got, "\rupload auth [") || !strings.Contains(got, "100% 11B of 11B\x1b[K") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("got %q", got)
	}
	if got := onTerminal(t, append(push, "-q")...); got != "" {
		t.Errorf("quiet: got %q", got)
	}
	t.Setenv("TERM", "dumb")
	if got := onTerminal(t, push...); got != "" {
		t.Errorf("on a dumb terminal: got %q", got)
	}
}

func TestTerminalWidth(t *testing.T) {
	_, program := openPTY(t, 132)
	defer program.Close()
	if got := terminalWidth(program); got != 132 {
		t.Errorf("got %d columns, want 132", got)
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !colours(program) || colours(&bytes.Buffer{}) {
		t.Error("a terminal has colours, and a buffer none")
	}
	t.Setenv("NO_COLOR", "1")
	if colours(program) {
		t.Error("NO_COLOR is set")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if colours(program) {
		t.Error("a dumb terminal has colours")
	}
}
