// An http-wasm guest that does what the query says: a row of letters, each with a
// number behind it or none.

#include "sluice.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

WASI("poll_oneoff") uint32_t poll_oneoff(const void *in, void *out, uint32_t count, uint32_t *n);

static char uri[1000], text[1000], block[64 << 10];
static const char page[1024] = {[0 ... 1022] = 'x', '\n'};

static void say(const char *p, uint32_t n) { sluice_write_body(SLUICE_RESPONSE, p, n); }

// get reads into block, and returns how much; it sets last at the end.
static uint32_t get(uint32_t limit, int *last) {
	uint64_t r = sluice_read_body(SLUICE_REQUEST, block, limit);
	*last = r >> 32;
	return (uint32_t)r;
}

static void sleep(uint64_t ms) {
	struct { uint64_t data, tag, id, timeout, precision, flags; } sub = {0, 0, 1, ms * 1000000, 0, 0};
	uint8_t event[32];
	uint32_t n;
	if (poll_oneoff(&sub, event, 1, &n) || n != 1)
		__builtin_trap();
}

// number writes n as text, and returns how long it is.
static uint32_t number(char *to, uint64_t n) {
	char b[20];
	uint32_t i = 0;
	do
		b[i++] = '0' + n % 10;
	while (n /= 10);
	for (uint32_t j = 0; j < i; j++)
		to[j] = b[i - 1 - j];
	return i;
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	uint32_t length = sluice_get_uri(uri, sizeof uri - 1), i = 0, n;
	int32_t have;
	int last = 0;
	while (i < length && uri[i++] != '?')
		;
	while (i < length) {
		char op = uri[i++];
		uint64_t count = 0;
		while (i < length && uri[i] >= '0' && uri[i] <= '9')
			count = count * 10 + (uri[i++] - '0');
		switch (op) {
		case 'o': say("ok", 2); break;
		case 'e': say("", 0); break;
		case 'w': while (count-- > 0) say(page, sizeof page); break;   // count KiB
		case 'W': say(block, count); break;                            // count bytes at once
		case 'M': while (count-- > 0) say(block, sizeof block); break; // count times 64 KiB
		case 'c': while (!last) { n = get(sizeof block, &last); say(block, n); } break;
		case 'C': n = get(sizeof block, &last); say(block, n); break;
		case 'd': while (!last) get(sizeof block, &last); break;
		case 'D': get(count, &last); break;
		case 's': sleep(count); break;
		case 't': __builtin_trap();
		case 'l': for (volatile uint32_t j = 0;; j++);
		case 'n': return SLUICE_NEXT;
		case 'S': sluice_set_status(count); break;
		case 'h': sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Late"), SLUICE_TEXT("yes")); break;
		case 'L': n = number(text, count); sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Length"), text, n); break;
		case 'A': n = number(text, count); sluice_add_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Length"), text, n); break;
		case 'N': sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Length"), SLUICE_TEXT("-1")); break;
		case 'X': sluice_remove_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Length")); break;
		case 'b': n = sluice_enable_features(SLUICE_BUFFER_RESPONSE); if (!(n & SLUICE_BUFFER_RESPONSE)) say("late", 4); break;
		case 'T': sluice_enable_features(SLUICE_TRAILERS); break;
		case 'r': sluice_set_field(SLUICE_RESPONSE_TRAILERS, SLUICE_TEXT("X-Sum"), SLUICE_TEXT("42")); break;
		case 'q': // the request's trailer x-sum, or "none"
			have = sluice_get_field(SLUICE_REQUEST_TRAILERS, SLUICE_TEXT("x-sum"), text, sizeof text);
			if (have < 0) say("none", 4); else say(text, have);
			break;
		case 'u': n = sluice_get_uri(text, sizeof text); say(text, n); break;
		case 'U': sluice_set_uri(SLUICE_TEXT("/own")); sluice_set_method(SLUICE_TEXT("HEAD")); break;
		case 'm': n = sluice_get_method(text, sizeof text); say(text, n); break;
		case 'f': // the fields x-a and host
			have = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("x-a"), text, sizeof text);
			say(text, have);
			have = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("host"), text, sizeof text);
			say(text, have);
			break;
		case 'R': sluice_write_body(SLUICE_REQUEST, page, sizeof page); break; // which goes nowhere
		case 'p': say((const char *)0xfffffff0, 100); break;
		default: __builtin_trap();
		}
	}
	return SLUICE_STOP;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
