package memory

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// Config says how a [System] is to work. The zero value is right but for tests and
// for comparisons.
type Config struct {
	Method Method // Auto: what works best here
	Copied bool   // each memory has a copy of its image, as on systems that cannot map one; the method is Compare
}

// System is what memories and images share: how they work on this machine. It may
// be used by several goroutines.
type System struct {
	method  Method
	reason  string
	mapped  bool   // images are mapped, not copied
	dense   bool   // images take memory for zeros too
	page    int    // bytes of one of the system's pages
	zeros   []byte // one page
	pagemap int    // descriptor of /proc/self/pagemap, or -1

	failures atomic.Int64
	last     atomic.Pointer[error] // failure

	mu     sync.Mutex // guards the following fields
	refs   int        // memories, and one until Close
	closed bool
}

// Detect returns the method that [Open] takes here, and why none better.
func Detect() (method Method, reason string) {
	s, err := Open(Config{})
	if err != nil {
		return Compare, err.Error()
	}
	defer s.Close()
	return s.Method(), s.Reason()
}

// Open returns a System. Whether a method works is found by using it: kernels,
// seccomp filters, containers without /proc and processes that may not read their
// own /proc/self/pagemap (those that have gained capabilities) are too many ways to
// be without one. An error is that the method of the configuration does not work;
// with Auto it is that memories do not.
func Open(cfg Config) (*System, error) {
	page := os.Getpagesize()
	if PageSize%page != 0 {
		return nil, fmt.Errorf("the system's pages of %d bytes are no part of WebAssembly's of %d", page, PageSize)
	}
	if cfg.Copied && cfg.Method != Auto && cfg.Method != Compare {
		return nil, fmt.Errorf("method %v needs images that are mapped", cfg.Method)
	}
	if cfg.Copied {
		cfg.Method = Compare
	}
	var reasons []error
	for _, try := range []struct {
		method Method
		mapped bool
	}{{Scan, true}, {Pagemap, true}, {Compare, true}, {Compare, false}} {
		if cfg.Method != Auto && cfg.Method != try.method || cfg.Copied && try.mapped {
			continue
		}
		s := &System{method: try.method, mapped: try.mapped, page: page, zeros: make([]byte, page), pagemap: -1, refs: 1}
		err := s.try()
		if err == nil {
			s.explain(cfg, reasons)
			return s, nil
		}
		s.Close()
		reasons = append(reasons, fmt.Errorf("%s does not work: %w", s.what(), err))
	}
	if len(reasons) == 0 {
		return nil, fmt.Errorf("%v is not known", cfg.Method)
	}
	return nil, errors.Join(reasons...)
}

func (s *System) what() string {
	if s.method == Compare && !s.mapped {
		return "compare with copied images"
	}
	return s.method.String()
}

func (s *System) explain(cfg Config, reasons []error) {
	s.reason = "it works"
	if cfg.Method != Auto || cfg.Copied {
		s.reason = "it was asked for"
	}
	if !s.mapped {
		s.reason = "images are copied, and " + s.reason
	}
	for i := len(reasons) - 1; i >= 0; i-- {
		s.reason += "; " + reasons[i].Error()
	}
}

// try makes a memory, writes to some of its pages, and looks whether those, and no
// others, are found and put back.
func (s *System) try() error {
	if s.mapped && !canMap {
		return errors.New("this system has no files in memory")
	}
	s.dense = s.mapped && strictOvercommit()
	if s.method == Scan || s.method == Pagemap {
		fd, err := openPagemap()
		if err != nil {
			return err
		}
		s.pagemap = fd
	}
	content := make([]byte, 4*PageSize)
	for i := 0; i < len(content); i += 2 * s.page { // every second page is zero
		content[i] = byte(1 + i/s.page)
	}
	im, err := s.NewImage(content)
	if err != nil {
		return err
	}
	defer im.Close()
	l, err := s.NewLinear(5 * PageSize)
	if err != nil {
		return err
	}
	defer l.Free()
	if err := l.Use(im); err != nil {
		return err
	}
	b := l.Reallocate(5 * PageSize)
	if b == nil {
		_, err := s.Failures()
		return fmt.Errorf("grow a memory: %w", err)
	}
	b[0]++                                // of the image
	b[s.page]++                           // zero in the image
	b[3*PageSize+1]++                     // on its own
	b[len(content)]++                     // behind the image
	if b[2*s.page] != content[2*s.page] { // read only
		return errors.New("a memory differs from its image")
	}
	pages, err := l.written()
	if err != nil {
		return err
	}
	if pages != 3 {
		return fmt.Errorf("found %d pages of 3 that were written", pages)
	}
	if _, err := l.Reset(); err != nil {
		return err
	}
	if n, err := s.Failures(); n != 0 {
		return err
	}
	if string(b[:len(content)]) != string(content) || b[len(content)] != 0 {
		return errors.New("a memory differs from its image after it was reset")
	}
	return nil
}

// Method returns how written pages are found.
func (s *System) Method() Method { return s.method }

// Mapped reports whether memories share their image; else each has a copy.
func (s *System) Mapped() bool { return s.mapped }

// Reason says why the method is that, for logs and status.
func (s *System) Reason() string { return s.reason }

// Failures returns how often the kernel has refused since Open what memories need,
// and what it was the last time. Memories whose pages could not be found were reset
// nevertheless, by dropping all that was private, which costs more; those that
// could not grow told the guest so.
func (s *System) Failures() (n int64, last error) {
	if p := s.last.Load(); p != nil {
		last = *p
	}
	return s.failures.Load(), last
}

func (s *System) failure(err error) {
	s.last.Store(&err)
	s.failures.Add(1)
}

// Close refuses further memories. What the system holds goes with the last memory.
func (s *System) Close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed {
		s.leave()
	}
}

func (s *System) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the system of memories is closed")
	}
	s.refs++
	return nil
}

func (s *System) leave() {
	s.mu.Lock()
	s.refs--
	last := s.refs == 0
	s.mu.Unlock()
	if last && s.pagemap >= 0 {
		closePagemap(s.pagemap)
		s.pagemap = -1
	}
}
