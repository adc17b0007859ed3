//go:build wasip1

package proxy

import "unsafe"

//go:wasmimport sluice kv_get
func importKvGet(ns string, key string, buf unsafe.Pointer, bufLen uint32, version unsafe.Pointer) int32

//go:wasmimport sluice kv_set
func importKvSet(ns string, key string, value unsafe.Pointer, valueLen uint32, ttl int64, version int64) int64

//go:wasmimport sluice kv_delete
func kvDelete(ns, key string, version int64) int32

//go:wasmimport sluice kv_add
func importKvAdd(ns string, key string, delta int64, ttl int64, sum unsafe.Pointer) int32

//go:wasmimport sluice kv_list
func importKvList(ns string, prefix string, after string, buf unsafe.Pointer, bufLen uint32) int64

//go:wasmimport sluice fetch_start
func fetchStart(upstream, method, uri, fields string, length int64, timeout uint32) int32

//go:wasmimport sluice fetch_write
func importFetchWrite(handle int32, p unsafe.Pointer, pLen uint32) int32

//go:wasmimport sluice fetch_finish
func fetchFinish(handle int32) int32

//go:wasmimport sluice fetch_status
func fetchStatus(handle int32) int32

//go:wasmimport sluice fetch_names
func importFetchNames(handle int32, buf unsafe.Pointer, bufLen uint32) int64

//go:wasmimport sluice fetch_values
func importFetchValues(handle int32, name string, buf unsafe.Pointer, bufLen uint32) int64

//go:wasmimport sluice fetch_read
func importFetchRead(handle int32, buf unsafe.Pointer, bufLen uint32) int32

//go:wasmimport sluice fetch_close
func fetchClose(handle int32) int32

//go:wasmimport sluice metric_define
func metricDefine(kind uint32, name, labels string) int32

//go:wasmimport sluice metric_add
func metricAdd(number int32, delta int64) int32

//go:wasmimport sluice metric_record
func metricRecord(number int32, value int64) int32

//go:wasmimport sluice log_field
func logField(name, value string) int32

//go:wasmimport sluice client_get
func importClientGet(what uint32, buf unsafe.Pointer, bufLen uint32) int32

//go:wasmimport sluice route_get
func importRouteGet(what uint32, buf unsafe.Pointer, bufLen uint32) int32

//go:wasmimport sluice route_choose
func routeChoose(what uint32, name string) int32

//go:wasmimport sluice hints_send
func hintsSend(fields string) int32

//go:wasmimport sluice secret_get
func importSecretGet(name string, buf unsafe.Pointer, bufLen uint32) int32

func kvGet(ns, key string, buf []byte, version *int64) int32 {
	return importKvGet(ns, key, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)), unsafe.Pointer(version))
}

func kvSet(ns, key string, value []byte, ttl, version int64) int64 {
	return importKvSet(ns, key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), ttl, version)
}

func kvAdd(ns, key string, delta, ttl int64, sum *int64) int32 {
	return importKvAdd(ns, key, delta, ttl, unsafe.Pointer(sum))
}

func kvList(ns, prefix, after string, buf []byte) int64 {
	return importKvList(ns, prefix, after, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func fetchWrite(handle int32, p []byte) int32 {
	return importFetchWrite(handle, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
}

func fetchNames(handle int32, buf []byte) int64 {
	return importFetchNames(handle, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func fetchValues(handle int32, name string, buf []byte) int64 {
	return importFetchValues(handle, name, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func fetchRead(handle int32, buf []byte) int32 {
	return importFetchRead(handle, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func clientGet(what uint32, buf []byte) int32 {
	return importClientGet(what, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func routeGet(what uint32, buf []byte) int32 {
	return importRouteGet(what, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}

func secretGet(name string, buf []byte) int32 {
	return importSecretGet(name, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
}
