// A guest of proxy-wasm 0.2.1, without an SDK, that makes calls of gRPC. See README.md.
typedef unsigned int u32;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) __attribute__((export_name(#name))) name

IMPORT(proxy_log)(u32 level, const char *p, u32 n);
IMPORT(proxy_set_tick_period_milliseconds)(u32 ms);
IMPORT(proxy_get_buffer_bytes)(u32 buffer, u32 start, u32 max, char **p, u32 *n);
IMPORT(proxy_get_header_map_value)(u32 map, const char *k, u32 kn, char **p, u32 *n);
IMPORT(proxy_add_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);
IMPORT(proxy_continue_stream)(u32 stream);
IMPORT(proxy_get_status)(u32 *code, char **p, u32 *n);
IMPORT(proxy_grpc_call)(const char *up, u32 un, const char *s, u32 sn, const char *m, u32 mn, const char *md, u32 mdn, const char *p, u32 n, u32 ms, u32 *id);
IMPORT(proxy_grpc_stream)(const char *up, u32 un, const char *s, u32 sn, const char *m, u32 mn, const char *md, u32 mdn, u32 *id);
IMPORT(proxy_grpc_send)(u32 id, const char *p, u32 n, u32 end);
IMPORT(proxy_grpc_cancel)(u32 id);
IMPORT(proxy_grpc_close)(u32 id);

#define S(s) s, sizeof s - 1

static char heap[1 << 20], path[64];
static u32 used, call, root, heard;

char *EXPORT(proxy_on_memory_allocate)(u32 n) {
	char *p = heap + used % (sizeof heap / 2);
	used += (n + 7) & ~7u;
	return n <= sizeof heap / 2 ? p : 0;
}

void EXPORT(proxy_abi_version_0_2_1)(void) {}
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { if (!parent) root = id; }
u32 EXPORT(proxy_on_vm_start)(u32 id, u32 n) { (void)id, (void)n; return 1; }

static const char metadata[] = "\2\0\0\0" "\3\0\0\0\1\0\0\0" "\14\0\0\0\2\0\0\0" "x-a\0b\0grpc-timeout\0" "1H\0";
// Envoy's GrpcService: envoy_grpc { cluster_name: "api" authority: "who" } timeout { seconds: 1 } initial_metadata { key: "x-c" value: "d" }
static const char envoy[] = "\12\12\12\3api\22\3who" "\32\2\10\1" "\52\10\12\3x-c\22\1d";
static const char google[] = "\22\5\12\3api"; // google_grpc { target_uri: "api" }

static u32 one(const char *up, u32 un, const char *p, u32 n, u32 ms) {
	return proxy_grpc_call(up, un, S("test.Echo"), S("Say"), metadata, sizeof metadata - 1, p, n, ms, &call);
}
static u32 many(void) { return proxy_grpc_stream(S("api"), S("test.Echo"), S("Chat"), metadata, sizeof metadata - 1, &call); }

static void show(const char *name, u32 size, u32 n) {
	char b[8];
	for (int i = 7; i >= 0; i--, n >>= 4) b[i] = "0123456789abcdef"[n & 15];
	proxy_add_header_map_value(0, name, size, b, sizeof b);
}

// say says what comes, where the one that serves hears it.
static void say(const char *p, u32 n) {
	if (path[0]) proxy_add_header_map_value(0, S("x-heard"), p, n);
	else proxy_log(2, p, n);
}

u32 EXPORT(proxy_on_configure)(u32 id, u32 n) {
	(void)id;
	if (n) proxy_set_tick_period_milliseconds(1);
	return 1;
}

void EXPORT(proxy_on_tick)(u32 id) {
	(void)id;
	proxy_set_tick_period_milliseconds(0);
	if (many()) proxy_log(2, S("refused"));
	proxy_grpc_send(call, S("tick"), 0);
}

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)n, (void)end;
	char *p;
	u32 k = 0, i;
	proxy_get_header_map_value(0, S(":path"), &p, &k);
	for (i = 0; i < k && i < sizeof path - 1; i++) path[i] = p[i];
	switch (path[1]) {
	case 'u': show(S("x-status"), one(S("api"), S("hello"), 0)); return 1;
	case 'v': show(S("x-status"), one(envoy, sizeof envoy - 1, S("hello"), 0)); return 1;
	case 'w': show(S("x-status"), one(google, sizeof google - 1, 0, 0, 0)); return 1;
	case 't': one(S("api"), S("hello"), 1); return 1;
	case 'n': show(S("x-status"), one(S("none"), 0, 0, 0)); return 0;
	case 'm': show(S("x-status"), proxy_grpc_call(S("api"), S("a/b"), S("c"), 0, 0, 0, 0, 0, &call)); return 0;
	case 'M': show(S("x-status"), proxy_grpc_stream(S("api"), S("a"), S("b"), S("\1\0\0\0"), &call)); return 0;
	case 'F': show(S("x-status"), proxy_grpc_call(S("api"), S("a"), S("b"), heap + 600000, 70000, 0, 0, 0, &call)); return 0;
	case 'L': show(S("x-status"), one(S("api"), heap, sizeof heap, 0)); return 0;
	case 'o': for (i = 0; many() == 0; i++) ; show(S("x-calls"), i); return 0;
	case 's':
		show(S("x-status"), many());
		show(S("x-sent"), proxy_grpc_send(call, S("1"), 0));
		return 1;
	case 'p': many(); return 0;
	case 'b': // the server reads nothing
		many();
		for (i = 0; i < 64 && proxy_grpc_send(call, heap, 500000, 0) == 0; i++) ;
		return 1;
	case 'c':
		one(S("api"), S("hello"), 0);
		show(S("x-sent"), proxy_grpc_send(call, S("1"), 0));
		show(S("x-cancel"), proxy_grpc_cancel(call));
		show(S("x-again"), proxy_grpc_cancel(call));
		one(S("api"), S("hello"), 0);
		show(S("x-close"), proxy_grpc_close(call));
		show(S("x-closed"), proxy_grpc_close(call));
		many();
		show(S("x-shut"), proxy_grpc_close(call));
		show(S("x-late"), proxy_grpc_send(call, S("1"), 0));
		show(S("x-none"), proxy_grpc_send(12345, S("1"), 0));
		proxy_grpc_cancel(call);
		return 0;
	}
	return 0;
}

// A piece goes on when the server has seen it.
u32 EXPORT(proxy_on_request_body)(u32 id, u32 n, u32 end) {
	(void)id;
	char *p;
	u32 k = 0;
	if (path[1] != 'p') return 0;
	proxy_get_buffer_bytes(0, 0, n, &p, &k);
	proxy_grpc_send(call, p, k, end);
	return 1;
}

void EXPORT(proxy_on_grpc_receive_initial_metadata)(u32 id, u32 c, u32 n) {
	char *p;
	u32 k = 0;
	if (id != root || c != call || !n) __builtin_trap();
	if (proxy_get_header_map_value(4, S("x-a"), &p, &k)) __builtin_trap();
	say(p, k);
	if (proxy_get_header_map_value(5, S("x-a"), &p, &k) == 0) __builtin_trap(); // not yet
}

void EXPORT(proxy_on_grpc_receive)(u32 id, u32 c, u32 n) {
	char *p = 0;
	u32 k = 0;
	if (id != root || c != call) __builtin_trap();
	if (proxy_get_buffer_bytes(5, 0, n, &p, &k) || k != n) __builtin_trap();
	say(n ? p : "nothing", n ? n : 7);
	if (path[1] == 's' && ++heard == 2) proxy_grpc_send(call, S("2"), 1);
	if (path[1] == 'p' || path[1] == 'u' || path[1] == 'v' || path[1] == 'w') proxy_continue_stream(0);
}

void EXPORT(proxy_on_grpc_receive_trailing_metadata)(u32 id, u32 c, u32 n) {
	char *p;
	u32 k = 0;
	if (id != root || c != call || !n) __builtin_trap();
	if (proxy_get_header_map_value(5, S("x-b"), &p, &k) == 0) say(p, k);
}

void EXPORT(proxy_on_grpc_close)(u32 id, u32 c, u32 code) {
	char *p = 0;
	u32 k = 0, same = 99;
	if (id != root || c != call) __builtin_trap();
	if (proxy_get_status(&same, &p, &k) || same != code) __builtin_trap();
	say(k ? p : "closed", k ? k : 6);
	if (!path[0]) return;
	show(S("x-code"), code);
	proxy_continue_stream(0);
}

void EXPORT(proxy_on_log)(u32 id) {
	(void)id;
	if (path[1] == 'l') one(S("api"), S("logged"), 0);
}
