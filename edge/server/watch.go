package server

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must have been quiet before they are read again:
// editors write in several steps.
const settle = 100 * time.Millisecond

// Watch calls changed whenever one of the files has changed, or what a directory
// among them holds, whose name ends with a slash, until ctx is done. Directories are watched, not files: editors and Kubernetes replace
// files by renaming. changed returns what is to be watched from then on.
func Watch(ctx context.Context, files []string, changed func() []string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	watched := make(map[string]bool) // directories
	names := make(map[string]bool)
	follow := func(files []string) {
		clear(names)
		needed := make(map[string]bool)
		for _, f := range files {
			// A link and what it leads to may change apart.
			for _, path := range []string{f, resolved(f)} {
				if strings.HasSuffix(f, "/") && !strings.HasSuffix(path, "/") {
					path += "/"
				}
				names[path] = true
				needed[filepath.Dir(path)] = true
			}
		}
		for dir := range needed {
			if !watched[dir] && w.Add(dir) == nil {
				watched[dir] = true
			}
		}
		for dir := range watched {
			if !needed[dir] {
				w.Remove(dir)
				delete(watched, dir)
			}
		}
	}
	follow(files)
	quiet := time.NewTimer(0)
	if !quiet.Stop() {
		<-quiet.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			// ..data is the link that Kubernetes swaps.
			if names[e.Name] || names[filepath.Dir(e.Name)+"/"] || filepath.Base(e.Name) == "..data" {
				quiet.Reset(settle)
			}
		case <-quiet.C:
			follow(changed())
		case _, ok := <-w.Errors:
			if !ok {
				return nil
			}
			quiet.Reset(settle) // events were lost: look
		}
	}
}

func resolved(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}
