package wasi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Compile compiles a module and checks that it is a command. The error says
// everything that is wrong. Who gets the Module closes it.
func Compile(ctx context.Context, e *wasm.Engine, binary []byte) (*wasm.Module, error) {
	m, err := e.Compile(ctx, binary, hostmod.Host())
	if err != nil {
		return nil, err
	}
	if err := check(m); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// check says everything that keeps m from being a command.
func check(m *wasm.Module) error {
	all := []error{m.Missing()}
	for _, want := range []wasm.Export{
		{Name: "memory", Kind: wasm.KindMemory},
		{Name: "_start", Kind: wasm.KindFunc, Type: "()"},
	} {
		have, ok := m.Info.Export(want.Name)
		switch {
		case !ok:
			all = append(all, fmt.Errorf("does not export %s %q, which a WASI command does", want.Kind, want.Name))
		case have.Kind != want.Kind:
			all = append(all, fmt.Errorf("exports %q as a %s, which of a WASI command is a %s", want.Name, have.Kind, want.Kind))
		case have.Type != want.Type:
			all = append(all, fmt.Errorf("exports %q as %s, which of a WASI command is %s", want.Name, have.Type, want.Type))
		}
	}
	return errors.Join(all...)
}

// CheckEnv says what keeps a variable from being in a function's environment: its
// name is none, or one that requests bring.
func CheckEnv(name, value string) error {
	switch {
	case name == "":
		return errors.New("an environment variable has no name")
	case strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("environment variable %q: the name has '=' or NUL", name)
	case strings.Contains(value, "\x00"):
		return fmt.Errorf("environment variable %s: the value has NUL", name)
	case strings.HasPrefix(name, "HTTP_") || metaVariables[name]:
		return fmt.Errorf("environment variable %s: requests bring it, so it cannot be given", name)
	}
	return nil
}
