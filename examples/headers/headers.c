// Sets one field of each request and one of each response. The ABI is four
// declarations, so nothing is included.

typedef unsigned int u32;
typedef unsigned long long u64;

#define IMPORT(name) __attribute__((import_module("http_handler"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

enum { REQUEST = 0, RESPONSE = 1 };

IMPORT("set_header_value")
void set_header_value(u32 kind, const char *name, u32 name_len, const char *value, u32 value_len);

#define SET(kind, name, value) set_header_value(kind, name, sizeof(name) - 1, value, sizeof(value) - 1)

// What is set of a response before there is one is set on the one that comes, so
// nothing needs to be buffered.
EXPORT("handle_request")
u64 handle_request(void) {
	SET(REQUEST, "X-Through", "sluice");
	SET(RESPONSE, "X-Sluice-Filter", "headers");
	return 1; // next
}

EXPORT("handle_response")
void handle_response(u32 ctx, u32 is_error) {
	(void)ctx;
	(void)is_error;
}
