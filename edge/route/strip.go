package route

import (
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// StripPrefix takes a prefix off a path as it was received. The prefix is in
// canonical form and without a slash at its end; what is left keeps the form
// that it came in, so that its canonical form is what the prefix leaves of the
// path's. Of the prefix alone "/" is left. ok is false where the canonical path
// does not begin with the prefix, at the end of a segment.
func StripPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = stripped(path, prefix)
	if ok && rest == "" {
		rest = "/"
	}
	return rest, ok
}

// stripped is StripPrefix, and leaves nothing of the prefix alone.
func stripped(path, prefix string) (rest string, ok bool) {
	if path == "" || path[0] != '/' {
		return "", false
	}
	if prefix == "" {
		return path, true
	}
	if strings.IndexByte(path, '%') < 0 && !strings.Contains(path, "/.") {
		rest, ok = strings.CutPrefix(path, prefix)
		return rest, ok && (rest == "" || rest[0] == '/')
	}
	wanted := prefix[1:] // of the prefix, behind what has been found of it
	found, depth, want := 0, 0, 1+strings.Count(wanted, "/")
	cut := -1 // what is left begins here
	for i := 0; i < len(path); {
		end := i + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		segment := path[i+1 : end]
		i = end
		switch dotSegment(segment) {
		case 1:
			continue
		case 2:
			if depth--; depth < 0 {
				return "", false
			}
			if found > depth {
				found = depth
				wanted, cut = segmentsFrom(prefix, found), -1
			}
			continue
		}
		if found == depth && found < want {
			name, behind, _ := strings.Cut(wanted, "/")
			if readsAs(segment, name) {
				found++
				wanted = behind
				if found == want {
					cut = end
				}
			}
		}
		depth++
	}
	if cut < 0 {
		return "", false
	}
	return path[cut:], true
}

// segmentsFrom returns what follows the first n segments of a path.
func segmentsFrom(path string, n int) string {
	path = path[1:]
	for range n {
		_, path, _ = strings.Cut(path, "/")
	}
	return path
}

// dotSegment returns 1 if a segment, as it was received, is ".", 2 if it is "..".
func dotSegment(segment string) int {
	n := 0
	for ; segment != ""; n++ {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case strings.HasPrefix(segment, "%2e"), strings.HasPrefix(segment, "%2E"):
			segment = segment[3:]
		default:
			return 0
		}
	}
	if n > 2 {
		return 0
	}
	return n
}

// readsAs reports whether canonical is the canonical form of a segment, which is
// not one of dots.
func readsAs(segment, canonical string) bool {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			var ok bool
			if c, ok = unhex(segment, i); !ok {
				return false
			}
			i += 2
			switch c { // these two stay encoded
			case '%':
				if !strings.HasPrefix(canonical, "%25") {
					return false
				}
				canonical = canonical[3:]
				continue
			case '/':
				if !strings.HasPrefix(canonical, "%2F") {
					return false
				}
				canonical = canonical[3:]
				continue
			}
		}
		if canonical == "" || canonical[0] != c {
			return false
		}
		canonical = canonical[1:]
	}
	return canonical == ""
}

var errLeaves = errors.New("the path leads elsewhere once it is rewritten, at least where an encoded slash, a backslash or a parameter is read differently")

// confined refuses a path that in one of its readings is not below floor, which is
// canonical and ends with a slash, or "". It allocates only for paths that leave a
// choice.
func confined(x *edge.Exchange, path, floor string) error {
	if !mayClimb(path) {
		return nil
	}
	p, err := Canonical(path, x.Scratch(len(path)))
	if err != nil {
		return errLeaves
	}
	if !strings.HasPrefix(p.canonical, floor) {
		return errLeaves
	}
	if p.unclear == strict {
		return nil
	}
	for other, ok := range p.readings {
		if !ok || !strings.HasPrefix(other, floor) {
			return errLeaves
		}
	}
	return nil
}

// mayClimb reports whether some reading of a path, or of a part of one, may have
// dot segments.
func mayClimb(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '%', '\\':
			return true
		case '.':
			if i == 0 || s[i-1] == '/' {
				return true
			}
		}
	}
	return false
}
