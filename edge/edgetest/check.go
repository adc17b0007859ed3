package edgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// checkFields compares the fields that words ask for, and returns the other
// words.
func checkFields(words []word, header, trailer http.Header) (rest []word, err error) {
	for i := range words {
		w := &words[i]
		name, absent := strings.CutPrefix(w.name, "!")
		from := header
		if n, ok := strings.CutPrefix(name, "trailer:"); ok {
			name, from = n, trailer
		}
		if !absent && !w.isField() {
			rest = append(rest, *w)
			continue
		}
		got, ok := valueOf(from, name)
		switch {
		case absent && ok:
			return nil, fmt.Errorf("got %s %q, want none", name, got)
		case !absent && !ok:
			return nil, fmt.Errorf("got no %s, want %s; have %q", name, w, from)
		case !absent && !w.matches(got):
			return nil, fmt.Errorf("got %s %q, want %s", name, got, w)
		}
	}
	return rest, nil
}

// valueOf joins the lines of a field. Names are compared as they are by a
// recipient: without regard to case.
func valueOf(h http.Header, name string) (string, bool) {
	var all []string
	for n, values := range h {
		if strings.EqualFold(n, name) {
			all = append(all, values...)
		}
	}
	return strings.Join(all, ", "), all != nil
}

// checkContent compares what words ask for of content; words that are about
// something else are an error.
func checkContent(words []word, body []byte) error {
	for i := range words {
		w := &words[i]
		switch {
		case w.name == "body" && w.set:
			if !w.matches(string(body)) {
				return fmt.Errorf("got content %s, want %s", excerpt(body), w)
			}
		case w.name == "size" && w.set:
			n, err := w.number()
			if err != nil {
				return err
			}
			if len(body) != n {
				return fmt.Errorf("got %d bytes of content, want %d", len(body), n)
			}
			if !slices.Equal(body, content(n)) {
				return fmt.Errorf("got %d bytes of other content", n)
			}
		default:
			return fmt.Errorf("%s is not something to expect", w)
		}
	}
	return nil
}

// content returns n bytes of which no stretch is found twice for long.
func content(n int) []byte {
	b := make([]byte, 0, n+16)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d ", i)
	}
	return b[:n]
}

// excerpt returns b as a message can bear it.
func excerpt(b []byte) string {
	if len(b) > 300 {
		return fmt.Sprintf("%q... (%d bytes)", b[:300], len(b))
	}
	return fmt.Sprintf("%q", b)
}
