// Package internal is that of the SDK, to which the build of the tour adds this file: the
// SDK declares what the host has, and what it calls, in the way of TinyGo, which is no
// package of Debian's, and for its own tests lets the host be an interface. Here that is
// the real one, in the way of the standard compiler. No file of the SDK is changed.
package internal

import (
	"unsafe"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

func init() { currentHost = wasmHost{} }

// What the host calls.

//go:wasmexport proxy_abi_version_0_2_0
func exportABIVersion() {}

// kept has what was allocated for the host until it is taken.
var kept []*byte

//go:wasmexport proxy_on_memory_allocate
func exportMemoryAllocate(size uint32) unsafe.Pointer {
	p := proxyOnMemoryAllocate(uint(size))
	kept = append(kept, p)
	return unsafe.Pointer(p)
}

// take gives away what the host has put into memory.
func take(at, size uint32, data **byte, length *int) {
	*data, *length = nil, int(size)
	for _, p := range kept {
		if uint32(uintptr(unsafe.Pointer(p))) == at {
			*data = p
		}
	}
	kept = nil
}

func number(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

//go:wasmexport proxy_on_context_create
func exportContextCreate(id, parent uint32) { proxyOnContextCreate(id, parent) }

//go:wasmexport proxy_on_vm_start
func exportVMStart(id, size uint32) uint32 { return number(bool(proxyOnVMStart(id, int(size)))) }

//go:wasmexport proxy_on_configure
func exportConfigure(id, size uint32) uint32 { return number(bool(proxyOnConfigure(id, int(size)))) }

//go:wasmexport proxy_on_tick
func exportTick(id uint32) { proxyOnTick(id) }

//go:wasmexport proxy_on_queue_ready
func exportQueueReady(id, queue uint32) { proxyOnQueueReady(id, queue) }

//go:wasmexport proxy_on_request_headers
func exportRequestHeaders(id, n, end uint32) types.Action {
	return proxyOnRequestHeaders(id, int(n), end != 0)
}

//go:wasmexport proxy_on_request_body
func exportRequestBody(id, size, end uint32) types.Action {
	return proxyOnRequestBody(id, int(size), end != 0)
}

//go:wasmexport proxy_on_request_trailers
func exportRequestTrailers(id, n uint32) types.Action { return proxyOnRequestTrailers(id, int(n)) }

//go:wasmexport proxy_on_response_headers
func exportResponseHeaders(id, n, end uint32) types.Action {
	return proxyOnResponseHeaders(id, int(n), end != 0)
}

//go:wasmexport proxy_on_response_body
func exportResponseBody(id, size, end uint32) types.Action {
	return proxyOnResponseBody(id, int(size), end != 0)
}

//go:wasmexport proxy_on_response_trailers
func exportResponseTrailers(id, n uint32) types.Action { return proxyOnResponseTrailers(id, int(n)) }

//go:wasmexport proxy_on_http_call_response
func exportHTTPCallResponse(id, call, n, size, trailers uint32) {
	proxyOnHttpCallResponse(id, call, int(n), int(size), int(trailers))
}

//go:wasmexport proxy_on_done
func exportDone(id uint32) uint32 { return number(proxyOnDone(id)) }

//go:wasmexport proxy_on_log
func exportLog(id uint32) { proxyOnLog(id) }

//go:wasmexport proxy_on_delete
func exportDelete(id uint32) { proxyOnDelete(id) }

// What the host has. Pointers and lengths have 32 bits there and 64 in Go.

type wasmHost struct{}

func (wasmHost) ProxyLog(logLevel LogLevel, messageData *byte, messageSize int) Status {
	return proxyLog(logLevel, messageData, int32(messageSize))
}
func (wasmHost) ProxySetProperty(pathData *byte, pathSize int, valueData *byte, valueSize int) Status {
	return proxySetProperty(pathData, int32(pathSize), valueData, int32(valueSize))
}
func (wasmHost) ProxyGetProperty(pathData *byte, pathSize int, returnValueData **byte, returnValueSize *int) Status {
	var at, size uint32
	status := proxyGetProperty(pathData, int32(pathSize), &at, &size)
	take(at, size, returnValueData, returnValueSize)
	return status
}

func (wasmHost) ProxySendLocalResponse(statusCode uint32, statusCodeDetailData *byte, statusCodeDetailsSize int, bodyData *byte, bodySize int, headersData *byte, headersSize int, grpcStatus int32) Status {
	return proxySendLocalResponse(statusCode, statusCodeDetailData, int32(statusCodeDetailsSize), bodyData, int32(bodySize), headersData, int32(headersSize), grpcStatus)
}
func (wasmHost) ProxyGetSharedData(keyData *byte, keySize int, returnValueData **byte, returnValueSize *int, returnCas *uint32) Status {
	var at, size uint32
	status := proxyGetSharedData(keyData, int32(keySize), &at, &size, returnCas)
	take(at, size, returnValueData, returnValueSize)
	return status
}

func (wasmHost) ProxySetSharedData(keyData *byte, keySize int, valueData *byte, valueSize int, cas uint32) Status {
	return proxySetSharedData(keyData, int32(keySize), valueData, int32(valueSize), cas)
}
func (wasmHost) ProxyRegisterSharedQueue(nameData *byte, nameSize int, returnID *uint32) Status {
	return proxyRegisterSharedQueue(nameData, int32(nameSize), returnID)
}
func (wasmHost) ProxyResolveSharedQueue(vmIDData *byte, vmIDSize int, nameData *byte, nameSize int, returnID *uint32) Status {
	return proxyResolveSharedQueue(vmIDData, int32(vmIDSize), nameData, int32(nameSize), returnID)
}
func (wasmHost) ProxyDequeueSharedQueue(queueID uint32, returnValueData **byte, returnValueSize *int) Status {
	var at, size uint32
	status := proxyDequeueSharedQueue(queueID, &at, &size)
	take(at, size, returnValueData, returnValueSize)
	return status
}

func (wasmHost) ProxyEnqueueSharedQueue(queueID uint32, valueData *byte, valueSize int) Status {
	return proxyEnqueueSharedQueue(queueID, valueData, int32(valueSize))
}
func (wasmHost) ProxyGetHeaderMapValue(mapType MapType, keyData *byte, keySize int, returnValueData **byte, returnValueSize *int) Status {
	var at, size uint32
	status := proxyGetHeaderMapValue(mapType, keyData, int32(keySize), &at, &size)
	take(at, size, returnValueData, returnValueSize)
	return status
}

func (wasmHost) ProxyAddHeaderMapValue(mapType MapType, keyData *byte, keySize int, valueData *byte, valueSize int) Status {
	return proxyAddHeaderMapValue(mapType, keyData, int32(keySize), valueData, int32(valueSize))
}
func (wasmHost) ProxyReplaceHeaderMapValue(mapType MapType, keyData *byte, keySize int, valueData *byte, valueSize int) Status {
	return proxyReplaceHeaderMapValue(mapType, keyData, int32(keySize), valueData, int32(valueSize))
}
func (wasmHost) ProxyContinueStream(streamType StreamType) Status {
	return proxyContinueStream(streamType)
}
func (wasmHost) ProxyCloseStream(streamType StreamType) Status { return proxyCloseStream(streamType) }
func (wasmHost) ProxyRemoveHeaderMapValue(mapType MapType, keyData *byte, keySize int) Status {
	return proxyRemoveHeaderMapValue(mapType, keyData, int32(keySize))
}
func (wasmHost) ProxyGetHeaderMapPairs(mapType MapType, returnValueData **byte, returnValueSize *int) Status {
	var at, size uint32
	status := proxyGetHeaderMapPairs(mapType, &at, &size)
	take(at, size, returnValueData, returnValueSize)
	return status
}

func (wasmHost) ProxySetHeaderMapPairs(mapType MapType, mapData *byte, mapSize int) Status {
	return proxySetHeaderMapPairs(mapType, mapData, int32(mapSize))
}
func (wasmHost) ProxyGetBufferBytes(bufferType BufferType, start int, maxSize int, returnBufferData **byte, returnBufferSize *int) Status {
	var at, size uint32
	status := proxyGetBufferBytes(bufferType, int32(start), int32(maxSize), &at, &size)
	take(at, size, returnBufferData, returnBufferSize)
	return status
}

func (wasmHost) ProxySetBufferBytes(bufferType BufferType, start int, maxSize int, bufferData *byte, bufferSize int) Status {
	return proxySetBufferBytes(bufferType, int32(start), int32(maxSize), bufferData, int32(bufferSize))
}
func (wasmHost) ProxyHttpCall(upstreamData *byte, upstreamSize int, headerData *byte, headerSize int, bodyData *byte, bodySize int, trailersData *byte, trailersSize int, timeout uint32, calloutIDPtr *uint32) Status {
	return proxyHttpCall(upstreamData, int32(upstreamSize), headerData, int32(headerSize), bodyData, int32(bodySize), trailersData, int32(trailersSize), timeout, calloutIDPtr)
}
func (wasmHost) ProxyCallForeignFunction(funcNamePtr *byte, funcNameSize int, paramPtr *byte, paramSize int, returnData **byte, returnSize *int) Status {
	var at, size uint32
	status := proxyCallForeignFunction(funcNamePtr, int32(funcNameSize), paramPtr, int32(paramSize), &at, &size)
	take(at, size, returnData, returnSize)
	return status
}

func (wasmHost) ProxySetTickPeriodMilliseconds(period uint32) Status {
	return proxySetTickPeriodMilliseconds(period)
}
func (wasmHost) ProxySetEffectiveContext(contextID uint32) Status {
	return proxySetEffectiveContext(contextID)
}
func (wasmHost) ProxyDone() Status { return proxyDone() }
func (wasmHost) ProxyDefineMetric(metricType MetricType, metricNameData *byte, metricNameSize int, returnMetricIDPtr *uint32) Status {
	return proxyDefineMetric(metricType, metricNameData, int32(metricNameSize), returnMetricIDPtr)
}
func (wasmHost) ProxyIncrementMetric(metricID uint32, offset int64) Status {
	return proxyIncrementMetric(metricID, offset)
}
func (wasmHost) ProxyRecordMetric(metricID uint32, value uint64) Status {
	return proxyRecordMetric(metricID, value)
}
func (wasmHost) ProxyGetMetric(metricID uint32, returnMetricValue *uint64) Status {
	return proxyGetMetric(metricID, returnMetricValue)
}

//go:wasmimport env proxy_log
func proxyLog(logLevel LogLevel, messageData *byte, messageSize int32) Status

//go:wasmimport env proxy_set_property
func proxySetProperty(pathData *byte, pathSize int32, valueData *byte, valueSize int32) Status

//go:wasmimport env proxy_get_property
func proxyGetProperty(pathData *byte, pathSize int32, returnValueData *uint32, returnValueSize *uint32) Status

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(statusCode uint32, statusCodeDetailData *byte, statusCodeDetailsSize int32, bodyData *byte, bodySize int32, headersData *byte, headersSize int32, grpcStatus int32) Status

//go:wasmimport env proxy_get_shared_data
func proxyGetSharedData(keyData *byte, keySize int32, returnValueData *uint32, returnValueSize *uint32, returnCas *uint32) Status

//go:wasmimport env proxy_set_shared_data
func proxySetSharedData(keyData *byte, keySize int32, valueData *byte, valueSize int32, cas uint32) Status

//go:wasmimport env proxy_register_shared_queue
func proxyRegisterSharedQueue(nameData *byte, nameSize int32, returnID *uint32) Status

//go:wasmimport env proxy_resolve_shared_queue
func proxyResolveSharedQueue(vmIDData *byte, vmIDSize int32, nameData *byte, nameSize int32, returnID *uint32) Status

//go:wasmimport env proxy_dequeue_shared_queue
func proxyDequeueSharedQueue(queueID uint32, returnValueData *uint32, returnValueSize *uint32) Status

//go:wasmimport env proxy_enqueue_shared_queue
func proxyEnqueueSharedQueue(queueID uint32, valueData *byte, valueSize int32) Status

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(mapType MapType, keyData *byte, keySize int32, returnValueData *uint32, returnValueSize *uint32) Status

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(mapType MapType, keyData *byte, keySize int32, valueData *byte, valueSize int32) Status

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(mapType MapType, keyData *byte, keySize int32, valueData *byte, valueSize int32) Status

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(streamType StreamType) Status

//go:wasmimport env proxy_close_stream
func proxyCloseStream(streamType StreamType) Status

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(mapType MapType, keyData *byte, keySize int32) Status

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(mapType MapType, returnValueData *uint32, returnValueSize *uint32) Status

//go:wasmimport env proxy_set_header_map_pairs
func proxySetHeaderMapPairs(mapType MapType, mapData *byte, mapSize int32) Status

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(bufferType BufferType, start int32, maxSize int32, returnBufferData *uint32, returnBufferSize *uint32) Status

//go:wasmimport env proxy_set_buffer_bytes
func proxySetBufferBytes(bufferType BufferType, start int32, maxSize int32, bufferData *byte, bufferSize int32) Status

//go:wasmimport env proxy_http_call
func proxyHttpCall(upstreamData *byte, upstreamSize int32, headerData *byte, headerSize int32, bodyData *byte, bodySize int32, trailersData *byte, trailersSize int32, timeout uint32, calloutIDPtr *uint32) Status

//go:wasmimport env proxy_call_foreign_function
func proxyCallForeignFunction(funcNamePtr *byte, funcNameSize int32, paramPtr *byte, paramSize int32, returnData *uint32, returnSize *uint32) Status

//go:wasmimport env proxy_set_tick_period_milliseconds
func proxySetTickPeriodMilliseconds(period uint32) Status

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(contextID uint32) Status

//go:wasmimport env proxy_done
func proxyDone() Status

//go:wasmimport env proxy_define_metric
func proxyDefineMetric(metricType MetricType, metricNameData *byte, metricNameSize int32, returnMetricIDPtr *uint32) Status

//go:wasmimport env proxy_increment_metric
func proxyIncrementMetric(metricID uint32, offset int64) Status

//go:wasmimport env proxy_record_metric
func proxyRecordMetric(metricID uint32, value uint64) Status

//go:wasmimport env proxy_get_metric
func proxyGetMetric(metricID uint32, returnMetricValue *uint64) Status
