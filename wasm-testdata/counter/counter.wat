(module
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 16) "user-agent")
  (data (i32.const 32) "seen\0a")
  (data (i32.const 48) "\20\00\00\00\05\00\00\00") ;; an iovec of the five bytes at 32
  (func $does (param $what i32) (result i32)
    (i32.eq (i32.load8_u (i32.const 0)) (local.get $what)))
  (func (export "handle_request") (result i64)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (drop (call $get_config (i32.const 0) (i32.const 8)))
    (if (call $does (i32.const 0x72)) ;; r
      (then (drop (call $random_get (i32.const 64) (i32.const 8)))))
    (if (call $does (i32.const 0x70)) ;; p
      (then (drop (call $fd_write (i32.const 1) (i32.const 48) (i32.const 1) (i32.const 64)))))
    (if (call $does (i32.const 0x74)) ;; t
      (then
        (drop (call $get_header_values (i32.const 0) (i32.const 16) (i32.const 10) (i32.const 128) (i32.const 64)))
        (if (i32.eq (i32.load (i32.const 128)) (i32.const 0x69756c73)) ;; "slui"
          (then unreachable))))
    (call $log (i32.const 0) (i32.const 32) (i32.const 4))
    (call $set_status_code (i32.add (i32.const 200) (global.get $n)))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
