// Package kv keeps small state over restarts: values by namespace and key, in one
// file, of which one process has the use at a time.
//
// A write is done when it is on the disk. All writes that wait for the disk at the
// same time are one transaction with one sync, so a write takes as long as two syncs
// at most, however many there are. A process or machine that is stopped at any moment
// finds what it had before a write, or after it; a write that fails, as on a full disk,
// has changed nothing, and says so. Reads wait for nobody.
package kv

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Config bounds what a store keeps. The zero value of a field means its default.
type Config struct {
	KeyBytes       int           // longest key; default 1 KiB
	ValueBytes     int           // longest value, in bytes; default 1 MiB
	NamespaceBytes int64         // what the keys and values of a namespace may have together, with Overhead for each key; default 64 MiB
	Bytes          int64         // what all namespaces may have together, likewise; default 1 GiB. The file has up to four times as much, at least 4 MiB, and gets shorter when it is opened
	Namespaces     int           // how many there may be; default 1000
	Waiting        int           // writes that wait for others; who brings more waits before that; default 1024
	Sweep          time.Duration // how often what has expired is removed; default 10 s
	SweepKeys      int           // keys removed at a time; other writes come between; default 1000
	Lock           time.Duration // how long another process is waited for that has the file; default 1 s
	Log            *slog.Logger  // default: slog's
}

func (c *Config) setDefaults() {
	if c.KeyBytes == 0 {
		c.KeyBytes = 1 << 10
	}
	if c.ValueBytes == 0 {
		c.ValueBytes = 1 << 20
	}
	if c.NamespaceBytes == 0 {
		c.NamespaceBytes = 64 << 20
	}
	if c.Bytes == 0 {
		c.Bytes = 1 << 30
	}
	if c.Namespaces == 0 {
		c.Namespaces = 1000
	}
	if c.Waiting == 0 {
		c.Waiting = 1024
	}
	if c.Sweep == 0 {
		c.Sweep = 10 * time.Second
	}
	if c.SweepKeys == 0 {
		c.SweepKeys = 1000
	}
	if c.Lock == 0 {
		c.Lock = time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// grow is by how much the file is made longer, in bytes, and minFile what it may have
// whatever the configuration says.
const (
	grow    = 1 << 20
	minFile = 4 << 20
)

// Overhead is what a key counts for besides its bytes and those of its value.
const Overhead = 64

// Errors that are wrapped by those of a store. What is none of them is a failure of
// the disk.
var (
	ErrNone     = errors.New("there is no such key")
	ErrConflict = errors.New("the key has another version")
	ErrInvalid  = errors.New("not valid")
	ErrLimit    = errors.New("a limit is reached")
	ErrClosed   = errors.New("the store is closed")
)

// Store is the state in one file. It may be used by several goroutines.
type Store struct {
	cfg    Config
	db     *bolt.DB
	queue  chan *write
	stop   chan struct{} // closed by Close: no more sweeps
	loops  sync.WaitGroup
	mu     sync.RWMutex // held by who sends to the queue; guards the following field
	closed bool
}

// Open opens a file, and makes it if need be. One of which little is in use any more is
// made shorter first.
func Open(path string, cfg Config) (*Store, error) {
	cfg.setDefaults()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = removeAside(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the key-value store: %w", err)
	}
	s := &Store{cfg: cfg, queue: make(chan *write, cfg.Waiting), stop: make(chan struct{})}
	size, err := s.open(path)
	if err == nil && isWasteful(s.db, size) {
		if problem := guard(func() error { return compact(s.db, path) }); problem != nil {
			cfg.Log.Warn("cannot make the key-value store shorter", "path", path, "err", problem)
		}
		// In any case: the file may be another by now.
		if err = s.db.Close(); err == nil {
			_, err = s.open(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the key-value store %s: %w", path, err)
	}
	s.loops.Go(s.writes)
	s.loops.Go(s.sweeps)
	return s, nil
}

// open opens the file, and returns its size.
func (s *Store) open(path string) (size int64, err error) {
	var file *os.File
	s.db = nil
	err = guard(func() (err error) {
		s.db, err = bolt.Open(path, 0o600, &bolt.Options{
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
			Timeout:      s.cfg.Lock,
			FreelistType: bolt.FreelistMapType,
			MaxSize:      int(max(4*s.cfg.Bytes, minFile)),
			// Addresses, not memory: a file that outgrows them is mapped anew, for which
			// reads wait.
			InitialMmapSize: int(min(2*s.cfg.Bytes, 1<<30)),
		})
		if err != nil {
			return err
		}
		s.db.AllocSize = grow
		if err := s.db.Update(prepare); err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil {
			return err
		}
		size = info.Size()
		return nil
	})
	if err != nil {
		switch {
		case s.db != nil:
			s.db.Close()
		case file != nil:
			file.Close() // who has panicked has not, and others could not open it
		}
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = errors.New("another process has it open")
		}
	}
	return size, err
}

// Close waits for the writes that have begun, and closes the file. Later calls of
// the store fail with ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.queue)
	close(s.stop)
	s.mu.Unlock()
	s.loops.Wait()
	return s.db.Close()
}

// guard turns what the file's reader panics with, when the file is damaged, into an
// error. The file is mapped: where it has been cut off, reading it is a fault.
func guard(f func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		switch r := recover().(type) {
		case nil:
		case theirs:
			panic(r.value)
		default:
			err = fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	return f()
}

// theirs is what a function has panicked with that the store was given.
type theirs struct{ value any }

// given calls a function that the store was given: that it panics says nothing of the
// file.
func given(f func()) {
	defer func() {
		if r := recover(); r != nil {
			panic(theirs{r})
		}
	}()
	f()
}

// CheckNamespace says what keeps a text from being a namespace's name: it is of 1 to
// 64 letters, digits, dots, hyphens and underscores.
func CheckNamespace(name string) error {
	const others = "._-"
	for i := range len(name) {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && !strings.Contains(others, string(c)) {
				return fmt.Errorf("%w: namespace %q has more in it than letters, digits, '.', '-' and '_'", ErrInvalid, name)
			}
		}
	}
	if len(name) == 0 || len(name) > 64 {
		return fmt.Errorf("%w: the name of a namespace has %d bytes, and may have 1 to 64", ErrInvalid, len(name))
	}
	return nil
}

func (s *Store) checkKey(namespace, key string) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	switch {
	case key == "":
		return fmt.Errorf("%w: the key is empty", ErrInvalid)
	case len(key) > s.cfg.KeyBytes:
		return fmt.Errorf("%w: the key has %d bytes, more than the %d allowed", ErrInvalid, len(key), s.cfg.KeyBytes)
	case strings.Contains(key, "\x00"):
		return fmt.Errorf("%w: the key has NUL in it", ErrInvalid)
	case !utf8.ValidString(key): // the API could not name it, nor go on behind it
		return fmt.Errorf("%w: the key is not UTF-8", ErrInvalid)
	}
	return nil
}
