//! A clock, to the millisecond, and random numbers, of WASI: what the target has none of by
//! itself. They need no grant, and a module imports only those that it calls.

use crate::host;
use std::time::Duration;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

fn clock(id: u32) -> Duration {
    let mut time = 0;
    if unsafe { host::clock_time_get(id, 1, &mut time) } != 0 {
        host::trap();
    }
    Duration::from_nanos(time)
}

/// Returns the time since 1970, as the proxy's clock has it.
pub fn now() -> Duration {
    clock(REALTIME)
}

/// Returns a time that only ever grows, for measuring: what it counts from means nothing.
pub fn monotonic() -> Duration {
    clock(MONOTONIC)
}

/// Fills a buffer with random numbers of the system's, which are good enough for secrets.
/// A filter that draws in [`Filter::configure`](crate::Filter::configure) is initialised for each exchange anew, which takes
/// longer, so that no two have them in common.
pub fn random(buf: &mut [u8]) {
    if unsafe { host::random_get(buf.as_mut_ptr(), buf.len()) } != 0 {
        host::trap();
    }
}
