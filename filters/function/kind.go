package function

import (
	"context"
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/filters/httpwasm"
	"github.com/sluice-edge/sluice/filters/wasi"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Kind is what sort of module a function is.
type Kind uint8

// The kinds.
const (
	Command  Kind = iota // a WASI preview 1 command
	HTTPWasm             // a guest of the http-wasm HTTP handler ABI
)

func (k Kind) String() string { return [...]string{"WASI command", "http-wasm guest"}[k] }

// Check compiles a module, and returns what it is and what it imports. The error
// says everything that keeps it from being a function.
func Check(ctx context.Context, e *wasm.Engine, binary []byte) (Kind, []wasm.Import, error) {
	m, err := Compile(ctx, e, binary)
	if err != nil {
		return 0, nil, err
	}
	defer m.Close()
	kind, err := kindOf(&m.Info)
	return kind, m.Info.Imports, err
}

// Compile compiles a module and checks that it can be a function. Who gets the
// Module closes it.
func Compile(ctx context.Context, e *wasm.Engine, binary []byte) (*wasm.Module, error) {
	info, err := e.Inspect(binary)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(info)
	switch {
	case err != nil:
		return nil, err
	case kind == Command:
		return wasi.Compile(ctx, e, binary)
	default:
		return httpwasm.Compile(ctx, e, binary)
	}
}

// kindOf tells what a module is from what it imports and exports. One with
// handle_request is an http-wasm guest even with _start, which initialises it
// then.
func kindOf(i *wasm.Info) (Kind, error) {
	if _, ok := i.Export("handle_request"); ok || i.ImportsFrom("http_handler") {
		return HTTPWasm, nil
	}
	if _, ok := i.Export("_start"); ok {
		return Command, nil
	}
	for _, e := range i.Exports {
		if strings.HasPrefix(e.Name, "proxy_abi_version_") {
			return 0, errors.New("is a proxy-wasm module, which cannot answer as a function")
		}
	}
	if _, ok := i.Export("_initialize"); ok {
		return 0, errors.New(`is a reactor: it exports "_initialize", and neither "_start", which a WASI command does, nor "handle_request", which an http-wasm guest does`)
	}
	return 0, errors.New(`exports neither "_start", which a WASI command does, nor "handle_request", which an http-wasm guest does`)
}
