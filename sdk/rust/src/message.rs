use crate::host;
use std::io;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const REQUEST_TRAILERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;

/// Where a filter and the origin read to which arm of a route's split an exchange belongs,
/// and where a filter chooses it.
const ARM: &str = "X-Sluice-Arm";

/// A request. It can be changed before the next handler.
pub struct Request {
    /// `Host` is among them.
    pub fields: Fields,
    /// Of the content, once it has been read; changed with
    /// [`Features::TRAILERS`](crate::Features::TRAILERS).
    pub trailers: Fields,
    pub body: Body,
}

impl Request {
    pub(crate) fn new() -> Request {
        Request { fields: Fields(REQUEST), trailers: Fields(REQUEST_TRAILERS), body: Body::new(REQUEST) }
    }

    /// The method.
    pub fn method(&self) -> String {
        host::text(|buf, limit| unsafe { host::get_method(buf, limit) })
    }

    /// Changes the method. It traps if `v` is no token.
    pub fn set_method(&mut self, v: &str) {
        unsafe { host::set_method(v.as_ptr(), v.len()) }
    }

    /// Path and query, encoded.
    pub fn uri(&self) -> String {
        host::text(|buf, limit| unsafe { host::get_uri(buf, limit) })
    }

    /// Changes path and query. sluice then looks the route up once more, and runs the
    /// filters of that route which this one did not have. It traps unless `v` is encoded
    /// and begins with a slash.
    pub fn set_uri(&mut self, v: &str) {
        unsafe { host::set_uri(v.as_ptr(), v.len()) }
    }

    /// The URI's path, encoded.
    pub fn path(&self) -> String {
        let mut uri = self.uri();
        if let Some(i) = uri.find('?') {
            uri.truncate(i);
        }
        uri
    }

    /// The URI's query, encoded, without the question mark.
    pub fn query(&self) -> String {
        match self.uri().split_once('?') {
            Some((_, query)) => query.to_string(),
            None => String::new(),
        }
    }

    /// The value of the first cookie of that name, as it was sent.
    pub fn cookie(&self, name: &str) -> Option<String> {
        for line in self.fields.values("Cookie") {
            for pair in line.split(';') {
                // RFC 6265, section 4.2.1
                if let Some((n, v)) = pair.trim_matches(|c| c == ' ' || c == '\t').split_once('=') {
                    if n == name {
                        return Some(v.to_string());
                    }
                }
            }
        }
        None
    }

    /// The name of the arm to which the exchange belongs so far: the split of the route has
    /// dealt it, or a filter before has chosen it. There is none on a route without a split.
    pub fn arm(&self) -> Option<String> {
        self.fields.get(ARM)
    }

    /// Chooses an arm of the route's split, whatever the split would have chosen. A name
    /// that no arm has changes nothing.
    pub fn set_arm(&mut self, name: &str) {
        self.fields.set(ARM, name)
    }

    /// The version of HTTP that the client speaks: `HTTP/2.0`.
    pub fn proto(&self) -> String {
        host::text(|buf, limit| unsafe { host::get_protocol_version(buf, limit) })
    }

    /// The client's address and port: `192.0.2.1:49152`, or `[2001:db8::1]:49152`.
    pub fn client(&self) -> String {
        host::text(|buf, limit| unsafe { host::get_source_addr(buf, limit) })
    }
}

/// A response. Before the next handler it is what the filter wants it to be: fields that are
/// set replace those of the next handler, content replaces its content. Behind it, with
/// [`Features::BUFFER_RESPONSE`](crate::Features::BUFFER_RESPONSE), it can be read and
/// changed.
pub struct Response {
    pub fields: Fields,
    /// Changed with [`Features::TRAILERS`](crate::Features::TRAILERS).
    pub trailers: Fields,
    pub body: Body,
}

impl Response {
    pub(crate) fn new() -> Response {
        Response { fields: Fields(RESPONSE), trailers: Fields(RESPONSE_TRAILERS), body: Body::new(RESPONSE) }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        unsafe { host::get_status_code() as u16 }
    }

    /// Changes the status. It traps if `code` is not that of a final response.
    pub fn set_status(&mut self, code: u16) {
        unsafe { host::set_status_code(code.into()) }
    }
}

/// The field lines of a message's head, or its trailers. Names compare without regard to
/// case. A change traps if the name is no token, or the value has a line break. Changes to
/// `Content-Length` and to what is about one connection are ignored: such fields follow from
/// the message.
pub struct Fields(u32);

impl Fields {
    /// The names, in lower case, each once.
    pub fn names(&self) -> Vec<String> {
        let list = host::read_list(|buf, limit| unsafe { host::get_header_names(self.0, buf, limit) });
        list.into_iter().map(host::lossy).collect()
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<String> {
        self.values_raw(name).into_iter().next().map(host::lossy)
    }

    /// The values of a name, one a line.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.values_raw(name).into_iter().map(host::lossy).collect()
    }

    /// The values of a name, one a line, as their bytes.
    pub fn values_raw(&self, name: &str) -> Vec<Vec<u8>> {
        host::read_list(|buf, limit| unsafe { host::get_header_values(self.0, name.as_ptr(), name.len(), buf, limit) })
    }

    /// Replaces all lines of a name by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let v = value.as_ref();
        unsafe { host::set_header_value(self.0, name.as_ptr(), name.len(), v.as_ptr(), v.len()) }
    }

    /// Appends a line.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let v = value.as_ref();
        unsafe { host::add_header_value(self.0, name.as_ptr(), name.len(), v.as_ptr(), v.len()) }
    }

    /// Removes all lines of a name.
    pub fn del(&mut self, name: &str) {
        unsafe { host::remove_header(self.0, name.as_ptr(), name.len()) }
    }
}

/// A message's content. It is read as a stream, of which the filter sees no more than it
/// reads; the first write replaces all that was there.
pub struct Body {
    kind: u32,
    ended: bool,
}

impl Body {
    fn new(kind: u32) -> Body {
        Body { kind, ended: false }
    }

    /// Reads on, and returns how many bytes: 0 at the end, or if `buf` is empty. It fills
    /// `buf` unless the content ends before; in a function it returns what is at hand.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        while !self.ended && !buf.is_empty() {
            let r = unsafe { host::read_body(self.kind, buf.as_mut_ptr(), buf.len()) };
            self.ended = r >> 32 != 0;
            if r as u32 > 0 {
                return r as u32 as usize;
            }
        }
        0
    }

    /// Reads all that is left.
    pub fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buf = [0; 8192];
        loop {
            match self.read(&mut buf) {
                0 => return all,
                n => all.extend_from_slice(&buf[..n]),
            }
        }
    }

    /// Writes content. The first call replaces all that was there, others append.
    pub fn write(&mut self, content: &[u8]) {
        unsafe { host::write_body(self.kind, content.as_ptr(), content.len()) }
    }
}

impl io::Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(Body::read(self, buf))
    }
}

impl io::Write for Body {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        Body::write(self, content);
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
