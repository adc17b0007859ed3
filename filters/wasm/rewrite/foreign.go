package rewrite

import "bytes"

// notCore says what a binary is that does not begin as a core module does: people bring
// what their tools make.
func notCore(binary []byte) string {
	has := func(prefix string) bool { return bytes.HasPrefix(binary, []byte(prefix)) }
	text := bytes.TrimLeft(binary[:min(len(binary), 1<<10)], " \t\r\n")
	switch {
	case len(binary) == 0:
		return "it is empty"
	// The Component Model has the same magic number, and layer 1 where core modules
	// have the upper half of their version.
	case has("\x00asm") && len(binary) >= 8 && binary[6] == 1 && binary[7] == 0:
		return "it is a component, as of WASI 0.2, and a core module is wanted: build it for WASI preview 1 (wasm32-wasip1), or for wasm32-unknown-unknown"
	case has("\x1f\x8b"):
		return "it is compressed by gzip: decompress it first"
	case bytes.HasPrefix(text, []byte("(module")), bytes.HasPrefix(text, []byte("(component")), bytes.HasPrefix(text, []byte(";;")):
		return "it is WebAssembly as text: wat2wasm makes a module of it"
	case has("\x7fELF"):
		return "it is a program or library for a machine (ELF): build it for WebAssembly"
	}
	return "does not begin with the magic number and version 1 of a core module"
}
