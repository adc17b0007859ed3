// The imports of a module, and how their results are read. Pointers are into the module's
// memory.

// @ts-ignore: decorator
@external("http_handler", "enable_features")
export declare function enable_features(features: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_config")
export declare function get_config(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "log")
export declare function log_message(level: i32, message: usize, length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "log_enabled")
export declare function log_enabled(level: i32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_method")
export declare function get_method(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "set_method")
export declare function set_method(v: usize, length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "get_uri")
export declare function get_uri(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "set_uri")
export declare function set_uri(v: usize, length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "get_protocol_version")
export declare function get_protocol_version(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_source_addr")
export declare function get_source_addr(buf: usize, limit: u32): u32;
// @ts-ignore: decorator
@external("http_handler", "get_header_names")
export declare function get_header_names(kind: u32, buf: usize, limit: u32): u64;
// @ts-ignore: decorator
@external("http_handler", "get_header_values")
export declare function get_header_values(kind: u32, name: usize, name_length: u32, buf: usize, limit: u32): u64;
// @ts-ignore: decorator
@external("http_handler", "set_header_value")
export declare function set_header_value(kind: u32, name: usize, name_length: u32, value: usize, value_length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "add_header_value")
export declare function add_header_value(kind: u32, name: usize, name_length: u32, value: usize, value_length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "remove_header")
export declare function remove_header(kind: u32, name: usize, name_length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "read_body")
export declare function read_body(kind: u32, buf: usize, limit: u32): u64;
// @ts-ignore: decorator
@external("http_handler", "write_body")
export declare function write_body(kind: u32, content: usize, length: u32): void;
// @ts-ignore: decorator
@external("http_handler", "get_status_code")
export declare function get_status_code(): u32;
// @ts-ignore: decorator
@external("http_handler", "set_status_code")
export declare function set_status_code(code: u32): void;

// @ts-ignore: decorator
@external("sluice", "kv_get")
export declare function kv_get(ns: usize, ns_length: u32, key: usize, key_length: u32, buf: usize, limit: u32, version: usize): i32;
// @ts-ignore: decorator
@external("sluice", "kv_set")
export declare function kv_set(ns: usize, ns_length: u32, key: usize, key_length: u32, value: usize, value_length: u32, ttl: i64, version: i64): i64;
// @ts-ignore: decorator
@external("sluice", "kv_delete")
export declare function kv_delete(ns: usize, ns_length: u32, key: usize, key_length: u32, version: i64): i32;
// @ts-ignore: decorator
@external("sluice", "kv_add")
export declare function kv_add(ns: usize, ns_length: u32, key: usize, key_length: u32, delta: i64, ttl: i64, sum: usize): i32;
// @ts-ignore: decorator
@external("sluice", "kv_list")
export declare function kv_list(
  ns: usize, ns_length: u32, prefix: usize, prefix_length: u32, after: usize, after_length: u32, buf: usize, limit: u32,
): i64;
// @ts-ignore: decorator
@external("sluice", "fetch_start")
export declare function fetch_start(
  upstream: usize, upstream_length: u32, method: usize, method_length: u32, uri: usize, uri_length: u32, fields: usize,
  fields_length: u32, length: i64, timeout: u32,
): i32;
// @ts-ignore: decorator
@external("sluice", "fetch_write")
export declare function fetch_write(handle: i32, content: usize, length: u32): i32;
// @ts-ignore: decorator
@external("sluice", "fetch_finish")
export declare function fetch_finish(handle: i32): i32;
// @ts-ignore: decorator
@external("sluice", "fetch_status")
export declare function fetch_status(handle: i32): i32;
// @ts-ignore: decorator
@external("sluice", "fetch_names")
export declare function fetch_names(handle: i32, buf: usize, limit: u32): i64;
// @ts-ignore: decorator
@external("sluice", "fetch_values")
export declare function fetch_values(handle: i32, name: usize, name_length: u32, buf: usize, limit: u32): i64;
// @ts-ignore: decorator
@external("sluice", "fetch_read")
export declare function fetch_read(handle: i32, buf: usize, limit: u32): i32;
// @ts-ignore: decorator
@external("sluice", "fetch_close")
export declare function fetch_close(handle: i32): i32;
// @ts-ignore: decorator
@external("sluice", "metric_define")
export declare function metric_define(kind: u32, name: usize, name_length: u32, labels: usize, labels_length: u32): i32;
// @ts-ignore: decorator
@external("sluice", "metric_add")
export declare function metric_add(number: i32, delta: i64): i32;
// @ts-ignore: decorator
@external("sluice", "metric_record")
export declare function metric_record(number: i32, value: i64): i32;
// @ts-ignore: decorator
@external("sluice", "log_field")
export declare function log_field(name: usize, name_length: u32, value: usize, value_length: u32): i32;
// @ts-ignore: decorator
@external("sluice", "client_get")
export declare function client_get(what: u32, buf: usize, limit: u32): i32;
// @ts-ignore: decorator
@external("sluice", "route_get")
export declare function route_get(what: u32, buf: usize, limit: u32): i32;
// @ts-ignore: decorator
@external("sluice", "route_choose")
export declare function route_choose(what: u32, name: usize, name_length: u32): i32;
// @ts-ignore: decorator
@external("sluice", "hints_send")
export declare function hints_send(fields: usize, fields_length: u32): i32;
// @ts-ignore: decorator
@external("sluice", "secret_get")
export declare function secret_get(name: usize, name_length: u32, buf: usize, limit: u32): i32;

// Where the host writes texts; larger if one did not fit.
export let buf = new ArrayBuffer(2048);

// Reports whether a text of a length fits there. If not it will.
export function fits(length: u32): bool {
  if (length <= <u32>buf.byteLength) return true;
  buf = new ArrayBuffer(length);
  return false;
}

// Returns a text as UTF-8.
export function encode(s: string): ArrayBuffer {
  return String.UTF8.encode(s);
}

// Returns the address of a buffer's bytes.
// @ts-ignore: decorator
@inline
export function at(b: ArrayBuffer): usize {
  return changetype<usize>(b);
}

// Returns n bytes of a buffer as a text.
export function decode(b: ArrayBuffer, n: u32): string {
  return String.UTF8.decodeUnsafe(at(b), n);
}

// Returns the texts of a list, which end with NUL each.
export function split(list: ArrayBuffer, length: u32): string[] {
  const all: string[] = [];
  let from: usize = 0;
  for (let i: usize = 0; i < length; i++) {
    if (load<u8>(at(list) + i) == 0) {
      all.push(String.UTF8.decodeUnsafe(at(list) + from, i - from));
      from = i + 1;
    }
  }
  return all;
}

// Ends the module, and logs why: an assertion that did not hold, an access out of bounds.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = encode(
    (message ? message : "aborted") + " at " + (file ? file : "?") + ":" + line.toString() + ":" + column.toString(),
  );
  log_message(2, at(text), text.byteLength);
  unreachable();
}

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(buf: usize, length: u32): u32;

const drawn = memory.data(8);

// Is what asc asks for the seed of Math.random at its first use, if it is told
// --use seed=sluice/assembly/host/seed: no two exchanges have it in common. What draws while it is
// initialised is initialised for each exchange anew, which takes longer. A module that does not
// use Math.random does not import random_get.
export function seed(): f64 {
  if (random_get(drawn, 8) != 0) unreachable();
  return load<f64>(drawn);
}
