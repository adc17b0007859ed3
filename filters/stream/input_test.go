package stream

import (
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// endless is a body of which nothing comes.
type endless struct{ reads int }

func (e *endless) Read([]byte) (int, error) {
	e.reads++
	select {}
}

func (e *endless) Close() error { return nil }

// A guest that asks for content when nobody wants its answer any more is ended: whoever
// closed the response did not see it wait, and would not wake it.
func TestInputClosed(t *testing.T) {
	body := new(endless)
	r := new(Run)
	r.input.start(&edge.Request{Body: body, Length: -1})
	r.input.full = true // nothing is to be handed on before
	r.closed.Store(true)
	r.input.cut()
	defer func() {
		if recover() == nil || body.reads != 0 || r.input.reading.Load() {
			t.Errorf("the body is read %d times", body.reads)
		}
	}()
	r.Input(make([]byte, 10))
}
