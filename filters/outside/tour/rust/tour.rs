// The tour in Rust, on the bare ABI: see ../README.md.

use std::cell::RefCell;
use std::collections::HashMap;

// The ABI, as far as the tour needs it.

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const CALL_RESPONSE_HEADERS: u32 = 6;

mod host {
    #[link(wasm_import_module = "env")]
    extern "C" {
        pub fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
        pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub fn proxy_get_property(path: *const u8, size: usize, value: *mut *mut u8, length: *mut usize) -> u32;
        pub fn proxy_get_header_map_value(map: u32, name: *const u8, size: usize, value: *mut *mut u8, length: *mut usize) -> u32;
        pub fn proxy_add_header_map_value(map: u32, name: *const u8, size: usize, value: *const u8, length: usize) -> u32;
        pub fn proxy_replace_header_map_value(map: u32, name: *const u8, size: usize, value: *const u8, length: usize) -> u32;
        pub fn proxy_remove_header_map_value(map: u32, name: *const u8, size: usize) -> u32;
        pub fn proxy_get_buffer_bytes(buffer: u32, start: usize, size: usize, data: *mut *mut u8, length: *mut usize) -> u32;
        pub fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, length: usize) -> u32;
        pub fn proxy_send_local_response(
            status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize,
            headers: *const u8, headers_size: usize, grpc_status: i32,
        ) -> u32;
        pub fn proxy_continue_stream(stream: u32) -> u32;
        pub fn proxy_http_call(
            upstream: *const u8, upstream_size: usize, headers: *const u8, headers_size: usize, body: *const u8,
            body_size: usize, trailers: *const u8, trailers_size: usize, timeout: u32, id: *mut u32,
        ) -> u32;
        pub fn proxy_get_shared_data(key: *const u8, size: usize, value: *mut *mut u8, length: *mut usize, cas: *mut u32) -> u32;
        pub fn proxy_set_shared_data(key: *const u8, size: usize, value: *const u8, length: usize, cas: u32) -> u32;
        pub fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
        pub fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub fn proxy_set_effective_context(id: u32) -> u32;
    }
}

// The host's functions, on texts. What it refuses to grant ends the call.

fn info(text: &str) {
    assert_eq!(unsafe { host::proxy_log(2, text.as_ptr(), text.len()) }, OK);
}

// taken returns what the host puts into memory, if it is there.
fn taken(get: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<String> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    match get(&mut data, &mut size) {
        OK if data.is_null() => Some(String::new()),
        OK => Some(String::from_utf8(unsafe { Vec::from_raw_parts(data, size, size) }).unwrap()),
        NOT_FOUND => None,
        status => panic!("the host says {}", status),
    }
}

fn property(path: &str) -> String {
    taken(|data, size| unsafe { host::proxy_get_property(path.as_ptr(), path.len(), data, size) }).unwrap()
}

fn header(map: u32, name: &str) -> String {
    taken(|data, size| unsafe { host::proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) }).unwrap()
}

fn add(map: u32, name: &str, value: &str) {
    let status = unsafe { host::proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    assert_eq!(status, OK);
}

fn replace(map: u32, name: &str, value: &str) {
    let status = unsafe { host::proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    assert_eq!(status, OK);
}

fn remove(map: u32, name: &str) {
    assert_eq!(unsafe { host::proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }, OK);
}

fn content(buffer: u32, size: usize) -> String {
    taken(|data, length| unsafe { host::proxy_get_buffer_bytes(buffer, 0, size, data, length) }).unwrap()
}

fn set_content(buffer: u32, start: usize, size: usize, text: &str) {
    assert_eq!(unsafe { host::proxy_set_buffer_bytes(buffer, start, size, text.as_ptr(), text.len()) }, OK);
}

fn serialize(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut all = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        all.extend_from_slice(&(name.len() as u32).to_le_bytes());
        all.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        for text in [name, value] {
            all.extend_from_slice(text.as_bytes());
            all.push(0);
        }
    }
    all
}

fn answer(status: u32, body: &str, fields: &[(&str, &str)]) {
    let head = serialize(fields);
    let status = unsafe {
        host::proxy_send_local_response(status, std::ptr::null(), 0, body.as_ptr(), body.len(), head.as_ptr(), head.len(), -1)
    };
    assert_eq!(status, OK);
}

// count adds one to a number in the shared data, and returns it.
fn count(key: &str) -> u32 {
    loop {
        let mut cas = 0;
        let value = taken(|data, size| unsafe { host::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas) });
        let n = value.map_or(0, |text| text.parse().unwrap()) + 1;
        let text = n.to_string();
        match unsafe { host::proxy_set_shared_data(key.as_ptr(), key.len(), text.as_ptr(), text.len(), cas) } {
            OK => return n,
            CAS_MISMATCH => continue,
            status => panic!("the host says {}", status),
        }
    }
}

#[derive(Default)]
struct State {
    api: String,              // the upstream that is called
    requests: u32,            // the metric
    calls: HashMap<u32, u32>, // contexts by the calls that they wait for; its seed is random
    paths: HashMap<u32, String>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|s| f(&mut s.borrow_mut()))
}

