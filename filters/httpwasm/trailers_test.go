package httpwasm

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/http2"
)

// Trailers of requests and of responses arrive with a guest's changes, by each version of
// HTTP; the content before them too.
func TestTrailersOverHTTP(t *testing.T) {
	f := load(t, "trailers", Config{})
	type got struct{ content, own, set string }
	asked := make(chan got, 1)
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		b, err := io.ReadAll(x.Request.Body)
		if err != nil {
			return err
		}
		tr := x.Request.Trailers.Clone()
		asked <- got{string(b), tr.Get("C"), tr.Get("X-Trail")}
		x.Respond(200, nil, -1)
		x.Response.Body = &streamed{pieces: []string{"down", "ward"}, end: func() { x.Response.Trailers.Set("A", "b") }}
		return nil
	})
	h := edge.HandlerFunc(func(x *edge.Exchange) error { return f.Filter(x, next) })
	check := func(proto string, s engine) {
		t.Helper()
		tr := &http.Transport{Protocols: new(http.Protocols)}
		defer tr.CloseIdleConnections()
		tr.Protocols.SetHTTP1(proto == "HTTP/1.1")
		tr.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
		c := http.Client{Transport: tr, Timeout: patience}
		req, err := http.NewRequest("POST", "http://"+serveWith(t, s)+"/", io.MultiReader(strings.NewReader("up"), strings.NewReader("ward")))
		if err != nil {
			t.Fatal(err)
		}
		req.Trailer = http.Header{"C": {"d"}}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.Proto != proto || string(b) != "downward" || res.Trailer.Get("A") != "b" || res.Trailer.Get("X-Trail") != "b" {
			t.Errorf("%s: the client got %q, trailers %v, %v by %s", proto, b, res.Trailer, err, res.Proto)
		}
		if got, want := <-asked, (got{"upward", "d", "one"}); got != want {
			t.Errorf("%s: the next handler got %q, want %q", proto, got, want)
		}
	}
	check("HTTP/1.1", http1.NewServer(h, http1.Config{}, quiet))
	check("HTTP/2.0", http2.NewServer(h, http2.Config{}, quiet))
}
