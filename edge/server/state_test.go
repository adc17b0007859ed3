package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// A file of one site, whose answer the API changes.
const stated = `
admin: off
log: { access: off }
sites:
  "http://*:0":
    name: s
    routes:
      /: { respond: 200 }
      /half: { split: { "127.0.0.1:1": 50%, "127.0.0.1:2": 50% } }
`

// serveFile serves a file with a state directory. It is closed by the caller, or when
// the test ends.
func serveFile(t *testing.T, path, state string, log *lines) (*server.Server, error) {
	t.Helper()
	file, problems := config.Load(path, config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	file.State = state
	s, problems, err := server.New(file, server.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	if err == nil && problems.Failed() {
		err = problems
	}
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A state directory belongs to one server, until that is closed or has failed.
func TestStateIsLocked(t *testing.T) {
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	path := writeFile(t, filepath.Join(dir, "a.yaml"), stated)
	other := writeFile(t, filepath.Join(dir, "b.yaml"), stated)
	first, err := serveFile(t, path, state, new(lines))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, other} {
		_, err := serveFile(t, path, state, new(lines))
		used, ok := errors.AsType[*server.InUse](err)
		if !ok || used.Dir != state || used.PID != os.Getpid() {
			t.Fatalf("got %v", err)
		}
		if want := "the state directory " + state + " belongs to another sluice (pid " + strconv.Itoa(os.Getpid()) + ")"; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if second, err := serveFile(t, path, filepath.Join(dir, "other"), new(lines)); err != nil {
		t.Error(err)
	} else if err := second.Close(); err != nil {
		t.Error(err)
	}
	// Nothing of it is wanted by who only looks.
	file, problems := config.Load(path, config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	file.State = state
	if problems, err := server.Check(t.Context(), file); err != nil || problems.Failed() {
		t.Error(problems, err)
	}
	if _, problems, err := server.Explain(file, api.ExplainRequest{URL: "http://s/"}); err != nil || problems.Failed() {
		t.Error(problems, err)
	}
	if err := first.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	// One that fails gives it back, too.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := writeFile(t, filepath.Join(dir, "busy.yaml"), "admin: off\nlisten: { http: \""+taken.Addr().String()+"\" }\nsites: { s: { respond: 200 } }\n")
	if _, err := serveFile(t, busy, state, new(lines)); err == nil {
		t.Fatal("served where somebody else listens")
	}
	if err := os.WriteFile(filepath.Join(state, "lock"), []byte("no number"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serveFile(t, path, state, new(lines)); err != nil {
		t.Fatal(err)
	}
}

// A lock that does not say who has it is a lock all the same.
func TestLockWithoutPID(t *testing.T) {
	dir := t.TempDir()
	path, state := writeFile(t, filepath.Join(dir, "a.yaml"), stated), filepath.Join(dir, "state")
	if _, err := serveFile(t, path, state, new(lines)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "no number", "-7", "99999999999999999999"} {
		writeFile(t, filepath.Join(state, "lock"), text)
		_, err := serveFile(t, path, state, new(lines))
		if used, ok := errors.AsType[*server.InUse](err); !ok || used.PID != 0 && text != "99999999999999999999" || !strings.Contains(err.Error(), "another sluice") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	// A link is not followed.
	if err := os.MkdirAll(filepath.Join(dir, "linked"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "linked", "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := serveFile(t, path, filepath.Join(dir, "linked"), new(lines)); err == nil {
		t.Error("the lock may be a link")
	}
}

// What the API has changed of a file, and its history, are that file's: another one
// has nothing of it, and leaves it alone.
func TestStateOfFiles(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	one := writeFile(t, filepath.Join(dir, "one.yaml"), stated)
	two := writeFile(t, filepath.Join(dir, "two.yaml"), stated)
	link := filepath.Join(dir, "link.yaml")
	if err := os.Symlink("one.yaml", link); err != nil {
		t.Fatal(err)
	}
	f := func(path string, wantOverlays, wantRevisions int, wantLog string) *server.Server {
		t.Helper()
		log := new(lines)
		s, err := serveFile(t, path, state, log)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Configuration()
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.History()
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Overlays) != wantOverlays || len(all) != wantRevisions {
			t.Errorf("%s: %d overlays, %d revisions; want %d, %d", path, len(c.Overlays), len(all), wantOverlays, wantRevisions)
		}
		if got := log.String(); strings.Contains(got, "left alone") != (wantLog != "") || !strings.Contains(got, wantLog) {
			t.Errorf("%s: the log is\n%s\nwant %q", path, got, wantLog)
		}
		return s
	}
	end := func(s *server.Server) {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := f(one, 0, 1, "")
	if _, err := s.SetRoute("s/new", "127.0.0.1:1", api.Change{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetSplit("s/half", api.SplitChange{Weights: map[string]float64{"127.0.0.1:1": 10, "127.0.0.1:2": 90}}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	end(s)

	left := " file=" + one + " changes=2"
	s = f(two, 0, 1, left)
	split, err := s.Split("s/half")
	if err != nil || split.Arms[0].Share != 50 {
		t.Errorf("shares are %+v, %v", split.Arms, err)
	}
	if _, err := s.SetRoute("s/", map[string]any{"respond": 404.0}, api.Change{}); err != nil {
		t.Fatal(err)
	}
	end(s)

	s = f(link, 2, 2, " file="+two+" changes=1") // whatever the file is called by
	if split, err := s.Split("s/half"); err != nil || split.Arms[0].Share != 10 {
		t.Errorf("shares are %+v, %v", split.Arms, err)
	}
	if _, err := s.Route("s/new"); err != nil {
		t.Error(err)
	}
	// So with a whole file.
	if _, err := s.SetConfig([]byte(stated+"# set\n"), api.Change{}); err != nil {
		t.Fatal(err)
	}
	end(s)
	s = f(one, 2, 3, " file="+two+" changes=1")
	if c, err := s.RollBack(0, api.Change{}); err != nil || c.Effective[0].Name != one || !strings.Contains(c.Effective[0].Text, "/new: ") {
		t.Errorf("%+v, %v", c, err)
	}
	end(s)
	end(f(two, 1, 2, left))
}

// Kubernetes provides each state of a file in a directory of another name.
func TestStateOfConfigMap(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	for _, name := range []string{"..1", "..2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name, "sluice.yaml"), stated)
	}
	if err := os.Symlink("..data/sluice.yaml", filepath.Join(dir, "sluice.yaml")); err != nil {
		t.Fatal(err)
	}
	for i, to := range []string{"..1", "..2"} {
		os.Remove(filepath.Join(dir, "..data"))
		if err := os.Symlink(to, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		s, err := serveFile(t, filepath.Join(dir, "sluice.yaml"), state, new(lines))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Configuration(); err != nil || len(c.Overlays) != i {
			t.Errorf("%s: %+v, %v", to, c.Overlays, err)
		}
		if _, err := s.SetRoute("s/new", "127.0.0.1:1", api.Change{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
