// A guest of proxy-wasm 0.2.0, without an SDK. See README.md.
typedef unsigned int u32;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) __attribute__((export_name(#name))) name

IMPORT(proxy_log)(u32 level, const char *p, u32 n);
IMPORT(proxy_set_tick_period_milliseconds)(u32 ms);
IMPORT(proxy_get_buffer_bytes)(u32 buffer, u32 start, u32 max, char **p, u32 *n);
IMPORT(proxy_get_header_map_value)(u32 map, const char *k, u32 kn, char **p, u32 *n);
IMPORT(proxy_add_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);
IMPORT(proxy_remove_header_map_value)(u32 map, const char *k, u32 kn);
IMPORT(proxy_set_property)(const char *path, u32 pn, const char *p, u32 n);
IMPORT(proxy_get_status)(u32 *code, char **p, u32 *n);
IMPORT(proxy_http_call)(const char *up, u32 un, const char *h, u32 hn, const char *b, u32 bn, const char *t, u32 tn, u32 ms, u32 *id);
IMPORT(proxy_send_local_response)(u32 code, const char *d, u32 dn, const char *b, u32 bn, const char *h, u32 hn, int grpc);
IMPORT(proxy_register_shared_queue)(const char *name, u32 n, u32 *id);
IMPORT(proxy_enqueue_shared_queue)(u32 id, const char *p, u32 n);
IMPORT(proxy_done)(void);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get"))) u32 random_get(void *p, u32 n);

#define S(s) s, sizeof s - 1

static char heap[64 << 10], mode;
static u32 used, queue;
static int seen;

// trap traps in the callback that the mode says.
static void trap(char c) { if (mode == c) __builtin_trap(); }

char *EXPORT(proxy_on_memory_allocate)(u32 n) {
	trap('a');
	if (mode == 'h') proxy_remove_header_map_value(0, S("x-a")); // while the host counts on them
	if (mode == 'i') { // the host waits for this very function
		char *p;
		u32 k;
		proxy_get_header_map_value(0, S(":path"), &p, &k);
	}
	if (mode == 'z') return 0;
	if (mode == 'e') return (char *)0xfffffff0;
	char *p = heap + used % (sizeof heap / 2);
	used += (n + 7) & ~7u;
	return n <= sizeof heap / 2 ? p : 0;
}

void EXPORT(proxy_abi_version_0_2_0)(void) {}
static u32 the_root;
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { if (parent) trap('x'); else the_root = id; }
u32 EXPORT(proxy_on_vm_start)(u32 root, u32 n) { (void)root, (void)n; return 1; }

static const char head[] = "\2\0\0\0" "\7\0\0\0\3\0\0\0" "\5\0\0\0\1\0\0\0" ":method\0GET\0:path\0/\0";

static u32 ask(void) {
	u32 id = 0;
	return proxy_http_call(S("api"), head, sizeof head - 1, 0, 0, 0, 0, 0, &id);
}

u32 EXPORT(proxy_on_configure)(u32 root, u32 n) {
	(void)root;
	char *p = 0;
	u32 size = 0;
	proxy_get_buffer_bytes(7, 0, n, &p, &size);
	mode = size ? *p : 0;
	trap('C');
	if (mode == 'K' || mode == 'O') proxy_set_tick_period_milliseconds(1);
	if (mode == 'Q') { proxy_register_shared_queue(S("q"), &queue); proxy_enqueue_shared_queue(queue, S("m")); }
	return 1;
}

void EXPORT(proxy_on_tick)(u32 root) {
	(void)root;
	proxy_set_tick_period_milliseconds(0);
	if (mode == 'd' && proxy_done() == 0) proxy_log(2, S("ended"));
	trap('K');
	if (mode == 'O' && ask()) proxy_log(2, S("refused"));
}

void EXPORT(proxy_on_queue_ready)(u32 root, u32 id) { (void)root, (void)id; trap('Q'); }

static void show(u32 map, const char *name, u32 size, u32 n) {
	char b[8];
	for (int i = 7; i >= 0; i--, n >>= 4) b[i] = "0123456789abcdef"[n & 15];
	proxy_add_header_map_value(map, name, size, b, sizeof b);
}

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)end;
	char *p;
	u32 k = 0, i;
	trap('H');
	if (mode == 'c') { show(0, S("x-count"), n); return 0; }
	show(0, S("x-seen"), ++seen);
	switch (mode) {
	case 's': for (;;) proxy_get_header_map_value(0, S(":path"), &p, &k);
	case 'S': for (;;) proxy_remove_header_map_value(0, S("x-none"));
	case 'l': for (;;) proxy_log(2, S("again and again and again"));
	case 'F': for (i = 0; proxy_add_header_map_value(0, S("x-more"), S("more")) == 0; i++) ; show(0, S("x-lines"), i); break;
	case 'P': for (i = 0; proxy_set_property(S("a"), S("value")) == 0; i++) ; show(0, S("x-lines"), i); break;
	case 'o': for (i = 0; ask() == 0; i++) ; show(2, S("x-calls"), i); seen = i; return 1;
	case 'A': ask(); return 1;
	case 'p': return 1;
	case 'r': random_get(&i, 4); show(0, S("x-random"), i); break;
	case 'a': case 'h': case 'i': case 'z': case 'e':
		show(0, S("x-status"), proxy_get_header_map_value(0, S("x-a"), &p, &k));
		break;
	}
	return 0;
}

void EXPORT(proxy_on_http_call_response)(u32 root, u32 call, u32 n, u32 body, u32 trailers) {
	(void)root, (void)call, (void)trailers;
	char *p;
	u32 size = 0, code = 0;
	trap('A');
	proxy_get_status(&code, &p, &size);
	if (mode == 'O') proxy_log(2, n ? "answered" : "failed", n ? 8 : 6);
	if (mode == 'o') proxy_send_local_response(200 + seen, 0, 0, size ? p : "", size, 0, 0, -1);
	(void)body;
}

u32 EXPORT(proxy_on_request_body)(u32 id, u32 n, u32 end) {
	(void)id, (void)n;
	trap('B');
	if (mode == 't' && !end != !!proxy_add_header_map_value(1, S("x-end"), S("added"))) __builtin_trap();
	return 0;
}
u32 EXPORT(proxy_on_request_trailers)(u32 id, u32 n) { (void)id, (void)n; trap('T'); return 0; }

u32 EXPORT(proxy_on_response_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)n, (void)end;
	trap('R');
	return mode == 'w'; // for ever
}

u32 EXPORT(proxy_on_response_body)(u32 id, u32 n, u32 end) {
	(void)id, (void)n;
	trap('Y');
	return mode == 'b' && !end;
}

u32 EXPORT(proxy_on_response_trailers)(u32 id, u32 n) {
	(void)id, (void)n;
	trap('U');
	show(3, S("x-count"), n);
	return 0;
}

u32 EXPORT(proxy_on_done)(u32 id) {
	trap('D');
	if (id != the_root) return 1;
	if (mode == 'd') { proxy_log(2, S("asked to end")); proxy_set_tick_period_milliseconds(1); return 0; }
	if (mode == 'N') return 0; // for ever
	if (mode == 'f') { proxy_log(2, proxy_done() ? "none" : "done", 4); return 0; }
	return 1;
}
void EXPORT(proxy_on_log)(u32 id) { (void)id; trap('L'); }
void EXPORT(proxy_on_delete)(u32 id) { if (id == the_root) proxy_log(2, S("gone")); trap('E'); }
