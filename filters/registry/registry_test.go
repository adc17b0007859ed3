package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
)

func open(t *testing.T, dir string, cfg Config) *Store {
	t.Helper()
	s, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, name, module string) (Version, bool) {
	t.Helper()
	v, created, err := s.Put(name, API, strings.NewReader(module), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v, created
}

func entries(t *testing.T, dir, sub string) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func digest(module string) string {
	sum := sha256.Sum256([]byte(module))
	return hex.EncodeToString(sum[:])
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	v1, created := put(t, s, "auth", "one")
	if v1.Number != 1 || !created || v1.Digest != digest("one") || v1.Bytes != 3 || v1.Source != API {
		t.Errorf("first version is %+v, created %v", v1, created)
	}
	if v, created := put(t, s, "auth", "two"); v.Number != 2 || !created {
		t.Errorf("second version is %+v, created %v", v, created)
	}
	if v, created := put(t, s, "auth", "one"); v != v1 || created {
		t.Errorf("the first again is %+v, created %v", v, created)
	}
	put(t, s, "other", "one")

	s = open(t, dir, Config{}) // again
	if v, err := s.Current("auth"); v.Number != 1 || err != nil {
		t.Errorf("current is %+v, %v", v, err)
	}
	if list := s.List(); fmt.Sprint(list) != "[auth other]" {
		t.Errorf("names are %v", list)
	}
	if list, err := s.Versions("auth"); len(list) != 2 || err != nil {
		t.Errorf("versions are %v, %v", list, err)
	}
	if b, err := s.Load(v1.Digest); string(b) != "one" || err != nil {
		t.Errorf("module is %q, %v", b, err)
	}
	if v, _, err := s.Use("auth", 2); v.Number != 2 || err != nil {
		t.Errorf("used version is %+v, %v", v, err)
	}
	if _, _, err := s.Use("auth", 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("use of an unknown version: %v", err)
	}
	if err := s.Remove("auth"); err != nil {
		t.Fatal(err)
	}
	if n := entries(t, dir, "modules"); n != 1 { // other's
		t.Errorf("%d modules are left", n)
	}
	for _, err := range []error{s.Remove("auth"), second(s.Current("auth")), second(s.Versions("auth")), second(s.Load(digest("two")))} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("after Remove: %v", err)
		}
	}
}

func third[T, U any](_ T, _ U, err error) error { return err }

func second[T any](_ T, err error) error { return err }

func TestNames(t *testing.T) {
	s := open(t, t.TempDir(), Config{})
	f := func(name string, ok bool) {
		t.Helper()
		_, _, err := s.Put(name, API, strings.NewReader("x"), nil)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	f("a", true)
	f("0-auth_2.x", true)
	f(strings.Repeat("a", 64), true)
	f(strings.Repeat("a", 65), false)
	f("", false)
	f("..", false)
	f("a..b", false)
	f(".a", false)
	f("-a", false)
	f("A", false)
	f("a/b", false)
	f("a\nb", false)
	f("a\n", false)
	f("../../etc/passwd", false)
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Size: 10})
	put(t, s, "auth", "good")
	f := func(what string, err error, want func(error) bool) {
		t.Helper()
		if err == nil || !want(err) {
			t.Errorf("%s: %v", what, err)
		}
		if v, _ := s.Current("auth"); v.Number != 1 {
			t.Errorf("%s: current is %+v", what, v)
		}
		if m, tmp := entries(t, dir, "modules"), entries(t, dir, "tmp"); m != 1 || tmp != 0 {
			t.Errorf("%s: %d modules and %d temporary files", what, m, tmp)
		}
	}
	_, _, err := s.Put("auth", API, strings.NewReader("eleven byte"), nil)
	f("too large", err, func(err error) bool { return errors.Is(err, ErrTooLarge) })
	put(t, s, "auth", "good")
	_, _, err = s.Put("auth", API, strings.NewReader("bad"), func(b []byte) (string, error) { return "", fmt.Errorf("%s is bad", b) })
	f("check", err, func(err error) bool {
		_, ok := errors.AsType[*Refused](err)
		return ok && err.Error() == "bad is bad"
	})
	cut := errors.New("cut")
	_, _, err = s.Put("auth", API, iotest.ErrReader(cut), nil)
	f("reader", err, func(err error) bool { return errors.Is(err, cut) && strings.HasPrefix(err.Error(), "receive") })
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Keep: 3})
	for i := range 6 {
		put(t, s, "a", fmt.Sprint(i))
	}
	list, _ := s.Versions("a")
	if len(list) != 3 || list[0].Number != 4 || entries(t, dir, "modules") != 3 {
		t.Errorf("versions are %+v", list)
	}
	if _, _, err := s.Use("a", 4); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "4") // version 5 is current
	if v, _ := put(t, s, "a", "0"); v.Number != 7 {
		t.Errorf("a number was given twice: %+v", v)
	}
}

