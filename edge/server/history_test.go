package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/config"
)

func newHistory(t *testing.T) *history {
	t.Helper()
	h, err := openHistory(t.TempDir(), "sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// keepText adds a configuration of one text.
func keepText(t *testing.T, h *history, text []byte) {
	t.Helper()
	if err := h.add([]config.Text{{Name: "sluice.yaml", Bytes: text}}, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
}

func numbers(t *testing.T, h *history) string {
	t.Helper()
	all, err := h.list()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range all {
		list = append(list, fmt.Sprint(r.Number))
	}
	return strings.Join(list, " ")
}

// Texts come back as they were, whatever is in them.
func TestHistoryTexts(t *testing.T) {
	h := newHistory(t)
	for i, texts := range [][]config.Text{
		{{Name: "sluice.yaml", Bytes: []byte("sites: {}\n")}},
		{{Name: "sluice.yaml", Bytes: []byte("\n{\"number\": 7}\n\x00")}, {Name: "a b.yaml", Bytes: nil}, {Name: "c\nd.yaml", Bytes: []byte("x")}},
		{{Name: "sluice.yaml"}},
	} {
		for range 2 { // the second is the latest already
			if err := h.add(texts, "cause\nof it", time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := h.texts(i + 1)
		if err != nil || etag(got) != etag(texts) || len(got) != len(texts) {
			t.Errorf("revision %d is %q, %v; want %q", i+1, got, err, texts)
		}
		all, err := h.list()
		if err != nil || len(all) != i+1 || all[0].Number != i+1 || all[0].Cause != "cause\nof it" || !all[0].Time.Equal(time.Unix(1e9, 0)) || all[0].ETag != etag(texts) {
			t.Errorf("listed are %+v, %v", all, err)
		}
	}
}

// As many are kept as are allowed, in number and in bytes, and always the one before.
func TestHistoryBounds(t *testing.T) {
	h := newHistory(t)
	for i := range maxRevisions + 5 {
		keepText(t, h, fmt.Appendf(nil, "# %d\n", i))
	}
	if got := strings.Fields(numbers(t, h)); len(got) != maxRevisions || got[0] != "55" || got[len(got)-1] != "6" {
		t.Errorf("kept are %v", got)
	}

	h = newHistory(t)
	text := bytes.Repeat([]byte("# a comment that is long\n"), 16<<20/25)
	for i := range 6 {
		keepText(t, h, fmt.Appendf(text, "%d\n", i))
	}
	if got := numbers(t, h); got != "6 5 4" { // and four are a little more than 64 MiB with their heads
		t.Errorf("kept of 16 MiB each are %s", got)
	}
	keepText(t, h, []byte("# little\n"))
	if got := numbers(t, h); got != "7 6 5 4" {
		t.Errorf("kept are %s", got)
	}
	large := bytes.Repeat(text, 5) // more than a file may have
	for i := range 3 {
		keepText(t, h, fmt.Appendf(large, "%d\n", i))
	}
	if got := numbers(t, h); got != "10 9" {
		t.Errorf("kept of 80 MiB each are %s", got)
	}
}

// To list the history takes memory for what is listed, and not for the texts.
func TestHistoryListIsCheap(t *testing.T) {
	h := newHistory(t)
	text := bytes.Repeat([]byte("# a comment that is long\n"), 1<<20/25)
	const n = 40
	for i := range n {
		keepText(t, h, fmt.Appendf(text, "%d\n", i))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all, err := h.list()
	runtime.ReadMemStats(&after)
	if err != nil || len(all) != n {
		t.Fatalf("%d revisions, %v", len(all), err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > n*16<<10 {
		t.Errorf("listing %d revisions of 1 MiB takes %d bytes", n, took)
	}
}

// What is no revision is left out, and what is broken is not put in force.
func TestHistoryBroken(t *testing.T) {
	h := newHistory(t)
	for i := range 5 {
		keepText(t, h, fmt.Appendf(nil, "# %d\n", i))
	}
	write := func(number int, change func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(h.path(number))
		if err == nil {
			err = os.WriteFile(h.path(number), change(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(1, func(b []byte) []byte { return b[:len(b)-1] })
	write(2, func(b []byte) []byte { return bytes.Replace(b, []byte("# 1"), []byte("# 2"), 1) })
	write(3, func(b []byte) []byte { return b[:10] })
	write(4, func([]byte) []byte { return bytes.Repeat([]byte("x"), maxHead+8192) })
	if err := os.Symlink(h.path(5), filepath.Join(h.dir, "000006"+suffix)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, ".new-123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := numbers(t, h); got != "5 2 1" {
		t.Errorf("listed are %s", got)
	}
	for i, want := range []string{"breaks off", "has been changed", "EOF", "first line"} {
		if _, err := h.texts(i + 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("revision %d: %v, want %q", i+1, err, want)
		}
	}
	if _, err := openHistory(filepath.Dir(h.dir), "sluice.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, ".new-123")); err == nil {
		t.Error("what a crash has left is there")
	}
}
