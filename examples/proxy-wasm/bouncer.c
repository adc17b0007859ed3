// A filter of proxy-wasm 0.2.1, without an SDK: it asks an upstream whether a request may
// pass. Nothing of it is sluice's own, and Envoy runs it as well.
typedef unsigned int u32;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) __attribute__((export_name(#name))) name
#define TEXT(s) s, sizeof s - 1

IMPORT(proxy_log)(u32 level, const char *p, u32 n);
IMPORT(proxy_get_buffer_bytes)(u32 buffer, u32 start, u32 max, char **p, u32 *n);
IMPORT(proxy_get_header_map_value)(u32 map, const char *k, u32 kn, char **p, u32 *n);
IMPORT(proxy_replace_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);
IMPORT(proxy_remove_header_map_value)(u32 map, const char *k, u32 kn);
IMPORT(proxy_continue_stream)(u32 stream);
IMPORT(proxy_send_local_response)(u32 code, const char *d, u32 dn, const char *b, u32 bn, const char *h, u32 hn, int grpc);
IMPORT(proxy_http_call)(const char *up, u32 un, const char *h, u32 hn, const char *b, u32 bn, const char *t, u32 tn, u32 ms, u32 *id);
IMPORT(proxy_set_effective_context)(u32 id);

enum { continues, pauses };                     // actions
enum { request, call = 6, configuration = 7 };  // maps and buffers

// What the host allocates is given up when no exchange is left.
static _Alignas(8) char heap[1 << 18];
static u32 used, exchanges;
static char path[4096]; // the configuration, and behind it that of a request
static u32 prefix;

static struct { u32 call, context; } pending[64];

char *EXPORT(proxy_on_memory_allocate)(u32 n) {
	if (n > sizeof heap - used) return 0;
	char *p = heap + used;
	used += (n + 7) & ~7u;
	return p;
}

void EXPORT(proxy_abi_version_0_2_1)(void) {}
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { if (parent) exchanges++; }

u32 EXPORT(proxy_on_configure)(u32 root, u32 n) {
	char *p;
	if (n == 0 || proxy_get_buffer_bytes(configuration, 0, n, &p, &n)) return 1;
	if (n > 256 || p[0] != '/') {
		proxy_log(4, TEXT("the configuration is to be the beginning of a path, of 256 bytes at most"));
		return 0;
	}
	__builtin_memcpy(path, p, prefix = n);
	used = 0;
	return 1;
}

// Pairs: how many, the sizes of each name and value, and then these, each ended by NUL.
enum { most = 4, head = 4 + most * 8 };
struct pairs { u32 n, size; char all[head + 16384]; };

static void add(struct pairs *l, const char *name, u32 name_size, const char *value, u32 size) {
	char *text = l->all + head;
	if (size > sizeof l->all - head - l->size - name_size - 2) size = 0;
	__builtin_memcpy(l->all + 4 + 8 * l->n, &name_size, 4);
	__builtin_memcpy(l->all + 8 + 8 * l->n, &size, 4);
	__builtin_memcpy(text + l->size, name, name_size);
	text[l->size += name_size] = 0;
	__builtin_memcpy(text + ++l->size, value, size);
	text[l->size += size] = 0;
	l->size++;
	l->n++;
}

static u32 answer(u32 code, const char *why, u32 n) {
	proxy_send_local_response(code, 0, 0, why, n, 0, 0, -1);
	return pauses;
}

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	static struct pairs l;
	char *p;
	u32 size, slot = 0;
	proxy_remove_header_map_value(request, TEXT("x-user")); // what a client says of itself counts for nothing
	while (slot < 64 && pending[slot].context) slot++;
	if (slot == 64) return answer(503, TEXT("too many requests wait\n"));
	if (proxy_get_header_map_value(request, TEXT(":path"), &p, &size) || size > sizeof path - prefix)
		return answer(414, TEXT("the path is too long\n"));
	__builtin_memcpy(path + prefix, p, size);
	l.n = l.size = 0;
	add(&l, TEXT(":method"), TEXT("GET"));
	add(&l, TEXT(":path"), path, prefix + size);
	add(&l, TEXT(":authority"), TEXT("auth"));
	if (!proxy_get_header_map_value(request, TEXT("authorization"), &p, &size)) add(&l, TEXT("authorization"), p, size);
	__builtin_memcpy(l.all, &l.n, 4);
	size = 4 + 8 * l.n;
	__builtin_memmove(l.all + size, l.all + head, l.size); // right behind the sizes
	if (proxy_http_call(TEXT("auth"), l.all, size + l.size, 0, 0, 0, 0, 2000, &pending[slot].call))
		return answer(503, TEXT("nobody to ask\n"));
	pending[slot].context = id;
	return pauses;
}

void EXPORT(proxy_on_http_call_response)(u32 root, u32 id, u32 n, u32 body, u32 trailers) {
	char *status, *user;
	u32 size, slot = 0;
	while (slot < 64 && !(pending[slot].context && pending[slot].call == id)) slot++;
	if (slot == 64) return; // its exchange is over
	proxy_set_effective_context(pending[slot].context);
	pending[slot].context = 0;
	if (!n || proxy_get_header_map_value(call, TEXT(":status"), &status, &size) || size != 3) {
		answer(503, TEXT("no answer\n"));
	} else if (status[0] != '2') {
		answer(status[0] == '4' ? 401 : 503, TEXT("not allowed\n"));
	} else {
		if (!proxy_get_header_map_value(call, TEXT("x-user"), &user, &size))
			proxy_replace_header_map_value(request, TEXT("x-user"), user, size);
		proxy_continue_stream(0);
	}
}

void EXPORT(proxy_on_delete)(u32 id) {
	for (u32 i = 0; i < 64; i++)
		if (pending[i].context == id) pending[i].context = 0;
	if (exchanges && !--exchanges) used = 0;
}
