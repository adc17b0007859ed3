//! What the proxy has besides the exchange: the client, the route, the log, early hints,
//! secrets. sluice.yaml grants `route`, `hints` and `secrets` under `allow`; the others
//! need no grant.

use crate::host;
use std::fmt;

/// Why a function of the proxy did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no such key, value, arm, upstream or function.
    None,
    /// The key has another version.
    Conflict,
    /// The name is not granted.
    Denied,
    /// An argument: a name, a value that is out of range, a handle that is not open.
    Invalid,
    /// A bound is reached.
    Limit,
    /// The upstream or the disk has failed; the cause is in the log.
    Failed,
    /// The fetch has taken too long.
    Timeout,
    /// There is no request, or it is too late.
    Unavailable,
    /// The client has gone.
    Gone,
    /// A number that this crate does not know yet.
    Other(i32),
}

impl Error {
    fn of(code: i64) -> Error {
        match code {
            -1 => Error::None,
            -2 => Error::Conflict,
            -3 => Error::Denied,
            -4 => Error::Invalid,
            -5 => Error::Limit,
            -6 => Error::Failed,
            -7 => Error::Timeout,
            -8 => Error::Unavailable,
            -9 => Error::Gone,
            code => Error::Other(code as i32),
        }
    }

    /// The number that stands for it: -1 for [`Error::None`] to -9 for [`Error::Gone`].
    pub fn code(self) -> i32 {
        match self {
            Error::None => -1,
            Error::Conflict => -2,
            Error::Denied => -3,
            Error::Invalid => -4,
            Error::Limit => -5,
            Error::Failed => -6,
            Error::Timeout => -7,
            Error::Unavailable => -8,
            Error::Gone => -9,
            Error::Other(code) => code,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Error::None => "there is none",
            Error::Conflict => "it has another version",
            Error::Denied => "the name is not granted under allow",
            Error::Invalid => "an argument is not valid",
            Error::Limit => "a bound is reached",
            Error::Failed => "the upstream or the disk has failed",
            Error::Timeout => "it has taken too long",
            Error::Unavailable => "it is not to be had here, or not any more",
            Error::Gone => "the client has gone",
            Error::Other(code) => return write!(f, "error {}", code),
        })
    }
}

impl std::error::Error for Error {}

/// Returns a result, or the error that a negative one stands for.
pub(crate) fn check(result: i32) -> Result<i32, Error> {
    check64(result.into()).map(|n| n as i32)
}

pub(crate) fn check64(result: i64) -> Result<i64, Error> {
    match result {
        n if n < 0 => Err(Error::of(n)),
        n => Ok(n),
    }
}

/// Is [`host::read_list`] for a getter that can fail.
pub(crate) fn list(get: impl Fn(*mut u8, usize) -> i64) -> Result<Vec<Vec<u8>>, Error> {
    let list = host::try_read_into(Vec::with_capacity(8192), |buf, limit| match get(buf, limit) {
        error if error < 0 => error as i32,
        list => list as i32,
    })?;
    Ok(host::split(&list))
}

/// No value is one of the answers.
fn optional(v: Result<Vec<u8>, Error>) -> Result<Option<String>, Error> {
    match v {
        Ok(v) => Ok(Some(host::lossy(v))),
        Err(Error::None) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A fact about the client and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Client {
    /// The client's address.
    Address = 0,
    /// Address and port that the connection comes from.
    Peer = 1,
    /// Address and port that the connection came in on.
    Local = 2,
    /// The version of HTTP.
    Proto = 3,
    /// The version of TLS: `TLSv1.3`.
    Tls = 4,
    /// The cipher suite.
    Cipher = 5,
    /// The server's name that was asked for (SNI).
    ServerName = 6,
    /// The protocol that was negotiated (ALPN).
    Alpn = 7,
    /// The subject of the client's certificate (RFC 2253), verified or not.
    Subject = 8,
    /// The SHA-256 of that certificate in hexadecimal.
    Fingerprint = 9,
    /// The id of the request.
    RequestId = 10,
}

/// Returns a fact about the client, if there is one.
pub fn client(what: Client) -> Result<Option<String>, Error> {
    optional(host::try_read(|buf, limit| unsafe { host::client_get(what as u32, buf, limit) }))
}

/// A part of the route that serves an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Route {
    Site = 0,
    Route = 1,
    Arm = 2,
    Upstream = 3,
    Function = 4,
}

/// Returns the name of a part of the route, if it has one.
pub fn route(what: Route) -> Result<Option<String>, Error> {
    optional(host::try_read(|buf, limit| unsafe { host::route_get(what as u32, buf, limit) }))
}

/// Has the request served by another arm of the route's split, upstream or function of
/// sluice.yaml than the route says. Of a filter, before it lets the request go on.
pub fn choose(what: Route, name: &str) -> Result<(), Error> {
    check(unsafe { host::route_choose(what as u32, name.as_ptr(), name.len()) }).map(drop)
}

/// Puts a text into the access log's line, under `guest`.
pub fn log_field(name: &str, value: &str) -> Result<(), Error> {
    check(unsafe { host::log_field(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }).map(drop)
}

/// Sends an interim response, 103 Early Hints (RFC 8297), before the response.
pub fn hints(fields: &[(&str, &str)]) -> Result<(), Error> {
    let list = host::pairs(fields);
    check(unsafe { host::hints_send(list.as_ptr(), list.len()) }).map(drop)
}

/// Returns a secret that sluice.yaml names under `allow`.
pub fn secret(name: &str) -> Result<Vec<u8>, Error> {
    host::try_read(|buf, limit| unsafe { host::secret_get(name.as_ptr(), name.len(), buf, limit) })
}
