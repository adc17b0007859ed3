//! For filters in Rust: modules of the http-wasm ABI, which see each request, may
//! change it or answer it, and see the response. No crate is needed besides, and the
//! compiler's target is `wasm32-unknown-unknown`:
//!
//! ```ignore
//! use sluice::{Exchange, Filter, Verdict};
//!
//! struct Greet {
//!     greeting: String,
//! }
//!
//! impl Filter for Greet {
//!     fn configure(config: &[u8]) -> Result<Self, String> {
//!         let greeting = String::from_utf8(config.to_vec()).map_err(|e| e.to_string())?;
//!         Ok(Greet { greeting })
//!     }
//!
//!     fn request(&self, x: &mut Exchange) -> Verdict {
//!         x.request.fields.set("X-Greeting", &self.greeting);
//!         Verdict::Next
//!     }
//! }
//!
//! sluice::filter!(Greet);
//! ```
//!
//! Each exchange gets an instance of the module as it was after [`Filter::configure`]:
//! what a filter keeps in statics lasts for one exchange.
//!
//! What is not allowed traps: the exchange is answered with 502, or goes on as if the
//! filter were not there, as `on-error` in sluice.yaml says. A panic is a trap, too, and
//! its message is logged.
//!
//! Values of fields are texts. What is no UTF-8 in them is replaced by U+FFFD;
//! [`Fields::values_raw`] has the bytes.
//!
//! The modules [`kv`], [`fetch`], [`metrics`] and the functions of [`proxy`] are for what
//! a filter does besides; sluice.yaml grants most of it under `allow`. [`system`] has a clock
//! and random numbers.

pub mod fetch;
mod guest;
mod host;
pub mod kv;
mod message;
pub mod metrics;
pub mod proxy;
pub mod system;

#[doc(hidden)]
pub use guest::Guest;
pub use message::{Body, Fields, Request, Response};

use std::any::Any;
use std::ops::BitOr;

/// What a module does.
pub trait Filter: Sized + 'static {
    /// What the filter needs in every exchange.
    const FEATURES: Features = Features::NONE;

    /// Makes the filter, once, before any exchange. It is given the string that stands
    /// under `config` in sluice.yaml, or the JSON of any other value; nothing if there is
    /// none. An error keeps the module from being used, and is shown to who uploads it.
    fn configure(config: &[u8]) -> Result<Self, String>;

    /// Sees a request before the next handler.
    fn request(&self, x: &mut Exchange) -> Verdict {
        let _ = x;
        Verdict::Next
    }

    /// Sees the response of the next handler, also that to its failure. It may change the
    /// response only with [`Features::BUFFER_RESPONSE`]. It is not called after
    /// [`Verdict::Stop`].
    fn response(&self, x: &mut Exchange) {
        let _ = x;
    }
}

/// Makes a type that implements [`Filter`] the module's filter. It is used once in a
/// crate of type `cdylib`.
#[macro_export]
macro_rules! filter {
    ($filter:ty) => {
        static SLUICE_GUEST: $crate::Guest<$filter> = $crate::Guest::new();

        #[no_mangle]
        pub extern "C" fn _initialize() {
            SLUICE_GUEST.initialize();
        }

        #[no_mangle]
        pub extern "C" fn handle_request() -> u64 {
            SLUICE_GUEST.handle_request()
        }

        #[no_mangle]
        pub extern "C" fn handle_response(context: u32, failed: u32) {
            SLUICE_GUEST.handle_response(context, failed != 0)
        }
    };
}

/// What a host does only if asked. They are combined with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    pub const NONE: Features = Features(0);
    /// Keeps what is read of a request's content, for the next handler.
    pub const BUFFER_REQUEST: Features = Features(1);
    /// Lets [`Filter::response`] read and change the response.
    pub const BUFFER_RESPONSE: Features = Features(2);
    /// Gives access to trailers.
    pub const TRAILERS: Features = Features(4);

    /// Reports whether all of `other` are among these.
    pub fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Features {
    type Output = Features;
    fn bitor(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer with the response: 200 and no content unless it was changed.
    Stop,
    /// Go on to the next handler.
    Next,
}

/// One request and its response.
pub struct Exchange {
    pub request: Request,
    pub response: Response,

    /// The filter's own: what [`Filter::request`] leaves here [`Filter::response`] finds.
    pub value: Option<Box<dyn Any>>,

    failed: bool,
}

impl Exchange {
    fn new() -> Exchange {
        Exchange { request: Request::new(), response: Response::new(), value: None, failed: false }
    }

    /// Asks for features in this exchange alone. Returns all that are enabled.
    pub fn enable(&mut self, features: Features) -> Features {
        Features(unsafe { host::enable_features(features.0) })
    }

    /// Reports whether the next handler has failed. Valid in [`Filter::response`].
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// Makes a response of a status and plain text, and returns [`Verdict::Stop`].
    pub fn answer(&mut self, status: u16, text: &str) -> Verdict {
        self.response.set_status(status);
        self.response.fields.set("Content-Type", "text/plain; charset=utf-8");
        self.response.body.write(text.as_bytes());
        Verdict::Stop
    }

    /// Makes a response that names another place to go to, with the status 301, 302, 303,
    /// 307 or 308, and returns [`Verdict::Stop`].
    pub fn redirect(&mut self, status: u16, location: &str) -> Verdict {
        self.response.set_status(status);
        self.response.fields.set("Location", location);
        Verdict::Stop
    }
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    Debug = -1,
    Info = 0,
    Warn = 1,
    Error = 2,
}

/// Logs a message. The host may want none of its level; see [`logs`].
pub fn log(level: Level, message: &str) {
    unsafe { host::log(level as i32, message.as_ptr(), message.len()) }
}

/// Reports whether the host wants messages of a level, for those that are costly to make.
pub fn logs(level: Level) -> bool {
    unsafe { host::log_enabled(level as i32) != 0 }
}

/// Reports whether two values are the same. It takes as long whatever they have in
/// common, so that nobody can guess a secret by the time.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut differ = 0u8;
    for (a, b) in a.iter().zip(b) {
        // The compiler must not see that nothing can change any more.
        differ = unsafe { std::ptr::read_volatile(&differ) } | (a ^ b);
    }
    differ == 0
}
