// Sets one field of each request and one of each response.

#include "sluice.h"

// What is set of a response before there is one is set on the one that comes, so
// nothing needs to be buffered.
SLUICE_EXPORT(handle_request)
uint64_t handle_request(void) {
	sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-Through"), SLUICE_TEXT("sluice"));
	sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("X-Sluice-Filter"), SLUICE_TEXT("headers"));
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response)
void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
