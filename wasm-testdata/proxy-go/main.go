//go:build wasip1

// Proxy-go is a guest of proxy-wasm 0.2.1. See README.md.
package main

import "unsafe"

//go:wasmimport env proxy_get_header_map_value
func getValue(kind uint32, name unsafe.Pointer, size uint32, p unsafe.Pointer, n unsafe.Pointer) uint32

//go:wasmimport env proxy_replace_header_map_value
func setValue(kind uint32, name unsafe.Pointer, size uint32, p unsafe.Pointer, n uint32) uint32

func main() {}

// given is what the host has been given memory for, which it may not lose.
var given []byte

//go:wasmexport proxy_on_memory_allocate
func allocate(n uint32) unsafe.Pointer {
	given = make([]byte, n)
	return unsafe.Pointer(&given[0])
}

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

//go:wasmexport proxy_on_context_create
func create(id, parent uint32) {}

func get(kind uint32, name string) (string, bool) {
	var p *byte
	var n uint32
	st := getValue(kind, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(&p), unsafe.Pointer(&n))
	return unsafe.String(p, n), st == 0
}

func set(kind uint32, name, value string) {
	setValue(kind, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), unsafe.Pointer(unsafe.StringData(value)), uint32(len(value)))
}

//go:wasmexport proxy_on_request_headers
func request(id, n, end uint32) uint32 {
	if _, ok := get(0, ":path"); ok {
		if key, ok := get(0, "x-api-key"); ok {
			set(0, "x-seen", key)
		}
	}
	return 0
}

//go:wasmexport proxy_on_response_headers
func response(id, n, end uint32) uint32 {
	set(2, "x-filter", "yes")
	return 0
}

//go:wasmexport proxy_on_done
func done(id uint32) uint32 { return 1 }

//go:wasmexport proxy_on_log
func log(id uint32) {}

//go:wasmexport proxy_on_delete
func delete_(id uint32) {}
