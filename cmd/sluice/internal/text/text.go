// Package text makes text for people: tables that fit, numbers with their units,
// and nothing in it that could steer a terminal.
package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Printable returns s with what could steer a terminal escaped, as in \x1b: names
// and warnings come from files, modules and programs that others wrote.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(0x100|uint64(s[i]), 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}

// Lines is Printable for a text of several lines, in which tabs stay.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		parts := strings.Split(line, "\t")
		for j := range parts {
			parts[j] = Printable(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// Width returns how many columns a printable s takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300: // the first that is not one column wide
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut returns a printable s in at most n columns.
func Cut(s string, n int) string {
	if Width(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	at := 0
	for i, r := range s {
		if at += runeWidth(r); at > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// Pad returns s with blanks, so that it takes n columns.
func Pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-Width(s)))
}

// Wrap returns the words of s on lines of at most n columns; 0: on one line. A word
// that is longer has a line of its own.
func Wrap(s string, n int) []string {
	var lines []string
	line, at := "", 0
	for word := range strings.FieldsSeq(s) {
		w := Width(word)
		switch {
		case line == "":
			line, at = word, w
		case n > 0 && at+1+w > n:
			lines = append(lines, line)
			line, at = word, w
		default:
			line, at = line+" "+word, at+1+w
		}
	}
	return append(lines, line)
}

// Or returns s, or "-" if there is none.
func Or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
