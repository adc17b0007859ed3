package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

const killed = `
admin: off
log: { access: off }
sites: { "http://127.0.0.1:0": { respond: 204 } }
filters: { f: { wasm: uploaded, timeout: 10s } }
`

// serveKilled is a server of a directory.
func serveKilled(t *testing.T, dir string) *server.Server {
	t.Helper()
	file, problems := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(killed+"state: "+dir+"/state\n"), config.Options{})
	if problems.Failed() {
		t.Fatal(problems)
	}
	s, problems, err := server.New(file, server.Options{Access: io.Discard})
	if err != nil || problems.Failed() {
		t.Fatal(problems, err)
	}
	return s
}

// deployed says what runs.
func deployed(t *testing.T, s *server.Server) string {
	t.Helper()
	f, err := s.Filter("f")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, v := range f.Deployment.Versions {
		text += fmt.Sprintf("@%d %v%% ", v.Version, v.Percent)
	}
	return text + fmt.Sprintf("@%d %s", f.Deployment.Shadow, f.Deployment.Guard)
}

// A process that is killed while it deploys, at whatever moment, leaves the deployment
// before or the one after, and neither in part.
func TestKilledWhileDeploying(t *testing.T) {
	off, on := "off", "roll back if traps > 1%"
	changes := []api.DeploymentChange{
		{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}, Guard: &off},
		{Versions: []api.DeployedShare{{Version: 1, Percent: 90}, {Version: 2, Percent: 10}}, Shadow: 3, Guard: &on},
		{Versions: []api.DeployedShare{{Version: 3, Percent: 100}}, Shadow: 1, Guard: &off},
		{Versions: []api.DeployedShare{{Version: 2, Percent: 100}}, Guard: &on},
		{Versions: []api.DeployedShare{{Version: 1, Percent: 100}}, Shadow: 2, Guard: &off},
		{Versions: []api.DeployedShare{{Version: 2, Percent: 50}, {Version: 3, Percent: 50}}, Guard: &on},
	}
	want := []string{"@1 100% @0 off", "@1 90% @2 10% @3 " + on, "@3 100% @1 off", "@2 100% @0 " + on, "@1 100% @2 off", "@2 50% @3 50% @0 " + on}
	if dir := os.Getenv("SERVER_TEST_KILLED"); dir != "" {
		s := serveKilled(t, dir)
		defer s.Close()
		for i := 0; ; i++ {
			if _, err := s.DeployFilter("f", changes[i%len(changes)], false); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Println("deployed", i%len(changes)); err != nil {
				return // nobody is there any more
			}
		}
	}
	random := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	s := serveKilled(t, dir)
	for _, name := range []string{"hello", "deny", "peek"} {
		if _, _, err := s.PushFilter(context.Background(), "f", bytes.NewReader(module(t, name)), api.Use{Store: true}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	for range 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileDeploying$", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), "SERVER_TEST_KILLED="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, last, n := bufio.NewScanner(out), -1, 1+random.IntN(8)
		for n > 0 && lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "deployed %d", &last); err != nil {
				t.Errorf("it says %q", lines.Text())
			}
			n--
		}
		for range random.IntN(1_000_000) { // somewhere in the next
		}
		cmd.Process.Kill()
		for lines.Scan() { // that it came to meanwhile
			if strings.HasPrefix(lines.Text(), "deployed") {
				fmt.Sscanf(lines.Text(), "deployed %d", &last)
			}
		}
		cmd.Wait()
		if last < 0 {
			t.Fatal("it did not come to a deployment")
		}
		s := serveKilled(t, dir)
		if got := deployed(t, s); got != want[last] && got != want[(last+1)%len(want)] {
			t.Errorf("after %s: left is %s", want[last], got)
		}
		s.Close()
	}
}
