// Replaces one text by another in text responses, piece by piece. The configuration is the
// text, a space, and what is to be there instead.

#include "sluice.h"

static char config[4096];
static const char *to;
static uint32_t from_length, to_length;

SLUICE_EXPORT(_initialize) void initialize(void) {
	uint32_t n = sluice_get_config(config, sizeof config);
	if (n <= sizeof config)
		while (from_length < n && config[from_length] != ' ')
			from_length++;
	if (from_length == 0 || from_length == n) {
		sluice_log(SLUICE_ERROR, SLUICE_TEXT("configuration: want a text, a space, and what is to be there instead"));
		__builtin_trap();
	}
	to = config + from_length + 1;
	to_length = n - from_length - 1;
	sluice_enable_features(SLUICE_BUFFER_RESPONSE);
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("Accept-Encoding")); // compressed content cannot be searched
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	char type[256];
	int32_t n = sluice_get_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Type"), type, sizeof type);
	if (failed || n < 5 || !sluice_equal(type, 5, SLUICE_TEXT("text/")))
		return;
	// What is at the end of a piece may be the beginning of the text: it is looked at again
	// with the next.
	static char buf[16384 + sizeof config];
	uint32_t have = 0, last = 0;
	while (!last) {
		uint64_t read = sluice_read_body(SLUICE_RESPONSE, buf + have, 16384);
		last = (uint32_t)(read >> 32);
		have += (uint32_t)read;
		uint32_t done = 0, at = 0;
		while (at + from_length <= have) {
			if (!sluice_equal(buf + at, from_length, config, from_length)) {
				at++;
				continue;
			}
			sluice_write_body(SLUICE_RESPONSE, buf + done, at - done);
			sluice_write_body(SLUICE_RESPONSE, to, to_length);
			at += from_length;
			done = at;
		}
		if (last)
			at = have;
		sluice_write_body(SLUICE_RESPONSE, buf + done, at - done);
		have -= at;
		for (uint32_t i = 0; i < have; i++)
			buf[i] = buf[at + i];
	}
}
