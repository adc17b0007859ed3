// A guest of proxy-wasm 0.2.1, without an SDK. See README.md.
typedef unsigned int u32;

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) u32 name
#define EXPORT(name) __attribute__((export_name(#name))) name

IMPORT(proxy_get_header_map_value)(u32 map, const char *k, u32 kn, char **p, u32 *n);
IMPORT(proxy_replace_header_map_value)(u32 map, const char *k, u32 kn, const char *p, u32 n);

static char heap[16 << 10];
static u32 used;

#define S(s) s, sizeof s - 1

char *EXPORT(proxy_on_memory_allocate)(u32 n) {
	if (!n || used + n > sizeof heap) __builtin_trap();
	char *p = heap + used;
	used += (n + 7) & ~7u;
	return p;
}

void EXPORT(proxy_abi_version_0_2_1)(void) {}
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { (void)id, (void)parent, used = 0; }

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)n, (void)end;
	char *path, *key;
	u32 path_size, key_size;
	if (proxy_get_header_map_value(0, S(":path"), &path, &path_size) == 0 && proxy_get_header_map_value(0, S("x-api-key"), &key, &key_size) == 0)
		proxy_replace_header_map_value(0, S("x-seen"), key, key_size);
	return 0;
}

u32 EXPORT(proxy_on_response_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)n, (void)end;
	proxy_replace_header_map_value(2, S("x-filter"), S("yes"));
	return 0;
}

u32 EXPORT(proxy_on_done)(u32 id) { return id != 0; }
void EXPORT(proxy_on_log)(u32 id) { (void)id; }
void EXPORT(proxy_on_delete)(u32 id) { (void)id; }
