package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sluice-edge/sluice/edge/diag"
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

// Load parses the file of that name.
func Load(name string, o Options) (*File, *diag.List) {
	src, err := readRegular(name, maxFile)
	if err != nil {
		problems := new(diag.List)
		problems.Errorf(diag.Place{File: name}, "%v", err)
		return nil, problems
	}
	return Parse(name, src, o)
}

// readRegular reads a file of limit bytes at most. Devices and pipes are refused:
// they may have no end.
func readRegular(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name) // before it is opened: opening a pipe waits
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, cause(err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("larger than %s", formatSize(limit))
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

// Parse reads src, a file of that name. The file is nil if there is an error
// among the problems; there may be warnings beside a file.
func Parse(name string, src []byte, o Options) (*File, *diag.List) {
	problems := new(diag.List)
	if len(src) > maxFile {
		problems.Errorf(diag.Place{File: name, Line: 1, Column: 1}, "the file is %d bytes, more than %s", len(src), formatSize(maxFile))
		return nil, problems
	}
	problems.Source(name, src)
	root := readTree(name, src, problems)
	if root == nil || problems.Failed() {
		return nil, problems
	}
	d := &decoder{name: name, options: o.withDefaults(name), problems: problems, grammar: newGrammar()}
	f := d.file(value{node: root})
	if problems.Failed() {
		return nil, problems
	}
	f.texts = []Text{{name, src}}
	f.index()
	return f, problems
}
