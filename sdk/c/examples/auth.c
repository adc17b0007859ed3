// Lets only requests through that carry an API key. The configuration has a user and a
// key on each line.

#include "sluice.h"

static char config[16384];
static uint32_t config_length;

static void refuse(const char *why, uint32_t length) {
	sluice_log(SLUICE_ERROR, why, length);
	__builtin_trap();
}

// A user and the user's key.
struct line {
	const char *user, *key;
	uint32_t user_length, key_length;
};

// Reads the line at *at, and moves *at behind it. Returns 0 at the end.
static int next_line(uint32_t *at, struct line *l) {
	while (*at < config_length && config[*at] == '\n')
		(*at)++;
	if (*at == config_length)
		return 0;
	uint32_t begin = *at, space = begin, end;
	while (space < config_length && config[space] != ' ' && config[space] != '\n')
		space++;
	for (end = space; end < config_length && config[end] != '\n'; end++)
		;
	l->user = config + begin;
	l->user_length = space - begin;
	l->key = config + (space < end ? space + 1 : end);
	l->key_length = (uint32_t)(config + end - l->key);
	*at = end;
	return 1;
}

SLUICE_EXPORT(_initialize) void initialize(void) {
	config_length = sluice_get_config(config, sizeof config);
	if (config_length > sizeof config)
		refuse(SLUICE_TEXT("configuration: more than 16384 bytes"));
	struct line l;
	uint32_t at = 0, n = 0;
	for (; next_line(&at, &l); n++)
		if (l.user_length == 0 || l.key_length == 0)
			refuse(SLUICE_TEXT("configuration: want a user, a space and a key on each line"));
	if (n == 0)
		refuse(SLUICE_TEXT("configuration: want a user, a space and a key on each line"));
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	sluice_remove_field(SLUICE_REQUEST, SLUICE_TEXT("X-User")); // only we say who somebody is
	static char key[1024];
	int32_t n = sluice_get_field(SLUICE_REQUEST, SLUICE_TEXT("X-Api-Key"), key, sizeof key);
	struct line l;
	for (uint32_t at = 0; n >= 0 && next_line(&at, &l);)
		if (sluice_equal(key, (uint32_t)n, l.key, l.key_length)) {
			sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-User"), l.user, l.user_length);
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
