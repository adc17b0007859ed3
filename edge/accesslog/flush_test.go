package accesslog

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// sink is an output that a test steers.
type sink struct {
	mu     sync.Mutex // guards the following fields
	writes []string
	most   int // bytes that it takes of a write; negative: all
	err    error
	block  chan struct{} // if not nil, writes wait for it
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	block := s.block
	s.mu.Unlock()
	if block != nil {
		<-block
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(p)
	if s.err != nil {
		n = min(n, s.most)
	}
	s.writes = append(s.writes, string(p[:n]))
	return n, s.err
}

func (s *sink) set(err error, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.most = err, most
}

func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.writes, "|")
}

func TestLinesWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		l := New(Config{Output: &s})
		defer l.Close()
		l.write([]byte("a\n"))
		<-time.After(99 * time.Millisecond)
		l.write([]byte("b\n"))
		synctest.Wait()
		if got := s.all(); got != "" {
			t.Errorf("within the delay: got %q, want nothing", got)
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if got := s.all(); got != "a\nb\n" {
			t.Errorf("after the delay: got %q, want both in one write", got)
		}
		l.write([]byte("c\n")) // and once more
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if got := s.all(); got != "a\nb\n|c\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestManyLinesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		l := New(Config{Output: &s, Flush: 10})
		defer l.Close()
		l.write([]byte("12345\n"))
		synctest.Wait()
		l.write([]byte("67890\n"))
		synctest.Wait() // and no time passes
		if got := s.all(); got != "12345\n67890\n" {
			t.Errorf("got %q, want all", got)
		}
	})
}

func TestCloseWritesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		l := New(Config{Output: &s})
		l.write([]byte("a\n"))
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		l.write([]byte("b\n"))
		if got := s.all(); got != "a\n" || l.Dropped() != 1 {
			t.Errorf("got %q, %d dropped, want one line, and the late one dropped", got, l.Dropped())
		}
	})
}

// A sink that takes nothing costs lines, not memory, and not the exchanges' time.
func TestStuckSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := sink{block: make(chan struct{})}
		l := New(Config{Output: &s, Flush: 10, Buffer: 20, Log: slog.New(slog.NewTextHandler(&log, nil))})
		l.write([]byte("123456789\n"))
		synctest.Wait() // it is being written
		for range 5 {
			l.write([]byte("abcdefghi\n"))
		}
		if got := l.Dropped(); got != 3 {
			t.Errorf("got %d lines dropped, want 3", got)
		}
		close(s.block)
		synctest.Wait()
		if got := s.all(); got != "123456789\n|abcdefghi\nabcdefghi\n" {
			t.Errorf("got %q, want what there was room for", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), `msg="access log lines lost: the output is too slow" lines=3`) {
			t.Errorf("got log %q, want a report", &log)
		}
	})
}

func TestCloseGivesUpOnAStuckSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sink{block: make(chan struct{})}
		l := New(Config{Output: &s})
		l.write([]byte("a\n"))
		start := time.Now()
		if err := l.Close(); !errors.Is(err, errStuck) || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v, want it to give up after 2s", err, time.Since(start))
		}
		close(s.block)
	})
}

// A full disk takes part of a write. Lines that come when there is room again
// are whole.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var s sink
		full := errors.New("no space left on device")
		l := New(Config{Output: &s, Flush: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		write := func(lines string) {
			for line := range strings.Lines(lines) {
				l.write([]byte(line))
			}
			synctest.Wait()
		}
		s.set(full, 3)
		write("aaaa\n")
		s.set(full, 0)
		write("bbbb\n")
		s.set(nil, 0)
		write("cccc\n")
		if got, want := strings.ReplaceAll(s.all(), "|", ""), "aaa\ncccc\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := l.Dropped(); got != 2 {
			t.Errorf("got %d lines dropped, want 2", got)
		}
		if got := strings.Count(log.String(), "access log lines lost"); got != 1 {
			t.Errorf("got %d reports at once, want 1: %s", got, &log)
		}
		s.set(full, 0)
		<-time.After(reportEvery)
		write("dddd\n")
		if got := log.String(); !strings.Contains(got, `lines=1 error="no space left on device"`) || !strings.Contains(got, "lines=2 error=") {
			t.Errorf("got %s, want a report of the rest", got)
		}
		if err := l.Close(); !errors.Is(err, full) {
			t.Errorf("Close: got %v, want %v", err, full)
		}
	})
}

func TestWithoutOutput(t *testing.T) {
	l := New(Config{})
	l.Log(new(edge.Exchange), time.Now())
	if err := l.Close(); err != nil || l.Dropped() != 0 {
		t.Errorf("got %v, %d dropped", err, l.Dropped())
	}
}

// Many exchanges end at once: each line comes, whole.
func TestConcurrentLog(t *testing.T) {
	var out bytes.Buffer
	l := New(Config{Output: &out, Flush: 1 << 10, Buffer: 64 << 20})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			x := full(time.Now())
			for range 200 {
				l.Log(x, time.Now())
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, `{"ts":`) || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("torn line %q", line)
		}
		n++
	}
	if n != 1600 || l.Dropped() != 0 {
		t.Errorf("got %d lines, %d dropped, want 1600", n, l.Dropped())
	}
}
