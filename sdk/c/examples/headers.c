// Adds, sets and removes fields of the request, and sets one of the response.

#include "sluice.h"

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-Through"), SLUICE_TEXT("sluice"));
	sluice_add_field(SLUICE_REQUEST, SLUICE_TEXT("X-Seen"), SLUICE_TEXT("headers"));
	sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("X-Debug"));
	sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Sluice-Filter"), SLUICE_TEXT("headers"));
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
