package httpwasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// hostName is the import module of the ABI's host functions.
const hostName = "http_handler"

// Compile compiles a module and checks that it is a guest of this ABI. The error
// says everything that is wrong. Who gets the Module closes it.
func Compile(ctx context.Context, e *wasm.Engine, binary []byte) (*wasm.Module, error) {
	m, err := e.Compile(ctx, binary, host, hostmod.Host())
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// check says everything that keeps m from being a guest.
func check(m *wasm.Module) error {
	all := []error{m.Missing()}
	for _, want := range []wasm.Export{
		{Name: "memory", Kind: wasm.KindMemory},
		{Name: "handle_request", Kind: wasm.KindFunc, Type: "() -> i64"},
		{Name: "handle_response", Kind: wasm.KindFunc, Type: "(i32, i32)"},
	} {
		have, ok := m.Info.Export(want.Name)
		switch {
		case !ok:
			all = append(all, fmt.Errorf("does not export %s %q, which http-wasm wants", want.Kind, want.Name))
		case have.Kind != want.Kind:
			all = append(all, fmt.Errorf("exports %q as a %s, which http-wasm wants as a %s", want.Name, have.Kind, want.Kind))
		case have.Type != want.Type:
			all = append(all, fmt.Errorf("exports %q as %s, which http-wasm wants as %s", want.Name, have.Type, want.Type))
		}
	}
	return errors.Join(all...)
}
