// The tour in C++, on the bare ABI: see ../README.md.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

using std::string;
using Pairs = std::vector<std::pair<string, string>>;

// The ABI, as far as the tour needs it.

enum Status : uint32_t { kOk = 0, kNotFound = 1, kCasMismatch = 8 };
enum Action : uint32_t { kContinue = 0, kPause = 1 };
enum Buffer : uint32_t { kRequestBody = 0, kResponseBody = 1, kCallResponseBody = 4, kPluginConfiguration = 7 };
enum Map : uint32_t { kRequestHeaders = 0, kResponseHeaders = 2, kResponseTrailers = 3, kCallResponseHeaders = 6 };

#define HOST(name) extern "C" __attribute__((import_module("env"), import_name(#name))) Status name
#define GUEST(name) extern "C" __attribute__((export_name(#name)))

HOST(proxy_log)(uint32_t level, const char *text, size_t size);
HOST(proxy_set_tick_period_milliseconds)(uint32_t period);
HOST(proxy_get_property)(const char *path, size_t size, char **value, size_t *length);
HOST(proxy_get_header_map_value)(Map map, const char *name, size_t size, char **value, size_t *length);
HOST(proxy_add_header_map_value)(Map map, const char *name, size_t size, const char *value, size_t length);
HOST(proxy_replace_header_map_value)(Map map, const char *name, size_t size, const char *value, size_t length);
HOST(proxy_remove_header_map_value)(Map map, const char *name, size_t size);
HOST(proxy_get_buffer_bytes)(Buffer buffer, size_t start, size_t size, char **data, size_t *length);
HOST(proxy_set_buffer_bytes)(Buffer buffer, size_t start, size_t size, const char *data, size_t length);
HOST(proxy_send_local_response)(uint32_t status, const char *details, size_t details_size, const char *body, size_t body_size,
                                const char *headers, size_t headers_size, int32_t grpc_status);
HOST(proxy_continue_stream)(uint32_t stream);
HOST(proxy_http_call)(const char *upstream, size_t upstream_size, const char *headers, size_t headers_size, const char *body,
                      size_t body_size, const char *trailers, size_t trailers_size, uint32_t timeout, uint32_t *id);
HOST(proxy_get_shared_data)(const char *key, size_t size, char **value, size_t *length, uint32_t *cas);
HOST(proxy_set_shared_data)(const char *key, size_t size, const char *value, size_t length, uint32_t cas);
HOST(proxy_define_metric)(uint32_t type, const char *name, size_t size, uint32_t *id);
HOST(proxy_increment_metric)(uint32_t id, int64_t offset);
HOST(proxy_set_effective_context)(uint32_t id);

namespace {

// must ends the call if the host refuses what it is to grant.
void must(Status status) {
  if (status != kOk) {
    abort();
  }
}

void info(const string &text) { must(proxy_log(2, text.data(), text.size())); }

// take returns what the host has put into memory, by malloc.
string take(char *data, size_t size) {
  string text(data, size);
  free(data);
  return text;
}

string header(Map map, const string &name) {
  char *data = nullptr;
  size_t size = 0;
  must(proxy_get_header_map_value(map, name.data(), name.size(), &data, &size));
  return take(data, size);
}

void add(Map map, const string &name, const string &value) {
  must(proxy_add_header_map_value(map, name.data(), name.size(), value.data(), value.size()));
}

void replace(Map map, const string &name, const string &value) {
  must(proxy_replace_header_map_value(map, name.data(), name.size(), value.data(), value.size()));
}

void drop(Map map, const string &name) { must(proxy_remove_header_map_value(map, name.data(), name.size())); }

string bytes(Buffer buffer, size_t size) {
  char *data = nullptr;
  size_t length = 0;
  must(proxy_get_buffer_bytes(buffer, 0, size, &data, &length));
  return take(data, length);
}

void number(string &to, uint32_t n) { to.append(reinterpret_cast<const char *>(&n), sizeof n); }

string serialize(const Pairs &pairs) {
  string all;
  number(all, pairs.size());
  for (const auto &[name, value] : pairs) {
    number(all, name.size());
    number(all, value.size());
  }
  for (const auto &[name, value] : pairs) {
    all.append(name).append(1, '\0').append(value).append(1, '\0');
  }
  return all;
}

Action answer(uint32_t status, const string &body, const Pairs &fields = {}) {
  const string head = serialize(fields);
  must(proxy_send_local_response(status, nullptr, 0, body.data(), body.size(), head.data(), head.size(), -1));
  return kPause;
}

// count adds one to a number in the shared data, and returns it.
int count(const string &key) {
  for (;;) {
    char *data = nullptr;
    size_t size = 0;
    uint32_t cas = 0;
    int n = 1;
    const Status got = proxy_get_shared_data(key.data(), key.size(), &data, &size, &cas);
    if (got != kNotFound) {
      must(got);
      n += std::stoi(take(data, size));
    }
    const string value = std::to_string(n);
    const Status set = proxy_set_shared_data(key.data(), key.size(), value.data(), value.size(), cas);
    if (set != kCasMismatch) {
      must(set);
      return n;
    }
  }
}

struct Root {
  string api; // the upstream that is called
  uint32_t requests = 0; // the metric
  std::map<uint32_t, uint32_t> calls; // contexts by the calls that they wait for
};

struct Tour {
  string path;

