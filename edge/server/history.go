package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/osfile"
)

// maxRevisions is how many configurations the history keeps.
const maxRevisions = 50

// history is the configurations that were in force, in a directory: a file for
// each, by its number.
type history struct {
	dir  string
	main string // name of the main file
}

// revision is a configuration that was in force.
type revision struct {
	Number int           `json:"-"`
	Time   time.Time     `json:"time"`
	Cause  string        `json:"cause"`
	ETag   string        `json:"etag"`
	Texts  []config.Text `json:"texts"`
}

// openHistory makes the directory in another one.
func openHistory(dir, main string) (*history, error) {
	h := &history{filepath.Join(dir, "history"), main}
	if err := os.MkdirAll(h.dir, 0o700); err != nil { // texts may hold secrets
		return nil, fmt.Errorf("open the history: %w", err)
	}
	return h, nil
}

// etag returns what stands for a configuration. What the main file is called does not
// count: links may lead to it.
func etag(texts []config.Text) string {
	h := sha256.New()
	for i, t := range texts {
		name := t.Name
		if i == 0 {
			name = ""
		}
		fmt.Fprintf(h, "%d %s %d ", len(name), name, len(t.Bytes))
		h.Write(t.Bytes)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// numbers returns those of the revisions that there are, in order.
func (h *history) numbers() ([]int, error) {
	files, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if n, err := strconv.Atoi(name); ok && err == nil && n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

func (h *history) path(number int) string {
	return filepath.Join(h.dir, fmt.Sprintf("%06d.json", number))
}

// read returns a revision.
func (h *history) read(number int) (revision, error) {
	r := revision{Number: number}
	b, err := os.ReadFile(h.path(number))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && len(r.Texts) == 0 {
		err = errors.New("no configuration is in it")
	}
	if err != nil {
		return r, fmt.Errorf("read revision %d: %w", number, err)
	}
	r.Texts[0].Name = h.main
	return r, nil
}

// all returns the revisions, the latest first. One that cannot be read is left out.
func (h *history) all() ([]revision, error) {
	numbers, err := h.numbers()
	if err != nil {
		return nil, err
	}
	var all []revision
	for _, n := range numbers {
		if r, err := h.read(n); err == nil {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b revision) int { return cmp.Compare(b.Number, a.Number) })
	return all, nil
}

// add keeps a configuration, unless it is the latest already, and lets the oldest
// go.
func (h *history) add(texts []config.Text, cause string, now time.Time) error {
	numbers, err := h.numbers()
	if err != nil {
		return err
	}
	next := 1
	if n := len(numbers); n > 0 {
		next = numbers[n-1] + 1
		if last, err := h.read(numbers[n-1]); err == nil && last.ETag == etag(texts) {
			return nil
		}
	}
	b, err := json.Marshal(revision{Time: now.UTC(), Cause: cause, ETag: etag(texts), Texts: texts})
	if err != nil {
		return err
	}
	if err := osfile.Replace(h.path(next), b); err != nil {
		return err
	}
	for len(numbers) >= maxRevisions {
		if err := os.Remove(h.path(numbers[0])); err != nil {
			return err
		}
		numbers = numbers[1:]
	}
	return nil
}
