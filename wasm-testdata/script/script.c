// A WASI command that does what QUERY_STRING says: a row of letters, each with a
// number behind it or none. It uses no library, so that each call of WASI can be
// told in it.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

IMPORT("args_sizes_get") u32 args_sizes_get(u32 *count, u32 *size);
IMPORT("args_get") u32 args_get(char **args, char *text);
IMPORT("environ_sizes_get") u32 environ_sizes_get(u32 *count, u32 *size);
IMPORT("environ_get") u32 environ_get(char **vars, char *text);
IMPORT("fd_read") u32 fd_read(u32 fd, void *iovs, u32 count, u32 *n);
IMPORT("fd_write") u32 fd_write(u32 fd, const void *iovs, u32 count, u32 *n);
IMPORT("fd_prestat_get") u32 fd_prestat_get(u32 fd, void *stat);
IMPORT("path_open") u32 path_open(u32 fd, u32 flags, const char *path, u32 len, u32 oflags, u64 rights, u64 inherit, u32 fdflags, u32 *opened);
IMPORT("poll_oneoff") u32 poll_oneoff(const void *in, void *out, u32 count, u32 *n);
IMPORT("clock_time_get") u32 clock_time_get(u32 id, u64 precision, u64 *time);
IMPORT("random_get") u32 random_get(void *p, u32 n);
IMPORT("proc_exit") _Noreturn void proc_exit(u32 code);

static char *pointers[1000];
static char text[100000], block[128 << 10];
static const char page[1024] = {[0 ... 1022] = 'x', '\n'};
static u32 seen = 1; // of what a request leaves behind

static u32 length(const char *s) {
	u32 n = 0;
	while (s[n])
		n++;
	return n;
}

static void put(u32 fd, const char *p, u32 n) {
	struct { const char *p; u32 n; } iov = {p, n};
	u32 written;
	if (fd_write(fd, &iov, 1, &written) || written != n)
		proc_exit(100);
}

static void say(const char *s) { put(1, s, length(s)); }

static void number(u64 n) {
	char b[21], *p = b + 20;
	*p = 0;
	do
		*--p = '0' + n % 10;
	while (n /= 10);
	say(p);
	say("\n");
}

static u32 get(u32 n) {
	struct { char *p; u32 n; } iov = {block, n};
	u32 read;
	if (fd_read(0, &iov, 1, &read))
		proc_exit(101);
	return read;
}

static u32 environment(void) {
	u32 count, size;
	if (environ_sizes_get(&count, &size) || count > 1000 || size > sizeof text)
		proc_exit(102);
	if (environ_get(pointers, text))
		proc_exit(103);
	return count;
}

static const char *query(void) {
	static const char name[] = "QUERY_STRING=";
	for (u32 i = environment(); i-- > 0;) {
		u32 n = 0;
		while (name[n] && pointers[i][n] == name[n])
			n++;
		if (!name[n])
			return pointers[i] + n;
	}
	proc_exit(104);
}

static void sleep(u64 ms) {
	struct { u64 data, tag, id, timeout, precision, flags; } sub = {0, 0, 1, ms * 1000000, 0, 0};
	u8 event[32];
	u32 n;
	if (poll_oneoff(&sub, event, 1, &n) || n != 1)
		proc_exit(105);
}

static void run(const char *s) {
	while (*s) {
		char op = *s++;
		u32 n = 0, count, size;
		u64 t;
		while (*s >= '0' && *s <= '9')
			n = n * 10 + (*s++ - '0');
		switch (op) {
		case 'h': say("Content-Type: text/plain\n\n"); break;
		case 'o': say("ok"); break;
		case 'n': say("\n"); break;
		case 'w': while (n-- > 0) put(1, page, sizeof page); break; // n KiB
		case 'W': put(1, block, n); break;                          // n bytes at once
		case 'M': while (n-- > 0) put(1, block, 64 << 10); break;   // n times 64 KiB
		case 'c': for (; (n = get(4096)) > 0;) put(1, block, n); break;
		case 'C': put(1, block, get(4096)); break;
		case 'd': while (get(sizeof block) > 0); break;
		case 's': sleep(n); break;
		case 'x': proc_exit(n);
		case 't': __builtin_trap();
		case 'l': for (volatile u32 i = 0;; i++);
		case 'g': while (__builtin_wasm_memory_grow(0, 16) != (u32)-1); __builtin_trap();
		case 'e': put(2, "oops\n", 5); break;
		case 'E': while (n-- > 0) put(2, "\x1b[31mred\n", 9); break;
		case 'v': for (u32 i = 0, c = environment(); i < c; i++) { say(pointers[i]); say("\n"); } break;
		case 'a':
			if (args_sizes_get(&count, &size) || args_get(pointers, text))
				proc_exit(106);
			for (u32 i = 0; i < count; i++) { say(pointers[i]); say("\n"); }
			break;
		case 'm': number(seen++); break;
		case 'k': clock_time_get(0, 1, &t); number(t); break;
		case 'r': random_get(&t, 8); number(t); break;
		case 'f': // error numbers of what there is no file system for
			number(fd_prestat_get(3, block));
			number(path_open(3, 0, "/etc/passwd", 11, 0, 2, 0, 0, &count));
			break;
		case 'p': number(environ_get((char **)0xfffffff0, text)); break;
		default: proc_exit(107);
		}
	}
}

__attribute__((export_name("_start"))) void start(void) { run(query()); }
