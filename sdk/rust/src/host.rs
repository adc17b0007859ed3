//! The imports of a module, and how their results are read.

#[link(wasm_import_module = "http_handler")]
extern "C" {
    pub fn enable_features(features: u32) -> u32;
    pub fn get_config(buf: *mut u8, limit: usize) -> u32;
    pub fn log(level: i32, message: *const u8, len: usize);
    pub fn log_enabled(level: i32) -> u32;
    pub fn get_method(buf: *mut u8, limit: usize) -> u32;
    pub fn set_method(v: *const u8, len: usize);
    pub fn get_uri(buf: *mut u8, limit: usize) -> u32;
    pub fn set_uri(v: *const u8, len: usize);
    pub fn get_protocol_version(buf: *mut u8, limit: usize) -> u32;
    pub fn get_source_addr(buf: *mut u8, limit: usize) -> u32;
    pub fn get_header_names(kind: u32, buf: *mut u8, limit: usize) -> u64;
    pub fn get_header_values(kind: u32, name: *const u8, name_len: usize, buf: *mut u8, limit: usize) -> u64;
    pub fn set_header_value(kind: u32, name: *const u8, name_len: usize, value: *const u8, value_len: usize);
    pub fn add_header_value(kind: u32, name: *const u8, name_len: usize, value: *const u8, value_len: usize);
    pub fn remove_header(kind: u32, name: *const u8, name_len: usize);
    pub fn read_body(kind: u32, buf: *mut u8, limit: usize) -> u64;
    pub fn write_body(kind: u32, content: *const u8, len: usize);
    pub fn get_status_code() -> u32;
    pub fn set_status_code(code: u32);
}

#[link(wasm_import_module = "sluice")]
extern "C" {
    pub fn kv_get(ns: *const u8, ns_len: usize, key: *const u8, key_len: usize, buf: *mut u8, limit: usize, version: *mut i64) -> i32;
    pub fn kv_set(ns: *const u8, ns_len: usize, key: *const u8, key_len: usize, value: *const u8, value_len: usize, ttl: i64, version: i64) -> i64;
    pub fn kv_delete(ns: *const u8, ns_len: usize, key: *const u8, key_len: usize, version: i64) -> i32;
    pub fn kv_add(ns: *const u8, ns_len: usize, key: *const u8, key_len: usize, delta: i64, ttl: i64, result: *mut i64) -> i32;
    pub fn kv_list(
        ns: *const u8, ns_len: usize, prefix: *const u8, prefix_len: usize, after: *const u8, after_len: usize, buf: *mut u8, limit: usize,
    ) -> i64;

    pub fn fetch_start(
        upstream: *const u8, upstream_len: usize, method: *const u8, method_len: usize, uri: *const u8, uri_len: usize, fields: *const u8,
        fields_len: usize, length: i64, timeout: u32,
    ) -> i32;
    pub fn fetch_write(handle: i32, content: *const u8, len: usize) -> i32;
    pub fn fetch_finish(handle: i32) -> i32;
    pub fn fetch_status(handle: i32) -> i32;
    pub fn fetch_names(handle: i32, buf: *mut u8, limit: usize) -> i64;
    pub fn fetch_values(handle: i32, name: *const u8, name_len: usize, buf: *mut u8, limit: usize) -> i64;
    pub fn fetch_read(handle: i32, buf: *mut u8, limit: usize) -> i32;
    pub fn fetch_close(handle: i32) -> i32;

    pub fn metric_define(kind: u32, name: *const u8, name_len: usize, labels: *const u8, labels_len: usize) -> i32;
    pub fn metric_add(number: i32, delta: i64) -> i32;
    pub fn metric_record(number: i32, value: i64) -> i32;

    pub fn log_field(name: *const u8, name_len: usize, value: *const u8, value_len: usize) -> i32;
    pub fn client_get(what: u32, buf: *mut u8, limit: usize) -> i32;
    pub fn route_get(what: u32, buf: *mut u8, limit: usize) -> i32;
    pub fn route_choose(what: u32, name: *const u8, name_len: usize) -> i32;
    pub fn hints_send(fields: *const u8, fields_len: usize) -> i32;
    pub fn secret_get(name: *const u8, name_len: usize, buf: *mut u8, limit: usize) -> i32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    pub fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    pub fn random_get(buf: *mut u8, len: usize) -> u32;
}

/// Ends the call, and the exchange with it.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

/// Returns what a getter has, which says how long it is and writes it if it fits; or its
/// error, a negative number.
pub fn try_read(get: impl Fn(*mut u8, usize) -> i32) -> Result<Vec<u8>, crate::proxy::Error> {
    try_read_into(Vec::with_capacity(256), get)
}

/// Is [`try_read`] with a buffer to begin with.
pub fn try_read_into(mut buf: Vec<u8>, get: impl Fn(*mut u8, usize) -> i32) -> Result<Vec<u8>, crate::proxy::Error> {
    loop {
        let n = crate::proxy::check(get(buf.as_mut_ptr(), buf.capacity()))? as usize;
        if n <= buf.capacity() {
            unsafe { buf.set_len(n) }; // the getter has written them
            return Ok(buf);
        }
        buf = Vec::with_capacity(n);
    }
}

/// Is [`try_read`] for a getter that cannot fail.
pub fn read(get: impl Fn(*mut u8, usize) -> u32) -> Vec<u8> {
    match try_read(|buf, limit| get(buf, limit) as i32) {
        Ok(v) => v,
        Err(_) => trap(), // 2 GiB or more, which nothing has
    }
}

/// Is [`read`] for a text.
pub fn text(get: impl Fn(*mut u8, usize) -> u32) -> String {
    lossy(read(get))
}

/// Returns bytes as a text.
pub fn lossy(v: Vec<u8>) -> String {
    match String::from_utf8(v) {
        Ok(s) => s,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    }
}

/// Is [`read`] for a list: values that end with NUL each.
pub fn read_list(get: impl Fn(*mut u8, usize) -> u64) -> Vec<Vec<u8>> {
    split(&read(|buf, limit| get(buf, limit) as u32))
}

/// Returns the values of a list.
pub fn split(list: &[u8]) -> Vec<Vec<u8>> {
    match list.split_last() {
        Some((_, values)) => values.split(|&c| c == 0).map(<[u8]>::to_vec).collect(),
        None => Vec::new(),
    }
}

/// Makes a list of pairs.
pub fn pairs(list: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, value) in list {
        for text in [name, value] {
            all.extend_from_slice(text.as_bytes());
            all.push(0);
        }
    }
    all
}
