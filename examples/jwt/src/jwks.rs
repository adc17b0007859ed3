//! Keys that somebody publishes as a set (RFC 7517), and changes: they are fetched, kept in the
//! proxy for all requests, and fetched anew when they are old, or when a token names one that is
//! not among them. However many tokens come, whoever made them, that is once in [`PAUSE`].

use crate::json::{self, Value};
use crate::keys::{self, Key};
use crate::token::{invalid, Refused};
use std::fmt::Debug;
use std::rc::Rc;

/// The least time between two fetches, in seconds.
pub const PAUSE: u64 = 30;

/// How many requests may fetch in that time while there is no set at all: they come at once when
/// a proxy is new, and would have to be refused.
const COLD: i64 = 10;

/// How long a set is used that cannot be fetched anew, in seconds.
pub const STALE: u64 = 24 * 3600;

/// The longest set, in bytes.
pub const MAX_SET: usize = 64 << 10;

/// Where keys are published.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub upstream: String,
    pub uri: String,
    pub host: Option<String>, // that is asked for; the upstream's name otherwise
    pub fresh: u64,           // seconds for which a set is good
}

/// What the proxy has for that.
pub trait World: Debug {
    fn get(&self, name: &str) -> Option<Vec<u8>>;
    fn keep(&self, name: &str, value: &[u8], seconds: u64);
    /// Counts from 1 on, and begins anew so many seconds after that.
    fn count(&self, name: &str, seconds: u64) -> i64;
    fn fetch(&self, from: &Source) -> Result<Vec<u8>, String>;
    fn log(&self, text: &str);
}

#[derive(Debug)]
pub struct Published {
    pub source: Source,
    pub world: Box<dyn World>,
}

impl Published {
    /// Returns the key of a token that names one, or names none.
    pub fn find(&self, id: Option<&str>) -> Result<Rc<Key>, Refused> {
        let known = self.world.get(&self.name("set"));
        let set = match known {
            Some(set) if self.world.get(&self.name("fresh")).is_some() => set,
            Some(old) => self.refresh(1).unwrap_or(old),
            None => match self.refresh(COLD) {
                Some(set) => set,
                None => return Err(Refused { status: 503, error: "", why: "the keys cannot be fetched" }),
            },
        };
        if let Some(key) = pick(&set, id)? {
            return Ok(key);
        }
        // It may be newer than the set.
        match self.refresh(1).map(|set| pick(&set, id)) {
            Some(Ok(Some(key))) => Ok(key),
            Some(Err(refused)) => Err(refused),
            _ => invalid("the token's key is unknown"),
        }
    }

    /// Fetches the set, unless that was done often enough.
    fn refresh(&self, most: i64) -> Option<Vec<u8>> {
        let asked = self.name("asked");
        let so_far = self.world.get(&asked).and_then(|n| String::from_utf8(n).ok()?.parse::<i64>().ok());
        // Looking is cheap, and counting is a write. Of two who look at once one counts more.
        if so_far.unwrap_or(0) >= most || self.world.count(&asked, PAUSE) > most {
            return None;
        }
        let fetched = self.world.fetch(&self.source).and_then(|set| match usable(&set) {
            Some(all) if !all.is_empty() => Ok(set),
            _ => Err("what came is no set with a key of RS256, ES256 or EdDSA".into()),
        });
        match fetched {
            Ok(set) => {
                self.world.keep(&self.name("set"), &set, STALE);
                self.world.keep(&self.name("fresh"), b"", self.source.fresh);
                Some(set)
            }
            Err(e) => {
                self.world.log(&format!("keys of {}{}: {}", self.source.upstream, self.source.uri, e));
                None
            }
        }
    }

    /// What a thing is kept under: several filters may share what they have.
    fn name(&self, what: &str) -> String {
        format!("{} {}{}", what, self.source.upstream, self.source.uri)
    }
}

/// The keys of a set that can check signatures. Others are left out (RFC 7517, section 5), and so are
/// secrets and private keys: whoever reads them could sign.
fn usable(set: &[u8]) -> Option<Vec<Value>> {
    let members = match json::parse(set)? {
        Value::Object(members) => members,
        _ => return None,
    };
    let all = match members.into_iter().find(|(name, _)| name == "keys")?.1 {
        Value::Array(all) => all,
        _ => return None,
    };
    let good = |v: &Value| {
        let text = |name: &str| v.get(name).and_then(Value::text);
        let known = matches!((text("kty"), text("crv")), (Some("RSA"), _) | (Some("EC"), Some("P-256")) | (Some("OKP"), Some("Ed25519")));
        known && v.get("d").is_none() && text("use").map_or(true, |u| u == "sig")
    };
    Some(all.into_iter().filter(good).collect())
}

/// Makes the key that a token names: none of the others, since each takes time.
fn pick(set: &[u8], id: Option<&str>) -> Result<Option<Rc<Key>>, Refused> {
    let all = usable(set).unwrap_or_default();
    let fits = |v: &&Value| match (v.get("kid"), id) {
        (Some(have), Some(want)) => have.text() == Some(want),
        _ => all.len() == 1, // RFC 7515, section 4.1.4: it names no key, and there is one
    };
    let mut fit = all.iter().filter(fits);
    match (fit.next(), fit.next()) {
        (Some(v), None) => Ok(keys::key(v).ok().flatten().map(Rc::new)),
        (Some(_), Some(_)) => invalid("the token does not name its key"),
        (None, _) if id.is_none() && all.len() > 1 => invalid("the token does not name its key"),
        (None, _) => Ok(None),
    }
}

impl Source {
    pub fn read(v: &Value) -> Result<Source, String> {
        let mut s = Source { upstream: String::new(), uri: String::new(), host: None, fresh: 600 };
        for (name, v) in v.members().ok_or("jwks: want a map of upstream and uri")? {
            let text = v.text().map(str::to_string).ok_or_else(|| format!("jwks.{}: want a text", name));
            match name.as_str() {
                "upstream" => s.upstream = text?,
                "uri" => s.uri = text?,
                "host" => s.host = Some(text?),
                "fresh" => match v.number() {
                    Some(n) if (PAUSE as f64..=STALE as f64).contains(&n) => s.fresh = n as u64,
                    _ => return Err(format!("jwks.fresh: want seconds, from {} to {}", PAUSE, STALE)),
                },
                _ => return Err(format!("jwks: there is no {:?}", name)),
            }
        }
        if s.upstream.is_empty() || !s.uri.starts_with('/') {
            return Err("jwks: want the name of an upstream, and a uri that begins with /".into());
        }
        Ok(s)
    }
}