fn path(id: u32) -> String {
    with(|s| s.paths[&id].clone())
}

// What the host calls.

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

#[no_mangle]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut memory = std::mem::ManuallyDrop::new(Vec::with_capacity(size));
    memory.as_mut_ptr()
}

#[no_mangle]
pub extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    if parent != 0 {
        with(|s| s.paths.insert(id, String::new()));
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_vm_start(_: u32, _: usize) -> bool {
    true
}

#[no_mangle]
pub extern "C" fn proxy_on_configure(_: u32, size: usize) -> bool {
    let api = content(PLUGIN_CONFIGURATION, size);
    info(&format!("configured: {}", api));
    let (name, mut requests) = ("tour.requests", 0);
    assert_eq!(unsafe { host::proxy_define_metric(0, name.as_ptr(), name.len(), &mut requests) }, OK);
    assert_eq!(unsafe { host::proxy_set_tick_period_milliseconds(100) }, OK);
    with(|s| {
        s.api = api;
        s.requests = requests;
    });
    true
}

#[no_mangle]
pub extern "C" fn proxy_on_tick(_: u32) {
    info(&format!("tick {}", count("ticks")));
}

#[no_mangle]
pub extern "C" fn proxy_on_request_headers(id: u32, _: usize, _: bool) -> u32 {
    assert_eq!(unsafe { host::proxy_increment_metric(with(|s| s.requests), 1) }, OK);
    let path = header(REQUEST_HEADERS, ":path");
    with(|s| s.paths.insert(id, path.clone()));
    replace(REQUEST_HEADERS, "x-tour", &property("request\0method"));
    remove(REQUEST_HEADERS, "x-secret");
    match path.as_str() {
        "/deny" => {
            answer(403, "no\n", &[("x-why", "tour")]);
            return PAUSE;
        }
        "/count" => add(REQUEST_HEADERS, "x-count", &count("count").to_string()),
        "/upper" => remove(REQUEST_HEADERS, "content-length"),
        _ => {}
    }
    if !path.starts_with("/call") {
        return CONTINUE;
    }
    let api = with(|s| s.api.clone());
    let head = serialize(&[(":method", "GET"), (":path", &path), (":authority", "api"), ("x-from", "tour")]);
    let mut call = 0;
    let status = unsafe {
        let none = std::ptr::null();
        host::proxy_http_call(api.as_ptr(), api.len(), head.as_ptr(), head.len(), none, 0, none, 0, 3000, &mut call)
    };
    if status == OK {
        with(|s| s.calls.insert(call, id));
    } else {
        answer(500, &format!("not called: {}\n", status), &[]);
    }
    PAUSE
}

#[no_mangle]
pub extern "C" fn proxy_on_http_call_response(_: u32, call: u32, headers: usize, size: usize, _: usize) {
    let id = with(|s| s.calls.remove(&call)).unwrap();
    assert_eq!(unsafe { host::proxy_set_effective_context(id) }, OK);
    let status = if headers > 0 { header(CALL_RESPONSE_HEADERS, ":status") } else { "nothing".to_string() };
    if status != "200" {
        answer(503, &format!("api said {}\n", status), &[]);
        return;
    }
    add(REQUEST_HEADERS, "x-user", &content(CALL_RESPONSE_BODY, size));
    assert_eq!(unsafe { host::proxy_continue_stream(0) }, OK);
}

#[no_mangle]
pub extern "C" fn proxy_on_request_body(id: u32, size: usize, end: bool) -> u32 {
    if path(id) != "/upper" {
        return CONTINUE;
    }
    if !end {
        return PAUSE;
    }
    let text = content(REQUEST_BODY, size).to_uppercase();
    set_content(REQUEST_BODY, 0, size, &text);
    CONTINUE
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(id: u32, _: usize, _: bool) -> u32 {
    add(RESPONSE_HEADERS, "x-tour", "done");
    if path(id) == "/append" {
        remove(RESPONSE_HEADERS, "content-length");
    }
    CONTINUE
}

#[no_mangle]
pub extern "C" fn proxy_on_response_body(id: u32, size: usize, end: bool) -> u32 {
    if end && path(id) == "/append" {
        set_content(RESPONSE_BODY, size, 0, "!");
    }
    CONTINUE
}

#[no_mangle]
pub extern "C" fn proxy_on_response_trailers(_: u32, _: usize) -> u32 {
    add(RESPONSE_TRAILERS, "x-end", "tour");
    CONTINUE
}

#[no_mangle]
pub extern "C" fn proxy_on_done(_: u32) -> bool {
    true
}

#[no_mangle]
pub extern "C" fn proxy_on_log(id: u32) {
    if let Some(path) = with(|s| s.paths.get(&id).cloned()) {
        info(&format!("done: {} {}", path, header(RESPONSE_HEADERS, ":status")));
    }
}

#[no_mangle]
pub extern "C" fn proxy_on_delete(id: u32) {
    with(|s| s.paths.remove(&id));
}
