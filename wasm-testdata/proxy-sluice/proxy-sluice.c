// A guest of proxy-wasm 0.2.1 that imports from the module sluice. See README.md.
typedef unsigned int u32;

#define EXPORT(name) __attribute__((export_name(#name))) name
#define SLUICE(name) __attribute__((import_module("sluice"), import_name(#name))) u32 name

SLUICE(log_field)(const char *name, u32 size, const char *p, u32 n);
SLUICE(route_get)(u32 what, char *p, u32 n);
__attribute__((import_module("env"), import_name("proxy_add_header_map_value")))
u32 proxy_add_header_map_value(u32 map, const char *k, u32 kn, const char *p, u32 n);

#define S(s) s, sizeof s - 1

static char heap[1 << 10];
char *EXPORT(malloc)(u32 n) { return n <= sizeof heap ? heap : 0; }
void EXPORT(proxy_abi_version_0_2_1)(void) {}
void EXPORT(proxy_on_context_create)(u32 id, u32 parent) { (void)id, (void)parent; }

u32 EXPORT(proxy_on_request_headers)(u32 id, u32 n, u32 end) {
	(void)id, (void)n, (void)end;
	char route[64];
	u32 size = route_get(1, route, sizeof route);
	if (size <= sizeof route) proxy_add_header_map_value(0, S("x-route"), route, size);
	log_field(S("guest"), S("proxy"));
	return 0;
}
