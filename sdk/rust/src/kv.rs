//! Keys and values, on disk: they last over restarts and new versions of a module. sluice.yaml
//! grants namespaces under `allow: { kv: [...] }`.

use crate::host;
use crate::proxy::{check, check64, list, Error};
use std::cell::Cell;
use std::time::Duration;

/// What version a key must have, to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The key is not there.
    Absent,
    /// It has this version.
    Version(i64),
}

impl When {
    fn number(self) -> i64 {
        match self {
            When::Always => -1,
            When::Absent => 0,
            When::Version(v) => v,
        }
    }
}

/// A value, and the version of its key: a number that no other state of any key has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub version: i64,
}

/// A namespace.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a>(pub &'a str);

impl Namespace<'_> {
    /// Returns what a key has.
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry>, Error> {
        let version = Cell::new(0);
        let value = host::try_read(|buf, limit| unsafe {
            host::kv_get(self.0.as_ptr(), self.0.len(), key.as_ptr(), key.len(), buf, limit, version.as_ptr())
        });
        match value {
            Ok(value) => Ok(Some(Entry { value, version: version.get() })),
            Err(Error::None) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Changes a key and returns its new version; [`Error::Conflict`] if it does not have the
    /// version that is asked for. Without `ttl` it lasts for ever.
    pub fn set(&self, key: &[u8], value: &[u8], ttl: Option<Duration>, when: When) -> Result<i64, Error> {
        check64(unsafe {
            host::kv_set(self.0.as_ptr(), self.0.len(), key.as_ptr(), key.len(), value.as_ptr(), value.len(), milliseconds(ttl), when.number())
        })
    }

    /// Deletes a key; [`Error::None`] if it is not there.
    pub fn delete(&self, key: &[u8], when: When) -> Result<(), Error> {
        check(unsafe { host::kv_delete(self.0.as_ptr(), self.0.len(), key.as_ptr(), key.len(), when.number()) }).map(drop)
    }

    /// Adds to a number, 0 if it is not there, and returns the sum. `ttl` is that of a number
    /// that was not there.
    pub fn add(&self, key: &[u8], delta: i64, ttl: Option<Duration>) -> Result<i64, Error> {
        let mut sum = 0;
        check(unsafe { host::kv_add(self.0.as_ptr(), self.0.len(), key.as_ptr(), key.len(), delta, milliseconds(ttl), &mut sum) })?;
        Ok(sum)
    }

    /// Returns the next keys with a prefix that come after a key (empty for the first), in order
    /// of their bytes: some, or none at the end.
    pub fn list(&self, prefix: &[u8], after: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        list(|buf, limit| unsafe {
            host::kv_list(self.0.as_ptr(), self.0.len(), prefix.as_ptr(), prefix.len(), after.as_ptr(), after.len(), buf, limit)
        })
    }
}

/// 0 is for ever, so what is shorter than a millisecond is one.
fn milliseconds(ttl: Option<Duration>) -> i64 {
    match ttl {
        None => 0,
        Some(d) => d.as_millis().clamp(1, i64::MAX as u128) as i64,
    }
}
