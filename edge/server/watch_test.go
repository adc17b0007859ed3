package server_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/server"
)

// Changes are noticed of a file, of one that is replaced, and of what a directory
// holds.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	sites := filepath.Join(dir, "sites")
	main, other := filepath.Join(dir, "sluice.yaml"), filepath.Join(dir, "other.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(sites, 0o700); err != nil {
		t.Fatal(err)
	}
	write(main, "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := make(chan struct{})
	over := make(chan error)
	watched := []string{main, sites + "/"}
	go func() {
		over <- server.Watch(ctx, watched, func() []string {
			changes <- struct{}{}
			return watched
		})
	}()
	// Nobody knows when watching has begun, so the file changes until it is noticed.
	for begun := false; !begun; {
		write(main, "again")
		select {
		case <-changes:
			begun = true
		case <-time.After(time.Second):
		}
	}
	write(other, "2")
	if err := os.Rename(other, main); err != nil {
		t.Fatal(err)
	}
	<-changes
	write(filepath.Join(sites, "new.yaml"), "3")
	<-changes
	if err := os.Remove(filepath.Join(sites, "new.yaml")); err != nil {
		t.Fatal(err)
	}
	<-changes
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
