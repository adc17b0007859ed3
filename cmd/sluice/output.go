package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// printJSON prints v for programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// width returns how many columns w shows, or 0 if it is not a terminal.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 80
	}
	return columns
}

// table is rows under headings. Its cells are plain text.
type table struct {
	heads []string
	right []bool // columns of numbers
	rows  [][]string
}

// newTable returns a table; a heading that begins with '>' is of a column of
// numbers.
func newTable(heads ...string) *table {
	t := &table{right: make([]bool, len(heads))}
	for i, h := range heads {
		name, right := strings.CutPrefix(h, ">")
		t.heads, t.right[i] = append(t.heads, name), right
	}
	return t
}

func (t *table) add(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	t.rows = append(t.rows, cells)
}

// gap is the number of columns between two cells.
const gap = 2

// print writes the table in at most the given columns; 0: as many as it takes.
// Where they do not suffice the widest cells are cut.
func (t *table) print(w io.Writer, columns int) error {
	widths := make([]int, len(t.heads))
	for i, h := range t.heads {
		widths[i] = utf8.RuneCountInString(h)
		for _, r := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	if columns > 0 {
		fit(widths, columns-gap*(len(widths)-1))
	}
	var b strings.Builder
	for _, row := range append([][]string{t.heads}, t.rows...) {
		line := ""
		for i, cell := range row {
			cell = cut(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line += strings.Repeat(" ", gap)
			}
			if t.right[i] {
				line += pad + cell
			} else {
				line += cell + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fit makes the widest of widths narrower, one by one, until they are no more
// than columns in sum, or as narrow as can still be read.
func fit(widths []int, columns int) {
	const least = 6
	sum := 0
	for _, n := range widths {
		sum += n
	}
	for ; sum > columns; sum-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			return
		}
		widths[widest]--
	}
}

// cut returns s in at most n columns.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// printable returns s without what could steer a terminal: names and warnings
// come from files and modules that others wrote.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// or returns s, or "-" if there is none.
func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// bytesText returns a size as the file's grammar writes it, with one decimal.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + "B"
	}
	size, unit := float64(n)/(1<<10), 0
	for ; size >= 1023.95 && unit < len(units)-1; unit++ {
		size /= 1 << 10
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + units[unit:unit+1] + "B"
}

// percentText returns a share as the file's grammar writes it.
func percentText(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + "%" }

// countText returns n with its thousands apart.
func countText(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ageText returns roughly how long a duration is.
func ageText(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// plural returns "1 thing" or "n things".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// colours reports whether w is a terminal that wants colours (no-color.org).
func colours(w io.Writer) bool {
	return width(w) > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
