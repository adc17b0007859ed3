package text

import (
	"io"
	"strings"
)

// Table is rows under headings. It is as wide as is needed, or as there is room:
// where that does not suffice, cells are cut, those of no number and the least
// wanted first, and then columns are left out. No line is ever wrapped.
type Table struct {
	columns []column
	rows    [][]string
}

// column is a column of a table.
type column struct {
	head   string
	number bool // to the right, and never cut
	spare  int  // the greater, the sooner it is cut and left out
	width  int
	empty  bool // no row has anything
}

const (
	gap   = 2 // columns between two cells
	least = 8 // what a cell is not cut below
)

// NewTable returns a table. A heading may begin with '>', for a column of numbers,
// and with '?', once or more, for one that is cut and left out before others.
// A column that has nothing in any row is not shown.
func NewTable(heads ...string) *Table {
	t := &Table{}
	for _, h := range heads {
		c := column{empty: true}
		for ; h != "" && strings.Contains(">?", h[:1]); h = h[1:] {
			if h[0] == '>' {
				c.number = true
			} else {
				c.spare++
			}
		}
		c.head, c.width = h, Width(h)
		t.columns = append(t.columns, c)
	}
	return t
}

// Add adds a row of as many cells as there are headings.
func (t *Table) Add(cells ...string) {
	row := make([]string, len(t.columns))
	for i := range t.columns {
		c := &t.columns[i]
		row[i] = Printable(cells[i])
		c.width = max(c.width, Width(row[i]))
		c.empty = c.empty && row[i] == ""
	}
	t.rows = append(t.rows, row)
}

// Len returns how many rows there are.
func (t *Table) Len() int { return len(t.rows) }

// Write writes the table in at most the given columns; 0: as many as it takes.
func (t *Table) Write(w io.Writer, columns int, paint Paint) error {
	shown, all := t.fit(columns)
	var b strings.Builder
	line := func(style Style, cell func(i int) string) {
		s := ""
		for n, i := range shown {
			c := &t.columns[i]
			if n > 0 {
				s += strings.Repeat(" ", gap)
			}
			text := Cut(cell(i), c.width)
			if c.number {
				text = strings.Repeat(" ", max(0, c.width-Width(text))) + text
			}
			s += Pad(text, c.width)
		}
		if !all && style == Bold {
			s += " …"
		}
		b.WriteString(paint.In(style, strings.TrimRight(s, " ")))
		b.WriteByte('\n')
	}
	line(Bold, func(i int) string { return t.columns[i].head })
	for _, row := range t.rows {
		line(Plain, func(i int) string { return row[i] })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fit makes the columns as narrow as they need to be. It returns those that are
// shown, and whether that is all that have something to show.
func (t *Table) fit(columns int) (shown []int, all bool) {
	sum, spare := -gap, 0
	for i, c := range t.columns {
		if c.empty && len(t.rows) > 0 {
			continue
		}
		shown = append(shown, i)
		sum += gap + c.width
		spare = max(spare, c.spare)
	}
	if columns == 0 || sum <= columns {
		return shown, true
	}
	for level := spare; level >= 0 && sum > columns; level-- {
		sum = t.narrow(shown, level, sum, columns)
	}
	if sum <= columns {
		return shown, true
	}
	for level := spare; level >= 0; level-- {
		for n := len(shown) - 1; n > 0; n-- {
			if c := t.columns[shown[n]]; c.spare == level {
				shown = append(shown[:n:n], shown[n+1:]...)
				if sum -= gap + c.width; sum <= columns-gap { // and room for the sign that there is more
					return shown, false
				}
			}
		}
	}
	t.columns[shown[0]].width = max(1, columns-gap)
	return shown, false
}

// narrow cuts columns of text that are as spare as level, the widest first, until
// they fit. It returns their sum.
func (t *Table) narrow(shown []int, level, sum, columns int) int {
	for ; sum > columns; sum-- {
		var widest *column
		for _, i := range shown {
			if c := &t.columns[i]; c.spare == level && !c.number && c.width > least && (widest == nil || c.width > widest.width) {
				widest = c
			}
		}
		if widest == nil {
			break
		}
		widest.width--
	}
	return sum
}
