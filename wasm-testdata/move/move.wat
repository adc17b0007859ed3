(module
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-move")
  (func (export "handle_request") (result i64)
    (local $n i32)
    (local.set $n (i32.wrap_i64 (call $get_header_values (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 16) (i32.const 1001))))
    (if (local.get $n) ;; the value ends with NUL
      (then (call $set_uri (i32.const 16) (i32.sub (local.get $n) (i32.const 1)))))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