func TestHold(t *testing.T) {
	s := open(t, t.TempDir(), Config{Keep: 2})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	s.Hold(map[string][]int{"a": {1}})
	put(t, s, "a", "3")
	put(t, s, "a", "4")
	if _, err := s.Version("a", 1); err != nil {
		t.Error(err)
	}
	if _, err := s.Version("a", 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("version 2: %v", err)
	}
	s.Hold(nil)
	put(t, s, "a", "5")
	if list, _ := s.Versions("a"); len(list) != 2 || list[0].Number != 4 {
		t.Errorf("versions are %+v", list)
	}
}

// TestBack goes back one upload at a time, whatever was made current meanwhile.
func TestBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Keep: 4})
	back := func(want int) {
		t.Helper()
		if v, err := s.Before("a"); err != nil || v.Number != want {
			t.Errorf("before is %d, %v; want %d", v.Number, err, want)
		}
		if v, err := s.Back("a"); err != nil || v.Number != want {
			t.Errorf("went back to %d, %v; want %d", v.Number, err, want)
		}
	}
	if _, err := s.Back("a"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	put(t, s, "a", "1")
	if _, err := s.Back("a"); !errors.Is(err, ErrFirst) {
		t.Error(err)
	}
	put(t, s, "a", "2")
	put(t, s, "a", "3")
	back(2)
	put(t, s, "a", "4")
	s = open(t, dir, Config{Keep: 4})
	back(2)
	put(t, s, "a", "2") // is current: no change
	back(1)
	if _, err := s.Back("a"); !errors.Is(err, ErrFirst) {
		t.Error(err)
	}
	// What is no version any more is passed over.
	for i := range 5 {
		put(t, s, "a", fmt.Sprint("new ", i)) // 5 to 9; 6 to 9 are left
	}
	if _, _, err := s.Use("a", 7); err != nil {
		t.Fatal(err)
	}
	back(9)
	back(8)
	back(7)
	back(6)
	if _, err := s.Back("a"); !errors.Is(err, ErrFirst) {
		t.Error(err)
	}
}

func TestSeed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	f := func(what string, number int, changed bool) {
		t.Helper()
		v, c, err := s.Seed("a", []byte(what), nil)
		if err != nil || v.Number != number || c != changed {
			t.Errorf("seed %q: %+v, changed %v, %v", what, v, c, err)
		}
	}
	f("file 1", 1, true)
	f("file 1", 1, false)
	put(t, s, "a", "uploaded")
	f("file 1", 2, false) // the file is the same: the upload stays
	s = open(t, dir, Config{})
	f("file 1", 2, false)
	f("file 2", 3, true) // the file has changed: it wins
	f("file 1", 1, true)
	put(t, s, "a", "file 2")
	f("file 2", 3, false) // seen for the first time since file 1, and current already
	put(t, s, "a", "uploaded")
	f("file 2", 2, false)
	if _, _, err := s.Seed("a", []byte("bad"), func([]byte) (string, error) { return "", errors.New("bad") }); err == nil {
		t.Error("a bad file is accepted")
	}
	if v, _ := s.Current("a"); v.Number != 2 {
		t.Errorf("after a bad file current is %+v", v)
	}
}

