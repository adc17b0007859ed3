package capture

import (
	"io"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// passing is what is kept of a content that passes.
type passing struct {
	of    *recording
	limit int64

	mu       sync.Mutex // guards the following fields: a pump may read what others take
	data     []byte
	total    int64 // bytes that have passed
	full     bool  // there was no room for more
	trailers []api.Field
}

// start has the content pass: a body that is all at hand is copied, another is wrapped.
func (p *passing) start(of *recording, body *edge.Body, trailers *edge.Fields) {
	p.of, p.limit = of, of.capture.wanted.Content
	if p.limit == 0 || *body == nil {
		return
	}
	if all := edge.Bytes(*body); all != nil {
		p.keep(all)
		return
	}
	*body = &tee{*body, p, trailers}
}

// keep copies what there is room for.
func (p *passing) keep(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += int64(len(b))
	b = b[:min(int64(len(b)), p.limit-int64(len(p.data)))]
	if len(b) == 0 || p.full {
		return
	}
	if need := len(p.data) + len(b); need > cap(p.data) {
		size := min(max(2*cap(p.data), need, 1<<10), max(int(p.limit), need))
		if p.full = !p.of.capture.reserve(int64(size - cap(p.data))); p.full {
			return
		}
		grown := make([]byte, len(p.data), size)
		copy(grown, p.data)
		p.data = grown
	}
	p.data = append(p.data, b...)
}

// end takes the trailers that follow the content.
func (p *passing) end(trailers *edge.Fields) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trailers = fieldsOf(&p.of.redact, trailers)
}

// take returns what was kept, and how many bytes have passed.
func (p *passing) take() (data []byte, total int64, trailers []api.Field) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data, p.total, p.trailers
}

// held returns how many bytes are reserved.
func (p *passing) held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(cap(p.data))
}

// tee is a body of which what is read is kept.
type tee struct {
	edge.Body
	p        *passing
	trailers *edge.Fields // the reader's
}

// Read implements [edge.Body].
func (t *tee) Read(b []byte) (int, error) {
	n, err := t.Body.Read(b)
	if n > 0 {
		t.p.keep(b[:n])
	}
	if err == io.EOF {
		t.p.end(t.trailers)
	}
	return n, err
}
