package proxywasm

import (
	"testing"

	"github.com/sluice-edge/sluice/edge"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// again begins the next exchange of a connection.
func again(x *edge.Exchange) {
	x.Begin(nil, x.Client, x.Record.Start)
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Query, r.Proto = "GET", "http", "example.org", "/path", "q", "HTTP/1.1"
	r.Fields.Add("X-Api-Key", "k")
}

// BenchmarkFilter is what a request costs, with an instance that is put back each time.
func BenchmarkFilter(b *testing.B) {
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		return nil
	})
	f := func(name string, binary []byte, cfg Config) {
		b.Run(name, func(b *testing.B) {
			f, err := loadingBytes(b, binary, cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.ReportAllocs()
			x := request1("GET", "/", nil, 0)
			for b.Loop() {
				again(x)
				if err := f.Filter(x, next); err != nil || !x.Response.Fields.Has("x-filter") || x.Request.Fields.Get("x-seen") != "k" {
					b.Fatal(x.Request.Fields, x.Response, err)
				}
				x.End()
			}
		})
	}
	c := guests.Read(b, "proxy-headers")
	f("c", c, Config{})
	f("c-shared", c, Config{Shared: true})
	f("go", guests.Build(b, "github.com/sluice-edge/sluice/wasm-testdata/proxy-go"), Config{})
}
