// Puts another prefix in place of the path's. The configuration has the two on each line;
// the first that fits counts. The query stays.

#include "sluice.h"

static char config[16384];
static uint32_t config_length;

static void refuse(const char *why, uint32_t length) {
	sluice_log(SLUICE_ERROR, why, length);
	__builtin_trap();
}

// A prefix, and what is put in its place.
struct line {
	const char *from, *to;
	uint32_t from_length, to_length;
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
	l->from = config + begin;
	l->from_length = space - begin;
	l->to = config + (space < end ? space + 1 : end);
	l->to_length = (uint32_t)(config + end - l->to);
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
		if (l.from[0] != '/' || l.to_length == 0 || l.to[0] != '/')
			refuse(SLUICE_TEXT("configuration: want two paths on each line"));
	if (n == 0)
		refuse(SLUICE_TEXT("configuration: want two paths on each line"));
}

SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
	static char uri[65536 + sizeof config]; // what is put in place begins before it
	char *old = uri + sizeof config;
	uint32_t n = sluice_get_uri(old, 65536);
	if (n > 65536)
		return sluice_answer(414, SLUICE_TEXT("414 URI Too Long\n"));
	struct line l;
	for (uint32_t at = 0; next_line(&at, &l);)
		if (n >= l.from_length && sluice_equal(old, l.from_length, l.from, l.from_length)) {
			char *changed = old + l.from_length - l.to_length;
			for (uint32_t i = 0; i < l.to_length; i++)
				changed[i] = l.to[i];
			sluice_set_uri(changed, n - l.from_length + l.to_length);
			break;
		}
	return SLUICE_NEXT;
}

SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
	(void)ctx;
	(void)failed;
}
