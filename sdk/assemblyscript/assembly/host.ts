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