func TestTampered(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	v, _ := put(t, s, "a", "module")
	path := filepath.Join(dir, "modules", v.Digest+".wasm")
	if err := os.WriteFile(path, []byte("Module"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(v.Digest); err == nil || !strings.Contains(err.Error(), "has been changed") {
		t.Errorf("load: %v", err)
	}
	put(t, s, "a", "module") // cures it
	if b, err := s.Load(v.Digest); string(b) != "module" {
		t.Errorf("load: %q, %v", b, err)
	}
	if _, err := s.Load("../names/a.json"); !errors.Is(err, ErrNotFound) {
		t.Errorf("load of a path: %v", err)
	}
}

// A record that cannot be believed takes no other name with it, and nothing of it is
// lost: it may be mended.
func TestDamagedRecord(t *testing.T) {
	f := func(what, want string, damage func(path string) error) {
		t.Helper()
		dir := t.TempDir()
		s := open(t, dir, Config{})
		put(t, s, "a", "one")
		put(t, s, "b", "two")
		path := filepath.Join(dir, "names", "a.json")
		right, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Config{})
		for op, err := range map[string]error{
			"Current": second(s.Current("a")), "Versions": second(s.Versions("a")), "Use": third(s.Use("a", 1)),
			"Before": second(s.Before("a")), "Version": second(s.Version("a", 1)),
			"Receive": second(s.Receive("a", strings.NewReader("three"), nil)), "Damage": s.Damage()["a"],
		} {
			if d, ok := errors.AsType[*Damaged](err); !ok || d.Path != path || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s: %v", what, op, err)
			}
		}
		if _, _, err := s.Seed("a", []byte("file"), nil); err == nil {
			t.Errorf("%s: seeded", what)
		}
		if got := fmt.Sprint(s.List()); got != "[a b]" {
			t.Errorf("%s: names are %s", what, got)
		}
		if v, err := s.Current("b"); v.Number != 1 || err != nil {
			t.Errorf("%s: another name is %v, %v", what, v, err)
		}
		put(t, s, "c", "makes the store sweep")
		if err := s.Remove("c"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, right, 0o600)); err != nil {
			t.Fatal(err)
		}
		mended := open(t, dir, Config{})
		v, _ := mended.Current("a")
		if b, err := mended.Load(v.Digest); string(b) != "one" || err != nil {
			t.Errorf("%s: mended it is %q, %v", what, b, err)
		}
		if err := errors.Join(os.Remove(path), damage(path)); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Config{})
		if err := s.Remove("a"); err != nil {
			t.Errorf("%s: remove: %v", what, err)
		}
		if v, created := put(t, s, "a", "again"); v.Number != 1 || !created {
			t.Errorf("%s: after Remove: %v", what, v)
		}
	}
	write := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	sum := strings.Repeat("0", 64)
	f("no JSON", "is no record", write("{"))
	f("a current one that there is not", "no version 2", write(`{"current":2,"last":2,"versions":[{"number":1,"digest":"`+sum+`"}]}`))
	f("a path", "not valid", write(`{"current":1,"last":1,"versions":[{"number":1,"digest":"../x"}]}`))
	f("twice the same", "not valid", write(`{"current":1,"last":1,"versions":[{"number":1,"digest":"`+sum+`"},{"number":1,"digest":"`+sum+`"}]}`))
	f("no version", "has no version", write(`{}`))
	f("too long", "has more than", write(strings.Repeat(" ", maxRecord+1)))
	f("a link", "symbolic link", func(path string) error {
		return errors.Join(os.RemoveAll(path), os.Symlink("b.json", path))
	})
	f("a pipe", "no regular file", func(path string) error { return errors.Join(os.RemoveAll(path), syscall.Mkfifo(path, 0o600)) })
}

// A module's file that is not as it was is refused, whatever it is now.
func TestDamagedModule(t *testing.T) {
	f := func(what, want string, damage func(path string) error) {
		t.Helper()
		dir := t.TempDir()
		s := open(t, dir, Config{Size: 100})
		v, _ := put(t, s, "a", "module")
		path := filepath.Join(dir, "modules", v.Digest+".wasm")
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		_, err := s.Load(v.Digest)
		if d, ok := errors.AsType[*Damaged](err); !ok || d.Path != path || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "upload the module again") {
			t.Errorf("%s: %v", what, err)
		}
		put(t, s, "a", "module")
		if b, err := s.Load(v.Digest); string(b) != "module" || err != nil {
			t.Errorf("%s: uploaded again it is %q, %v", what, b, err)
		}
	}
	write := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	f("other content", "has been changed: the SHA-256 of its content is "+digest("Module"), write("Module"))
	f("no content", "has been changed", write(""))
	f("too much", "more than 100 bytes", write(strings.Repeat("x", 101)))
	f("gone", "not found", os.Remove)
	f("a link to the same", "symbolic link", func(path string) error {
		return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
	})
	f("a pipe", "no regular file", func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) })
}

