// What go/main.go says. What the header has no word for (cookies, redirects, a value of the
// exchange) is left out.

#include "../../c/sluice.h"

static char line[8192], out[70000], list[512];
static uint32_t length;
static const char *args[9];
static uint32_t lengths[9];
static int32_t fetches[16], started;

#define A(i) args[i], lengths[i]
#define REST out + length, (uint32_t)sizeof out - length

static void put(const char *text, uint32_t n) {
	if (n > sizeof out - length)
		__builtin_trap();
	for (uint32_t i = 0; i < n; i++)
		out[length++] = text[i];
}

static void put_number(int64_t n) {
	char digits[20];
	int i = 0;
	uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
	if (n < 0)
		put(SLUICE_TEXT("-"));
	do
		digits[i++] = (char)('0' + u % 10);
	while (u /= 10);
	while (i > 0)
		put(&digits[--i], 1);
}

static int64_t number(uint32_t i) {
	int64_t n = 0;
	for (uint32_t k = 0; k < lengths[i]; k++)
		if (args[i][k] != '-')
			n = 10 * n + args[i][k] - '0';
	return lengths[i] > 0 && args[i][0] == '-' ? -n : n;
}

// is reports whether the line's first word is a name.
static int is(const char *name, uint32_t n) {
	return sluice_equal(A(0), name, n);
}
#define IS(literal) is(SLUICE_TEXT(literal))

// draw writes random bytes in hexadecimal.
static void draw(uint32_t n) {
	static unsigned char drawn[256];
	if (n > sizeof drawn)
		__builtin_trap();
	sluice_random(drawn, n);
	for (uint32_t i = 0; i < n; i++) {
		put(&"0123456789abcdef"[drawn[i] >> 4], 1);
		put(&"0123456789abcdef"[drawn[i] & 15], 1);
	}
}

static void ok(int64_t result) {
	if (result < 0)
		put_number(result);
	else
		put(SLUICE_TEXT("ok"));
}

// What was written at the end of out: a number of bytes.
static void text(int32_t n) {
	if (n < 0)
		put_number(n);
	else if ((uint32_t)n > sizeof out - length)
		__builtin_trap();
	else
		length += (uint32_t)n;
}

// The same for a list.
static void texts(int64_t n) {
	if (n < 0) {
		put_number(n);
		return;
	}
	uint32_t from = length;
	text((int32_t)n);
	if (length == from)
		return;
	length--; // the last NUL
	for (uint32_t i = from; i < length; i++)
		if (out[i] == 0)
			out[i] = ',';
}

// pair makes a list of two arguments.
static uint32_t pair(uint32_t at) {
	uint32_t n = 0;
	for (uint32_t i = at; i < at + 2; i++) {
		if (lengths[i] > 200)
			__builtin_trap();
		for (uint32_t k = 0; k < lengths[i]; k++)
			list[n++] = args[i][k];
		list[n++] = 0;
	}
	return n;
}

static int32_t fetch(void) {
	return fetches[number(1) - 1];
}

static void kv(void) {
	int64_t n = 0;
	if (IS("get")) {
		static char value[60000];
		int32_t got = sluice_kv_get(A(1), A(2), value, sizeof value, &n);
		put_number(got < 0 ? got : n);
		if (got < 0)
			return;
		if ((uint32_t)got > sizeof value || got != sluice_kv_get(A(1), A(2), value, sizeof value, 0))
			__builtin_trap();
		put(SLUICE_TEXT(" "));
		put(value, (uint32_t)got);
	} else if (IS("set"))
		put_number(sluice_kv_set(A(1), A(2), A(3), number(4), number(5)));
	else if (IS("delete"))
		ok(sluice_kv_delete(A(1), A(2), number(3)));
	else if (IS("add")) {
		int32_t failed = sluice_kv_add(A(1), A(2), number(3), number(4), &n);
		put_number(failed < 0 ? failed : n);
	} else if (IS("list"))
		texts(sluice_kv_list(A(1), A(2), A(3), REST));
}

