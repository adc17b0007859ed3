//go:build wasip1

package sdk

import (
	"strings"
	"unsafe"
)

//go:wasmimport http_handler enable_features
func enableFeatures(f uint32) uint32

//go:wasmimport http_handler get_config
func getConfig(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler log
func logMessage(level int32, message string)

//go:wasmimport http_handler log_enabled
func logEnabled(level int32) uint32

//go:wasmimport http_handler get_method
func getMethod(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler set_method
func setMethod(v string)

//go:wasmimport http_handler get_uri
func getURI(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler set_uri
func setURI(v string)

//go:wasmimport http_handler get_protocol_version
func getProtocolVersion(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_source_addr
func getSourceAddr(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_header_names
func getHeaderNames(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler get_header_values
func getHeaderValues(kind uint32, name string, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name, value string)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name, value string)

//go:wasmimport http_handler remove_header
func removeHeader(kind uint32, name string)

//go:wasmimport http_handler read_body
func readBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler write_body
func writeBody(kind uint32, p unsafe.Pointer, n uint32)

//go:wasmimport http_handler get_status_code
func getStatusCode() uint32

//go:wasmimport http_handler set_status_code
func setStatusCode(code uint32)

//go:wasmimport wasi_snapshot_preview1 proc_exit
func exit(code int32)

// A module has one filter, and one thread.
var (
	filter Filter
	buf    = make([]byte, 2048) // what the host writes into

	// held are the exchanges between their request and their response. The host
	// hands the index, and one, from one to the other. Free places are nil.
	held []*Exchange
)

// Handle makes f the module's filter. It is called once, while the module is
// initialised.
func Handle(f Filter) {
	filter = f
	if f.Features != 0 {
		enableFeatures(uint32(f.Features))
	}
	if f.Configure != nil {
		if err := f.Configure([]byte(read(getConfig))); err != nil {
			// A panic would say where it is, too, which is of no interest.
			Log(Error, "configuration: "+err.Error())
			exit(1)
		}
	}
}

// Log logs a message. The host may want none of its level; see [Logs].
func Log(l Level, message string) { logMessage(int32(l), message) }

// Logs reports whether the host wants messages of a level, for those that are
// costly to make.
func Logs(l Level) bool { return logEnabled(int32(l)) != 0 }

//go:wasmexport handle_request
func handleRequest() uint64 {
	x := newExchange(imports{})
	if filter.Request != nil && filter.Request(x) == Stop {
		return 0
	}
	if filter.Response == nil {
		return 1
	}
	for i, y := range held {
		if y == nil {
			held[i] = x
			return uint64(i+1)<<32 | 1
		}
	}
	held = append(held, x)
	return uint64(len(held))<<32 | 1
}

//go:wasmexport handle_response
func handleResponse(ctx, failed uint32) {
	if ctx == 0 || filter.Response == nil {
		return
	}
	x := held[ctx-1]
	held[ctx-1] = nil
	x.failed = failed != 0
	filter.Response(x)
}

// read returns what a getter has, which says how long it is.
func read(get func(unsafe.Pointer, uint32) uint32) string {
	for {
		n := get(unsafe.Pointer(&buf[0]), uint32(len(buf)))
		if int(n) <= len(buf) {
			return string(buf[:n])
		}
		buf = make([]byte, n)
	}
}

// readList is read for texts that end with NUL each.
func readList(get func(unsafe.Pointer, uint32) uint64) []string {
	s := read(func(p unsafe.Pointer, limit uint32) uint32 { return uint32(get(p, limit)) })
	if s == "" {
		return nil
	}
	return strings.Split(s[:len(s)-1], "\x00")
}

// imports is the host that the module runs in.
type imports struct{}

func (imports) enable(f Features) Features { return Features(enableFeatures(uint32(f))) }

func (imports) text(t text) string {
	switch t {
	case method:
		return read(getMethod)
	case uri:
		return read(getURI)
	case proto:
		return read(getProtocolVersion)
	default:
		return read(getSourceAddr)
	}
}

func (imports) setText(t text, v string) {
	if t == method {
		setMethod(v)
	} else {
		setURI(v)
	}
}

func (imports) names(k kind) []string {
	return readList(func(p unsafe.Pointer, limit uint32) uint64 { return getHeaderNames(uint32(k), p, limit) })
}

func (imports) values(k kind, name string) []string {
	return readList(func(p unsafe.Pointer, limit uint32) uint64 { return getHeaderValues(uint32(k), name, p, limit) })
}

func (imports) setField(k kind, name, value string) { setHeaderValue(uint32(k), name, value) }
func (imports) addField(k kind, name, value string) { addHeaderValue(uint32(k), name, value) }
func (imports) delField(k kind, name string)        { removeHeader(uint32(k), name) }

func (imports) read(k kind, p []byte) (int, bool) {
	r := readBody(uint32(k), unsafe.Pointer(&p[0]), uint32(len(p)))
	return int(uint32(r)), r>>32 != 0
}

func (imports) write(k kind, p []byte) {
	writeBody(uint32(k), unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
}

func (imports) status() int        { return int(getStatusCode()) }
func (imports) setStatus(code int) { setStatusCode(uint32(code)) }
