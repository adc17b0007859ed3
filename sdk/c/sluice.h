// sluice.h is for filters in C: the http-wasm HTTP handler ABI
// (https://http-wasm.io/http-handler-abi/), with every function that a host has,
// and a few conveniences on top. It needs clang and wasm-ld, and no C library:
//
//	clang --target=wasm32 -Os -ffreestanding -nostdlib -Wl,--no-entry -o greet.wasm greet.c
//
// A filter includes it once and exports two functions:
//
//	#include "sluice.h"
//
//	SLUICE_EXPORT(handle_request) uint64_t handle_request(void) {
//		sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-Greeting"), SLUICE_TEXT("hello"));
//		return SLUICE_NEXT;
//	}
//
//	SLUICE_EXPORT(handle_response) void handle_response(uint32_t ctx, uint32_t failed) {
//		(void)ctx;
//		(void)failed;
//	}
//
// It may export a third, "_initialize", which runs before any exchange: read the
// configuration there. Each exchange gets an instance of the module as it was
// after that.
//
// Texts are a pointer and a length in bytes; nothing ends with NUL but where it
// says so. What is not allowed traps: the exchange is answered with 502, or goes
// on as if the filter were not there, as on-error in sluice.yaml says.

#ifndef SLUICE_H
#define SLUICE_H

#include <stdint.h>

#define SLUICE_IMPORT(name) __attribute__((import_module("http_handler"), import_name(#name)))
#define SLUICE_EXPORT(name) __attribute__((export_name(#name)))

// A literal, or an array that holds one, as two arguments: the text and its length.
#define SLUICE_TEXT(literal) (literal), (uint32_t)(sizeof(literal) - 1)

// What handle_request returns: go on to the next handler, with a number of the
// filter's own for handle_response; or answer, by default with 200 and no content.
#define SLUICE_NEXT_WITH(ctx) ((uint64_t)(uint32_t)(ctx) << 32 | 1)
#define SLUICE_NEXT SLUICE_NEXT_WITH(0)
#define SLUICE_STOP ((uint64_t)0)

// Whose fields or content is meant. Before the next handler, what is done to the
// response is done to the one that comes; content that is written replaces its
// content.
enum {
	SLUICE_REQUEST = 0,
	SLUICE_RESPONSE = 1,
	SLUICE_REQUEST_TRAILERS = 2,  // of fields only
	SLUICE_RESPONSE_TRAILERS = 3, // of fields only
};

// What a host does only if asked.
enum {
	SLUICE_BUFFER_REQUEST = 1,  // keep what is read of a request's content, for the next handler
	SLUICE_BUFFER_RESPONSE = 2, // let handle_response read and change the response
	SLUICE_TRAILERS = 4,        // give access to trailers
};

// How important a message is.
enum {
	SLUICE_DEBUG = -1,
	SLUICE_INFO = 0,
	SLUICE_WARN = 1,
	SLUICE_ERROR = 2,
};

// The host. A getter writes to buf only what fits in limit bytes as a whole, and
// returns how long it is: if that is more than limit, nothing was written.

// Asks for features: in _initialize for every exchange, in handle_request for this
// one. Returns all that are enabled.
SLUICE_IMPORT(enable_features) uint32_t sluice_enable_features(uint32_t features);

// The filter's configuration: the string that stands under config in sluice.yaml,
// or the JSON of any other value.
SLUICE_IMPORT(get_config) uint32_t sluice_get_config(void *buf, uint32_t limit);

SLUICE_IMPORT(log) void sluice_log(int32_t level, const char *message, uint32_t length);
SLUICE_IMPORT(log_enabled) uint32_t sluice_log_enabled(int32_t level); // 1 or 0

// The method. It can be set in handle_request.
SLUICE_IMPORT(get_method) uint32_t sluice_get_method(void *buf, uint32_t limit);
SLUICE_IMPORT(set_method) void sluice_set_method(const char *method, uint32_t length);

// Path and query, encoded: "/a?b=c". They can be set in handle_request; sluice then
// looks the route up once more.
SLUICE_IMPORT(get_uri) uint32_t sluice_get_uri(void *buf, uint32_t limit);
SLUICE_IMPORT(set_uri) void sluice_set_uri(const char *uri, uint32_t length);

