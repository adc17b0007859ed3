package rewrite

import (
	"errors"
	"math"
)

type table struct {
	ref              byte
	minimum, maximum uint32
}

func (r *reader) table() table {
	t := table{ref: r.refType()}
	var limited bool
	if t.minimum, t.maximum, limited = r.limits(); !limited {
		t.maximum = math.MaxUint32
	} else if t.maximum < t.minimum {
		r.fail(errors.New("table's maximum is less than its minimum"))
	}
	return t
}

// boundTables lowers the maxima of the tables, in equal parts of what the minima
// leave.
func (m *module) boundTables(entries uint32) error {
	var sum uint64
	for _, t := range m.tables {
		sum += uint64(t.minimum)
	}
	if sum > uint64(entries) {
		return exceeded("tables have %d entries, more than the %d allowed", sum, entries)
	}
	for i := range m.tables {
		t := &m.tables[i]
		t.maximum = min(t.maximum, t.minimum+(entries-uint32(sum))/uint32(len(m.tables)))
	}
	return nil
}
