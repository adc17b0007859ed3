package httpwasm

import (
	"os"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// again begins the next exchange of a connection.
func again(x *edge.Exchange) {
	x.Begin(nil, x.Client, x.Record.Start)
	r := &x.Request
	r.Method, r.Scheme, r.Authority, r.Path, r.Proto = "GET", "http", "example.org", "/", "HTTP/1.1"
	r.Fields.Add("X-Api-Key", "k")
}

// BenchmarkFilter is what a request costs, with an instance that is put back each time.
func BenchmarkFilter(b *testing.B) {
	next := edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Respond(200, nil, 0)
		return nil
	})
	f := func(name string, binary []byte, config string, status int) {
		b.Run(name, func(b *testing.B) {
			f := loadBytes(b, binary, Config{Config: []byte(config)})
			b.ReportAllocs()
			x := request("GET", "/", nil, 0)
			for b.Loop() {
				again(x)
				if err := f.Filter(x, next); err != nil || x.Response.Status != status {
					b.Fatal(x.Response.Status, err)
				}
				x.End()
			}
		})
	}
	c, err := os.ReadFile("../../examples/headers/headers.wasm")
	if err != nil {
		b.Fatal(err)
	}
	f("wat", guests.Read(b, "hello"), "", 200)
	f("c", c, "", 200)
	f("go", guests.Build(b, "github.com/sluice-edge/sluice/examples/auth"), `{"keys":{"a":"k"}}`, 200)
}
