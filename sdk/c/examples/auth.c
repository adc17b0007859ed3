// Lets only requests through that carry an API key. The configuration has a user and a
// key on each line.

#include "sluice.h"

static char config[16384];
static uint32_t config_length;

SLUICE_EXPORT(_initialize) void initialize(void) {
	config_length = sluice_get_config(config, sizeof config);
	if (config_length > sizeof config)
		sluice_refuse(SLUICE_TEXT("configuration: more than 16384 bytes"));
	struct sluice_pair l;
	uint32_t at = 0, n = 0;
	for (; sluice_next_pair(config, config_length, &at, &l); n++)
		if (l.name_length == 0 || l.value_length == 0)
			sluice_refuse(SLUICE_TEXT("configuration: want a user, a space and a key on each line"));
	if (n == 0)
		sluice_refuse(SLUICE_TEXT("configuration: want a user, a space and a key on each line"));
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("X-User")); // only we say who somebody is
	static char key[1024];
	int32_t n = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("X-Api-Key"), key, sizeof key);
	struct sluice_pair l;
	for (uint32_t at = 0; n >= 0 && sluice_next_pair(config, config_length, &at, &l);)
		if (sluice_equal(key, (uint32_t)n, l.value, l.value_length)) {
			sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-User"), l.name, l.name_length);
			sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("X-Api-Key")); // the origin need not know it
			return SLUICE_NEXT;
		}
	sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("WWW-Authenticate"), SLUICE_TEXT("ApiKey"));
	return sluice_answer(401, SLUICE_TEXT("401 Unauthorized\n"));
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
