package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluice-edge/sluice/filters/wasm/rewrite"
	"github.com/tetratelabs/wazero"
)

// stage is a directory that the runtime of a store takes for its cache. What is to be
// loaded is put there, and what was compiled is taken from there. It exists while
// something is compiled, and has files of that only.
//
// The runtime keeps the binary of each module, though it needs nothing of its functions
// once they are compiled: they are half of what a module takes of the heap, and reading
// and validating them is half of the time of loading it. So it is given a shell, with
// functions that are empty, and the code of the module where that of the shell would be.
// It finds code by the digest of what it compiles, and sees no difference. That is what
// it is known to do, and nothing that it promises: if it does not take the code it
// compiles the shell, and writes that. Then the module is compiled as it is.
type stage struct {
	cache *cache
	dir   string
	part  string // the directory in it for this version of the runtime
	code  wazero.CompilationCache
}

func newStage(c *cache) (*stage, error) {
	dir, err := os.MkdirTemp(c.dir, unfinished)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &stage{cache: c, dir: dir}
	if s.code, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
		return nil, err
	}
	list, err := os.ReadDir(dir)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("the runtime has made %d directories, not 1", len(list))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.part = list[0].Name()
	return s, nil
}

// close gives back what the runtime has read.
func (s *stage) close() { s.code.Close(context.Background()) }

// clear makes the directory, without files.
func (s *stage) clear() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(s.dir, s.part), 0o700)
}

// compile compiles a module, or takes its code from the cache; loaded says that it has
// been there.
func (s *stage) compile(r wazero.Runtime, binary []byte) (c wazero.CompiledModule, loaded bool, err error) {
	defer os.RemoveAll(s.dir)
	sum := sha256.Sum256(binary)
	name, shell := hex.EncodeToString(sum[:]), rewrite.Shell(binary, sum[:])
	if file := s.cache.find(name); file != "" {
		if c, err = s.fetch(r, shell, name, file); err == nil {
			return c, true, nil
		}
		s.cache.discard(name) // made by another version of the runtime, or for another processor
	}
	if c, err = s.make(r, shell, binary); err != nil {
		return nil, false, err
	}
	if err := s.cache.keep(name, s.dir); err != nil {
		s.cache.log.Warn("compiled code is not kept", "err", err)
	}
	return c, false, nil
}

// fetch loads the code that a file of the cache's entry of a name has.
func (s *stage) fetch(r wazero.Runtime, shell []byte, name, file string) (wazero.CompiledModule, error) {
	if err := s.clear(); err != nil {
		return nil, err
	}
	if err := os.Link(filepath.Join(s.cache.dir, name, file), filepath.Join(s.dir, file)); err != nil {
		return nil, err
	}
	return s.load(r, shell, file)
}

// make compiles a module, and loads what has become of it.
func (s *stage) make(r wazero.Runtime, shell, binary []byte) (wazero.CompiledModule, error) {
	if err := s.clear(); err != nil {
		return nil, err
	}
	file, err := s.write(r, shell) // only the runtime knows what the file is called
	if err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(s.dir, file)); err != nil {
		return nil, err
	}
	made, err := s.write(r, binary)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(s.dir, made), filepath.Join(s.dir, file)); err != nil {
		return nil, err
	}
	return s.load(r, shell, file)
}

// write has a module compiled, and returns the file that its code was written to.
func (s *stage) write(r wazero.Runtime, binary []byte) (file string, err error) {
	ctx := context.Background()
	c, err := r.CompileModule(ctx, binary)
	if err != nil {
		return "", err
	}
	c.Close(ctx)
	return only(s.dir)
}

// load has a shell compiled, whose code is in a file. The error may be that the runtime
// has not taken it.
func (s *stage) load(r wazero.Runtime, shell []byte, file string) (wazero.CompiledModule, error) {
	path, ctx := filepath.Join(s.dir, file), context.Background()
	f, err := os.Open(path) // while it is open no other is the same
	if err != nil {
		return nil, err
	}
	defer f.Close()
	was, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := r.CompileModule(ctx, shell)
	if err != nil {
		return nil, err
	}
	is, err := os.Lstat(path)
	if err == nil {
		_, err = only(s.dir)
	}
	if err == nil && !os.SameFile(was, is) {
		err = fmt.Errorf("the runtime has not taken the code in %s", path)
	}
	if err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}
