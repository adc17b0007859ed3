//! The filter around what checks tokens.

use crate::policy::Policy;
use crate::token::Refused;
use sluice::{proxy, Exchange, Filter, Verdict};

struct Jwt(Policy);

impl Filter for Jwt {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Policy::read(config).map(Jwt)
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let fields = &mut x.request.fields;
        for (name, _) in &self.0.fields {
            fields.del(name); // only we say who somebody is
        }
        match self.0.authorize(&fields.values("Authorization"), now()) {
            Ok(None) => Verdict::Next,
            Ok(Some(identity)) => {
                for (name, value) in identity {
                    fields.set(&name, value);
                }
                if !self.0.forward {
                    fields.del("Authorization");
                }
                Verdict::Next
            }
            Err(refused) => self.refuse(x, &refused),
        }
    }
}

impl Jwt {
    fn refuse(&self, x: &mut Exchange, r: &Refused) -> Verdict {
        // It goes into the access log; without a request there is none, and nothing is lost.
        let _ = proxy::log_field("jwt", r.why);
        x.response.fields.set("WWW-Authenticate", self.0.challenge(r));
        x.answer(r.status, &format!("{}: {}\n", r.status, r.why))
    }
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// The time in seconds of 1970. Rust's own clock is not to be had on this target.
fn now() -> f64 {
    let mut time = 0;
    match unsafe { clock_time_get(0, 1_000_000, &mut time) } {
        0 => time as f64 / 1e9,
        _ => f64::INFINITY, // all tokens have expired
    }
}

sluice::filter!(Jwt);
