// Package scaffold writes projects: a filter or a function to begin with, which
// builds with one command and fetches nothing, since the SDK's source is in it.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/sluice-edge/sluice/sdk"
)

// Kind is what a project makes.
type Kind string

// The kinds.
const (
	Filter   Kind = "filter"
	Function Kind = "function"
)

// Lang is the language of a project.
type Lang string

// The languages.
const (
	Go             Lang = "go"
	C              Lang = "c"
	Rust           Lang = "rust"
	AssemblyScript Lang = "as"
)

// Langs returns all languages.
func Langs() []Lang { return []Lang{Go, C, Rust, AssemblyScript} }

// Each directory of template is a project of one kind in one language. A file
// whose name ends in .tmpl is a template, without that ending; the others are
// copied.
//
//go:embed template
var templates embed.FS

// files are what a project has besides: where a file or directory of sdk.Source
// goes.
var files = map[Lang]map[string]string{
	Go: {
		"LICENSE":         "sluice/LICENSE",
		".":               "sluice/sdk",
		"config":          "sluice/sdk/config",
		"function":        "sluice/sdk/function",
		"internal/pieces": "sluice/sdk/internal/pieces",
		"proxy":           "sluice/sdk/proxy",
	},
	C: {"c": "."},
	Rust: {
		"rust/Cargo.toml": "sluice/Cargo.toml",
		"rust/LICENSE":    "sluice/LICENSE",
		"rust/src":        "sluice/src",
		"rust/examples":   "sluice/examples",
	},
	AssemblyScript: {
		"assemblyscript/LICENSE":  "sluice/LICENSE",
		"assemblyscript/assembly": "sluice/assembly",
	},
}

// Config returns what a project's sluice.yaml has under config, which its module does
// not do without: a text, or JSON. It is "" if there is nothing.
func Config(kind Kind, lang Lang) string {
	switch {
	case kind != Filter:
		return ""
	case lang == Go:
		return `{"greeting": "hello"}`
	}
	return "hello"
}

// New writes a project into dir, which it makes unless it is there and empty. The
// name is that of the project, of its module, and of the filter or function in its
// sluice.yaml. Nothing is ever overwritten; what was written is removed if not all
// could be.
func New(dir, name string, kind Kind, lang Lang) (err error) {
	if err := check(name, kind, lang); err != nil {
		return err
	}
	project, err := render(name, kind, lang)
	if err != nil {
		return err
	}
	w := writer{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write a project into %s: %w", dir, err), w.undo())
		}
	}()
	if err := w.begin(); err != nil {
		return err
	}
	for _, f := range project {
		if err := w.write(f); err != nil {
			return err
		}
	}
	return nil
}

// shape is that of names. Those of uploaded modules may have a dot besides, and
// begin with a digit, neither of which is good everywhere that a project has its
// name.
var shape = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

func check(name string, kind Kind, lang Lang) error {
	switch {
	case !shape.MatchString(name):
		return fmt.Errorf("%q is not a name: want 1 to 64 of a-z, 0-9, '-' and '_', the first a letter", name)
	case name == "none": // in sluice.yaml it stands for no filter
		return fmt.Errorf("%q is not a name: it stands for no filter at all", name)
	case kind != Filter && kind != Function:
		return fmt.Errorf("%q is not a kind of project: have %s, %s", kind, Filter, Function)
	case !slices.Contains(Langs(), lang):
		return fmt.Errorf("no project can be made in the language %q: have %s, %s, %s, %s", lang, Go, C, Rust, AssemblyScript)
	}
	return nil
}

// file is a file of a project.
type file struct {
	path string // in the project, with slashes
	mode fs.FileMode
	text []byte
}

// render returns the files of a project.
func render(name string, kind Kind, lang Lang) ([]file, error) {
	var list []file
	root := path.Join("template", string(kind)+"-"+string(lang))
	entries, err := templates.ReadDir(root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := templates.ReadFile(path.Join(root, e.Name()))
		if err != nil {
			return nil, err
		}
		t, err := template.New(e.Name()).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return nil, err
		}
		var out strings.Builder
		if err := t.Execute(&out, map[string]string{"Name": name, "Config": Config(kind, lang)}); err != nil {
			return nil, err
		}
		f := file{path: strings.TrimSuffix(e.Name(), ".tmpl"), mode: 0o666, text: []byte(out.String())}
		switch path.Ext(f.path) {
		case ".sh":
			f.mode = 0o777
		case ".c":
			f.path = name + ".c"
		}
		list = append(list, f)
	}
	for from, to := range files[lang] {
		more, err := source(from, to)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	if lang == Go {
		list = append(list, file{"sluice/go.mod", 0o666, []byte("module github.com/sluice-edge/sluice\n\ngo 1.26\n")})
	}
	return list, nil
}

// source returns a file of the SDK, or the files right in a directory of it, as to.
func source(from, to string) ([]file, error) {
	entries, err := fs.ReadDir(sdk.Source(), from)
	if err != nil { // a file
		text, err := fs.ReadFile(sdk.Source(), from)
		return []file{{to, 0o666, text}}, err
	}
	var list []file
	for _, e := range entries {
		if e.IsDir() || from == "." && path.Ext(e.Name()) != ".go" {
			continue
		}
		text, err := fs.ReadFile(sdk.Source(), path.Join(from, e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, file{path.Join(to, e.Name()), 0o666, text})
	}
	return list, nil
}

// writer writes a project, and can take back what it has written.
type writer struct {
	dir  string
	made []string // files and directories, in the order in which they were made
}

// begin makes the directory, or finds it empty.
func (w *writer) begin() error {
	entries, err := os.ReadDir(w.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.mkdir(w.dir)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("it is not empty (it has %s): name another directory", entries[0].Name())
	}
	return nil
}

// mkdir makes a directory with those above it.
func (w *writer) mkdir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := w.mkdir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o777)
	}
	if err == nil {
		w.made = append(w.made, dir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (w *writer) write(f file) error {
	name := filepath.Join(w.dir, filepath.FromSlash(f.path))
	if err := w.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	w.made = append(w.made, name)
	_, err = out.Write(f.text)
	return errors.Join(err, out.Close())
}

// undo removes what was written.
func (w *writer) undo() error {
	var all []error
	for i := len(w.made) - 1; i >= 0; i-- {
		all = append(all, os.Remove(w.made[i]))
	}
	return errors.Join(all...)
}
