(module
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (call $set_status_code (i32.add (i32.const 200) (i32.shr_u (memory.size) (i32.const 3))))
    (i64.const 0))
  (func (export "handle_response") (param i32 i32)))
