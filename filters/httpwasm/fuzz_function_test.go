package httpwasm

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// FuzzFunctionCalls calls host functions as a function's guest can, while its response
// is delivered. Whatever happens is a verdict on the guest, and no response is passed
// off as whole that is not as long as it says.
func FuzzFunctionCalls(f *testing.F) {
	call := func(name string, args ...uint32) []byte {
		b := make([]byte, 21)
		for i, fn := range host.Funcs {
			if fn.Name == name {
				b[0] = byte(i)
			}
		}
		for i, a := range args {
			binary.LittleEndian.PutUint32(b[1+4*i:], a)
		}
		return b
	}
	row := func(method byte, calls ...[]byte) {
		all := []byte{method}
		for _, c := range calls {
			all = append(all, c...)
		}
		f.Add(all)
	}
	write, read := call("write_body", 1, 0, 100), call("read_body", 0, 0, 1000)
	large, own := call("write_body", 1, 0, 40_000), call("write_body", 0, 0, 100)
	length := call("set_header_value", 1, 48, 14, 62, 3)
	row(0, write, call("set_status_code", 404), write)
	row(0, large, read, write, call("set_status_code", 404))
	row(0, length, write, write)
	row(0, length, write, call("set_status_code", 204), write, call("set_status_code", 200))
	row(1, write, length, large)
	row(0, call("enable_features", 6), large, call("set_header_value", 3, 0, 3, 4, 5), length, call("remove_header", 1, 48, 14))
	row(0, read, own, call("set_uri", 10, 5), write, read, read, call("get_uri", 100, 100), call("get_header_names", 0, 100, 1000))
	row(0, call("enable_features", 4), write, read, read, read, call("get_header_names", 2, 100, 1000), call("add_header_value", 2, 0, 3, 4, 5))
	for i := range host.Funcs {
		row(0, write, read, append([]byte{byte(i)}, call("", 0, 1, 2, 3, 4)[1:]...), write)
	}
	fn := loadFunction(f, "hello", Config{Body: 100_000, Fields: 2000})
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) == 0 || len(calls) > 21*100 {
			return
		}
		method := [...]string{"GET", "HEAD"}[calls[0]%2]
		x := request(method, "/a?b", &streamed{pieces: []string{"con", "tent", "tent"}}, -1, "A", "b", "a", "c")
		defer x.End()
		c := &caller{call: newCall(fn.guests, x), t: t, calls: calls[1:]}
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
		copy(c.in.Read(0, 65), "x-a\x00value\x00/path?query\x00example.org\x00            Content-Length200")
		if err := c.stream.Start(x, c.in, c, "function"); err != nil {
			if x.Response.Status != 0 {
				t.Errorf("there is a response: %d", x.Response.Status)
			}
			return
		}
		c.respond()
		r := &x.Response
		if r.Body == nil {
			return
		}
		if method == "HEAD" || r.Status == 204 || r.Status == 304 {
			t.Errorf("%s is answered with %d and content", method, r.Status)
		}
		if b, err := io.ReadAll(r.Body); err == nil && r.Length >= 0 && int64(len(b)) != r.Length {
			t.Errorf("%d bytes of %d are whole", len(b), r.Length)
		}
	})
}

// caller is a call whose guest does what a row of bytes says.
type caller struct {
	*call
	t     *testing.T
	calls []byte
}

func (c *caller) Call() (err error) {
	name := ""
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			panic(fmt.Sprintf("%s: %v", name, r))
		case error:
			err = &wasm.Failure{Cause: wasm.Trapped, Op: "call " + name, Err: r}
		default:
			c.t.Errorf("%s panics with %v", name, r)
		}
	}()
	for ; len(c.calls) >= 21; c.calls = c.calls[21:] {
		fn := &host.Funcs[int(c.calls[0])%len(host.Funcs)]
		name = fn.Name
		var stack [5]uint64
		for i := range stack {
			stack[i] = uint64(binary.LittleEndian.Uint32(c.calls[1+4*i:]))
		}
		fn.Call(c.in, stack[:])
	}
	return nil
}
