package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/edgetest"
)

// Who begins without a file is told what there is to begin with.
func TestRunWithoutFile(t *testing.T) {
	t.Setenv("SLUICE_CONFIG", "")
	t.Chdir(t.TempDir())
	const nothing = `--- stderr
sluice: there is no sluice.yaml in this directory. What is to be served?

  sluice demo          try everything on loopback, without a file
  sluice to 3000       HTTPS in front of a port, without a file
  sluice run -c FILE   what a file says
--- exit 2
`
	f := func(want, line string) {
		t.Helper()
		if got := sluice(t, strings.Fields(line)...); got != want {
			t.Errorf("sluice %s: got\n%s\nwant\n%s", line, got, want)
		}
	}
	f(nothing, "run")
	f("--- stderr\nsluice: sluice run takes no --admin: its admin API is where the file says; write there admin: { listen: \"127.0.0.1:9024\" }\n--- exit 2\n", "run --admin 127.0.0.1:9024")
	f("--- stderr\nsluice: sluice run takes no --token: its admin API has the token of the file; write there admin: { token: env:SLUICE_TOKEN }\n--- exit 2\n", "run --token x")
	// A file that was named is missed as such.
	none := "--- stderr\nnone.yaml: "
	for _, line := range []string{"run -c none.yaml", "run"} {
		if got := sluice(t, strings.Fields(line)...); !strings.HasPrefix(got, none) || !strings.Contains(got, "no such file") || !strings.HasSuffix(got, "exit 2\n") {
			t.Errorf("sluice %s: got\n%s", line, got)
		}
		t.Setenv("SLUICE_CONFIG", "none.yaml")
	}
}

// A second process cannot have the state directory of the first, until that is gone,
// however it ends.
func TestRunTwice(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	config := func(name string) string {
		path := filepath.Join(dir, name)
		write(t, path, "listen: { http: \"127.0.0.1:0\" }\nadmin: { listen: \"unix:"+filepath.Join(dir, name+".sock")+"\" }\nstate: "+filepath.Join(dir, "state")+"\nsites: { \"*\": { respond: 200 } }\n", 0o600)
		return path
	}
	one, two := config("one.yaml"), config("two.yaml")
	log := new(edgetest.Log)
	first := exec.Command(binary, "run", "-c", one)
	first.Stdout, first.Stderr = log, log
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer first.Process.Kill() // fails where the test has not
	if err := log.Wait(regexp.MustCompile("msg=serving")); err != nil {
		t.Fatal(err, log)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // nothing is to wait
	defer cancel()
	for _, path := range []string{one, two} {
		out, err := exec.CommandContext(ctx, binary, "run", "-c", path).CombinedOutput()
		exit, ok := errors.AsType[*exec.ExitError](err)
		want := "sluice: the state directory " + filepath.Join(dir, "state") + " belongs to another sluice (pid " + strconv.Itoa(first.Process.Pid) + "), which is running\n" +
			"Stop that one, or give this one a directory of its own: write `state: DIRECTORY` in its file.\n"
		if !ok || exit.ExitCode() != 1 || string(out) != want {
			t.Errorf("%v, got\n%s\nwant\n%s", err, out, want)
		}
	}
	// Others need nothing of it.
	for _, args := range [][]string{{"check", one}, {"explain", "http://x/", "-c", two}, {"status", "--admin", "unix:" + one + ".sock"}, {"diff", one, "--admin", "unix:" + one + ".sock"}} {
		if out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput(); err != nil {
			t.Errorf("sluice %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait() // killed
	start(t, regexp.MustCompile("msg=serving"), binary, "run", "-c", two)
}

// Two of sluice to, or of sluice demo, run side by side where they have ports of their own.
func TestSideBySide(t *testing.T) {
	binary := build(t)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	shop, err := startShop("version 1")
	if err != nil {
		t.Fatal(err)
	}
	defer shop.stop()
	const anyPort = "127.0.0.1:0"
	var admins []string
	for range 2 {
		admin := free(t)
		start(t, regexp.MustCompile(`Ctrl-C stops it`), binary, "to", shop.addr, "--http", anyPort, "--https", anyPort, "--admin", admin)
		admins = append(admins, admin)
		admin = free(t)
		start(t, regexp.MustCompile(`Ctrl-C stops it`), binary, "demo", "--http", anyPort, "--https", anyPort, "--admin", admin)
		admins = append(admins, admin)
	}
	for _, admin := range admins {
		res, err := http.Get("http://" + admin + "/v1/ready")
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 200 {
			t.Errorf("%s: %s", admin, res.Status)
		}
	}
	// With one API there cannot be two.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "to", shop.addr, "--http", anyPort, "--https", anyPort, "--admin", admins[0]).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has its admin API at "+admins[0]+": stop it, or give this one another --admin, --http and --https") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Join(os.Getenv("XDG_STATE_HOME"), "sluice", "to")); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}
