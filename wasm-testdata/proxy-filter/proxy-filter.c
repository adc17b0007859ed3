// A guest of proxy-wasm 0.2.1, without an SDK: the path of a request says what it does.
typedef unsigned int u32;
typedef unsigned long long u64;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) __attribute__((export_name(#name))) name

IMPORT(proxy_log)(u32 level, const char *p, u32 n);
IMPORT(proxy_set_tick_period_milliseconds)(u32 ms);
IMPORT(proxy_get_buffer_bytes)(u32 buffer, u32 start, u32 max, char **p, u32 *n);
IMPORT(proxy_set_buffer_bytes)(u32 buffer, u32 start, u32 size, const char *p, u32 n);
IMPORT(proxy_get_header_map_value)(u32 map, const char *k, u32 kn, char **p, u32 *n);
IMPORT(proxy_get_header_map_pairs)(u32 map, char **p, u32 *n);
IMPORT(proxy_set_header_map_pairs)(u32 map, const char *p, u32 n);
IMPORT(proxy_add_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);
IMPORT(proxy_replace_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);
IMPORT(proxy_get_property)(const char *path, u32 pn, char **p, u32 *n);
IMPORT(proxy_continue_stream)(u32 stream);
IMPORT(proxy_close_stream)(u32 stream);
IMPORT(proxy_send_local_response)(u32 code, const char *d, u32 dn, const char *b, u32 bn, const char *h, u32 hn, int grpc);
IMPORT(proxy_http_call)(const char *up, u32 un, const char *h, u32 hn, const char *b, u32 bn, const char *t, u32 tn, u32 ms, u32 *id);
IMPORT(proxy_set_shared_data)(const char *k, u32 kn, const char *v, u32 vn, u32 cas);
IMPORT(proxy_get_shared_data)(const char *k, u32 kn, char **p, u32 *n, u32 *cas);
IMPORT(proxy_register_shared_queue)(const char *name, u32 n, u32 *id);
IMPORT(proxy_resolve_shared_queue)(const char *vm, u32 vn, const char *name, u32 n, u32 *id);
IMPORT(proxy_enqueue_shared_queue)(u32 id, const char *p, u32 n);
IMPORT(proxy_dequeue_shared_queue)(u32 id, char **p, u32 *n);
IMPORT(proxy_define_metric)(u32 type, const char *name, u32 n, u32 *id);
IMPORT(proxy_increment_metric)(u32 id, u64 delta);
IMPORT(proxy_get_metric)(u32 id, u64 *value);
IMPORT(proxy_set_effective_context)(u32 id);
IMPORT(proxy_call_foreign_function)(const char *name, u32 n, const char *p, u32 pn, char **r, u32 *rn);
IMPORT(proxy_grpc_send)(u32 id, const char *p, u32 n, u32 end);

static char heap[512 << 10];
static u32 used;
static int requests, ticks, hold;
static u32 queue, metric, stream;
static char mode, spins;

static u32 length(const char *s) { u32 n = 0; while (s[n]) n++; return n; }
#define S(s) s, length(s)

char *EXPORT(proxy_on_memory_allocate)(u32 n) {
	if (spins == 'm') for (volatile int i = 0;; i++) ;
	if (spins == 't') __builtin_trap();
	if (!n || used + n > sizeof heap) __builtin_trap(); // nobody asks for nothing
	char *p = heap + used;
	used += (n + 7) & ~7u;
	return p;
}

static void number(char *to, int n) { to[0] = '0' + n / 10 % 10; to[1] = '0' + n % 10; to[2] = 0; }
static void show(u32 map, const char *name, int n) { char b[3]; number(b, n); proxy_add_header_map_value(map, S(name), b, 2); }

void EXPORT(proxy_abi_version_0_2_1)(void) {}
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { if (parent) stream = id; }
u32 EXPORT(proxy_on_vm_start)(u32 root, u32 n) { return n == 0; }

u32 EXPORT(proxy_on_configure)(u32 root, u32 n) {
	char *p; u32 size;
	proxy_get_buffer_bytes(7, 0, n, &p, &size);
	mode = size ? p[0] : 0;
	proxy_define_metric(0, S("my.requests"), &metric);
	if (mode == 't') proxy_set_tick_period_milliseconds(1);
	if (mode == 'q') proxy_register_shared_queue(S("jobs"), &queue);
	return mode != 'x';
}

void EXPORT(proxy_on_tick)(u32 root) {
	ticks++;
	if (mode == 't' && ticks == 3) { proxy_set_tick_period_milliseconds(0); proxy_log(2, S("ticked")); }
}

void EXPORT(proxy_on_queue_ready)(u32 root, u32 id) {
	char *p; u32 n;
	while (proxy_dequeue_shared_queue(id, &p, &n) == 0) { ticks++; proxy_log(3, p, n); }
}

static const char call[] = "\3\0\0\0" "\7\0\0\0\3\0\0\0" "\5\0\0\0\6\0\0\0" "\12\0\0\0\3\0\0\0" ":method\0GET\0:path\0/check\0:authority\0api\0";
static const char field[] = "\1\0\0\0" "\3\0\0\0\1\0\0\0" "x-a\0b\0";

static u32 ask(void) {
	u32 id;
	return proxy_http_call(S("api"), call, sizeof call - 1, 0, 0, 0, 0, 5000, &id);
}

static char *path; static u32 path_size;
static int is(char c) { return path_size > 1 && path[1] == c; }

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	char *p; u32 size;
	proxy_get_header_map_value(0, S(":path"), &path, &path_size);
	requests++;
	show(0, "x-requests", requests);
	show(0, "x-ticks", ticks);
	proxy_increment_metric(metric, 1);
	switch (path[1]) {
	case 'h':
		proxy_replace_header_map_value(0, S(":path"), S("/new?q"));
		proxy_replace_header_map_value(0, S(":method"), S("PUT"));
		proxy_replace_header_map_value(0, S(":authority"), S("other.example"));
		return 0;
	case 'p': {
		char *pairs; u32 k;
		proxy_get_header_map_pairs(0, &pairs, &k);
		proxy_set_header_map_pairs(0, pairs, k);
		if (proxy_get_property("source\0address", 14, &p, &size) == 0) proxy_add_header_map_value(0, S("x-source"), p, size);
		if (proxy_get_property(S("plugin_name"), &p, &size) == 0) proxy_add_header_map_value(0, S("x-plugin"), p, size);
		show(0, "x-unknown", proxy_get_property(S("no.such"), &p, &size));
		show(0, "x-foreign", proxy_call_foreign_function(S("compress"), 0, 0, &p, &size));
		show(0, "x-grpc", proxy_grpc_send(1, 0, 0, 0));
		return 0;
	}
	case 'l': proxy_send_local_response(418, 0, 0, S("teapot"), field, sizeof field - 1, -1); return 1;
	case 'c': if (ask()) { proxy_send_local_response(503, 0, 0, S("no call"), 0, 0, -1); } return 1;
	case 'f': ask(); return 0;
	case 'z': return 1;
	case 'x': proxy_close_stream(0); return 0;
	case 't': __builtin_trap();
	case 's': for (volatile int i = 0;; i++) ;
	case 'm': spins = path[2] == 't' ? 't' : 'm'; proxy_get_property(S("plugin_name"), &p, &size); return 0;
	case 'd': {
		u32 cas = 0, k = 0;
		u32 st = proxy_get_shared_data(S("n"), &p, &k, &cas);
		char v = st ? '1' : p[0] + 1;
		show(0, "x-set", proxy_set_shared_data(S("n"), &v, 1, cas));
		show(0, "x-cas", proxy_set_shared_data(S("n"), &v, 1, cas + 100));
		proxy_add_header_map_value(0, S("x-shared"), &v, 1);
		return 0;
	}
	case 'q': {
		u32 q;
		show(0, "x-none", proxy_resolve_shared_queue(S("test"), S("none"), &q));
		if (proxy_resolve_shared_queue(S("test"), S("jobs"), &q) == 0) show(0, "x-queued", proxy_enqueue_shared_queue(q, S("job")));
		return 0;
	}
	case 'w': hold = id; return 1; // resumed by the next request
	case 'r':
		if (hold) { proxy_set_effective_context(hold); proxy_continue_stream(0); proxy_set_effective_context(id); }
		return 0;
	}
	return 0;
}

void EXPORT(proxy_on_http_call_response)(u32 root, u32 call, u32 n, u32 body, u32 trailers) {
	char *p; u32 size;
	proxy_set_effective_context(stream);
	if (n == 0) { proxy_send_local_response(502, 0, 0, S("failed"), 0, 0, -1); return; }
	if (proxy_get_header_map_value(6, S(":status"), &p, &size) == 0) proxy_add_header_map_value(0, S("x-call"), p, size);
	if (proxy_get_buffer_bytes(4, 0, body, &p, &size) == 0) proxy_add_header_map_value(0, S("x-body"), p, size);
	proxy_continue_stream(0);
	proxy_continue_stream(1);
}

u32 EXPORT(proxy_on_request_body)(u32 id, u32 size, u32 end) {
	if (is('b')) { // whole
		if (!end) return 1;
		proxy_set_buffer_bytes(0, 0, 0, S("<"));
		proxy_set_buffer_bytes(0, size + 1, 0, S(">"));
		return 0;
	}
	if (is('B') || is('E')) proxy_set_buffer_bytes(0, 0, 0, S("|")); // by pieces
	if (is('L') && end) { proxy_send_local_response(413, 0, 0, S("too much"), 0, 0, -1); return 1; }
	if (is('C') && end) { ask(); return 1; }
	if (is('D') && !ticks++) { ask(); return 1; } // the first piece is let go before there is another
	if (is('W')) { hold = id; return 1; } // resumed by the next request
	if (is('T')) __builtin_trap();
	return 0;
}

u32 EXPORT(proxy_on_request_trailers)(u32 id, u32 n) { proxy_add_header_map_value(1, S("x-trailer"), S("seen")); return 0; }

u32 EXPORT(proxy_on_response_headers)(u32 id, u32 n, u32 end) {
	proxy_add_header_map_value(2, S("x-filter"), S("yes"));
	if (is('S')) proxy_replace_header_map_value(2, S(":status"), S("299"));
	if (is('R')) { proxy_send_local_response(500, 0, 0, S("hidden"), 0, 0, -1); return 1; }
	if (is('P')) { ask(); return 1; }
	if (is('U')) __builtin_trap();
	return 0;
}

u32 EXPORT(proxy_on_response_body)(u32 id, u32 size, u32 end) {
	if (is('y')) {
		if (!end) return 1;
		proxy_set_buffer_bytes(1, 0, size, S("replaced"));
	}
	if (is('Y') || is('E')) proxy_set_buffer_bytes(1, 0, 0, S("|"));
	if (is('V')) __builtin_trap();
	return 0;
}

u32 EXPORT(proxy_on_response_trailers)(u32 id, u32 n) { return 0; }
u32 EXPORT(proxy_on_done)(u32 id) { return 1; }
void EXPORT(proxy_on_log)(u32 id) { if (is('g')) proxy_log(2, S("logged")); }
void EXPORT(proxy_on_delete)(u32 id) {}
