package edgetest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// line is a statement.
type line struct {
	number int
	text   string
	words  []word
}

// word is a part of a statement: name, name=value, name=~value, "value" or
// ~"value".
type word struct {
	name  string
	value string
	re    *regexp.Regexp // of ~
	set   bool           // it has a value
}

// isField reports whether w is about a field.
func (w *word) isField() bool {
	return strings.HasPrefix(w.name, "trailer:") || w.name != "" && w.name[0] >= 'A' && w.name[0] <= 'Z' && w.set
}

// isStatus returns the status that w is.
func (w *word) isStatus() (int, bool) {
	if w.set || len(w.name) != 3 {
		return 0, false
	}
	n, err := strconv.Atoi(w.name)
	return n, err == nil && n >= 100
}

// number returns the value as a count.
func (w *word) number() (int, error) {
	n, err := strconv.Atoi(w.value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%s is not a count", w.name, w.value)
	}
	return n, nil
}

// matches reports whether got is what w asks for.
func (w *word) matches(got string) bool {
	if w.re != nil {
		return w.re.MatchString(got)
	}
	return got == w.value
}

func (w *word) String() string {
	switch {
	case !w.set:
		return w.name
	case w.re != nil:
		return fmt.Sprintf("%s=~%q", w.name, w.re)
	}
	return fmt.Sprintf("%s=%q", w.name, w.value)
}

// parse reads a script whose first line has the given number.
func parse(text string, number int) (lines []line, err error) {
	joined, start := "", number
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		if rest, more := strings.CutSuffix(l, `\`); more {
			joined += rest + " "
			number++
			continue
		}
		words, err := parseLine(joined + l)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", start, err)
		}
		if len(words) > 0 {
			lines = append(lines, line{start, strings.TrimSpace(joined + l), words})
		}
		number++
		joined, start = "", number
	}
	if joined != "" {
		return nil, fmt.Errorf("%d: the last line goes on", start)
	}
	return lines, nil
}

func parseLine(text string) (words []word, err error) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" || text[0] == '#' {
			return words, nil
		}
		var w word
		w, text, err = parseWord(text)
		if err != nil {
			return nil, err
		}
		words = append(words, w)
	}
}

func parseWord(text string) (w word, rest string, err error) {
	end := strings.IndexAny(text, " \t=\"`")
	switch {
	case strings.HasPrefix(text, "=="):
		return word{name: "=="}, text[2:], nil
	case text[0] == '~':
		end = 0
	case end < 0:
		return word{name: text}, "", nil
	case text[end] == ' ' || text[end] == '\t':
		return word{name: text[:end]}, text[end:], nil
	case text[end] != '=' && end > 0:
		return w, "", fmt.Errorf("no space before %s", text[end:])
	}
	w = word{name: text[:end], set: true}
	rest = text[end:]
	if rest[0] == '=' {
		rest = rest[1:]
	}
	rest, isRE := strings.CutPrefix(rest, "~")
	if quoted, err := strconv.QuotedPrefix(rest); err == nil && quoted[0] != '\'' {
		w.value, _ = strconv.Unquote(quoted)
		rest = rest[len(quoted):]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return w, "", fmt.Errorf("no space after %s", quoted)
		}
	} else {
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		w.value, rest = rest[:end], rest[end:]
		if strings.ContainsAny(w.value, "\"`") {
			return w, "", fmt.Errorf("%s is not well quoted", w.value)
		}
	}
	if isRE {
		if w.re, err = regexp.Compile("(?s)" + w.value); err != nil {
			return w, "", err
		}
	}
	return w, rest, nil
}

// arrow splits words at "->".
func arrow(words []word) (before, after []word, ok bool) {
	for i := range words {
		if words[i].name == "->" && !words[i].set {
			return words[:i], words[i+1:], true
		}
	}
	return words, nil, false
}
