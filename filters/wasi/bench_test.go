package wasi

import (
	"os"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// BenchmarkFunction is what a request costs, with an instance that is put back each time.
func BenchmarkFunction(b *testing.B) {
	f := func(name string, binary []byte, query string) {
		b.Run(name, func(b *testing.B) {
			f := loadBytes(b, binary, Config{Env: []string{"GREETING=hello"}})
			b.ReportAllocs()
			for b.Loop() {
				x := request("GET", "/hello?"+query, nil, 0, "User-Agent", "bench", "Accept", "*/*", "Accept-Encoding", "gzip")
				if err := f.Serve(x); err != nil || x.Response.Status != 200 {
					b.Fatal(x.Response.Status, err)
				}
				x.End()
			}
		})
	}
	hello, err := os.ReadFile("../../examples/hello/hello.wasm")
	if err != nil {
		b.Fatal(err)
	}
	f("libc", hello, "world")
	f("go", guests.BuildCommand(b, "github.com/sluice-edge/sluice/examples/markdown"), "")
	f("freestanding", guests.Read(b, "script"), "ho")
	f("streamed", guests.Read(b, "script"), "hw40")
}
