// A function that a schedule runs, as README.md says. It uses no library, as the SDK's
// header is for http-wasm guests.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define WASI(name) IMPORT("wasi_snapshot_preview1", name)

WASI("environ_sizes_get") u32 environ_sizes_get(u32 *count, u32 *size);
WASI("environ_get") u32 environ_get(char **vars, char *text);
WASI("fd_write") u32 fd_write(u32 fd, const void *iovs, u32 count, u32 *n);
WASI("poll_oneoff") u32 poll_oneoff(const void *in, void *out, u32 count, u32 *n);
IMPORT("sluice", "kv_add") int kv_add(const char *ns, u32 ns_len, const char *key, u32 key_len, u64 by, u64 ttl, u64 *sum);

static char *vars[1000];
static char text[64 << 10];
static u32 count;

static void put(u32 fd, const char *s) {
	struct { const char *p; u32 n; } iov = {s, 0};
	u32 written;
	while (s[iov.n])
		iov.n++;
	if (fd_write(fd, &iov, 1, &written))
		__builtin_trap();
}

// after returns what follows a prefix that s has, or 0.
static const char *after(const char *s, const char *prefix) {
	while (*prefix)
		if (*s++ != *prefix++)
			return 0;
	return s;
}

static const char *variable(const char *name) {
	for (u32 i = 0; i < count; i++) {
		const char *value = after(vars[i], name);
		if (value)
			return value;
	}
	return 0;
}

static void sleep(const char *digits) {
	static struct { u64 data, tag, id, timeout, precision, flags; } sub = {.id = 1}; // the monotonic clock
	static u8 event[32];
	u32 n;
	while (*digits)
		sub.timeout = sub.timeout * 10 + (u64)(*digits++ - '0');
	sub.timeout *= 1000000; // ns
	if (poll_oneoff(&sub, event, 1, &n))
		__builtin_trap();
}

__attribute__((export_name("_start"))) void start(void) {
	u32 size;
	u64 sum;
	if (environ_sizes_get(&count, &size) || count > 1000 || size > sizeof text || environ_get(vars, text))
		__builtin_trap();
	for (u32 i = 0; i < count; i++)
		if (after(vars[i], "REQUEST_") || after(vars[i], "REMOTE_ADDR=") || after(vars[i], "HTTP_")) {
			put(2, vars[i]);
			put(2, "\n");
		}
	const char *ms = variable("SLEEP="), *status = variable("STATUS=");
	if (ms)
		sleep(ms);
	if (kv_add("ticks", 5, "n", 1, 1, 0, &sum))
		__builtin_trap();
	put(1, "Status: ");
	put(1, status ? status : "204");
	put(1, "\n\n");
}
