(module
  (import "env" "foo" (func (param i32)))
  (import "http_handler" "get_secrets" (func))
  (import "http_handler" "log" (func (param i64)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64) (i64.const 1))
  (func (export "handle_response") (param i32)))
