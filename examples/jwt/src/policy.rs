//! Which tokens are good: the filter's configuration.

use crate::json::{self, Value};
use crate::jwks::{Published, Source, World};
use crate::keys::{self, Key};
use std::rc::Rc;

/// How far clocks may differ if the configuration does not say, and the most, in seconds.
const LEEWAY: f64 = 30.0;
const MAX_LEEWAY: f64 = 600.0;

/// The configuration. See README.md.
#[derive(Debug)]
pub struct Policy {
    pub keys: Vec<Rc<Key>>,
    pub published: Option<Published>, // instead of keys
    pub issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub typ: Option<String>,
    pub scopes: Vec<String>,
    pub leeway: f64,                   // in seconds
    pub fields: Vec<(String, String)>, // name of the field, claim
    pub anonymous: bool,
    pub forward: bool,
    pub realm: String,
}

impl Policy {
    pub fn read(config: &[u8]) -> Result<Policy, String> {
        Policy::read_in(config, None)
    }

    /// Reads a configuration where keys can be fetched, if there is a world.
    pub fn read_in(config: &[u8], mut world: Option<Box<dyn World>>) -> Result<Policy, String> {
        let v = json::parse(config).ok_or("config is not a map, or has a name twice")?;
        let members = v.members().ok_or("config is not a map")?;
        let mut p = Policy {
            keys: Vec::new(),
            published: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            typ: None,
            scopes: Vec::new(),
            leeway: LEEWAY,
            fields: vec![("X-User".into(), "sub".into())],
            anonymous: false,
            forward: true,
            realm: "sluice".into(),
        };
        for (name, v) in members {
            match name.as_str() {
                "keys" => p.keys = keys::read(v)?.into_iter().map(Rc::new).collect(),
                "jwks" => {
                    let world = world.take().ok_or("jwks: this module is built without that; ./build.sh jwks.wasm jwks makes one with it")?;
                    p.published = Some(Published { source: Source::read(v)?, world });
                }
                "issuer" => p.issuers = texts(name, v)?,
                "audience" => p.audiences = texts(name, v)?,
                "typ" => p.typ = Some(v.text().ok_or("typ: want a text")?.into()),
                "scopes" => p.scopes = texts(name, v)?,
                "leeway" => match v.number() {
                    Some(n) if (0.0..=MAX_LEEWAY).contains(&n) => p.leeway = n,
                    _ => return Err(format!("leeway: want seconds, up to {}", MAX_LEEWAY)),
                },
                "fields" => p.fields = fields(v)?,
                "anonymous" => p.anonymous = v.bool().ok_or("anonymous: want true or false")?,
                "forward" => p.forward = v.bool().ok_or("forward: want true or false")?,
                "realm" => p.realm = quotable(name, v.text())?,
                _ => return Err(format!("there is no {:?}", name)),
            }
        }
        match (p.keys.is_empty(), &p.published) {
            (true, None) => return Err("keys is missing".into()),
            (false, Some(_)) => return Err("keys and jwks: want one of them".into()),
            _ => (),
        }
        if p.issuers.is_empty() {
            return Err("issuer is missing: keys are somebody's (RFC 8725, section 3.8)".into());
        }
        Ok(p)
    }
}

fn texts(name: &str, v: &Value) -> Result<Vec<String>, String> {
    match v.texts() {
        Some(all) if !all.is_empty() => all.into_iter().map(|s| quotable(name, Some(s))).collect(),
        _ => Err(format!("{}: want a text, or a list of them", name)),
    }
}

/// A text that can stand between quotes in a field (RFC 6750, section 3).
fn quotable(name: &str, text: Option<&str>) -> Result<String, String> {
    match text {
        Some(s) if !s.is_empty() && s.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\') => Ok(s.into()),
        _ => Err(format!("{}: want a text of ASCII without quotes and backslashes", name)),
    }
}

fn fields(v: &Value) -> Result<Vec<(String, String)>, String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, claim) in v.members().ok_or("fields: want a map of fields to claims")? {
        let claim = claim.text().ok_or_else(|| format!("fields.{}: want the name of a claim", name))?;
        // RFC 9110, section 5.6.2; these are the connection's, or carry the token.
        let token = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c));
        let taken = ["authorization", "host", "content-length", "transfer-encoding", "connection"].contains(&name.to_ascii_lowercase().as_str());
        if !token || taken || all.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            return Err(format!("fields: {:?} is not the name of a field, is there twice, or has another meaning", name));
        }
        all.push((name.clone(), claim.into()));
    }
    Ok(all)
}