  Action request(uint32_t id);
  void called(uint32_t headers, size_t size);
};

// Both are made before main, as what is static in C++ is.
std::map<uint32_t, Tour> tours;
Root root;

Action Tour::request(uint32_t id) {
  must(proxy_increment_metric(root.requests, 1));
  path = header(kRequestHeaders, ":path");
  char *method = nullptr;
  size_t size = 0;
  must(proxy_get_property("request\0method", 14, &method, &size));
  replace(kRequestHeaders, "x-tour", take(method, size));
  drop(kRequestHeaders, "x-secret");
  if (path == "/deny") {
    return answer(403, "no\n", {{"x-why", "tour"}});
  }
  if (path == "/count") {
    add(kRequestHeaders, "x-count", std::to_string(count("count")));
  }
  if (path == "/upper") {
    drop(kRequestHeaders, "content-length");
  }
  if (path.rfind("/call", 0) != 0) {
    return kContinue;
  }
  const string head = serialize({{":method", "GET"}, {":path", path}, {":authority", "api"}, {"x-from", "tour"}});
  uint32_t call = 0;
  const Status status = proxy_http_call(root.api.data(), root.api.size(), head.data(), head.size(), nullptr, 0, nullptr, 0, 3000, &call);
  if (status != kOk) {
    return answer(500, "not called: " + std::to_string(status) + "\n");
  }
  root.calls[call] = id;
  return kPause;
}

void Tour::called(uint32_t headers, size_t size) {
  const string status = headers > 0 ? header(kCallResponseHeaders, ":status") : "nothing";
  if (status != "200") {
    answer(503, "api said " + status + "\n");
    return;
  }
  add(kRequestHeaders, "x-user", bytes(kCallResponseBody, size));
  must(proxy_continue_stream(0));
}

} // namespace

// What the host calls, beside malloc, which the linker exports.

GUEST(proxy_abi_version_0_2_1) void abi_version() {}

GUEST(proxy_on_context_create) void on_context_create(uint32_t id, uint32_t parent) {
  if (parent != 0) {
    tours[id];
  }
}

GUEST(proxy_on_vm_start) uint32_t on_vm_start(uint32_t, size_t) { return 1; }

GUEST(proxy_on_configure) uint32_t on_configure(uint32_t, size_t size) {
  root.api = bytes(kPluginConfiguration, size);
  must(proxy_define_metric(0, "tour.requests", 13, &root.requests));
  info("configured: " + root.api);
  must(proxy_set_tick_period_milliseconds(100));
  return 1;
}

GUEST(proxy_on_tick) void on_tick(uint32_t) { info("tick " + std::to_string(count("ticks"))); }

GUEST(proxy_on_request_headers) Action on_request_headers(uint32_t id, uint32_t, uint32_t) { return tours.at(id).request(id); }

GUEST(proxy_on_request_body) Action on_request_body(uint32_t id, size_t size, uint32_t end) {
  if (tours.at(id).path != "/upper") {
    return kContinue;
  }
  if (end == 0) {
    return kPause;
  }
  string content = bytes(kRequestBody, size);
  for (char &c : content) {
    c = c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c;
  }
  must(proxy_set_buffer_bytes(kRequestBody, 0, size, content.data(), content.size()));
  return kContinue;
}

GUEST(proxy_on_response_headers) Action on_response_headers(uint32_t id, uint32_t, uint32_t) {
  add(kResponseHeaders, "x-tour", "done");
  if (tours.at(id).path == "/append") {
    drop(kResponseHeaders, "content-length");
  }
  return kContinue;
}

GUEST(proxy_on_response_body) Action on_response_body(uint32_t id, size_t size, uint32_t end) {
  if (tours.at(id).path == "/append" && end != 0) {
    must(proxy_set_buffer_bytes(kResponseBody, size, 0, "!", 1));
  }
  return kContinue;
}

GUEST(proxy_on_response_trailers) Action on_response_trailers(uint32_t, uint32_t) {
  add(kResponseTrailers, "x-end", "tour");
  return kContinue;
}

GUEST(proxy_on_http_call_response) void on_call_response(uint32_t, uint32_t call, uint32_t headers, size_t size, uint32_t) {
  const auto found = root.calls.find(call);
  if (found == root.calls.end()) {
    abort();
  }
  const uint32_t id = found->second;
  root.calls.erase(found);
  must(proxy_set_effective_context(id));
  tours.at(id).called(headers, size);
}

GUEST(proxy_on_done) uint32_t on_done(uint32_t) { return 1; }

GUEST(proxy_on_log) void on_log(uint32_t id) {
  const auto found = tours.find(id);
  if (found != tours.end()) {
    info("done: " + found->second.path + " " + header(kResponseHeaders, ":status"));
  }
}

GUEST(proxy_on_delete) void on_remove(uint32_t id) { tours.erase(id); }
