// Puts another prefix in place of the path's. The configuration has the two on each line;
// the first that fits counts. The query stays.

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
		if (l.name[0] != '/' || l.value_length == 0 || l.value[0] != '/')
			sluice_refuse(SLUICE_TEXT("configuration: want two paths on each line"));
	if (n == 0)
		sluice_refuse(SLUICE_TEXT("configuration: want two paths on each line"));
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	static char uri[65536 + sizeof config]; // what is put in place begins before it
	char *old = uri + sizeof config;
	uint32_t n = sluice_get_uri(old, 65536);
	if (n > 65536)
		return sluice_answer(414, SLUICE_TEXT("414 URI Too Long\n"));
	struct sluice_pair l;
	for (uint32_t at = 0; sluice_next_pair(config, config_length, &at, &l);)
		if (n >= l.name_length && sluice_equal(old, l.name_length, l.name, l.name_length)) {
			char *changed = old + l.name_length - l.value_length;
			for (uint32_t i = 0; i < l.value_length; i++)
				changed[i] = l.value[i];
			sluice_set_uri(changed, n - l.name_length + l.value_length);
			break;
		}
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
