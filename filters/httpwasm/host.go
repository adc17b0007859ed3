package httpwasm

import (
	"log/slog"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// host is the ABI's table of host functions:
// https://http-wasm.io/http-handler-abi/
var host = func() *wasm.Host {
	const i32, i64 = wasm.I32, wasm.I64
	p := func(t ...wasm.ValueType) []wasm.ValueType { return t }
	type f = func(g *guest, s []uint64)
	fn := func(name string, params, results []wasm.ValueType, call f) wasm.HostFunc {
		return wasm.HostFunc{Name: name, Params: params, Results: results, Call: func(in *wasm.Instance, stack []uint64) {
			g := in.State.(*guest)
			g.in = in
			call(g, stack)
		}}
	}
	// reads is a function that only reads the guest's memory.
	reads := func(name string, params, results []wasm.ValueType, call f) wasm.HostFunc {
		h := fn(name, params, results, call)
		h.ReadOnly = true
		return h
	}
	// get is a getter of text: where to write it, and how much of it at most.
	get := func(name string, value func(g *guest) string) wasm.HostFunc {
		return fn(name, p(i32, i32), p(i32), func(g *guest, s []uint64) {
			s[0] = uint64(g.put(uint32(s[0]), uint32(s[1]), value(g)))
		})
	}
	// set is a setter of text, which is valid until it returns.
	set := func(name string, value func(g *guest, v string)) wasm.HostFunc {
		return reads(name, p(i32, i32), nil, func(g *guest, s []uint64) {
			value(g, g.view(s[0], s[1]))
		})
	}
	// field is a function that changes a field.
	field := func(name string, do action) wasm.HostFunc {
		return reads(name, p(i32, i32, i32, i32, i32), nil, func(g *guest, s []uint64) {
			g.edit(kind(s[0]), edit{do, g.name(s[1], s[2]), g.view(s[3], s[4])})
		})
	}
	return &wasm.Host{Name: hostName, Funcs: []wasm.HostFunc{
		reads("enable_features", p(i32), p(i32), func(g *guest, s []uint64) { s[0] = uint64(g.enable(features(s[0]))) }),
		get("get_config", func(g *guest) string { return g.f.text }),
		reads("log", p(i32, i32, i32), nil, func(g *guest, s []uint64) { g.log(int32(s[0]), uint32(s[1]), uint32(s[2])) }),
		reads("log_enabled", p(i32), p(i32), func(g *guest, s []uint64) { s[0] = uint64(g.logEnabled(int32(s[0]))) }),

		get("get_method", func(g *guest) string { return g.asked().Method }),
		set("set_method", (*guest).setMethod),
		fn("get_uri", p(i32, i32), p(i32), func(g *guest, s []uint64) {
			s[0] = uint64(g.putURI(uint32(s[0]), uint32(s[1])))
		}),
		set("set_uri", (*guest).setURI),
		get("get_protocol_version", func(g *guest) string { return g.asked().Proto }),
		get("get_source_addr", (*guest).source),

		fn("get_header_names", p(i32, i32, i32), p(i64), func(g *guest, s []uint64) {
			s[0] = g.putList(uint32(s[1]), uint32(s[2]), g.names(kind(s[0])), true)
		}),
		fn("get_header_values", p(i32, i32, i32, i32, i32), p(i64), func(g *guest, s []uint64) {
			s[0] = g.putList(uint32(s[3]), uint32(s[4]), g.values(kind(s[0]), g.name(s[1], s[2])), false)
		}),
		field("set_header_value", setField),
		field("add_header_value", addField),
		reads("remove_header", p(i32, i32, i32), nil, func(g *guest, s []uint64) {
			g.edit(kind(s[0]), edit{removeField, g.name(s[1], s[2]), ""})
		}),

		fn("read_body", p(i32, i32, i32), p(i64), func(g *guest, s []uint64) {
			s[0] = g.readBody(kind(s[0]), uint32(s[1]), uint32(s[2]))
		}),
		reads("write_body", p(i32, i32, i32), nil, func(g *guest, s []uint64) {
			g.writeBody(kind(s[0]), g.in.Read(uint32(s[1]), uint32(s[2])))
		}),
		reads("get_status_code", nil, p(i32), func(g *guest, s []uint64) { s[0] = uint64(uint32(g.status())) }),
		reads("set_status_code", p(i32), nil, func(g *guest, s []uint64) { g.setStatus(uint32(s[0])) }),
	}}
}()

// put writes a text to the guest's memory if all of it fits in limit bytes, and returns
// its length.
func (g *guest) put(ptr, limit uint32, parts ...string) uint32 {
	n := 0
	for _, v := range parts {
		n += len(v)
	}
	if uint64(n) <= uint64(limit) {
		b := g.in.Read(ptr, uint32(n))[:0]
		for _, v := range parts {
			b = append(b, v...)
		}
	}
	return uint32(n)
}

// putList writes texts, each ended by NUL, if all of them fit in limit bytes; in lower
// case if that is asked for. It returns how many they are in the high half, and their
// length in the low half.
func (g *guest) putList(ptr, limit uint32, list []string, lower bool) uint64 {
	n := 0
	for _, v := range list {
		n += len(v) + 1
	}
	if n == 0 {
		return 0
	}
	if uint64(n) <= uint64(limit) {
		b := g.in.Read(ptr, uint32(n))[:0]
		for _, v := range list {
			b = append(append(b, v...), 0)
		}
		if lower {
			toLower(b)
		}
	}
	return uint64(len(list))<<32 | uint64(n)
}

// toLower makes ASCII letters small.
func toLower(b []byte) {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}

func (g *guest) enable(f features) features {
	f &= allFeatures
	if g.phase == inResponse {
		// What has been done without them cannot be done again.
		f &^= bufferRequest | bufferResponse
	}
	if f&bufferResponse != 0 && g.phase == inRequest && g.call != nil && !g.call.stream.Hold(g.f.cfg.Body) {
		f &^= bufferResponse
	}
	g.features |= f
	return g.features
}

// levels are the ABI's log levels from debug, which is -1.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// log logs what the guest says. It must not trap, so what is out of bounds is
// not logged.
func (g *guest) log(level int32, ptr, n uint32) {
	if g.logEnabled(level) == 0 || uint64(ptr)+uint64(n) > uint64(g.in.Bytes()) {
		return
	}
	g.say(levels[level+1], g.view(uint64(ptr), min(uint64(n), uint64(g.f.cfg.LogBytes)+1)))
}

func (g *guest) logEnabled(level int32) uint32 {
	if level < -1 || level > 2 || !g.f.cfg.Log.Enabled(g.in, levels[level+1]) {
		return 0
	}
	return 1
}