// Nor is a directory of the store what a link leads to.
func TestLinkedDirectory(t *testing.T) {
	for _, name := range []string{"modules", "names", "tmp"} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Config{}); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				module := []byte(fmt.Sprint("module ", j))
				v, _, err := s.Put(fmt.Sprint("name", i%4), API, bytes.NewReader(module), nil)
				if err != nil {
					t.Error(err)
				}
				if b, err := s.Load(v.Digest); !bytes.Equal(b, module) {
					t.Errorf("load: %q, %v", b, err)
				}
			}
		})
	}
	wg.Wait()
	for _, name := range s.List() {
		if list, _ := s.Versions(name); len(list) != 10 {
			t.Errorf("%s has %d versions", name, len(list))
		}
	}
	if n := entries(t, dir, "modules"); n != 10 {
		t.Errorf("%d modules", n)
	}
}

func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	put(t, s, "a", "one")
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Put("a", API, strings.NewReader("two"), nil); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("put: %v", err)
	}
	if v, err := s.Current("a"); v.Number != 1 {
		t.Errorf("current is %+v, %v", v, err)
	}
}

// TestCrash ends a process, without any clean-up, at each step of whatever changes the
// store. It is then as it was before, or as it is after.
func TestCrash(t *testing.T) {
	if dir := os.Getenv("REGISTRY_TEST_CRASH_DIR"); dir != "" {
		s := open(t, dir, Config{})
		s.step = func(step string) {
			if step == os.Getenv("REGISTRY_TEST_CRASH_STEP") {
				os.Exit(99)
			}
		}
		changes[os.Getenv("REGISTRY_TEST_CRASH_CHANGE")](t, s)
		return
	}
	t.Run("other changes", func(t *testing.T) {
		for _, change := range []string{"use", "back", "retreat"} {
			crash(t, change, "record written")
		}
		for _, change := range []string{"store", "undo"} {
			for _, step := range []string{"renamed", "record written", "recorded"} {
				crash(t, change, step)
			}
		}
	})
	for _, step := range []string{"created", "written", "synced", "renamed", "record written", "recorded"} {
		dir := t.TempDir()
		put(t, open(t, dir, Config{}), "a", "old")
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), "REGISTRY_TEST_CRASH_CHANGE=accept", "REGISTRY_TEST_CRASH_DIR="+dir, "REGISTRY_TEST_CRASH_STEP="+step)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 99 {
			t.Fatalf("%s: the process did not end there: %s", step, out)
		}
		s := open(t, dir, Config{})
		v, err := s.Current("a")
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		want, number, modules := "old", 1, 1
		if step == "recorded" {
			want, number, modules = "new", 2, 2
		}
		if b, err := s.Load(v.Digest); string(b) != want || v.Number != number {
			t.Errorf("%s: version %d is %q, %v", step, v.Number, b, err)
		}
		if m, tmp := entries(t, dir, "modules"), entries(t, dir, "tmp"); m != modules || tmp != 0 {
			t.Errorf("%s: %d modules and %d temporary files", step, m, tmp)
		}
	}
}

// changes are what may be going on when a process ends, of a store that has three
// versions of a, the second current.
var changes = map[string]func(*testing.T, *Store){
	"accept": func(t *testing.T, s *Store) { put(t, s, "a", "new") },
	"store": func(t *testing.T, s *Store) {
		up := receive(t, s, "a", "new")
		if _, _, err := up.Store(API); err != nil {
			t.Fatal(err)
		}
	},
	"undo": func(t *testing.T, s *Store) {
		up := receive(t, s, "a", "new")
		accept(t, up)
		if err := up.Undo(); err != nil {
			t.Fatal(err)
		}
	},
	"use":     func(t *testing.T, s *Store) { use(t, s, "a", 3) },
	"back":    func(t *testing.T, s *Store) { must(t)(s.Back("a")) },
	"retreat": func(t *testing.T, s *Store) { retreat(t, s, Retreat{From: 2, Reason: "traps"}) },
}

// use makes a version current, after it was taken back once.
func use(t *testing.T, s *Store, name string, number int) {
	t.Helper()
	before, _ := s.Current(name)
	_, undo, err := s.Use(name, number)
	if err == nil {
		err = undo()
	}
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := s.Current(name); v != before {
		t.Errorf("undone: current is %+v, was %+v", v, before)
	}
	if _, _, err := s.Use(name, number); err != nil {
		t.Fatal(err)
	}
	if err := undo(); err != nil {
		t.Error(err)
	}
	if v, _ := s.Current(name); v.Number != number {
		t.Errorf("undone late: current is %+v, want %d", v, number)
	}
}

