package server

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/osfile"
)

// What the history keeps.
const (
	maxRevisions = 50
	maxHistory   = 64 << 20  // bytes of all together, or the latest two
	maxHead      = 256 << 10 // bytes of what is listed of one
)

// history is the configurations that were in force, in a directory: a file for
// each, by its number. It has a line with what is listed, a line with the names of
// the texts, and then the texts as they are.
type history struct {
	dir  string
	main string // name of the main file
}

// revision is a configuration that was in force.
type revision struct {
	Number int       `json:"-"`
	Time   time.Time `json:"time"`
	Cause  string    `json:"cause"`
	ETag   string    `json:"etag"`
	Bytes  int       `json:"bytes"` // of its texts
}

// revisionText is one of the texts of a configuration.
type revisionText struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

// openHistory makes the directory in another one.
func openHistory(dir, main string) (*history, error) {
	h := &history{filepath.Join(dir, "history"), main}
	if err := os.MkdirAll(h.dir, 0o700); err != nil { // texts may hold secrets
		return nil, fmt.Errorf("open the history: %w", err)
	}
	if err := osfile.Clean(h.dir); err != nil {
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

// kept returns the numbers of the revisions that there are and the bytes of their
// files, in order.
func (h *history) kept() ([]keptFile, error) {
	files, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, err
	}
	var all []keptFile
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), suffix)
		n, err := strconv.Atoi(name)
		if !ok || err != nil || n <= 0 {
			continue
		}
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			all = append(all, keptFile{n, info.Size()})
		}
	}
	slices.SortFunc(all, func(a, b keptFile) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// keptFile is the file of a revision.
type keptFile struct {
	number int
	bytes  int64
}

const suffix = ".revision"

func (h *history) path(number int) string {
	return filepath.Join(h.dir, fmt.Sprintf("%06d%s", number, suffix))
}

// open returns a revision, and where its texts follow in the file.
func (h *history) open(number int) (r revision, rest *bufio.Reader, f *os.File, err error) {
	f, err = osfile.Open(h.path(number))
	if err != nil {
		return r, nil, nil, err
	}
	rest = bufio.NewReader(f)
	head, err := readLine(rest, maxHead)
	if err == nil {
		err = json.Unmarshal(head, &r)
	}
	if r.Number = number; err != nil {
		f.Close()
		return r, nil, nil, fmt.Errorf("read revision %d: %w", number, err)
	}
	return r, rest, f, nil
}

// readLine reads a line of at most limit bytes.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); err != bufio.ErrBufferFull {
			return line, err
		}
		if len(line) > limit {
			return nil, fmt.Errorf("its first line has more than %d bytes", limit)
		}
	}
}

// texts returns the configuration of a revision.
func (h *history) texts(number int) ([]config.Text, error) {
	r, rest, f, err := h.open(number)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(rest, maxHistory))
	names, b, _ := bytes.Cut(b, []byte("\n"))
	var all []revisionText
	if err == nil {
		err = json.Unmarshal(names, &all)
	}
	if err == nil && len(all) == 0 {
		err = errors.New("no configuration is in it")
	}
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", number, err)
	}
	var texts []config.Text
	for _, t := range all {
		if t.Bytes < 0 || t.Bytes > len(b) {
			return nil, fmt.Errorf("read revision %d: it breaks off", number)
		}
		texts = append(texts, config.Text{Name: t.Name, Bytes: b[:t.Bytes:t.Bytes]})
		b = b[t.Bytes:]
	}
	texts[0].Name = h.main
	if etag(texts) != r.ETag {
		return nil, fmt.Errorf("read revision %d: its file has been changed", number)
	}
	return texts, nil
}

// list returns the revisions, the latest first. One that cannot be read is left out.
func (h *history) list() ([]revision, error) {
	kept, err := h.kept()
	if err != nil {
		return nil, err
	}
	var all []revision
	for _, k := range slices.Backward(kept) {
		if r, _, f, err := h.open(k.number); err == nil {
			f.Close()
			all = append(all, r)
		}
	}
	return all, nil
}

// add keeps a configuration, unless it is the latest already, and lets the oldest
// go.
func (h *history) add(texts []config.Text, cause string, now time.Time) error {
	kept, err := h.kept()
	if err != nil {
		return err
	}
	r := revision{Number: 1, Time: now.UTC(), Cause: cause, ETag: etag(texts)}
	if n := len(kept); n > 0 {
		r.Number = kept[n-1].number + 1
		if last, _, f, err := h.open(kept[n-1].number); err == nil {
			f.Close()
			if last.ETag == r.ETag {
				return nil
			}
		}
	}
	var names []revisionText
	for _, t := range texts {
		r.Bytes += len(t.Bytes)
		names = append(names, revisionText{t.Name, len(t.Bytes)})
	}
	var b []byte
	for _, line := range []any{r, names} {
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		b = append(append(b, text...), '\n')
	}
	for _, t := range texts {
		b = append(b, t.Bytes...)
	}
	if err := osfile.Replace(h.path(r.Number), b); err != nil {
		return err
	}
	total := int64(len(b))
	for i, k := range slices.Backward(kept) {
		total += k.bytes
		// One can always go back to the one before.
		if before := len(kept) - i; before == 1 || before < maxRevisions && total <= maxHistory {
			continue
		}
		if err := os.Remove(h.path(k.number)); err != nil {
			return err
		}
	}
	return nil
}
