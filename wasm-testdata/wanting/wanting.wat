(module
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "sluice" "kv_add" (func $kv_add (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (import "sluice" "fetch_start" (func $fetch_start (param i32 i32 i32 i32 i32 i32 i32 i32 i64 i32) (result i32)))
  (import "sluice" "fetch_status" (func $fetch_status (param i32) (result i32)))
  (import "sluice" "metric_define" (func $metric_define (param i32 i32 i32 i32 i32) (result i32)))
  (import "sluice" "metric_add" (func $metric_add (param i32 i64) (result i32)))
  (import "sluice" "log_field" (func $log_field (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 16) "a")
  (data (i32.const 17) "n")
  (data (i32.const 32) "api")
  (data (i32.const 48) "GET")
  (data (i32.const 64) "/seen")
  (data (i32.const 80) "seen_total")
  (func $wants (param $what i32) (result i32)
    (i32.eq (i32.load8_u (i32.const 0)) (local.get $what)))
  (func (export "handle_request") (result i64)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (drop (call $get_config (i32.const 0) (i32.const 8)))
    (drop (call $sched_yield))
    (if (call $wants (i32.const 0x6b)) ;; k
      (then (drop (call $kv_add (i32.const 16) (i32.const 1) (i32.const 17) (i32.const 1) (i64.const 1) (i64.const 0) (i32.const 128)))))
    (if (call $wants (i32.const 0x66)) ;; f
      (then (drop (call $fetch_status
        (call $fetch_start (i32.const 32) (i32.const 3) (i32.const 48) (i32.const 3) (i32.const 64) (i32.const 5)
          (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0))))))
    (if (call $wants (i32.const 0x64)) ;; d
      (then (drop (call $metric_define (i32.const 0) (i32.const 80) (i32.const 10) (i32.const 0) (i32.const 0)))))
    (if (call $wants (i32.const 0x6d)) ;; m
      (then (drop (call $metric_add (i32.const 0) (i64.const 1)))))
    (if (call $wants (i32.const 0x6c)) ;; l
      (then (drop (call $log_field (i32.const 16) (i32.const 1) (i32.const 17) (i32.const 1)))))
    (call $set_status_code (i32.add (i32.const 200) (global.get $n)))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
