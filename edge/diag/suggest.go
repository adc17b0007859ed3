package diag

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxHave is how many names Have lists at most.
const maxHave = 8

// maxWord is how many characters a word has at most for Suggest to look at it:
// the distance takes time by the product of two lengths.
const maxWord = 64

// Suggest returns the word of have that word was probably meant to be, or "".
func Suggest(word string, have []string) string {
	word = strings.ToLower(word)
	n := utf8.RuneCountInString(word)
	if n > maxWord {
		return ""
	}
	best, least := "", max(1, n/3)+1
	if n < 3 {
		return "" // anything is near to a letter or two
	}
	for _, h := range have {
		if utf8.RuneCountInString(h) > maxWord {
			continue
		}
		if d := distance(word, strings.ToLower(h)); d < least {
			best, least = h, d
		}
	}
	return best
}

// DidYouMean returns Suggest's answer as a hint, or "".
func DidYouMean(word string, have []string) string {
	if s := Suggest(word, have); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}

// Have lists names for a message: `; have "api", "static"`, or "" if there are
// none.
func Have(names []string) string {
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("; have ")
	for i, n := range names {
		if i == maxHave {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// distance returns how many characters must be put in, taken out, replaced or
// swapped with their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		row, above, twoAbove := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], twoAbove[j-2]+1)
			}
		}
	}
	return rows[len(s)%3][len(t)]
}
