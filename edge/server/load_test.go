package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

// large writes a configuration of n routes, and a map of n redirects beside them.
func large(tb testing.TB, n int) (path string) {
	dir := tb.TempDir()
	var redirects, routes strings.Builder
	for i := range n {
		fmt.Fprintf(&redirects, "/before/%d/page-%d.html /now/%d\n", i%100, i, i)
		fmt.Fprintf(&routes, "      /section-%d/item-%d/*: { to: u%d, timeout: 5s }\n", i%100, i, i%10)
	}
	text := "admin: off\nstate: " + dir + "/state\nlog: { access: off }\nsites:\n  \"http://127.0.0.1:0\":\n    routes:\n      /before/*: { redirect: { map: redirects.txt } }\n" + routes.String() + "upstreams:\n"
	for i := range 10 {
		text += fmt.Sprintf("  u%d: 127.0.0.1:%d\n", i, 9000+i)
	}
	path = filepath.Join(dir, "sluice.yaml")
	for name, text := range map[string]string{path: text, filepath.Join(dir, "redirects.txt"): redirects.String()} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return path
}

// BenchmarkLoad measures from the files of 10,000 routes and 10,000 redirects to a
// server that serves them, and a reload of them.
func BenchmarkLoad(b *testing.B) {
	path := large(b, 10_000)
	load := func() *config.File {
		file, problems := config.Load(path, config.Options{})
		if problems.Failed() {
			b.Fatal(problems)
		}
		return file
	}
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			s, problems, err := server.New(load(), server.Options{})
			if err != nil || problems.Failed() {
				b.Fatal(problems, err)
			}
			s.Close()
		}
	})
	b.Run("reload", func(b *testing.B) {
		s, _, err := server.New(load(), server.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		for b.Loop() {
			if problems, err := s.Apply(load(), "reload"); err != nil || problems.Failed() {
				b.Fatal(problems, err)
			}
		}
	})
}
