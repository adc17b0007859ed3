package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/tools/txtar"
)

// unpack writes the files of an archive into a directory of their own, makes that
// the working directory, and returns it.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range a.Files {
		path := filepath.Join(dir, f.Name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err := errors.Join(err, os.WriteFile(path, f.Data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// TestInclude loads each archive of testdata/include. Beside it stands what comes
// of it: all problems, and of a good file the whole and the files that matter.
func TestInclude(t *testing.T) {
	archives, err := filepath.Glob("testdata/include/*.txtar")
	if err != nil || len(archives) < 10 {
		t.Fatal(archives, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Env: world.Env}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			dir := unpack(t, archive)
			f, problems := Load("sluice.yaml", o)
			good := strings.HasPrefix(filepath.Base(archive), "ok-") || strings.HasPrefix(filepath.Base(archive), "warning-")
			if (f == nil) != problems.Failed() || good != (f != nil) {
				t.Errorf("file %v, failed %v; the name says %v", f != nil, problems.Failed(), good)
			}
			for _, p := range problems.Problems() {
				if _, err := os.Stat(p.Place.File); err != nil || p.Place.Line < 1 || p.Place.Column < 1 {
					t.Errorf("no place: %v", p)
				}
			}
			got := problems.String()
			if f != nil {
				got += dump(t, f) + strings.Join(f.Files(), "\n") + "\n"
				again(t, f, o)
			}
			got = strings.ReplaceAll(got, dir, "DIR")
			golden := filepath.Join(here, strings.TrimSuffix(archive, ".txtar")+".out")
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

// again wants Read and ParseTexts together to be what Load is.
func again(t *testing.T, f *File, o Options) {
	t.Helper()
	texts, problems := Read(f.Name(), o)
	if !reflect.DeepEqual(texts, f.Texts()) {
		t.Errorf("got %q, want %q\n%v", texts, f.Texts(), problems)
	}
	parsed, problems := ParseTexts(texts, o)
	if parsed == nil {
		t.Fatal(problems)
	}
	if got, want := dump(t, parsed), dump(t, f); got != want {
		t.Errorf("parsed from texts: got\n%s\nwant\n%s", got, want)
	}
	if got, want := parsed.Files(), f.Files(); !reflect.DeepEqual(got, want) {
		t.Errorf("files: got %q, want %q", got, want)
	}
}

// TestIncludeNames wants files called as the main file is, and to be found
// wherever Options say that it is.
func TestIncludeNames(t *testing.T) {
	dir := unpack(t, "testdata/include/ok-twice.txtar")
	t.Chdir(filepath.Dir(dir))
	main := filepath.Join(filepath.Base(dir), "sluice.yaml")
	elsewhere := filepath.Join(t.TempDir(), "sluice.yaml")
	src, err := os.ReadFile(main)
	if err := errors.Join(err, os.WriteFile(elsewhere, src, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir string
		want      string
	}{
		{main, "", filepath.Join(filepath.Base(dir), "sites/a.yaml")},
		{filepath.Join(dir, "sluice.yaml"), "", filepath.Join(dir, "sites/a.yaml")},
		{elsewhere, dir, filepath.Join(dir, "sites/a.yaml")},
		{elsewhere, filepath.Base(dir), filepath.Join(dir, "sites/a.yaml")},
	} {
		o := Options{Dir: c.dir}
		f, problems := Load(c.name, o)
		if f == nil {
			t.Fatal(problems)
		}
		if got := f.Texts()[1].Name; got != c.want {
			t.Errorf("%s in %s: got %q, want %q", c.name, c.dir, got, c.want)
		}
		again(t, f, o)
	}
	if texts, problems := Read(filepath.Join(dir, "none.yaml"), Options{}); texts != nil || !problems.Failed() {
		t.Errorf("read %q of a file that is not there", texts)
	}
}

// TestIncludeTexts parses texts that nobody has read from a disk.
func TestIncludeTexts(t *testing.T) {
	texts := []Text{
		{"sluice.yaml", []byte("include: sites/*.yaml\nsites: { a.example.com: shop }\n")},
		{"sites/b.yaml", []byte("sites: { b.example.com: { to: shop, filters: f } }\nfilters: { f: { wasm: f.wasm } }\n")},
		{"/srv/c.yaml", []byte("upstreams: { shop: \"unix:s.sock\" }\n")},
	}
	f, problems := ParseTexts(texts, Options{Dir: "/etc/sluice"})
	if f == nil {
		t.Fatal(problems)
	}
	if got, want := f.Filter("f").Wasm, "/etc/sluice/sites/f.wasm"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := f.Upstream("shop").Endpoints[0].Address, "/srv/s.sock"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := f.Sites[1].Place.String(), "sites/b.yaml:1:10"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d := f.Diag()
	d.Errorf(f.Sites[1].Place, "wrong")
	if !strings.Contains(d.String(), "b.example.com: { to") {
		t.Errorf("the text of an included file is not shown: %v", d)
	}
	if _, problems := ParseTexts(append(texts, texts[1]), Options{}); !strings.Contains(problems.String(), "given twice") {
		t.Errorf("got %v", problems)
	}
}

// TestIncludeLimits wants all files together to be bounded as one is: what is read
// after others have spent nearly all must be refused.
func TestIncludeLimits(t *testing.T) {
	const text = "upstreams:\n  a: 10.0.0.1:80\n  b: 10.0.0.1:80\n"
	for _, c := range []struct {
		name  string
		spent cost
		want  string
	}{
		{"nothing", cost{}, ""},
		{"little", cost{files: maxIncluded, bytes: maxFile - len(text)}, ""},
		{"files", cost{files: maxIncluded + 1}, "more than 10000 files are included"},
		{"bytes", cost{files: 1, bytes: maxFile - 10}, "this file and those before it are 16777251 bytes, more than 16MB"},
		{"marks", cost{files: 1, marks: maxTokens - 2}, "this file and those before it have 1000006 line ends and punctuation marks"},
		{"moves", cost{files: 1, moves: maxMoves - 2}, "this file and those before it are too large to be read in reasonable time"},
		{"paths", cost{files: 1, paths: maxPaths - 2}, "this file and those before it are too large to be read in reasonable time"},
	} {
		l := newLoader("sluice.yaml", world)
		l.spent = c.spent
		l.add(Text{"a.yaml", []byte(text)}, "/")
		if got := l.problems.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestIncludeMany reads as many files as may be, each with a site.
func TestIncludeMany(t *testing.T) {
	texts := []Text{{"main.yaml", []byte("sites: { a: shop }\nupstreams: { shop: 10.0.0.1:80 }\n")}}
	for i := range maxIncluded {
		texts = append(texts, Text{fmt.Sprintf("%d.yaml", i), fmt.Appendf(nil, "sites: { s%d: shop }", i)})
	}
	f, problems := ParseTexts(texts, world)
	if f == nil {
		t.Fatal(problems)
	}
	if got, want := len(f.Sites), maxIncluded+1; got != want {
		t.Errorf("got %d sites, want %d", got, want)
	}
}

// TestLister wants patterns to be matched as a shell does, within a bound, and
// nothing to be opened that one would wait for.
func TestLister(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml", ".hidden.yaml", "x/a.yaml", "y/b.yaml", "y/z/a.yaml"} {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err := errors.Join(err, os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ pattern, want, dirs string }{
		{"*.yaml", "a.yaml b.yaml", "."},
		{".*.yaml", ".hidden.yaml", "."},
		{"[ab].yaml", "a.yaml b.yaml", "."},
		{"?.yaml", "a.yaml b.yaml", "."},
		{"*/a.yaml", "x/a.yaml", ". x y"},
		{"*/*.yaml", "x/a.yaml y/b.yaml", ". x y"},
		{"*/*/*", "y/z/a.yaml", ". x y y/z"},
		{"none/*", "", "none"},
		{"pipe/*", "", ""},
		{"none", "none", ""},
		{"*/none", "", ". x y"},
	} {
		var g lister
		paths, dirs, err := g.match(filepath.Join(dir, c.pattern))
		relative := func(paths []string) string {
			var out []string
			for _, p := range paths {
				rel, err := filepath.Rel(dir, p)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, rel)
			}
			return strings.Join(out, " ")
		}
		// A file or a pipe stands where a directory could.
		dirs = slices.DeleteFunc(dirs, func(d string) bool { return !isDir(d) && filepath.Base(d) != "none" })
		if err != nil || relative(paths) != c.want || relative(dirs) != c.dirs {
			t.Errorf("%s: got %q in %q, %v; want %q in %q", c.pattern, relative(paths), relative(dirs), err, c.want, c.dirs)
		}
	}
	g := lister{listed: maxListed - 2}
	if _, _, err := g.match(dir + "/*"); err == nil || !strings.Contains(err.Error(), "more than 100000 names") {
		t.Errorf("got %v, want an error of too many names", err)
	}
}

// TestFiles wants every file that a change of may matter.
func TestFiles(t *testing.T) {
	o := world
	o.ReadFile = func(string) ([]byte, error) { return []byte("0123456789abcdef"), nil }
	f, problems := ParseTexts([]Text{{"/etc/sluice/sluice.yaml", []byte(`
sites: { a: { redirect: { map: moved.txt } }, b: { respond: { body: file:page.html } } }
filters: { f: { wasm: f.wasm }, up: { wasm: uploaded } }
functions: { g: { wasm: g.wasm }, up: { wasm: uploaded } }
tls: { certificates: [{ cert: c.pem, key: k.pem }], internal: { ca: { cert: ca.pem, key: ca.key } } }
admin: { token: file:/run/token }
`)}}, o)
	if f == nil {
		t.Fatal(problems)
	}
	var want []string
	for _, name := range strings.Fields("c.pem ca.key ca.pem f.wasm g.wasm k.pem moved.txt page.html sluice.yaml") {
		want = append(want, "/etc/sluice/"+name)
	}
	want = append(want, "/run/token")
	if got := f.Files(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
