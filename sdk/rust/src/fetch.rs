//! Requests of the filter's own, to upstreams that sluice.yaml grants under
//! `allow: { fetch: [...] }`. Several may run at once: to start one does not wait for its
//! response.

use crate::host;
use crate::proxy::{check, list, Error};
use std::time::Duration;

/// A request to be made.
#[derive(Clone, Debug)]
pub struct Fetch<'a> {
    pub upstream: &'a str,
    pub method: &'a str,
    /// Path and query, encoded.
    pub uri: &'a str,
    /// `host` is the authority, which else is the upstream's name.
    pub fields: &'a [(&'a str, &'a str)],
    /// From the start to the last byte read; none: the limit.
    pub timeout: Option<Duration>,
}

impl<'a> Fetch<'a> {
    /// A GET of an upstream.
    pub fn get(upstream: &'a str, uri: &'a str) -> Fetch<'a> {
        Fetch { upstream, method: "GET", uri, fields: &[], timeout: None }
    }

    /// Makes the request, with content or none.
    pub fn send(&self, content: &[u8]) -> Result<Response, Error> {
        let mut r = self.start(content.len() as i64)?;
        if !content.is_empty() {
            r.write(content)?;
        }
        Ok(r)
    }

    /// Begins the request, whose content is to be written: so many bytes, or -1 if that is
    /// not known.
    pub fn start(&self, length: i64) -> Result<Response, Error> {
        let fields = host::pairs(self.fields);
        let timeout = match self.timeout {
            None => 0,
            Some(d) => d.as_millis().clamp(1, u32::MAX as u128) as u32,
        };
        let handle = check(unsafe {
            host::fetch_start(
                self.upstream.as_ptr(), self.upstream.len(), self.method.as_ptr(), self.method.len(), self.uri.as_ptr(), self.uri.len(),
                fields.as_ptr(), fields.len(), length, timeout,
            )
        })?;
        Ok(Response(handle))
    }
}

/// A request that is under way and its response. It is given up when it is dropped before
/// its end.
#[derive(Debug)]
pub struct Response(i32);

impl Response {
    /// Writes content of the request.
    pub fn write(&mut self, content: &[u8]) -> Result<(), Error> {
        check(unsafe { host::fetch_write(self.0, content.as_ptr(), content.len()) }).map(drop)
    }

    /// Ends content whose length was not known.
    pub fn finish(&mut self) -> Result<(), Error> {
        check(unsafe { host::fetch_finish(self.0) }).map(drop)
    }

    /// Waits for the response's head, and returns its status.
    pub fn status(&self) -> Result<u16, Error> {
        check(unsafe { host::fetch_status(self.0) }).map(|n| n as u16)
    }

    /// The names of its fields, in lower case, each once.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let names = list(|buf, limit| unsafe { host::fetch_names(self.0, buf, limit) })?;
        Ok(names.into_iter().map(host::lossy).collect())
    }

    /// The values of a field.
    pub fn values(&self, name: &str) -> Result<Vec<String>, Error> {
        let values = list(|buf, limit| unsafe { host::fetch_values(self.0, name.as_ptr(), name.len(), buf, limit) })?;
        Ok(values.into_iter().map(host::lossy).collect())
    }

    /// Reads content: what is at hand, at least a byte; 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        check(unsafe { host::fetch_read(self.0, buf.as_mut_ptr(), buf.len()) }).map(|n| n as usize)
    }

    /// Reads all content, of which there may be up to `limit` bytes; else it is
    /// [`Error::Limit`].
    pub fn read_all(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let mut buf = [0; 8192];
        loop {
            let n = self.read(&mut buf)?;
            if n == 0 {
                return Ok(all);
            }
            if n > limit - all.len() {
                return Err(Error::Limit);
            }
            all.extend_from_slice(&buf[..n]);
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        unsafe { host::fetch_close(self.0) };
    }
}
