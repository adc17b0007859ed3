package config

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxEdits is how many lines may differ in a piece of a text between two lines that
// are in both of them once, until it is shown as replaced altogether.
const maxEdits = 1000

// DiffText returns how a text has become another one as a unified diff, with so many
// lines of context, as patch(1) applies it. It is "" if they are equal. Texts of any
// size are compared in reasonable time: where very much differs the diff may be
// longer than it had to be.
func DiffText(name string, old, now []byte, context int) string {
	if bytes.Equal(old, now) {
		return ""
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		name = strconv.Quote(name)
	}
	d := differ{a: splitLines(old), b: splitLines(now)}
	d.ids()
	d.gone, d.come = make([]bool, len(d.a)), make([]bool, len(d.b))
	d.compare(0, len(d.a), 0, len(d.b))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	d.write(&b, max(context, 0))
	return b.String()
}

// splitLines returns lines with their ends, which the last one may lack.
func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	return lines
}

// differ compares two texts line by line.
type differ struct {
	a, b       []string
	x, y       []int  // the same number for the same line
	gone, come []bool // what becomes of each line
}

func (d *differ) ids() {
	known := make(map[string]int)
	number := func(lines []string) []int {
		out := make([]int, len(lines))
		for i, line := range lines {
			id, ok := known[line]
			if !ok {
				id = len(known)
				known[line] = id
			}
			out[i] = id
		}
		return out
	}
	d.x, d.y = number(d.a), number(d.b)
}

// compare finds what differs between the lines from a0 to a1 and those from b0 to
// b1: around lines that both have once and in the same order (patience diff), else
// with the fewest edits.
func (d *differ) compare(a0, a1, b0, b1 int) {
	for a0 < a1 && b0 < b1 && d.x[a0] == d.y[b0] {
		a0, b0 = a0+1, b0+1
	}
	for a0 < a1 && b0 < b1 && d.x[a1-1] == d.y[b1-1] {
		a1, b1 = a1-1, b1-1
	}
	if a0 == a1 || b0 == b1 {
		d.replaced(a0, a1, b0, b1)
		return
	}
	anchors := d.anchors(a0, a1, b0, b1)
	if len(anchors) == 0 {
		d.myers(a0, a1, b0, b1)
		return
	}
	for _, m := range anchors {
		// Nothing between two anchors is unique in both, or it would be one too, or it
		// crosses one.
		d.between(a0, m.a, b0, m.b)
		a0, b0 = m.a+1, m.b+1
	}
	d.between(a0, a1, b0, b1)
}

// between is compare for what has no anchors.
func (d *differ) between(a0, a1, b0, b1 int) {
	for a0 < a1 && b0 < b1 && d.x[a0] == d.y[b0] {
		a0, b0 = a0+1, b0+1
	}
	for a0 < a1 && b0 < b1 && d.x[a1-1] == d.y[b1-1] {
		a1, b1 = a1-1, b1-1
	}
	if a0 == a1 || b0 == b1 {
		d.replaced(a0, a1, b0, b1)
		return
	}
	d.myers(a0, a1, b0, b1)
}

func (d *differ) replaced(a0, a1, b0, b1 int) {
	for i := a0; i < a1; i++ {
		d.gone[i] = true
	}
	for i := b0; i < b1; i++ {
		d.come[i] = true
	}
}

// pair is a line of a that is one of b too.
type pair struct{ a, b int }

// anchors returns the longest row of lines that both have once and in this order.
func (d *differ) anchors(a0, a1, b0, b1 int) []pair {
	type seen struct{ inA, inB, a, b int }
	lines := make(map[int]*seen)
	for i := a0; i < a1; i++ {
		s := lines[d.x[i]]
		if s == nil {
			s = new(seen)
			lines[d.x[i]] = s
		}
		s.inA, s.a = s.inA+1, i
	}
	for i := b0; i < b1; i++ {
		if s := lines[d.y[i]]; s != nil {
			s.inB, s.b = s.inB+1, i
		}
	}
	// Patience sorting: piles hold the index of their top in row, with what lies on
	// top of the pile before.
	var row []pair
	var before, piles []int
	for i := a0; i < a1; i++ {
		s := lines[d.x[i]]
		if s.inA != 1 || s.inB != 1 {
			continue
		}
		at, _ := slices.BinarySearchFunc(piles, s.b, func(top, b int) int { return row[top].b - b })
		below := -1
		if at > 0 {
			below = piles[at-1]
		}
		row, before = append(row, pair{s.a, s.b}), append(before, below)
		if at == len(piles) {
			piles = append(piles, 0)
		}
		piles[at] = len(row) - 1
	}
	if len(piles) == 0 {
		return nil
	}
	out := make([]pair, len(piles))
	for i, at := len(piles)-1, piles[len(piles)-1]; i >= 0; i, at = i-1, before[at] {
		out[i] = row[at]
	}
	return out
}

