package http3_test

import (
	"io"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http3"
)

// One request after the other on a connection; the client's part is in it.
func BenchmarkGet(b *testing.B) {
	content := make([]byte, 1<<10)
	p := start(b, http3.Config{}, func(x *edge.Exchange) error {
		x.Respond(200, edge.Content(content), int64(len(content)))
		return nil
	})
	b.ReportAllocs()
	for b.Loop() {
		res, err := p.client.Get(p.url("/"))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
