package listen

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var discard = slog.New(slog.DiscardHandler)

func TestServe(t *testing.T) {
	l, err := Stream("tcp", "127.0.0.1:0", 0, discard)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() {
		served <- l.Serve(func(c net.Conn) { io.Copy(c, c) })
	}()
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		echo(t, c)
	}
	if s := l.Stats(); s.Open != 3 || s.Accepted != 3 || s.Refused != 0 {
		t.Errorf("got %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second Close: %v", err)
	}
	for _, c := range conns {
		echo(t, c) // goes on
	}
	conns[0].Close()
	l.Cut() // the others
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if s := l.Stats(); s.Open != 0 {
		t.Errorf("got %+v", s)
	}
	if _, err := conns[1].Read(make([]byte, 1)); err == nil {
		t.Error("a connection has survived Cut")
	}
}

func echo(t *testing.T, c net.Conn) {
	t.Helper()
	b := make([]byte, 4)
	if _, err := io.WriteString(c, "ping"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); string(b) != "ping" {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestLimit(t *testing.T) {
	l, err := Stream("tcp", "127.0.0.1:0", 1, discard)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	over := make(chan struct{}, 10)
	go func() {
		served <- l.Serve(func(c net.Conn) { io.Copy(c, c); c.Close(); over <- struct{}{} })
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := dial()
	echo(t, first)
	second := dial()
	if n, err := second.Read(make([]byte, 1)); err == nil {
		t.Errorf("the second connection gave %d bytes", n)
	}
	if s := l.Stats(); s.Open != 1 || s.Accepted != 1 || s.Refused != 1 {
		t.Errorf("got %+v", s)
	}
	l.SetLimit(2)
	third := dial()
	echo(t, third)
	echo(t, first)
	for _, c := range []net.Conn{first, second, third} {
		c.Close()
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// script is a listener that fails as it is told, and then waits for Close.
type script struct {
	errs   []error
	calls  []time.Time
	closed chan struct{}
	once   sync.Once
}

func (s *script) Accept() (net.Conn, error) {
	s.calls = append(s.calls, time.Now())
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err == nil {
			c, _ := net.Pipe()
			return c, nil
		}
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	<-s.closed
	return nil, net.ErrClosed
}

func (s *script) Close() error   { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) Addr() net.Addr { return &net.TCPAddr{} }

// A process that is short of descriptors waits longer and longer, says so once a
// second, and then goes on.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{closed: make(chan struct{})}
		for range 12 {
			s.errs = append(s.errs, syscall.EMFILE)
		}
		s.errs = append(s.errs, nil, syscall.ECONNABORTED, nil)
		var log bytes.Buffer
		l := newListener(s, 0, slog.New(slog.NewTextHandler(&log, nil)))
		served := make(chan error)
		var conns sync.WaitGroup
		conns.Add(2)
		go func() { served <- l.Serve(func(net.Conn) { conns.Done() }) }()
		conns.Wait()
		l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000, 0, 5}
		for i, w := range want {
			if got := s.calls[i+1].Sub(s.calls[i]); got != w*time.Millisecond {
				t.Errorf("pause %d: got %s, want %s", i, got, w*time.Millisecond)
			}
		}
		if got := l.Stats(); got.Failed != 13 || got.Accepted != 2 {
			t.Errorf("got %+v", got)
		}
		// At 0, 1.275, 2.275, 3.275, 4.275 and 5.275 s.
		if n := strings.Count(log.String(), "cannot accept connections"); n != 6 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), "times=8") {
			t.Errorf("nothing says how often:\n%s", log.String())
		}
	})
}

func TestCloseWhileShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{closed: make(chan struct{}), errs: []error{syscall.ENFILE, syscall.ENFILE, syscall.ENFILE}}
		l := newListener(s, 0, discard)
		served := make(chan error)
		go func() { served <- l.Serve(func(net.Conn) {}) }()
		synctest.Wait()
		l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestBrokenSocket(t *testing.T) {
	s := &script{closed: make(chan struct{}), errs: []error{syscall.EBADF}}
	if err := newListener(s, 0, discard).Serve(nil); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
}