// myers finds the fewest edits (Myers, "An O(ND) Difference Algorithm and Its
// Variations", 1986), or takes all lines as replaced if there are too many.
func (d *differ) myers(a0, a1, b0, b1 int) {
	n, m := a1-a0, b1-b0
	most := min(n+m, maxEdits)
	v := make([]int32, 2*most+2) // how far a goes on diagonal k, at k+most
	var trace [][]int32          // v before each step, from -step to step
	for step := 0; step <= most; step++ {
		trace = append(trace, slices.Clone(v[most-step:most+step+1]))
		for k := -step; k <= step; k += 2 {
			var x int
			switch {
			case step == 0:
			case k == -step || k != step && v[most+k-1] < v[most+k+1]:
				x = int(v[most+k+1])
			default:
				x = int(v[most+k-1]) + 1
			}
			for x < n && x-k < m && d.x[a0+x] == d.y[b0+x-k] {
				x++
			}
			v[most+k] = int32(x)
			if x >= n && x-k >= m {
				d.back(trace, a0, b0, n, m)
				return
			}
		}
	}
	d.replaced(a0, a1, b0, b1)
}

// back marks the edits that led to the end of both.
func (d *differ) back(trace [][]int32, a0, b0, x, y int) {
	for step := len(trace) - 1; step > 0; step-- {
		v := trace[step]
		at := func(k int) int { return int(v[k+step]) }
		k := x - y
		if k == -step || k != step && at(k-1) < at(k+1) {
			x = at(k + 1)
			y = x - (k + 1)
			d.come[b0+y] = true
			continue
		}
		x = at(k - 1)
		y = x - (k - 1)
		d.gone[a0+x] = true
	}
}

// write writes the hunks.
func (d *differ) write(b *strings.Builder, context int) {
	type change struct{ a0, a1, b0, b1 int } // lines that go, lines that come
	var all []change
	for i, j := 0, 0; i < len(d.a) || j < len(d.b); {
		c := change{i, i, j, j}
		for ; c.a1 < len(d.a) && d.gone[c.a1]; c.a1++ {
		}
		for ; c.b1 < len(d.b) && d.come[c.b1]; c.b1++ {
		}
		if c.a0 == c.a1 && c.b0 == c.b1 {
			i, j = i+1, j+1
			continue
		}
		all = append(all, c)
		i, j = c.a1, c.b1
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].a0-all[n-1].a1 <= 2*context {
			n++
		}
		first, last := all[0], all[n-1]
		lead := min(context, first.a0)
		tail := min(context, len(d.a)-last.a1)
		fmt.Fprintf(b, "@@ -%s +%s @@\n", hunkRange(first.a0-lead, last.a1+tail), hunkRange(first.b0-lead, last.b1+tail))
		at := first.a0 - lead
		for _, c := range all[:n] {
			writeLines(b, ' ', d.a[at:c.a0])
			writeLines(b, '-', d.a[c.a0:c.a1])
			writeLines(b, '+', d.b[c.b0:c.b1])
			at = c.a1
		}
		writeLines(b, ' ', d.a[at:last.a1+tail])
		all = all[n:]
	}
}

// hunkRange writes which lines a hunk is about: the first one, counted from 1, and
// their number. Where there are none it is the one before.
func hunkRange(from, to int) string {
	switch to - from {
	case 0:
		return strconv.Itoa(from) + ",0"
	case 1:
		return strconv.Itoa(from + 1)
	}
	return strconv.Itoa(from+1) + "," + strconv.Itoa(to-from)
}

func writeLines(b *strings.Builder, mark byte, lines []string) {
	for _, line := range lines {
		b.WriteByte(mark)
		b.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
}
