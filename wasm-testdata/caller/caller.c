// An http-wasm guest that calls host functions as a field of the request says, in
// hexadecimal digits: a byte of features, and then calls of 21 bytes each, of which the
// first is the function and the others are five arguments, the low byte first. A
// function of 255 ends handle_request, with what follows for handle_response; so does
// one of 254, without a next handler.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HOST(name) __attribute__((import_module("http_handler"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

HOST("enable_features") u32 enable_features(u32);
HOST("get_config") u32 get_config(u32, u32);
HOST("log") void log_(u32, u32, u32);
HOST("log_enabled") u32 log_enabled(u32);
HOST("get_method") u32 get_method(u32, u32);
HOST("set_method") void set_method(u32, u32);
HOST("get_uri") u32 get_uri(u32, u32);
HOST("set_uri") void set_uri(u32, u32);
HOST("get_protocol_version") u32 get_protocol_version(u32, u32);
HOST("get_source_addr") u32 get_source_addr(u32, u32);
HOST("get_header_names") u64 get_header_names(u32, u32, u32);
HOST("get_header_values") u64 get_header_values(u32, u32, u32, u32, u32);
HOST("set_header_value") void set_header_value(u32, u32, u32, u32, u32);
HOST("add_header_value") void add_header_value(u32, u32, u32, u32, u32);
HOST("remove_header") void remove_header(u32, u32, u32);
HOST("read_body") u64 read_body(u32, u32, u32);
HOST("write_body") void write_body(u32, u32, u32);
HOST("get_status_code") u32 get_status_code(void);
HOST("set_status_code") void set_status_code(u32);

static const char name[] = "x-program";
static char text[40000];
static u8 program[20000];
static u32 length, at;

static u32 digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static u32 argument(const u8 *p) { return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24; }

// run calls up to the end of a phase, and returns what ends it.
static u32 run(void) {
	while (at + 21 <= length) {
		const u8 *p = program + at;
		u32 a = argument(p + 1), b = argument(p + 5), c = argument(p + 9), d = argument(p + 13), e = argument(p + 17);
		at += 21;
		switch (p[0]) {
		case 0: enable_features(a); break;
		case 1: get_config(a, b); break;
		case 2: log_(a, b, c); break;
		case 3: log_enabled(a); break;
		case 4: get_method(a, b); break;
		case 5: set_method(a, b); break;
		case 6: get_uri(a, b); break;
		case 7: set_uri(a, b); break;
		case 8: get_protocol_version(a, b); break;
		case 9: get_source_addr(a, b); break;
		case 10: get_header_names(a, b, c); break;
		case 11: get_header_values(a, b, c, d, e); break;
		case 12: set_header_value(a, b, c, d, e); break;
		case 13: add_header_value(a, b, c, d, e); break;
		case 14: remove_header(a, b, c); break;
		case 15: read_body(a, b, c); break;
		case 16: write_body(a, b, c); break;
		case 17: get_status_code(); break;
		case 18: set_status_code(a); break;
		case 254: case 255: return p[0];
		}
	}
	return 255;
}

EXPORT("handle_request") u64 handle_request(void) {
	u32 n = (u32)get_header_values(0, (u32)name, sizeof name - 1, (u32)text, sizeof text);
	if (n < 3 || n > sizeof text)
		return 1;
	for (u32 i = 0; i + 1 < n && length < sizeof program; i += 2)
		program[length++] = digit(text[i]) << 4 | digit(text[i + 1]);
	enable_features(program[0]);
	at = 1;
	return run() == 255;
}

EXPORT("handle_response") void handle_response(u32 context, u32 is_error) {
	(void)context, (void)is_error;
	run();
}
