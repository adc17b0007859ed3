package proxywasm

import (
	"encoding/binary"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// status is what host functions return.
type status uint32

const (
	statusOK             status = 0
	notFound             status = 1
	badArgument          status = 2
	serializationFailure status = 3
	parseFailure         status = 4
	invalidMemory        status = 6
	isEmpty              status = 7
	casMismatch          status = 8
	internalFailure      status = 10
	unimplemented        status = 12
)

// args are the parameters of a host function. What is out of the guest's memory is bad,
// which its caller returns as the status.
type args struct {
	v   *vm
	s   []uint64
	bad bool
}

func (a *args) u32(i int) uint32 { return uint32(a.s[i]) }

// bytes returns the memory of parameters i and i+1, valid until the guest runs again.
func (a *args) bytes(i int) []byte {
	ptr, n := uint64(uint32(a.s[i])), uint64(uint32(a.s[i+1]))
	if ptr+n > uint64(a.v.in.Bytes()) {
		a.bad = true
		return nil
	}
	return a.v.in.Read(uint32(ptr), uint32(n))
}

// view returns them as text, likewise.
func (a *args) view(i int) string { return asText(a.bytes(i)) }

// room makes sure that the results of parameters i and those after it can be written.
func (a *args) room(i, n int, size uint64) bool {
	for ; n > 0; i, n = i+1, n-1 {
		if uint64(uint32(a.s[i]))+size > uint64(a.v.in.Bytes()) {
			a.bad = true
		}
	}
	return !a.bad
}

// put writes a result where parameter i says.
func (a *args) put(i int, value uint32) status {
	if !a.room(i, 1, 4) {
		return invalidMemory
	}
	binary.LittleEndian.PutUint32(a.v.in.Read(a.u32(i), 4), value)
	return statusOK
}

func (a *args) put64(i int, value uint64) status {
	if !a.room(i, 1, 8) {
		return invalidMemory
	}
	binary.LittleEndian.PutUint64(a.v.in.Read(a.u32(i), 8), value)
	return statusOK
}

// give writes bytes to memory that the guest allocates, and where they are to what
// parameters i and i+1 say. It never allocates nothing: that ends guests of the Go SDK.
func (a *args) give(i int, p []byte) status {
	if !a.room(i, 2, 4) {
		return invalidMemory
	}
	ptr := uint32(0)
	if len(p) > 0 {
		var room []byte
		var ok bool
		if ptr, room, ok = a.v.allocate(len(p)); !ok {
			return internalFailure
		}
		copy(room, p)
	}
	binary.LittleEndian.PutUint32(a.v.in.Read(a.u32(i), 4), ptr)
	binary.LittleEndian.PutUint32(a.v.in.Read(a.u32(i+1), 4), uint32(len(p)))
	return statusOK
}

// giveScratch gives what was appended to vm.scratch, which is kept for what comes next.
func (a *args) giveScratch(i int, p []byte) status {
	a.v.scratch = p
	return a.give(i, p)
}

// types returns n parameters or results that are all i32.
func types(n int) []wasm.ValueType { return slices.Repeat([]wasm.ValueType{wasm.I32}, n) }

// host is the ABI's table of host functions:
// https://github.com/proxy-wasm/spec/tree/main/abi-versions
var host = &wasm.Host{Name: hostName, Funcs: slices.Concat(
	[]wasm.HostFunc{
		fn("proxy_log", 3, (*args).log),
		fn("proxy_get_log_level", 1, (*args).logLevel),
		fn("proxy_get_current_time_nanoseconds", 1, func(a *args) status {
			return a.put64(0, uint64(time.Now().Truncate(time.Millisecond).UnixNano()))
		}),
		fn("proxy_set_tick_period_milliseconds", 1, func(a *args) status {
			a.v.f.root.every(time.Duration(a.u32(0)) * time.Millisecond)
			return statusOK
		}),

		fn("proxy_get_buffer_bytes", 5, (*args).getBuffer),
		fn("proxy_set_buffer_bytes", 5, (*args).setBuffer),
		fn("proxy_get_buffer_status", 3, (*args).bufferStatus),

		fn("proxy_get_header_map_size", 2, (*args).mapSize),
		fn("proxy_get_header_map_pairs", 3, (*args).mapPairs),
		fn("proxy_set_header_map_pairs", 3, (*args).setMap),
		fn("proxy_get_header_map_value", 5, (*args).mapValue),
		fn("proxy_add_header_map_value", 5, func(a *args) status { return a.edit(addField) }),
		fn("proxy_replace_header_map_value", 5, func(a *args) status { return a.edit(setField) }),
		fn("proxy_remove_header_map_value", 3, func(a *args) status { return a.edit(removeField) }),

		fn("proxy_get_property", 4, (*args).getProperty),
		fn("proxy_set_property", 4, (*args).setProperty),

		fn("proxy_continue_stream", 1, func(a *args) status { return a.resume(a.u32(0)) }),
		fn("proxy_close_stream", 1, (*args).closeStream),
		fn("proxy_continue_request", 0, func(a *args) status { return a.resume(uint32(ofRequest)) }),
		fn("proxy_continue_response", 0, func(a *args) status { return a.resume(uint32(ofResponse)) }),
		fn("proxy_clear_route_cache", 0, func(*args) status { return statusOK }), // the route is looked up again if the request has changed
		fn("proxy_send_local_response", 8, (*args).localResponse),
		fn("proxy_get_status", 3, (*args).getStatus),
		fn("proxy_get_configuration", 2, func(a *args) status { return a.give(0, a.v.f.cfg.Config) }),

		fn("proxy_http_call", 10, (*args).httpCall),
		fn("proxy_grpc_call", 12, (*args).grpcCall),
		fn("proxy_grpc_stream", 9, (*args).grpcStream),
		fn("proxy_grpc_send", 4, (*args).grpcSend),
		fn("proxy_grpc_cancel", 1, (*args).grpcCancel),
		fn("proxy_grpc_close", 1, (*args).grpcClose),

		fn("proxy_set_shared_data", 5, (*args).setShared),
		fn("proxy_get_shared_data", 5, (*args).getShared),
		fn("proxy_register_shared_queue", 3, (*args).registerQueue),
		fn("proxy_resolve_shared_queue", 5, (*args).resolveQueue),
		fn("proxy_enqueue_shared_queue", 3, (*args).enqueue),
		fn("proxy_dequeue_shared_queue", 3, (*args).dequeue),

		fn("proxy_define_metric", 4, (*args).defineMetric),
		fn64("proxy_record_metric", func(a *args) status { return a.measure(false) }),
		fn64("proxy_increment_metric", func(a *args) status { return a.measure(true) }),
		fn("proxy_get_metric", 2, (*args).getMetric),

		fn("proxy_set_effective_context", 1, (*args).setContext),
		fn("proxy_done", 0, (*args).done),
		fn("proxy_call_foreign_function", 6, (*args).foreign),
	}, emscripten)}

// emscripten is what Emscripten's guests import besides.
var emscripten = []wasm.HostFunc{
	{Name: "emscripten_notify_memory_growth", Params: types(1), Call: func(*wasm.Instance, []uint64) {}},
	{Name: "pthread_equal", Params: types(2), Results: types(1), Call: func(_ *wasm.Instance, s []uint64) {
		equal := uint64(0)
		if uint32(s[0]) == uint32(s[1]) {
			equal = 1
		}
		s[0] = equal
	}},
	{Name: "abort", Params: types(4), Call: func(_ *wasm.Instance, s []uint64) { // AssemblyScript's
		panic(wasm.Fail(wasm.Trapped, wasm.Trap("aborted at line %d, column %d", uint32(s[2]), uint32(s[3]))))
	}},
}

// fn is a host function of n parameters that are i32.
func fn(name string, n int, call func(a *args) status) wasm.HostFunc {
	return wasm.HostFunc{Name: name, Params: types(n), Results: types(1), Call: func(in *wasm.Instance, stack []uint64) {
		a := &in.State.(*vm).args
		a.s, a.bad = stack, false
		st := call(a)
		if a.bad {
			st = invalidMemory
		}
		stack[0] = uint64(st)
	}}
}

// fn64 is a host function of the number of a metric and a value.
func fn64(name string, call func(a *args) status) wasm.HostFunc {
	f := fn(name, 2, call)
	f.Params[1] = wasm.I64
	return f
}

func (a *args) log() status {
	level, text := a.u32(0), a.bytes(1)
	switch {
	case a.bad:
		return invalidMemory
	case int64(level) >= int64(len(levels)):
		return badArgument
	case a.v.f.cfg.Log.Enabled(a.v.in, levels[level]):
		a.v.say(levels[level], asText(text[:min(len(text), a.v.f.cfg.LogBytes+1)]))
	}
	return statusOK
}

func (a *args) logLevel() status {
	for i, l := range levels {
		if a.v.f.cfg.Log.Enabled(a.v.in, l) {
			return a.put(0, uint32(i))
		}
	}
	return a.put(0, uint32(len(levels)-1))
}

// brief returns a copy of what of a guest's text is logged.
func brief(name string) string { return strings.Clone(name[:min(len(name), 80)]) }

func (a *args) setShared() status {
	key, value := a.view(0), a.bytes(2)
	if a.bad {
		return invalidMemory
	}
	return a.v.f.cfg.Data.set(a.v.f.cfg.VM, key, value, a.u32(4))
}

func (a *args) getShared() status {
	key := a.view(0)
	if a.bad || !a.room(2, 3, 4) {
		return invalidMemory
	}
	value, cas, ok := a.v.f.cfg.Data.get(a.v.f.cfg.VM, key)
	if !ok {
		return notFound
	}
	if st := a.give(2, value); st != statusOK {
		return st
	}
	return a.put(4, cas)
}

func (a *args) registerQueue() status {
	name := a.view(0)
	if a.bad || !a.room(2, 1, 4) {
		return invalidMemory
	}
	id, ok := a.v.f.cfg.Data.register(a.v.f.cfg.VM, name, &a.v.f.root)
	if !ok {
		return internalFailure
	}
	return a.put(2, id)
}

func (a *args) resolveQueue() status {
	vm, name := a.view(0), a.view(2)
	if a.bad || !a.room(4, 1, 4) {
		return invalidMemory
	}
	id, ok := a.v.f.cfg.Data.resolve(vm, name)
	if !ok {
		return notFound
	}
	return a.put(4, id)
}

func (a *args) enqueue() status {
	message := a.bytes(1)
	if a.bad {
		return invalidMemory
	}
	return a.v.f.cfg.Data.enqueue(a.u32(0), message)
}

func (a *args) dequeue() status {
	if !a.room(1, 2, 4) {
		return invalidMemory
	}
	message, st := a.v.f.cfg.Data.dequeue(a.u32(0))
	if st != statusOK {
		return st
	}
	return a.give(1, message)
}

// defineMetric defines a metric, of the name that Prometheus can have of it.
func (a *args) defineMetric() status {
	kind, name := a.u32(0), a.bytes(1)
	switch {
	case a.bad || !a.room(3, 1, 4):
		return invalidMemory
	case kind > uint32(hostmod.Histogram) || len(name) > 128:
		return badArgument
	}
	number, err := a.v.f.cfg.Meters.Define(hostmod.Kind(kind), metricName(string(name), hostmod.Kind(kind)), "")
	if err != nil {
		a.v.f.log.Log(slog.LevelWarn, "filter defines a metric that cannot be", "err", err)
		return badArgument
	}
	return a.put(3, uint32(number))
}

// metricName returns a name of small letters, digits and underscores.
func metricName(name string, kind hostmod.Kind) string {
	b := make([]byte, 0, len(name)+len("m__total"))
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c|0x20)
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b = append(b, c)
		default:
			b = append(b, '_')
		}
	}
	if len(b) == 0 || b[0] < 'a' || b[0] > 'z' {
		b = append([]byte("m_"), b...)
	}
	if kind == hostmod.Counter && !strings.HasSuffix(string(b), "_total") {
		b = append(b, "_total"...)
	}
	return string(b)
}

func (a *args) measure(add bool) status {
	m, number, value := a.v.f.cfg.Meters, a.u32(0), int64(a.s[1])
	if add && m.Add(number, value) || !add && (m.Record(number, value) || m.Add(number, value)) {
		return statusOK
	}
	if _, ok := m.Value(number); !ok {
		return notFound
	}
	return badArgument
}

func (a *args) getMetric() status {
	value, ok := a.v.f.cfg.Meters.Value(a.u32(0))
	if !ok {
		return notFound
	}
	return a.put64(1, uint64(value))
}