static void fetching(void) {
	if (IS("start")) {
		int32_t h = sluice_fetch_start(A(1), A(2), A(3), list, pair(4), number(6), (uint32_t)number(7));
		if (h >= 0)
			fetches[started++] = h;
		ok(h);
	} else if (IS("write"))
		ok(sluice_fetch_write(fetch(), A(2)));
	else if (IS("finish"))
		ok(sluice_fetch_finish(fetch()));
	else if (IS("status"))
		put_number(sluice_fetch_status(fetch()));
	else if (IS("names"))
		texts(sluice_fetch_names(fetch(), REST));
	else if (IS("values"))
		texts(sluice_fetch_values(fetch(), A(2), REST));
	else if (IS("read")) {
		int32_t n;
		while ((n = sluice_fetch_read(fetch(), REST)) > 0)
			length += (uint32_t)n;
		if (n < 0)
			put_number(n);
	} else if (IS("close"))
		ok(sluice_fetch_close(fetch()));
}

static void metric(void) {
	int32_t n;
	if (IS("counter"))
		ok((n = sluice_metric_define(SLUICE_COUNTER, A(1), list, pair(2))) < 0 ? n : sluice_metric_add(n, number(4)));
	else if (IS("gauge")) {
		n = sluice_metric_define(SLUICE_GAUGE, A(1), list, 0);
		if (n >= 0 && sluice_metric_record(n, number(2)) < 0)
			__builtin_trap();
		ok(n < 0 ? n : sluice_metric_add(n, number(3)));
	} else if (IS("histogram"))
		ok((n = sluice_metric_define(SLUICE_HISTOGRAM, A(1), list, 0)) < 0 ? n : sluice_metric_record(n, number(2)));
}

// What is about the exchange.
static void exchange(void) {
	if (IS("log"))
		ok(sluice_log_field(A(1), A(2)));
	else if (IS("client"))
		text(sluice_client_get((uint32_t)number(1), REST));
	else if (IS("route"))
		text(sluice_route_get((uint32_t)number(1), REST));
	else if (IS("choose"))
		ok(sluice_route_choose((uint32_t)number(1), A(2)));
	else if (IS("hints"))
		ok(sluice_hints_send(list, pair(1)));
	else if (IS("now"))
		put_number((int64_t)sluice_now());
	else if (IS("monotonic"))
		put_number((int64_t)sluice_monotonic());
	else if (IS("draw"))
		draw((uint32_t)number(1));
	else if (IS("secret"))
		text(sluice_secret_get(A(1), REST));
	else if (IS("enable"))
		put_number(sluice_enable_features((uint32_t)number(1)));
	else if (IS("arm")) {
		int32_t n = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("X-Sluice-Arm"), REST);
		text(n < 0 ? 0 : n);
	} else if (IS("set-arm")) {
		sluice_set_arm(A(1));
		ok(0);
	} else if (IS("trailer")) {
		while (sluice_read_body(SLUICE_REQUEST, REST) >> 32 == 0)
			;
		int32_t n = sluice_get_field(SLUICE_REQUEST_TRAILERS, A(1), REST);
		text(n < 0 ? 0 : n);
		sluice_set_field(SLUICE_REQUEST_TRAILERS, SLUICE_TEXT("X-Sum"), SLUICE_TEXT("1"));
	}
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	uint64_t lines = sluice_get_values(SLUICE_REQUEST, SLUICE_TEXT("X-Do"), line, sizeof line);
	if ((uint32_t)lines > sizeof line)
		__builtin_trap();
	uint32_t n = 0, from = 0;
	for (uint32_t i = 0; i < (uint32_t)lines; i++) {
		if (line[i] != '|' && line[i] != 0)
			continue;
		if (n == sizeof args / sizeof *args)
			__builtin_trap();
		args[n] = line + from;
		lengths[n++] = i - from;
		from = i + 1;
		if (line[i] != 0)
			continue;
		length = n = 0;
		kv();
		fetching();
		metric();
		exchange();
		sluice_add_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Did"), out, length);
	}
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
