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

// set saves the weights of a split; nil: it has those of the file. After a crash
// either the old weights or the new ones are there, and after an error the old ones.
func (s *saved) set(key string, weights []rollout.Weight) error {
	next := maps.Clone(s.splits)
	if next[key] = (savedSplit{weights, time.Now().UTC().Round(time.Second)}); weights == nil {
		delete(next, key)
	}
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := osfile.Replace(s.path, b); err != nil {
		return fmt.Errorf("keep the shares of a split: %w", err)
	}
	s.splits = next
	return nil
}
