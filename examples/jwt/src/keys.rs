//! Keys as JSON (RFC 7517).

use crate::json::Value;
use crate::sha2::{equal, hmac_sha256};
use crate::{base64, ed25519, p256, rsa};

/// A key, which is for one algorithm, whatever a token says.
#[derive(Debug)]
pub struct Key {
    pub id: Option<String>,
    check: Check,
}

#[derive(Debug)]
enum Check {
    Hs256(Vec<u8>),
    Rs256(rsa::Key),
    Es256(Box<p256::Key>),
    EdDsa(Box<ed25519::Key>),
}

impl Key {
    /// The names of the key's algorithm, the second by RFC 9864.
    pub fn algorithms(&self) -> &'static [&'static str] {
        match self.check {
            Check::Hs256(_) => &["HS256"],
            Check::Rs256(_) => &["RS256"],
            Check::Es256(_) => &["ES256"],
            Check::EdDsa(_) => &["EdDSA", "Ed25519"],
        }
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.check {
            Check::Hs256(key) => equal(&hmac_sha256(key, message), signature),
            Check::Rs256(key) => key.verify(message, signature),
            Check::Es256(key) => key.verify(message, signature),
            Check::EdDsa(key) => key.verify(message, signature),
        }
    }
}

/// Reads a set of keys, `{"keys": [...]}` or the list alone. What is not for signatures, or of a
/// type that is unknown, is left out (RFC 7517, section 5).
pub fn read(v: &Value) -> Result<Vec<Key>, String> {
    let list = match v.get("keys").unwrap_or(v) {
        Value::Array(list) => list,
        _ => return Err("keys: want a list of keys (RFC 7517), or { keys: [...] }".into()),
    };
    let mut keys: Vec<Key> = Vec::new();
    for (i, v) in list.iter().enumerate() {
        let key = match key(v).map_err(|e| format!("keys[{}]: {}", i, e))? {
            Some(key) => key,
            None => continue,
        };
        if key.id.is_some() && keys.iter().any(|k| k.id == key.id) {
            return Err(format!("keys[{}]: there is another one with this kid", i));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err("keys: there is no key of HS256, RS256, ES256 or EdDSA".into());
    }
    // Each token is checked with one key.
    if keys.len() > 1 && keys.iter().any(|k| k.id.is_none()) {
        return Err("keys: of several keys each needs a kid".into());
    }
    Ok(keys)
}

/// Reads one key; none: it is not for signatures, or of a type that is unknown.
pub fn key(v: &Value) -> Result<Option<Key>, String> {
    if v.members().is_none() {
        return Err("want a key (RFC 7517)".into());
    }
    let text = |name: &str| v.get(name).and_then(Value::text);
    let bytes = |name: &str| text(name).and_then(base64::decode).ok_or(format!("{} is missing, or not in base64url", name));
    if text("use").map_or(false, |u| u != "sig") {
        return Ok(None);
    }
    let kty = text("kty").ok_or("kty is missing")?;
    if kty != "oct" && v.get("d").is_some() {
        return Err("this is a private key, which the proxy does not need: take d and what follows out".into());
    }
    let check = match (kty, text("crv")) {
        ("oct", _) => {
            let k = bytes("k")?;
            if k.len() < 32 {
                return Err("k has less than 32 bytes (RFC 7518, section 3.2)".into());
            }
            Check::Hs256(k)
        }
        ("RSA", _) => Check::Rs256(rsa::Key::new(&bytes("n")?, &bytes("e")?)?),
        ("EC", Some("P-256")) => Check::Es256(Box::new(p256::Key::new(&bytes("x")?, &bytes("y")?)?)),
        ("OKP", Some("Ed25519")) => Check::EdDsa(Box::new(ed25519::Key::new(&bytes("x")?)?)),
        _ => return Ok(None),
    };
    let id = match v.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err("kid is not a text".into()),
    };
    let key = Key { id, check };
    match text("alg") {
        Some(alg) if !key.algorithms().contains(&alg) => Err(format!("alg is {:?}, and a key of this type is used for {}", alg, key.algorithms()[0])),
        _ => Ok(Some(key)),
    }
}
