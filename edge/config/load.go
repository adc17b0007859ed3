package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/osfile"
)

// maxValueFile is how many bytes a file has at most that gives a value (file:).
const maxValueFile = 1 << 20

// Options is what a file means beyond its text. The zero value is for files on
// disk.
type Options struct {
	Dir      string                            // what relative paths are relative to. Default: the directory of the file
	Env      func(name string) (string, bool)  // the environment. Default: os.LookupEnv
	ReadFile func(path string) ([]byte, error) // reads what file: names. Default: regular files of up to 1 MiB
}

func (o Options) withDefaults(name string) Options {
	if o.Dir == "" {
		o.Dir = filepath.Dir(name)
	}
	if dir, err := filepath.Abs(o.Dir); err == nil {
		o.Dir = dir
	}
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = func(path string) ([]byte, error) { return readRegular(path, maxValueFile) }
	}
	return o
}

// Load parses the file of that name, and those that it includes. The file is nil
// if there is an error among the problems; there may be warnings beside a file.
func Load(name string, o Options) (*File, *diag.List) {
	l := newLoader(name, o)
	l.load(name)
	return l.file()
}

// Read reads the file of that name and those that it includes: what Load would
// parse. There are no texts if there is an error among the problems.
func Read(name string, o Options) ([]Text, *diag.List) {
	l := newLoader(name, o)
	l.load(name)
	if l.problems.Failed() {
		return nil, l.problems
	}
	return l.texts(), l.problems
}

// Parse is ParseTexts of one text.
func Parse(name string, src []byte, o Options) (*File, *diag.List) {
	return ParseTexts([]Text{{name, src}}, o)
}

// ParseTexts parses what Read has returned, or what has become of it: the main
// file first, then those that it includes. What else the main file includes is
// not read.
func ParseTexts(texts []Text, o Options) (*File, *diag.List) {
	l := newLoader(texts[0].Name, o)
	for _, t := range texts {
		if !l.add(t, l.dirOf(t.Name)) {
			break
		}
	}
	return l.file()
}

// readRegular reads a file of limit bytes at most. Devices and pipes are refused:
// they may have no end.
func readRegular(name string, limit int64) ([]byte, error) {
	b, err := osfile.Read(name, limit)
	switch {
	case errors.Is(err, osfile.ErrTooLarge):
		return nil, fmt.Errorf("larger than %s", FormatSize(limit))
	case err != nil:
		return nil, cause(err)
	}
	return b, nil
}

// cause returns an error of package os without the path, which the message has
// already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// loader makes a File of texts.
type loader struct {
	name     string // of the main file
	given    bool   // Options.Dir was
	options  Options
	problems *diag.List
	grammar  *grammar
	spent    cost
	sources  []source
	names    map[string]bool // of sources
}

// source is a text with what it says.
type source struct {
	Text
	dir  string // what relative paths in it are relative to
	root *node  // nil after a problem
}

func newLoader(name string, o Options) *loader {
	return &loader{name: name, given: o.Dir != "", options: o.withDefaults(name), problems: new(diag.List), grammar: newGrammar(), names: make(map[string]bool)}
}

// dirOf returns what relative paths in the file of that name are relative to.
func (l *loader) dirOf(name string) string {
	dir := filepath.Dir(name)
	switch {
	case name == l.name:
		return l.options.Dir
	case filepath.IsAbs(dir):
		return dir
	case l.given:
		return filepath.Join(l.options.Dir, dir)
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// add parses a text. It returns false if there is no room for more.
func (l *loader) add(t Text, dir string) bool {
	l.problems.Source(t.Name, t.Bytes)
	at := diag.Place{File: t.Name, Line: 1, Column: 1}
	if l.names[t.Name] {
		l.problems.Errorf(at, "the file is given twice")
		return false
	}
	l.names[t.Name] = true
	l.spent.files++
	if l.spent.bytes += len(t.Bytes); l.spent.bytes > maxFile {
		l.problems.Errorf(at, "%s %d bytes, more than %s", l.spent.subject("is", "are"), l.spent.bytes, FormatSize(maxFile))
		return false
	}
	if l.spent.files > maxIncluded+1 {
		l.problems.Errorf(at, "more than %d files are included", maxIncluded)
		return false
	}
	before := l.problems.Len()
	root := readTree(t.Name, t.Bytes, l.problems, &l.spent)
	if l.problems.Len() > before {
		root = nil
	}
	l.sources = append(l.sources, source{t, dir, root})
	return true
}

func (l *loader) texts() []Text {
	texts := make([]Text, 0, len(l.sources))
	for _, s := range l.sources {
		texts = append(texts, s.Text)
	}
	return texts
}

// decoder returns what decodes the sources.
func (l *loader) decoder() *decoder {
	d := &decoder{options: l.options, problems: l.problems, grammar: l.grammar, dirs: make(map[string]string, len(l.sources))}
	for _, s := range l.sources {
		d.dirs[s.Name] = s.dir
	}
	return d
}

// file makes a File of the sources.
func (l *loader) file() (*File, *diag.List) {
	if l.problems.Failed() {
		return nil, l.problems
	}
	d := l.decoder()
	f := d.file(value{node: d.merge(l.sources)})
	if l.problems.Failed() {
		return nil, l.problems
	}
	f.texts = l.texts()
	f.files = l.files(d)
	f.index()
	return f, l.problems
}

// files returns the absolute paths of all that was read.
func (l *loader) files(d *decoder) []string {
	var files []string
	for i, s := range l.sources {
		path := filepath.Join(s.dir, filepath.Base(s.Name))
		if i == 0 {
			// Options.Dir moves what the main file names, not the file.
			path = s.Name
		}
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		files = append(files, path)
	}
	for path := range d.values {
		files = append(files, path)
	}
	return files
}