// The version of HTTP that the client speaks, "HTTP/2.0", and its address,
// "192.0.2.1:49152" or "[2001:db8::1]:49152".
SLUICE_IMPORT(get_protocol_version) uint32_t sluice_get_protocol_version(void *buf, uint32_t limit);
SLUICE_IMPORT(get_source_addr) uint32_t sluice_get_source_addr(void *buf, uint32_t limit);

// The names of the fields, in lower case, and the values of those of one name,
// one for each line; each is ended by NUL. How many they are is in the high half of
// what is returned, the length of all in the low half. The host of a request is its
// field "host".
SLUICE_IMPORT(get_header_names) uint64_t sluice_get_names(uint32_t kind, void *buf, uint32_t limit);
SLUICE_IMPORT(get_header_values) uint64_t sluice_get_values(uint32_t kind, const char *name, uint32_t name_length, void *buf, uint32_t limit);

// Set replaces all lines of a name by one, add appends a line, remove removes all.
// The request's can be changed in handle_request; the response's also in
// handle_response, with SLUICE_BUFFER_RESPONSE; trailers with SLUICE_TRAILERS.
SLUICE_IMPORT(set_header_value) void sluice_set_field(uint32_t kind, const char *name, uint32_t name_length, const char *value, uint32_t value_length);
SLUICE_IMPORT(add_header_value) void sluice_add_field(uint32_t kind, const char *name, uint32_t name_length, const char *value, uint32_t value_length);
SLUICE_IMPORT(remove_header) void sluice_remove_field(uint32_t kind, const char *name, uint32_t name_length);

// Reads content on from where the last call ended, and fills buf unless the
// content ends before; in a function it returns what is at hand. The high half of
// what is returned is 1 if it has ended, the low half how many bytes were read.
// limit must not be 0.
SLUICE_IMPORT(read_body) uint64_t sluice_read_body(uint32_t kind, void *buf, uint32_t limit);

// Writes content. The first call replaces all that was there, others append.
SLUICE_IMPORT(write_body) void sluice_write_body(uint32_t kind, const void *content, uint32_t length);

SLUICE_IMPORT(get_status_code) uint32_t sluice_get_status(void);
SLUICE_IMPORT(set_status_code) void sluice_set_status(uint32_t status);

// The conveniences.

// Answers with a status and plain text: return sluice_answer(403, SLUICE_TEXT("no entry\n"));
static inline uint64_t sluice_answer(uint32_t status, const char *text, uint32_t length) {
	sluice_set_status(status);
	sluice_set_field(SLUICE_RESPONSE, SLUICE_TEXT("Content-Type"), SLUICE_TEXT("text/plain; charset=utf-8"));
	sluice_write_body(SLUICE_RESPONSE, text, length);
	return SLUICE_STOP;
}

// Chooses an arm of the route's split. A name that no arm has changes nothing.
static inline void sluice_set_arm(const char *name, uint32_t length) {
	sluice_set_field(SLUICE_REQUEST, SLUICE_TEXT("X-Sluice-Arm"), name, length);
}

// Gets the first value of a field as a text without NUL at its end. Returns its
// length; or -1 if there is no such field, or its lines do not fit in limit bytes.
static inline int32_t sluice_get_field(uint32_t kind, const char *name, uint32_t name_length, char *buf, uint32_t limit) {
	uint64_t values = sluice_get_values(kind, name, name_length, buf, limit);
	if (values >> 32 == 0 || (uint32_t)values > limit)
		return -1;
	int32_t n = 0;
	while (buf[n] != 0)
		n++;
	return n;
}

// Reports whether two texts are the same. It takes as long whatever they have in
// common, so that nobody can guess a secret by the time.
static inline int sluice_equal(const char *a, uint32_t a_length, const char *b, uint32_t b_length) {
	if (a_length != b_length)
		return 0;
	unsigned char differ = 0;
	for (uint32_t i = 0; i < a_length; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

#endif
