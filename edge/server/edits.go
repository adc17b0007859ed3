package server

import (
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
)

// edits is what a route changes of the fields of a message.
type edits struct {
	remove   []string
	set, add []config.Pair
}

// newEdits returns the edits of c, or nil if it has none.
func newEdits(c config.FieldEdit) *edits {
	if len(c.Remove)+len(c.Set)+len(c.Add) == 0 {
		return nil
	}
	return &edits{c.Remove, c.Set, c.Add}
}

func (e *edits) apply(f *edge.Fields) {
	for _, name := range e.remove {
		f.Del(name)
	}
	for i := range e.set {
		f.Set(e.set[i].Name, e.set[i].Value)
	}
	for i := range e.add {
		f.Add(e.add[i].Name, e.add[i].Value)
	}
}

// shown returns the edits with what may be told of their values.
func (e *edits) shown() *edits { return &edits{e.remove, shownPairs(e.set), shownPairs(e.add)} }

func shownPairs(pairs []config.Pair) []config.Pair {
	all := make([]config.Pair, len(pairs))
	for i, p := range pairs {
		all[i] = config.Pair{Name: p.Name, Value: p.Shown()}
	}
	return all
}

// copies holds memory for fields that are changed for the time of a call.
var copies = sync.Pool{New: func() any { return new(edge.Fields) }}
