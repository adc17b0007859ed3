package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.out anew")

// world is what files of the tests find around them.
var world = Options{
	Dir: "/etc/sluice",
	Env: func(name string) (string, bool) {
		v, ok := map[string]string{
			"BACKEND": "10.0.0.1:80", "BACKUP": "10.0.0.2:80", "ROOT": "/root", "REWRITE": "/r?key=s3cret", "HOST": "origin.test",
			"HOME": "/home/user", "STATE": "/srv/state", "API_KEY": "key of the environment", "SHORT": "s3cret",
		}[name]
		return v, ok
	},
	ReadFile: func(path string) ([]byte, error) {
		if path == "/etc/sluice/token" {
			return []byte("0123456789abcdef\n"), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	},
}

// TestGolden parses each file of testdata. Beside it stands what comes of it: all
// problems, and of a good file all that is not as by default.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files, %v; want 40 at least", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, problems := Parse("sluice.yaml", src, world)
			if (f == nil) != problems.Failed() {
				t.Errorf("file %v, failed %v", f != nil, problems.Failed())
			}
			for _, p := range problems.Problems() {
				if p.Place.File != "sluice.yaml" || p.Place.Line < 1 || p.Place.Column < 1 {
					t.Errorf("no place: %v", p)
				}
			}
			good := strings.HasPrefix(filepath.Base(name), "ok-") || strings.HasPrefix(filepath.Base(name), "warning-")
			if good != (f != nil) {
				t.Errorf("is good: %v; the name says %v", f != nil, good)
			}
			got := problems.String()
			if f != nil {
				got += dump(t, f)
			}
			golden := strings.TrimSuffix(name, ".yaml") + ".out"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// dump returns f as JSON, without places and without what is as in the file that
// says nothing.
func dump(t *testing.T, f *File) string {
	t.Helper()
	plain, problems := Parse("", []byte("sites: { x: { respond: 200 } }"), world)
	if plain == nil {
		t.Fatal(problems)
	}
	all, base := tree(t, f).(map[string]any), tree(t, plain).(map[string]any)
	settings := tree(t, plain.Sites[0].Settings).(map[string]any)
	for k, v := range base {
		if k != "Sites" && k != "Listen" && reflect.DeepEqual(v, all[k]) {
			delete(all, k)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(prune(all, settings)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tree(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// prune leaves out places, zeros and default settings, and shows the
// configuration of filters as text.
func prune(v any, settings map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			_, isSite := v["Routes"]
			_, isRoute := v["Match"]
			if def, ok := settings[k]; (isSite || isRoute) && ok && reflect.DeepEqual(x, def) {
				delete(v, k)
				continue
			}
			if s, ok := x.(string); ok && k == "Config" {
				var b []byte
				if json.Unmarshal([]byte(`"`+s+`"`), &b) == nil {
					x = string(b)
				}
			}
			x = prune(x, settings)
			if x == false && (isSite || isRoute) && settings[k] == true {
				continue
			}
			if k == "Place" || x == nil || x == "" || x == false || x == 0.0 || fmt.Sprint(x) == "map[]" || fmt.Sprint(x) == "[]" {
				delete(v, k)
				continue
			}
			v[k] = x
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i], settings)
		}
	}
	return v
}
