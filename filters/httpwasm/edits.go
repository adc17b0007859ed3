package httpwasm

import (
	"io"

	"github.com/sluice-edge/sluice/edge"
)

// edits are changes to fields that are not there yet.
type edits []edit

type edit struct {
	do          action
	name, value string
}

type action uint8

const (
	setField action = iota
	addField
	removeField
)

func (e edit) apply(f *edge.Fields) {
	switch e.do {
	case setField:
		f.Set(e.name, e.value)
	case addField:
		f.Add(e.name, e.value)
	case removeField:
		f.Del(e.name)
	}
}

func (l edits) apply(f *edge.Fields) {
	for _, e := range l {
		e.apply(f)
	}
}

// trailing is content whose trailers are edited when it has ended. Whoever reads
// it owns the trailers.
type trailing struct {
	body     edge.Body // nil: no content
	trailers *edge.Fields
	edits    edits
	done     bool
}

// followed returns content that trailers follow. Its bytes are not told, though all of
// them may be at hand: what is sent at once has no trailers.
func followed(b edge.Body, trailers *edge.Fields) edge.Body {
	return &trailing{body: b, trailers: trailers}
}

func (t *trailing) Read(p []byte) (n int, err error) {
	err = io.EOF
	if t.body != nil {
		n, err = t.body.Read(p)
	}
	if err == io.EOF && !t.done {
		t.done = true
		t.edits.apply(t.trailers)
	}
	return n, err
}

func (t *trailing) Close() error {
	if t.body == nil {
		return nil
	}
	return t.body.Close()
}
