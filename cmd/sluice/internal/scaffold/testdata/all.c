// Uses all of sluice.h.

#include "sluice.h"

static char buf[4096];

static void show(const char *text, uint32_t length) {
	sluice_write_body(SLUICE_RESPONSE, text, length);
	sluice_write_body(SLUICE_RESPONSE, SLUICE_TEXT("\n"));
}

// Shows values of which each is ended by NUL.
static void show_list(uint64_t list) {
	uint32_t from = 0;
	for (uint32_t i = 0; i < (uint32_t)list; i++)
		if (buf[i] == 0) {
			show(buf + from, i - from);
			from = i + 1;
		}
	if (list >> 32 == 2)
		show(SLUICE_TEXT("that were two"));
}

SLUICE_EXPORT(_initialize) void initialize(void) {
	if (sluice_enable_features(SLUICE_BUFFER_REQUEST | SLUICE_BUFFER_RESPONSE | SLUICE_TRAILERS) != 7)
		__builtin_trap();
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	int32_t n = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("x-do"), buf, sizeof buf);
	if (n < 0)
		return sluice_answer(403, SLUICE_TEXT("no X-Do\n"));
	if (sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("x-do"), buf, 2) != -1) // does not fit
		__builtin_trap();
	if (sluice_equal(buf, (uint32_t)n, SLUICE_TEXT("next"))) {
		sluice_set_method(SLUICE_TEXT("PUT"));
		sluice_set_uri(SLUICE_TEXT("/changed?yes"));
		sluice_set_arm(SLUICE_TEXT("b"));
		sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("X-Do"));
		sluice_add_field(SLUICE_REQUEST_TRAILERS, SLUICE_TEXT("X-Sum"), SLUICE_TEXT("1"));
		return SLUICE_NEXT_WITH(42);
	}
	if (sluice_equal(buf, (uint32_t)n, SLUICE_TEXT("nest")))
		__builtin_trap();
	if (sluice_log_enabled(SLUICE_WARN))
		sluice_log(SLUICE_WARN, SLUICE_TEXT("shown"));
	sluice_set_status(201);
	sluice_add_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Two"), SLUICE_TEXT("1"));
	sluice_add_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Two"), SLUICE_TEXT("2"));
	show(buf, sluice_get_config(buf, sizeof buf));
	show(buf, sluice_get_method(buf, sizeof buf));
	show(buf, sluice_get_uri(buf, sizeof buf));
	show(buf, sluice_get_protocol_version(buf, sizeof buf));
	show(buf, sluice_get_source_addr(buf, sizeof buf));
	show_list(sluice_get_names(SLUICE_REQUEST, buf, sizeof buf));
	show_list(sluice_get_values(SLUICE_RESPONSE, SLUICE_TEXT("X-Two"), buf, sizeof buf));
	uint64_t read = sluice_read_body(SLUICE_REQUEST, buf, sizeof buf);
	show(buf, (uint32_t)read);
	if (read >> 32 == 1)
		show(SLUICE_TEXT("that was all"));
	return SLUICE_STOP;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	if (ctx == 42 && !failed && sluice_get_status() == 200)
		sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Seen"), SLUICE_TEXT("yes"));
}
