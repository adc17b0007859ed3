package kv

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, path string, cfg Config) *Store {
	t.Helper()
	cfg.Log = quiet
	s, err := Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "kv") }

func set(t testing.TB, s *Store, namespace, key, value string, version int64, want error) int64 {
	t.Helper()
	got, err := s.Set(namespace, key, []byte(value), 0, version)
	if !errors.Is(err, want) || (err == nil) != (got > 0) {
		t.Errorf("set %s/%s: got %d, %v, want %v", namespace, key, got, err, want)
	}
	return got
}

func get(t testing.TB, s *Store, namespace, key, want string) Entry {
	t.Helper()
	e, err := s.Get(namespace, key)
	if want == "" && !errors.Is(err, ErrNone) {
		t.Errorf("get %s/%s: got %q, %v, want nothing", namespace, key, e.Value, err)
	}
	if want != "" && (err != nil || string(e.Value) != want) {
		t.Errorf("get %s/%s: got %q, %v, want %q", namespace, key, e.Value, err, want)
	}
	return e
}

func keys(t testing.TB, s *Store, namespace, prefix, after string) string {
	t.Helper()
	var all []string
	err := s.List(namespace, prefix, after, func(k []byte, e Entry) bool {
		all = append(all, string(k))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestStore(t *testing.T) {
	path := file(t)
	s := open(t, path, Config{})
	get(t, s, "a", "k", "")
	one := set(t, s, "a", "k", "1", Absent, nil)
	set(t, s, "a", "k", "2", Absent, ErrConflict)
	two := set(t, s, "a", "k", "2", one, nil)
	set(t, s, "a", "k", "3", one, ErrConflict)
	get(t, s, "b", "k", "") // another namespace
	three := set(t, s, "a", "k", "3", Any, nil)
	if e := get(t, s, "a", "k", "3"); e.Version != three || !e.Expires.IsZero() || !(one < two && two < three) {
		t.Errorf("versions are %d, %d, %d; got %+v", one, two, three, e)
	}
	set(t, s, "b", "k", "b", Any, nil)
	check := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("delete with an old version", s.Delete("a", "k", one), ErrConflict)
	check("delete", s.Delete("a", "k", three), nil)
	check("delete again", s.Delete("a", "k", Any), ErrNone)
	// A version does not come again: who has seen the key before finds it changed.
	if four := set(t, s, "a", "k", "1", Absent, nil); four <= three {
		t.Errorf("the version is %d after %d", four, three)
	}

	add := func(key string, delta, want int64, wantErr error) {
		t.Helper()
		if got, err := s.Add("n", key, delta, 0); got != want || !errors.Is(err, wantErr) {
			t.Errorf("add %d to %s: got %d, %v, want %d, %v", delta, key, got, err, want, wantErr)
		}
	}
	add("k", 5, 5, nil)
	add("k", -7, -2, nil)
	get(t, s, "n", "k", "-2")
	set(t, s, "n", "text", "x", Any, nil)
	add("text", 1, 0, ErrInvalid)
	set(t, s, "n", "high", "9223372036854775807", Any, nil)
	add("high", 1, 0, ErrInvalid)
	add("high", -1, 9223372036854775806, nil)
	set(t, s, "n", "low", "-9223372036854775808", Any, nil)
	add("low", -1, 0, ErrInvalid)

	for _, k := range []string{"a", "a/1", "a/2", "a/3", "b", "\U0010ffff"} {
		set(t, s, "list", k, "x", Any, nil)
	}
	list := func(prefix, after, want string) {
		t.Helper()
		if got := keys(t, s, "list", prefix, after); got != want {
			t.Errorf("%q after %q: got %q, want %q", prefix, after, got, want)
		}
	}
	list("", "", "a a/1 a/2 a/3 b \U0010ffff")
	list("a/", "", "a/1 a/2 a/3")
	list("a/", "a/1", "a/2 a/3")
	list("a/", "a/11", "a/2 a/3")
	list("a/", "a/3", "")
	list("a/", "b", "")
	list("b", "a", "b")
	list("c", "", "")

	// All of it is there after a restart, and nobody else has the file meanwhile.
	if _, err := Open(path, Config{Lock: time.Millisecond}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("opened twice: %v", err)
	}
	usage, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err = s.Get("a", "k")
	check("get after Close", err, ErrClosed)
	set(t, s, "a", "k", "x", Any, ErrClosed)
	again := open(t, path, Config{})
	get(t, again, "n", "k", "-2")
	if now, err := again.Usage(); err != nil || fmt.Sprint(now) != fmt.Sprint(usage) {
		t.Errorf("usage was %v, and is %v, %v", usage, now, err)
	}
}

func TestInvalid(t *testing.T) {
	s := open(t, file(t), Config{KeyBytes: 8})
	bad := func(namespace, key, want string) {
		t.Helper()
		_, err := s.Set(namespace, key, nil, 0, Any)
		_, err2 := s.Get(namespace, key)
		_, err3 := s.Add(namespace, key, 1, 0)
		err4 := s.Delete(namespace, key, Any)
		for _, err := range []error{err, err2, err3, err4} {
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q/%q: got %v, want one with %q", namespace, key, err, want)
			}
		}
	}
	bad("", "k", "has 0 bytes, and may have 1 to 64")
	bad(strings.Repeat("n", 65), "k", "has 65 bytes")
	bad("a/b", "k", `namespace "a/b" has more in it`)
	bad("a\x00", "k", "has more in it")
	bad("a", "", "the key is empty")
	bad("a", "a\x00", "NUL")
	bad("a", "a\xff", "not UTF-8")
	bad("a", "123456789", "9 bytes, more than the 8 allowed")
	set(t, s, strings.Repeat("n", 64), "12345678", "", Any, nil)
	if _, err := s.Set("a", "k", nil, -1, Any); !errors.Is(err, ErrInvalid) {
		t.Errorf("a negative ttl: %v", err)
	}
	if err := s.List("a/b", "", "", nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("list: %v", err)
	}
}

func TestLimits(t *testing.T) {
	s := open(t, file(t), Config{ValueBytes: 100, NamespaceBytes: 300, Bytes: 500, Namespaces: 3})
	set(t, s, "a", "k", strings.Repeat("v", 101), Any, ErrLimit)
	set(t, s, "a", "1", strings.Repeat("v", 100), Any, nil) // 165
	set(t, s, "a", "2", strings.Repeat("v", 70), Any, nil)  // 135: 300
	set(t, s, "a", "3", "", Any, ErrLimit)
	set(t, s, "a", "2", strings.Repeat("v", 71), Any, ErrLimit)
	get(t, s, "a", "2", strings.Repeat("v", 70))
	set(t, s, "a", "2", "v", Any, nil)                     // 66: 231
	set(t, s, "b", "k", strings.Repeat("v", 69), Any, nil) // 134: 365
	set(t, s, "c", "k", strings.Repeat("v", 71), Any, ErrLimit)
	set(t, s, "c", "k", "v", Any, nil) // 66: 431
	set(t, s, "d", "k", "", Any, ErrLimit)
	if err := s.Delete("c", "k", Any); err != nil {
		t.Fatal(err)
	}
	set(t, s, "d", "k", "v", Any, nil)
	got, err := s.Usage()
	if want := "[{a 2 231} {b 1 134} {d 1 66}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("usage is %v, %v, want %s", got, err, want)
	}
}

// What has expired is absent at once, and removed before long.
func TestTTL(t *testing.T) {
	path := file(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(path, Config{NamespaceBytes: 3 * (Overhead + 2), SweepKeys: 2, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ttl := func(key string, d time.Duration, version int64, want error) {
			t.Helper()
			if _, err := s.Set("t", key, []byte("v"), d, version); !errors.Is(err, want) {
				t.Errorf("set %s: got %v, want %v", key, err, want)
			}
		}
		ttl("a", time.Second, Any, nil)
		ttl("b", 1500*time.Microsecond, Any, nil)
		if e := get(t, s, "t", "a", "v"); time.Until(e.Expires) != time.Second {
			t.Errorf("a expires in %v", time.Until(e.Expires))
		}
		time.Sleep(1900 * time.Microsecond)
		get(t, s, "t", "b", "v") // rounded up
		time.Sleep(100 * time.Microsecond)
		get(t, s, "t", "b", "")
		if got := keys(t, s, "t", "", ""); got != "a" {
			t.Errorf("got %q", got)
		}
		if err := s.Delete("t", "b", Any); !errors.Is(err, ErrNone) {
			t.Errorf("delete of what has expired: %v", err)
		}
		ttl("c", time.Second, Any, nil)
		if usage, _ := s.Usage(); usage[0].Keys != 3 {
			t.Errorf("%v: expired keys are removed earlier than needed", usage)
		}
		ttl("d", time.Second, Any, nil) // there is room, since b makes some
		if usage, _ := s.Usage(); usage[0].Keys != 3 {
			t.Errorf("%v: there should be a, c and d", usage)
		}
		ttl("e", 0, Any, ErrLimit)
		ttl("a", 0, Any, nil) // for ever, from now on
		time.Sleep(time.Minute)
		synctest.Wait()
		if usage, _ := s.Usage(); usage[0].Keys != 1 {
			t.Errorf("%v: only a should be left", usage)
		}
		get(t, s, "t", "a", "v")
		// A number's ttl is that of its first sum.
		add := func(want int64) {
			t.Helper()
			if got, err := s.Add("n", "n", 1, 2*time.Second); got != want || err != nil {
				t.Errorf("got %d, %v, want %d", got, err, want)
			}
		}
		add(1)
		time.Sleep(1500 * time.Millisecond)
		add(2)
		time.Sleep(time.Second)
		add(1)
		ttl("z", 1<<62, Any, nil) // as good as for ever
		get(t, s, "t", "z", "v")
		// What has expired and is set again is not removed with what it was.
		s.Delete("t", "z", Any)
		ttl("z", time.Second, Any, nil)
		time.Sleep(2 * time.Second)
		ttl("z", time.Hour, Absent, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		get(t, s, "t", "z", "v")
	})
}

// No increment is lost, and of those who set what is absent one wins.
func TestConcurrent(t *testing.T) {
	s := open(t, file(t), Config{Waiting: 4})
	const writers, times = 8, 20
	var wg sync.WaitGroup
	wins := make(chan int, writers*times)
	for w := range writers {
		wg.Go(func() {
			for n := range times {
				if _, err := s.Add("n", "sum", 1, 0); err != nil {
					t.Error(err)
				}
				if _, err := s.Set("n", fmt.Sprint(n), nil, 0, Absent); err == nil {
					wins <- w
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	get(t, s, "n", "sum", fmt.Sprint(writers*times))
	if len(wins) != times {
		t.Errorf("%d writers have won, of %d times", len(wins), times)
	}
}

// A read does not wait for a write.
func TestReadDuringWrite(t *testing.T) {
	s := open(t, file(t), Config{})
	set(t, s, "a", "k", "old", Any, nil)
	begun, goOn := make(chan bool), make(chan bool)
	done := make(chan error)
	go func() {
		done <- s.write(func(c *change) error {
			close(begun)
			<-goOn
			st, err := c.wanted("a", "k", Any)
			if err == nil {
				_, err = c.put("a", "k", st, Entry{Value: []byte("new")})
			}
			return err
		})
	}()
	<-begun
	get(t, s, "a", "k", "old")
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	get(t, s, "a", "k", "new")
}

func TestDamaged(t *testing.T) {
	f := func(what string, damage func(path string), want string) {
		t.Helper()
		path := file(t)
		s := open(t, path, Config{})
		set(t, s, "a", "k", strings.Repeat("v", 100), Any, nil)
		s.Close()
		damage(path)
		s, err := Open(path, Config{Log: quiet})
		if err == nil {
			defer s.Close()
			_, err = s.Get("a", "k")
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want one with %q and the file's name", what, err, want)
		}
	}
	update := func(path string, do func(tx *bolt.Tx) error) {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(do); err != nil {
			t.Fatal(err)
		}
	}
	f("no store", func(path string) {
		if err := os.WriteFile(path, []byte(strings.Repeat("text", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
	}, "invalid")
	f("another format", func(path string) {
		update(path, func(tx *bolt.Tx) error { return tx.Bucket(about).Put([]byte("format"), []byte("2")) })
	}, `its format is "2", and this version of sluice reads "1"`)
	f("an entry cut off", func(path string) {
		update(path, func(tx *bolt.Tx) error {
			return tx.Bucket(entries).Bucket([]byte("a")).Put([]byte("k"), []byte("short"))
		})
	}, "cut off")
	f("a file cut off", func(path string) {
		// The first pages, of which any reader begins, are there; what they refer to is not.
		if err := os.Truncate(path, int64(2*os.Getpagesize())); err != nil {
			t.Fatal(err)
		}
	}, "damaged")
	f("a file without its end", func(path string) {
		update(path, func(tx *bolt.Tx) error {
			b := tx.Bucket(entries).Bucket([]byte("a"))
			for n := range 2000 { // the key that is read is on the last of its pages
				if err := b.Put(fmt.Appendf(nil, "a%04d", n), make([]byte, 1000)); err != nil {
					return err
				}
			}
			return nil
		})
		if err := os.Truncate(path, 1<<20); err != nil {
			t.Fatal(err)
		}
	}, "damaged")
}

// What a function panics with that looks at an entry is its own, and the file no worse
// for it.
func TestPanic(t *testing.T) {
	s := open(t, file(t), Config{})
	set(t, s, "a", "k", "v", Any, nil)
	f := func(what string, look func() error) {
		t.Helper()
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("%s: it panics with %v", what, r)
			}
		}()
		t.Errorf("%s: got %v", what, look())
	}
	f("look", func() error { return s.Look("a", "k", func(Entry) { panic("mine") }) })
	f("list", func() error { return s.List("a", "", "", func([]byte, Entry) bool { panic("mine") }) })
	set(t, s, "a", "k", "w", Any, nil)
	get(t, s, "a", "k", "w")
}

// A file of which little is in use any more is shorter when it is opened again, and has the
// same in it.
func TestCompact(t *testing.T) {
	path := file(t)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	s := open(t, path, Config{})
	for i := range 22 {
		set(t, s, "large", strconv.Itoa(i), strings.Repeat("x", 1<<20), Any, nil)
	}
	set(t, s, "a", "", "", Any, ErrInvalid)
	version := set(t, s, "a", "k", "kept", Any, nil)
	set(t, s, "a", "empty", "", Any, nil)
	if _, err := s.Set("b", "soon", []byte("v"), time.Hour, Any); err != nil {
		t.Fatal(err)
	}
	for i := range 19 {
		if err := s.Delete("large", strconv.Itoa(i), Any); err != nil {
			t.Fatal(err)
		}
	}
	last := set(t, s, "a", "last", "1", Any, nil)
	usage, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	long := size()
	// Somebody was stopped while he did so before.
	if err := os.WriteFile(aside(path), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, Config{})
	if short := size(); long < 22<<20 || short > long/2 {
		t.Errorf("%d bytes became %d", long, short)
	}
	if _, err := os.Stat(aside(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file aside: %v", err)
	}
	if e := get(t, s, "a", "k", "kept"); e.Version != version {
		t.Errorf("version %d became %d", version, e.Version)
	}
	if e, err := s.Get("b", "soon"); err != nil || e.Expires.IsZero() {
		t.Errorf("got %+v, %v", e, err)
	}
	for i := range 3 {
		get(t, s, "large", strconv.Itoa(19+i), strings.Repeat("x", 1<<20))
	}
	if now, err := s.Usage(); err != nil || !slices.Equal(now, usage) {
		t.Errorf("usage is %v, %v, was %v", now, err, usage)
	}
	if next := set(t, s, "a", "next", "1", Any, nil); next != last+1 {
		t.Errorf("version %d follows %d", next, last)
	}
	if err := s.db.View(func(tx *bolt.Tx) error {
		if n := tx.Bucket(expiry).Stats().KeyN; n != 1 {
			t.Errorf("%d keys expire", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	was := size()
	open(t, path, Config{}).Close()
	if now := size(); now != was {
		t.Errorf("once more: %d bytes became %d", was, now)
	}
}

// Where the file cannot be made shorter it stays as it is.
func TestCompactFails(t *testing.T) {
	path := file(t)
	s := open(t, path, Config{})
	set(t, s, "a", "k", "kept", Any, nil)
	if err := compact(s.db, filepath.Join(t.TempDir(), "none", "kv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.MkdirAll(filepath.Join(path+".dir", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := compact(s.db, path+".dir"); err == nil {
		t.Error("a directory was replaced")
	}
	if _, err := os.Stat(aside(path + ".dir")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file aside: %v", err)
	}
	get(t, s, "a", "k", "kept")
}
