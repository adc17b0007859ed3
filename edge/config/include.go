package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/diag"
)

// What include may cost.
const (
	maxIncluded = 10_000  // files
	maxListed   = 100_000 // names in directories that patterns are compared with
)

// parts are the keys of the main file that an included file may have too.
var parts = []string{"version", "sites", "upstreams", "filters", "functions"}

// load reads the main file, and those that it includes.
func (l *loader) load(name string) {
	src, err := readRegular(name, maxFile)
	if err != nil {
		l.problems.Errorf(diag.Place{File: name}, "%v", err)
		return
	}
	if !l.add(Text{name, src}, l.options.Dir) {
		return
	}
	if root := l.sources[0].root; root != nil {
		for _, e := range root.entries {
			if e.key.text == "include" {
				l.include(value{root, ""}.child("include", e.value))
			}
		}
	}
}

// include reads the files that the patterns of v match, each once, whatever
// matches it.
func (l *loader) include(v value) {
	d := l.decoder()
	main, _ := filepath.Abs(l.name)
	seen := make(map[string]bool)
	var g lister
	for _, in := range d.includes(v) {
		paths, _, err := g.match(in.pattern)
		wild := hasWildcard(in.pattern)
		switch {
		case err != nil:
			d.errorf(in.at, "%v", err)
		case len(paths) == 0 && wild:
			d.problems.Warnf(d.place(in.at), "no file matches %s", d.quote(in.at)).Hint = "it stands for " + in.pattern
		case !wild && paths[0] == main:
			d.errorf(in.at, "the file includes itself")
		}
		for _, path := range paths {
			if path == main || seen[path] {
				continue
			}
			seen[path] = true
			src, err := readRegular(path, maxFile)
			if err != nil {
				d.errorf(in.at, "cannot read %q: %v", shorten(path), err)
				continue
			}
			if !l.add(Text{l.display(path), src}, filepath.Dir(path)) {
				return
			}
		}
	}
}

// display returns what messages call an included file: as the main file is
// called, relative if that is.
func (l *loader) display(path string) string {
	if l.given || filepath.IsAbs(l.name) {
		return path
	}
	rel, err := filepath.Rel(l.options.Dir, path)
	if err != nil {
		return path
	}
	return filepath.Join(filepath.Dir(l.name), rel)
}

// included is one value of include.
type included struct {
	at      value
	pattern string // absolute
}

// includes reads the patterns of include.
func (d *decoder) includes(v value) []included {
	var out []included
	for _, item := range d.few(v) {
		pattern, ok := d.path(item)
		if !ok {
			continue
		}
		if _, err := filepath.Match(pattern, ""); err != nil {
			d.errorf(item, "%s is no pattern: %v", d.quote(item), err).Hint = "* ? and [ ] are wildcards"
			continue
		}
		out = append(out, included{item, pattern})
	}
	return out
}

// lister finds files by patterns. It counts what it looks at.
type lister struct{ listed int }

// hasWildcard reports whether a part of a pattern is compared, not just taken.
func hasWildcard(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// match returns the paths that match an absolute pattern, sorted, and what was
// looked through: directories, and what stands where one could. Without a wildcard that is the pattern,
// be there a file or not. As in a shell, names that begin with a dot match what
// begins with a dot only: editors and Kubernetes keep things there.
func (g *lister) match(pattern string) (paths, dirs []string, err error) {
	paths = []string{"/"}
	wild := false
	for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, dir := range paths {
			path := filepath.Join(dir, part)
			switch {
			case hasWildcard(part):
				names, err := g.list(dir)
				if err != nil {
					return nil, nil, err
				}
				dirs = append(dirs, dir)
				for _, name := range names {
					ok, _ := filepath.Match(part, name) // d.includes has checked it
					if ok && (name[0] != '.' || part[0] == '.') {
						next = append(next, filepath.Join(dir, name))
					}
				}
			case !wild:
				next = append(next, path)
			default:
				dirs = append(dirs, dir)
				if _, err := os.Stat(path); err == nil {
					next = append(next, path)
				}
			}
		}
		wild = wild || hasWildcard(part)
		paths = next
	}
	slices.Sort(paths)
	return paths, dirs, nil
}

