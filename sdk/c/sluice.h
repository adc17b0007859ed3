// sluice.h is for filters in C: the http-wasm HTTP handler ABI
// (https://http-wasm.io/http-handler-abi/), with every function that a host has,
// and a few conveniences on top. It needs clang and wasm-ld, and no C library:
//
//	clang --target=wasm32 -Os -ffreestanding -nostdlib -Wl,--no-entry -o greet.wasm greet.c
//
// It is C99 and C++11. With a C library, wasi-libc, it is clang --target=wasm32-wasi
// -mexec-model=reactor; "_initialize" is then the library's, and calls constructors.
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

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_IMPORT(name) __attribute__((import_module("http_handler"), import_name(#name)))
#define SLUICE_PROXY(name) __attribute__((import_module("sluice"), import_name(#name)))
#define SLUICE_WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
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

// The proxy, besides the exchange: what sluice.yaml grants under allow, and logs and the
// client without it. A module imports only what it calls. A negative result is an error.
enum {
	SLUICE_NONE = -1,        // there is no such key, value, arm, upstream or function
	SLUICE_CONFLICT = -2,    // the key has another version
	SLUICE_DENIED = -3,      // the name is not granted
	SLUICE_INVALID = -4,     // an argument: a name, a value out of range, a handle that is not open
	SLUICE_LIMIT = -5,       // a bound is reached
	SLUICE_FAILED = -6,      // the upstream or the disk has failed; the cause is in the log
	SLUICE_TIMEOUT = -7,     // the fetch has taken too long
	SLUICE_UNAVAILABLE = -8, // there is no request, or it is too late
	SLUICE_GONE = -9,        // the client has gone
};

// Keys and values, on disk. Each key has a version, a positive number that no other
// state of any key has had. To change a key it must have the version that is asked for.
#define SLUICE_KV_ABSENT ((int64_t)0)  // it is not there
#define SLUICE_KV_ALWAYS ((int64_t)-1) // whatever it has

// Gets a value, and its version unless version is NULL.
SLUICE_PROXY(kv_get) int32_t sluice_kv_get(const char *ns, uint32_t ns_length, const char *key, uint32_t key_length, void *buf, uint32_t limit, int64_t *version);

// Sets a value for ttl milliseconds, 0 for ever, and returns the new version.
SLUICE_PROXY(kv_set) int64_t sluice_kv_set(const char *ns, uint32_t ns_length, const char *key, uint32_t key_length, const void *value, uint32_t value_length, int64_t ttl, int64_t version);
SLUICE_PROXY(kv_delete) int32_t sluice_kv_delete(const char *ns, uint32_t ns_length, const char *key, uint32_t key_length, int64_t version);

// Adds to a number, 0 if it is not there, and writes the sum to sum. ttl is that of a
// number that was not there.
SLUICE_PROXY(kv_add) int32_t sluice_kv_add(const char *ns, uint32_t ns_length, const char *key, uint32_t key_length, int64_t delta, int64_t ttl, int64_t *sum);

// Lists the keys with a prefix that come after a key, in order, each ended by NUL: as
// many as fit, up to 1000. How many they are is in the high half, their length in the low
// half. 0 at the end.
SLUICE_PROXY(kv_list) int64_t sluice_kv_list(const char *ns, uint32_t ns_length, const char *prefix, uint32_t prefix_length, const char *after, uint32_t after_length, void *buf, uint32_t limit);

// Requests to upstreams of sluice.yaml. Start does not wait for the response, and returns
// a handle. fields is a list of names and values by turns, each ended by NUL. length is that of
// the content: 0 none, -1 not known. timeout is in milliseconds; 0: the limit.
SLUICE_PROXY(fetch_start) int32_t sluice_fetch_start(const char *upstream, uint32_t upstream_length, const char *method, uint32_t method_length, const char *uri, uint32_t uri_length, const char *fields, uint32_t fields_length, int64_t length, uint32_t timeout);
SLUICE_PROXY(fetch_write) int32_t sluice_fetch_write(int32_t fetch, const void *content, uint32_t length);
SLUICE_PROXY(fetch_finish) int32_t sluice_fetch_finish(int32_t fetch); // there is no more content; not needed if its length was told

// The response: these wait for its head. Lists are those of sluice_get_names.
SLUICE_PROXY(fetch_status) int32_t sluice_fetch_status(int32_t fetch);
SLUICE_PROXY(fetch_names) int64_t sluice_fetch_names(int32_t fetch, void *buf, uint32_t limit);
SLUICE_PROXY(fetch_values) int64_t sluice_fetch_values(int32_t fetch, const char *name, uint32_t name_length, void *buf, uint32_t limit);
SLUICE_PROXY(fetch_read) int32_t sluice_fetch_read(int32_t fetch, void *buf, uint32_t limit); // what is at hand, at least a byte; 0 at the end
SLUICE_PROXY(fetch_close) int32_t sluice_fetch_close(int32_t fetch);

// Metrics, shown by /metrics as sluice_guest_NAME. Define returns a number, which stays the
// same: define in _initialize and keep it. labels is a list of names and values by turns, each
// ended by NUL. Record sets a gauge, or puts a value into a histogram.
enum {
	SLUICE_COUNTER = 0, // its name ends with _total
	SLUICE_GAUGE = 1,
	SLUICE_HISTOGRAM = 2,
};
SLUICE_PROXY(metric_define) int32_t sluice_metric_define(uint32_t kind, const char *name, uint32_t name_length, const char *labels, uint32_t labels_length);
SLUICE_PROXY(metric_add) int32_t sluice_metric_add(int32_t metric, int64_t delta);
SLUICE_PROXY(metric_record) int32_t sluice_metric_record(int32_t metric, int64_t value);

// Puts a text into the access log's line, under guest.
SLUICE_PROXY(log_field) int32_t sluice_log_field(const char *name, uint32_t name_length, const char *value, uint32_t value_length);

enum {
	SLUICE_CLIENT_ADDRESS = 0,
	SLUICE_CLIENT_PEER = 1,        // address and port that the connection comes from
	SLUICE_CLIENT_LOCAL = 2,       // address and port that it came in on
	SLUICE_CLIENT_PROTO = 3,       // version of HTTP
	SLUICE_CLIENT_TLS = 4,         // version of TLS: "TLSv1.3"
	SLUICE_CLIENT_CIPHER = 5,
	SLUICE_CLIENT_SERVER_NAME = 6, // that was asked for (SNI)
	SLUICE_CLIENT_ALPN = 7,
	SLUICE_CLIENT_SUBJECT = 8,     // of the client's certificate (RFC 2253), verified or not
	SLUICE_CLIENT_FINGERPRINT = 9, // SHA-256 of that certificate, in hexadecimal
	SLUICE_CLIENT_REQUEST_ID = 10,
};
SLUICE_PROXY(client_get) int32_t sluice_client_get(uint32_t what, void *buf, uint32_t limit);

// Who serves the request. An arm, upstream or function can be chosen, by a filter before
// it lets the request go on.
enum {
	SLUICE_ROUTE_SITE = 0,
	SLUICE_ROUTE_ROUTE = 1,
	SLUICE_ROUTE_ARM = 2,
	SLUICE_ROUTE_UPSTREAM = 3,
	SLUICE_ROUTE_FUNCTION = 4,
};
SLUICE_PROXY(route_get) int32_t sluice_route_get(uint32_t what, void *buf, uint32_t limit);
SLUICE_PROXY(route_choose) int32_t sluice_route_choose(uint32_t what, const char *name, uint32_t name_length);

// Sends an interim response, 103 Early Hints (RFC 8297), with a list of names and values.
SLUICE_PROXY(hints_send) int32_t sluice_hints_send(const char *fields, uint32_t fields_length);

SLUICE_PROXY(secret_get) int32_t sluice_secret_get(const char *name, uint32_t name_length, void *buf, uint32_t limit);

// A clock and random numbers, of WASI. They need no grant. The functions below are how they
// are called.
SLUICE_WASI(clock_time_get) uint32_t sluice_wasi_clock(uint32_t clock, uint64_t precision, uint64_t *time);
SLUICE_WASI(random_get) uint32_t sluice_wasi_random(void *buf, uint32_t length);

// The conveniences.

// Returns the nanoseconds since 1970, as the proxy's clock has it: to the millisecond, as are
// all clocks here.
static inline uint64_t sluice_now(void) {
	uint64_t time;
	if (sluice_wasi_clock(0, 1, &time) != 0)
		__builtin_trap();
	return time;
}

// Returns nanoseconds that only ever grow, for measuring: what they count from means nothing.
static inline uint64_t sluice_monotonic(void) {
	uint64_t time;
	if (sluice_wasi_clock(1, 1, &time) != 0)
		__builtin_trap();
	return time;
}

// Fills a buffer with random numbers of the system's, which are good enough for secrets. A
// filter that draws in _initialize is initialised for each exchange anew, which takes longer,
// so that no two have them in common.
static inline void sluice_random(void *buf, uint32_t length) {
	if (sluice_wasi_random(buf, length) != 0)
		__builtin_trap();
}

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

// Logs why the configuration cannot be, and keeps the module from being used. Of _initialize:
// elsewhere it ends the exchange.
__attribute__((noreturn)) static inline void sluice_refuse(const char *why, uint32_t length) {
	sluice_log(SLUICE_ERROR, why, length);
	__builtin_trap();
}

// A line of a configuration: a name, a space, and a value, which may have spaces in it. Both
// may be empty.
struct sluice_pair {
	const char *name, *value;
	uint32_t name_length, value_length;
};

// Reads the line of a text that begins at *at, and moves *at behind it. Lines without
// anything are passed over. Returns 0 at the end.
static inline int sluice_next_pair(const char *text, uint32_t length, uint32_t *at, struct sluice_pair *pair) {
	while (*at < length && text[*at] == '\n')
		(*at)++;
	if (*at >= length)
		return 0;
	uint32_t begin = *at, space = begin, end;
	while (space < length && text[space] != ' ' && text[space] != '\n')
		space++;
	for (end = space; end < length && text[end] != '\n'; end++)
		;
	pair->name = text + begin;
	pair->name_length = space - begin;
	pair->value = text + (space < end ? space + 1 : end);
	pair->value_length = (uint32_t)(text + end - pair->value);
	*at = end;
	return 1;
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
	volatile unsigned char differ = 0; // so that the compiler cannot end the loop early
	for (uint32_t i = 0; i < a_length; i++)
		differ = (unsigned char)(differ | (a[i] ^ b[i]));
	return differ == 0;
}

#ifdef __cplusplus
}
#endif

#endif
