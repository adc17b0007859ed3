package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// saved is what the API has changed of splits, kept for each main file: the
// weights, by the canonical configuration of the split. So a split whose shares
// are changed in the file has those of the file again.
type saved struct {
	path   string
	splits map[string]savedSplit
}

// savedSplit is how the API has divided a split.
type savedSplit struct {
	Weights []rollout.Weight `json:"weights"`
	Since   time.Time        `json:"since"`
}

// openSaved reads what was saved in a directory.
func openSaved(dir string) (*saved, error) {
	s := &saved{path: filepath.Join(dir, "splits.json"), splits: make(map[string]savedSplit)}
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s.splits)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove the file to go on with the shares of the configuration", s.path, err)
	}
	return s, nil
}

// with returns what is saved with other weights of a split; nil: it has those of the
// file.
func (s *saved) with(key string, weights []rollout.Weight) map[string]savedSplit {
	next := maps.Clone(s.splits)
	if next[key] = (savedSplit{weights, time.Now().UTC().Round(time.Second)}); weights == nil {
		delete(next, key)
	}
	return next
}

// of returns what is saved of these splits: of others that the file may have had
// nothing is to come back with them, nor to pile up.
func (s *saved) of(splits map[string]*routeSplit) map[string]savedSplit {
	next := maps.Clone(s.splits)
	maps.DeleteFunc(next, func(key string, _ savedSplit) bool { return splits[key] == nil })
	return next
}

// write keeps what is to hold after a restart too. After a crash either that or what
// was saved before is there, and after an error the latter.
func (s *saved) write(next map[string]savedSplit) error {
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := osfile.Replace(s.path, b); err != nil {
		return fmt.Errorf("keep the shares of a split: %w", err)
	}
	return nil
}