// list returns what is in a directory, which is nothing if it is none.
func (g *lister) list(dir string) ([]string, error) {
	info, err := os.Stat(dir) // before it is opened: opening a pipe waits
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot list %q: %w", shorten(dir), cause(err))
	}
	defer f.Close()
	names, err := f.Readdirnames(maxListed - g.listed + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot list %q: %w", shorten(dir), cause(err))
	}
	if g.listed += len(names); g.listed > maxListed {
		return nil, fmt.Errorf("there are more than %d names in the directories that it is about", maxListed)
	}
	return names, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// merge returns what the files say together: the main file's map, in which
// sites, upstreams, filters and functions of the others stand behind its own.
func (d *decoder) merge(sources []source) *node {
	root := sources[0].root
	if len(sources) == 1 || root.kind != mapping {
		return root
	}
	merged := *root
	merged.entries = slices.Clone(root.entries)
	owned := make(map[string]*node) // what was copied, or made, by its key
	for _, s := range sources[1:] {
		v := value{node: s.root}
		if v.kind != mapping {
			d.wants(v, "a map")
			continue
		}
		d.each(v, func(name string, k, child value) {
			switch {
			case name == "version":
				d.version(child)
			case !slices.Contains(parts, name):
				d.notIncluded(k, name, sources[0].Name)
			case child.kind == mapping:
				d.join(&merged, owned, name, k, child)
			case child.kind != null:
				d.wants(child, "a map")
			}
		})
	}
	return &merged
}

// join puts what an included file says of a key behind what others say.
func (d *decoder) join(root *node, owned map[string]*node, name string, k, child value) {
	to := owned[name]
	if to == nil {
		i := slices.IndexFunc(root.entries, func(e entry) bool { return e.key.kind == scalar && e.key.text == name })
		if i < 0 {
			i = len(root.entries)
			root.entries = append(root.entries, entry{k.node, &node{kind: null, file: child.file, line: child.line, col: child.col}})
		}
		was := root.entries[i].value
		if was.kind != mapping && was.kind != null {
			return // its decoder tells
		}
		to = new(node)
		*to = *was
		to.kind, to.entries = mapping, slices.Clone(was.entries)
		owned[name], root.entries[i].value = to, to
	}
	to.entries = append(to.entries, child.entries...)
}

// notIncluded reports a key that an included file cannot have.
func (d *decoder) notIncluded(k value, name, main string) {
	switch names := d.grammar.file.names(); {
	case name == "include":
		d.errorf(k, "an included file includes nothing").Hint = "include it in " + main
	case slices.Contains(names, name):
		d.errorf(k, "an included file has no %s", name).Hint = fmt.Sprintf("write it in %s; here may be %s", main, enumerate(parts, "and"))
	default:
		p := d.errorf(k, "unknown key %q", shorten(name))
		if p.Hint = diag.DidYouMean(name, parts); p.Hint == "" {
			p.Hint = "the keys of an included file are " + enumerate(parts, "and")
		}
	}
}

// Files returns the absolute paths of all files that the configuration was made
// of, or names. A change of one may change what the configuration is. A path that
// ends with a slash is a directory, where files may come up that a pattern of
// include matches.
func (f *File) Files() []string {
	files := slices.Clone(f.files)
	add := func(path string) {
		if path != "" {
			files = append(files, path)
		}
	}
	var g lister
	for _, pattern := range f.include {
		_, dirs, _ := g.match(pattern) // what cannot be listed cannot be watched
		for _, dir := range dirs {
			// What is not there yet comes up in the directory above it.
			for !isDir(dir) && dir != "/" {
				dir = filepath.Dir(dir)
			}
			add(strings.TrimSuffix(dir, "/") + "/")
		}
	}
	for i := range f.Filters {
		add(f.Filters[i].Wasm)
	}
	for i := range f.Functions {
		add(f.Functions[i].Wasm)
	}
	for _, c := range f.TLS.Certificates {
		add(c.Cert)
		add(c.Key)
	}
	if ca := f.TLS.Internal.CA; ca != nil {
		add(ca.Cert)
		add(ca.Key)
	}
	for i := range f.Sites {
		for j := range f.Sites[i].Routes {
			if r := f.Sites[i].Routes[j].Redirect; r != nil {
				add(r.Map)
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}
