package journal

import (
	"cmp"
	"slices"
	"strings"
)

// mark stands for what is hidden.
const mark = "[redacted]"

// leastHidden is how long a text is at least that is hidden, in bytes: shorter ones are
// part of what has nothing to do with them.
const leastHidden = 4

// maxHidden bounds the texts that a journal hides: of more, the latest are.
const maxHidden = 256

// Hiding returns what writes "[redacted]" for each of some texts, as they are, and for each
// line of one that has several.
func Hiding(texts []string) *strings.Replacer {
	var all []string
	for _, text := range texts {
		for part := range strings.SplitSeq(text+"\n"+strings.TrimSpace(text), "\n") {
			all = append(all, strings.TrimSuffix(part, "\r"))
		}
		all = append(all, text)
	}
	// Of two that begin alike, the longer one.
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, text := range slices.Compact(all) {
		if len(text) >= leastHidden {
			pairs = append(pairs, text, mark)
		}
	}
	return strings.NewReplacer(pairs...)
}

// Hide keeps texts out of what is said from now on, besides those that it was told before:
// guests that are being replaced still know them.
func (j *Journal) Hide(texts []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := len(j.hidden)
	for _, text := range texts {
		if !slices.Contains(j.hidden, text) {
			j.hidden = append(j.hidden, text)
		}
	}
	if len(j.hidden) == known {
		return
	}
	j.hidden = slices.Clone(j.hidden[max(0, len(j.hidden)-maxHidden):])
	j.hide.Store(Hiding(j.hidden))
}