func retreat(t *testing.T, s *Store, why Retreat) {
	t.Helper()
	if _, _, err := s.Retreat("a", 1, why); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T) func(Version, error) {
	return func(_ Version, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// crash ends a process at a step of a change, if the change has that step, and looks at
// what is left: a record that is whole, of before or after.
func crash(t *testing.T, change, step string) {
	t.Helper()
	fill := func(s *Store) {
		for _, module := range []string{"1", "2", "3"} {
			put(t, s, "a", module)
		}
		use(t, s, "a", 1)
		use(t, s, "a", 2)
	}
	shown := func(dir string) string {
		s := open(t, dir, Config{})
		v, err := s.Current("a")
		if err != nil {
			t.Fatalf("%s, %s: %v", change, step, err)
		}
		all, _ := s.Versions("a")
		text := fmt.Sprint(v.Number, " of")
		for _, v := range all {
			b, err := s.Load(v.Digest)
			if err != nil {
				t.Errorf("%s, %s: %v", change, step, err)
			}
			text += fmt.Sprintf(" %d=%s", v.Number, b)
		}
		_, why := s.Since("a")
		if n := entries(t, dir, "modules"); n != len(all) || entries(t, dir, "tmp") != 0 {
			t.Errorf("%s, %s: %d modules of %d versions, %d temporary files", change, step, n, len(all), entries(t, dir, "tmp"))
		}
		return fmt.Sprint(text, " ", why != nil)
	}
	dir, whole := t.TempDir(), t.TempDir()
	fill(open(t, dir, Config{}))
	before := shown(dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "REGISTRY_TEST_CRASH_CHANGE="+change, "REGISTRY_TEST_CRASH_DIR="+dir, "REGISTRY_TEST_CRASH_STEP="+step)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 99 && code != 0 {
		t.Fatalf("%s, %s: %s", change, step, out)
	}
	s := open(t, whole, Config{})
	fill(s)
	changes[change](t, s)
	after := shown(whole)
	accepted := before // in between, where there are two changes
	if change == "undo" {
		accepted = "4 of 1=1 2=2 3=3 4=new false"
	}
	if got := shown(dir); got != before && got != after && got != accepted {
		t.Errorf("%s, %s: left is %s, want %s or %s", change, step, got, before, after)
	}
}

// What is only stored can be put to use, and changes nothing before.
func TestStoreOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Keep: 1})
	store := func(module string) (Version, bool) {
		t.Helper()
		up := receive(t, s, "a", module)
		v, created, err := up.Store(API)
		if err := errors.Join(err, up.Close()); err != nil {
			t.Fatal(err)
		}
		return v, created
	}
	if v, created := store("one"); v.Number != 1 || !created {
		t.Errorf("the first is %+v, %v", v, created)
	}
	if v, err := s.Current("a"); v.Number != 0 || err != nil {
		t.Errorf("current is %+v, %v", v, err)
	}
	s = open(t, dir, Config{Keep: 1})
	use(t, s, "a", 1)
	if v, created := store("two"); v.Number != 2 || !created { // one more than are kept
		t.Errorf("the second is %+v, %v", v, created)
	}
	if v, created := store("one"); v.Number != 1 || created {
		t.Errorf("the first again is %+v, %v", v, created)
	}
	if v, _ := s.Current("a"); v.Number != 1 {
		t.Errorf("current is %+v", v)
	}
	if _, err := s.Before("a"); !errors.Is(err, ErrFirst) {
		t.Errorf("before it: %v", err)
	}
	up := receive(t, s, "a", "three")
	if _, _, err := up.Store(API); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(up.Undo(), up.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Version("a", 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("undone: %v", err)
	}
}

// Why a version is current is kept until somebody asks for one.
func TestRetreat(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	retreat(t, s, Retreat{From: 2, Reason: "traps"})
	check := func(current int, reason string) {
		t.Helper()
		v, err := s.Current("a")
		since, why := s.Since("a")
		switch {
		case err != nil || v.Number != current || since.IsZero():
			t.Errorf("current is %v since %v, %v; want %d", v.Number, since, err, current)
		case reason == "" && why != nil, reason != "" && (why == nil || why.Reason != reason || why.From != 2):
			t.Errorf("why: %+v, want %q", why, reason)
		}
	}
	check(1, "traps")
	s = open(t, dir, Config{})
	check(1, "traps")
	use(t, s, "a", 1) // somebody has seen it
	check(1, "")
	retreat(t, s, Retreat{From: 2, Reason: "time"})
	check(1, "time")
	put(t, s, "a", "2")
	check(2, "")
	retreat(t, s, Retreat{From: 2, Reason: "again"})
	must(t)(s.Back("a"))
	check(2, "")
}
