// Exports each function of the module "sluice" under its name. Callers put what they
// give it into memory, which has three pages.

typedef int i32;
typedef long long i64;

#define FUNCTION(result, name, params, args)                                              \
	__attribute__((import_module("sluice"), import_name(#name))) result host_##name params; \
	__attribute__((export_name(#name))) result call_##name params { return host_##name args; }

FUNCTION(i32, kv_get, (i32 a, i32 b, i32 c, i32 d, i32 e, i32 f, i32 g), (a, b, c, d, e, f, g))
FUNCTION(i64, kv_set, (i32 a, i32 b, i32 c, i32 d, i32 e, i32 f, i64 g, i64 h), (a, b, c, d, e, f, g, h))
FUNCTION(i32, kv_delete, (i32 a, i32 b, i32 c, i32 d, i64 e), (a, b, c, d, e))
FUNCTION(i32, kv_add, (i32 a, i32 b, i32 c, i32 d, i64 e, i64 f, i32 g), (a, b, c, d, e, f, g))
FUNCTION(i64, kv_list, (i32 a, i32 b, i32 c, i32 d, i32 e, i32 f, i32 g, i32 h), (a, b, c, d, e, f, g, h))

FUNCTION(i32, fetch_start, (i32 a, i32 b, i32 c, i32 d, i32 e, i32 f, i32 g, i32 h, i64 i, i32 j), (a, b, c, d, e, f, g, h, i, j))
FUNCTION(i32, fetch_write, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i32, fetch_finish, (i32 a), (a))
FUNCTION(i32, fetch_status, (i32 a), (a))
FUNCTION(i64, fetch_names, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i64, fetch_values, (i32 a, i32 b, i32 c, i32 d, i32 e), (a, b, c, d, e))
FUNCTION(i32, fetch_read, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i32, fetch_close, (i32 a), (a))

FUNCTION(i32, metric_define, (i32 a, i32 b, i32 c, i32 d, i32 e), (a, b, c, d, e))
FUNCTION(i32, metric_add, (i32 a, i64 b), (a, b))
FUNCTION(i32, metric_record, (i32 a, i64 b), (a, b))

FUNCTION(i32, log_field, (i32 a, i32 b, i32 c, i32 d), (a, b, c, d))
FUNCTION(i32, client_get, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i32, route_get, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i32, route_choose, (i32 a, i32 b, i32 c), (a, b, c))
FUNCTION(i32, hints_send, (i32 a, i32 b), (a, b))
FUNCTION(i32, secret_get, (i32 a, i32 b, i32 c, i32 d), (a, b, c, d))
