package kv

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the process that the tests below kill, or that gets no more room.
func TestMain(m *testing.M) {
	switch os.Getenv("KV_TEST_CHILD") {
	case "count":
		count(os.Getenv("KV_TEST_FILE"))
	case "fill":
		fill(os.Getenv("KV_TEST_FILE"))
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "KV_TEST_CHILD="+what, "KV_TEST_FILE="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// count writes numbers for ever, two keys each, and tells each that is written.
func count(path string) {
	s, err := Open(path, Config{})
	must(err)
	for n := 1; ; n++ {
		value := []byte(strings.Repeat(strconv.Itoa(n)+" ", 500))
		_, err := s.Set("a", "k", value, 0, Any)
		must(err)
		_, err = s.Add("b", "k", 1, 0)
		must(err)
		fmt.Println(n)
	}
}

// Whenever a process is killed, the next finds all that it has been told is written,
// and nothing that is half written.
func TestKill(t *testing.T) {
	path := file(t)
	total := 0
	for round := range 6 {
		cmd := child(t, "count", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if last == 3+round*5 {
				cmd.Process.Kill() // what it does meanwhile is a matter of chance
			}
		}
		cmd.Wait()
		if last < 3+round*5 {
			t.Fatalf("the process ended by itself, at %d", last)
		}
		s := open(t, path, Config{})
		e, err := s.Get("a", "k")
		if err != nil {
			t.Fatal(err)
		}
		word, _, _ := strings.Cut(string(e.Value), " ")
		if n, _ := strconv.Atoi(word); n != last && n != last+1 || string(e.Value) != strings.Repeat(word+" ", 500) {
			t.Errorf("%d was written, and there is %.20q of %d bytes", last, e.Value, len(e.Value))
		}
		sum, err := s.Add("b", "k", 0, 0)
		if err != nil || sum != int64(total+last) && sum != int64(total+last+1) {
			t.Errorf("%d were added, and the sum is %d, %v", total+last, sum, err)
		}
		total = int(sum)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes until there is no more room, and then goes on with what needs none.
func fill(path string) {
	// The kernel would end the process otherwise.
	signal.Ignore(syscall.SIGXFSZ)
	must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8 << 20, Max: 8 << 20}))
	s, err := Open(path, Config{})
	must(err)
	for n := range 20 {
		_, err := s.Set("a", fmt.Sprintf("%03d", n), make([]byte, 1000<<10), 0, Any)
		if err == nil {
			fmt.Println("set")
			continue
		}
		if errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "file too large") || !strings.Contains(err.Error(), path) {
			must(fmt.Errorf("no clear error: %w", err))
		}
		break
	}
	_, err = s.Get("a", "000")
	must(err)
	must(s.Delete("a", "000", Any))
	_, err = s.Set("a", "small", []byte("v"), 0, Any)
	must(err)
	must(s.Close())
}

// A full disk is an error of the write that finds it full; nothing is lost, and what
// needs no more room goes on. The disk is one on which a file of 8 MiB is full.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	out, err := child(t, "fill", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	n := strings.Count(string(out), "set\n")
	if n < 2 || n > 10 {
		t.Fatalf("%d values of 1000 KiB are in 8 MiB", n)
	}
	s := open(t, path, Config{})
	get(t, s, "a", "000", "")
	get(t, s, "a", "small", "v")
	for i := 1; i < n; i++ {
		get(t, s, "a", fmt.Sprintf("%03d", i), strings.Repeat("\x00", 1000<<10))
	}
	if usage, err := s.Usage(); err != nil || usage[0].Keys != int64(n) {
		t.Errorf("usage is %v, %v, want %d keys", usage, err, n)
	}
}
