(module
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (memory (export "memory") 1)
  ;; upper reads all content of a kind in pieces of 8 bytes, and writes it back in upper case.
  (func $upper (param $kind i32)
    (local $r i64) (local $i i32)
    (loop $more
      (local.set $r (call $read_body (local.get $kind) (i32.const 0) (i32.const 8)))
      (local.set $i (i32.const 0))
      (block $done
        (loop $each
          (br_if $done (i32.ge_u (local.get $i) (i32.wrap_i64 (local.get $r))))
          (if (i32.and
                (i32.ge_u (i32.load8_u (local.get $i)) (i32.const 97))
                (i32.le_u (i32.load8_u (local.get $i)) (i32.const 122)))
            (then (i32.store8 (local.get $i) (i32.sub (i32.load8_u (local.get $i)) (i32.const 32)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $each)))
      (call $write_body (local.get $kind) (i32.const 0) (i32.wrap_i64 (local.get $r)))
      (br_if $more (i64.eqz (i64.shr_u (local.get $r) (i64.const 32))))))
  (func (export "_initialize")
    (drop (call $enable_features (i32.const 3))))
  (func (export "handle_request") (result i64)
    (call $upper (i32.const 0))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)
    (call $upper (i32.const 1))))
