package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// hostName is the import module of the ABI's host functions.
const hostName = "env"

// marker begins the name of the export that says the ABI's version.
const marker = "proxy_abi_version_"

// callback is a function of the guest's.
type callback uint8

const (
	onContextCreate callback = iota
	onVMStart
	onConfigure
	onTick
	onQueueReady
	onRequestHeaders
	onRequestBody
	onRequestTrailers
	onResponseHeaders
	onResponseBody
	onResponseTrailers
	onCallResponse
	onRPCInitial
	onRPCReceive
	onRPCTrailing
	onRPCClose
	onDone
	onLog
	onDelete
	onAllocate
	onMalloc
	onMain
	callbacks // number of callbacks
)

// callbackTypes are the names and types of the callbacks. The headers' have one
// parameter less in 0.1.0.
var callbackTypes = [callbacks]struct {
	name  string
	types []wasm.Signature
}{
	onContextCreate:    {"proxy_on_context_create", []wasm.Signature{"(i32, i32)"}},
	onVMStart:          {"proxy_on_vm_start", []wasm.Signature{"(i32, i32) -> i32"}},
	onConfigure:        {"proxy_on_configure", []wasm.Signature{"(i32, i32) -> i32"}},
	onTick:             {"proxy_on_tick", []wasm.Signature{"(i32)"}},
	onQueueReady:       {"proxy_on_queue_ready", []wasm.Signature{"(i32, i32)"}},
	onRequestHeaders:   {"proxy_on_request_headers", []wasm.Signature{"(i32, i32, i32) -> i32", "(i32, i32) -> i32"}},
	onRequestBody:      {"proxy_on_request_body", []wasm.Signature{"(i32, i32, i32) -> i32"}},
	onRequestTrailers:  {"proxy_on_request_trailers", []wasm.Signature{"(i32, i32) -> i32"}},
	onResponseHeaders:  {"proxy_on_response_headers", []wasm.Signature{"(i32, i32, i32) -> i32", "(i32, i32) -> i32"}},
	onResponseBody:     {"proxy_on_response_body", []wasm.Signature{"(i32, i32, i32) -> i32"}},
	onResponseTrailers: {"proxy_on_response_trailers", []wasm.Signature{"(i32, i32) -> i32"}},
	onCallResponse:     {"proxy_on_http_call_response", []wasm.Signature{"(i32, i32, i32, i32, i32)"}},
	onRPCInitial:       {"proxy_on_grpc_receive_initial_metadata", []wasm.Signature{"(i32, i32, i32)"}},
	onRPCReceive:       {"proxy_on_grpc_receive", []wasm.Signature{"(i32, i32, i32)"}},
	onRPCTrailing:      {"proxy_on_grpc_receive_trailing_metadata", []wasm.Signature{"(i32, i32, i32)"}},
	onRPCClose:         {"proxy_on_grpc_close", []wasm.Signature{"(i32, i32, i32)"}},
	onDone:             {"proxy_on_done", []wasm.Signature{"(i32) -> i32"}},
	onLog:              {"proxy_on_log", []wasm.Signature{"(i32)"}},
	onDelete:           {"proxy_on_delete", []wasm.Signature{"(i32)"}},
	onAllocate:         {"proxy_on_memory_allocate", []wasm.Signature{"(i32) -> i32"}},
	onMalloc:           {"malloc", []wasm.Signature{"(i32) -> i32"}},
	onMain:             {"main", []wasm.Signature{"(i32, i32) -> i32"}},
}

// exports is what a guest has of the ABI.
type exports struct {
	has    [callbacks]bool
	old    bool // version 0.1.0
	memory string
}

// Compile compiles a module and checks that it is a guest of this ABI. The error says
// everything that is wrong. Who gets the Module closes it.
func Compile(ctx context.Context, e *wasm.Engine, binary []byte) (*wasm.Module, error) {
	m, err := e.Compile(ctx, binary, host, hostmod.Host())
	if err != nil {
		return nil, err
	}
	if _, err := check(m); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// check says everything that keeps m from being a guest, and what it has.
func check(m *wasm.Module) (e exports, err error) {
	all := []error{m.Missing()}
	if have, ok := m.Info.Export("memory"); !ok || have.Kind != wasm.KindMemory {
		all = append(all, errors.New(`does not export memory "memory", which proxy-wasm wants`))
	}
	version := ""
	for _, x := range m.Info.Exports {
		if strings.HasPrefix(x.Name, marker) {
			version = strings.TrimPrefix(x.Name, marker)
		}
	}
	switch version {
	case "0_1_0":
		e.old = true
	case "0_2_0", "0_2_1":
	case "":
		all = append(all, fmt.Errorf("exports no %s..., which says the version of proxy-wasm", marker))
	default:
		all = append(all, fmt.Errorf("exports %s%s, and 0_1_0, 0_2_0 and 0_2_1 are known", marker, version))
	}
	for c, want := range callbackTypes {
		have, ok := m.Info.Export(want.name)
		if !ok {
			continue
		}
		for _, t := range want.types {
			if have.Kind == wasm.KindFunc && have.Type == t {
				e.has[c] = true
			}
		}
		if c := callback(c); !e.has[c] && c != onMain { // a main of another language is no business of ours
			all = append(all, fmt.Errorf("exports %q as %s, which proxy-wasm wants as %s", want.name, have.Type, want.types[0]))
		}
	}
	switch {
	case e.has[onAllocate]:
		e.memory = callbackTypes[onAllocate].name
	case e.has[onMalloc]:
		e.memory = callbackTypes[onMalloc].name
	default:
		all = append(all, errors.New(`exports neither "proxy_on_memory_allocate" nor "malloc", of which proxy-wasm wants one`))
	}
	return e, errors.Join(all...)
}
