// An http-wasm guest that uses every capability of the module "sluice", and tells in
// fields of the response, and in the log, what has come of it. The query says what it chooses: "u" and
// "f" an upstream and a function, both called other, "a" the arm b.

#include <stdint.h>

#define FROM(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define T(literal) (literal), (sizeof(literal) - 1)

FROM("http_handler", "get_uri") uint32_t get_uri(char *, uint32_t);
FROM("http_handler", "set_header_value") void set_field(uint32_t, const char *, uint32_t, const char *, uint32_t);

FROM("sluice", "kv_add") int32_t kv_add(const char *, uint32_t, const char *, uint32_t, int64_t, int64_t, int64_t *);
FROM("sluice", "fetch_start") int32_t fetch_start(const char *, uint32_t, const char *, uint32_t, const char *, uint32_t, const char *, uint32_t, int64_t, uint32_t);
FROM("sluice", "fetch_status") int32_t fetch_status(int32_t);
FROM("sluice", "fetch_read") int32_t fetch_read(int32_t, char *, uint32_t);
FROM("sluice", "metric_define") int32_t metric_define(uint32_t, const char *, uint32_t, const char *, uint32_t);
FROM("sluice", "metric_add") int32_t metric_add(int32_t, int64_t);
FROM("sluice", "metric_record") int32_t metric_record(int32_t, int64_t);
FROM("sluice", "log_field") int32_t log_field(const char *, uint32_t, const char *, uint32_t);
FROM("sluice", "client_get") int32_t client_get(uint32_t, char *, uint32_t);
FROM("sluice", "route_get") int32_t route_get(uint32_t, char *, uint32_t);
FROM("sluice", "route_choose") int32_t route_choose(uint32_t, const char *, uint32_t);
FROM("sluice", "hints_send") int32_t hints_send(const char *, uint32_t);
FROM("sluice", "secret_get") int32_t secret_get(const char *, uint32_t, char *, uint32_t);

enum { arm = 2, upstream, function };

static char text[1024];
static int32_t seen, sizes;

// number writes n as text, and returns how long it is.
static uint32_t number(char *to, int64_t n) {
	char b[20];
	uint32_t i = 0, length = 0;
	uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
	if (n < 0)
		to[length++] = '-';
	do
		b[i++] = '0' + u % 10;
	while (u /= 10);
	while (i > 0)
		to[length++] = b[--i];
	return length;
}

static void show(const char *name, uint32_t length, int32_t n) {
	if (n < 0)
		n = (int32_t)number(text, n);
	set_field(1, name, length, text, (uint32_t)n);
}

static void fetch(void) {
	int32_t h = fetch_start(T("api"), T("GET"), T("/fetched?x=1"), T("accept\0text/plain\0"), 0, 0);
	int32_t n = h < 0 ? h : fetch_status(h);
	uint32_t length = number(text, n);
	if (n > 0) {
		text[length++] = ' ';
		while ((n = fetch_read(h, text + length, sizeof text - length)) > 0)
			length += (uint32_t)n;
	}
	set_field(1, T("x-fetched"), text, length);
}

EXPORT("_initialize") void initialize(void) {
	seen = metric_define(0, T("seen_total"), T("kind\0test\0"));
	sizes = metric_define(2, T("sizes"), T(""));
}

EXPORT("handle_request") uint64_t handle_request(void) {
	int64_t sum = 0;
	int32_t n = kv_add(T("hits"), T("n"), 1, 0, &sum);
	set_field(1, T("x-hits"), text, number(text, n < 0 ? n : sum));
	show(T("x-secret"), secret_get(T("key"), text, sizeof text));
	show(T("x-client"), client_get(0, text, sizeof text));
	show(T("x-route"), route_get(1, text, sizeof text));
	fetch();
	hints_send(T("link\0</a.css>; rel=preload\0"));
	log_field(T("user"), T("ann"));
	metric_add(seen, 1);
	metric_record(sizes, 5);

	uint32_t length = get_uri(text, sizeof text);
	n = 0;
	switch (length > 0 && length <= sizeof text ? text[length - 1] : 0) {
	case 'u':
		n = route_choose(upstream, T("other"));
		break;
	case 'f':
		n = route_choose(function, T("other"));
		break;
	case 'a':
		n = route_choose(arm, T("b"));
	}
	set_field(1, T("x-chosen"), text, number(text, n));
	return 1;
}

EXPORT("handle_response") void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
	log_field(T("late"), text, number(text, route_choose(upstream, T("other"))));
}
