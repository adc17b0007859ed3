//! The check of a token (RFC 7519, RFC 7515; RFC 8725 for what goes wrong with them).

use crate::base64;
use crate::json::{self, Value};
use crate::keys::Key;
use crate::policy::Policy;
use std::rc::Rc;

/// The longest token, in bytes.
const MAX_TOKEN: usize = 8192;

/// Whole numbers are exact below this one.
const EXACT: f64 = 9007199254740992.0;

/// Why a request is not let through, in the terms of RFC 6750, section 3.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refused {
    pub status: u16,
    pub error: &'static str, // "": there were no credentials
    pub why: &'static str,
}

pub(crate) fn invalid<T>(why: &'static str) -> Result<T, Refused> {
    Err(Refused { status: 401, error: "invalid_token", why })
}

/// What a good token says: the value of each field of the policy that it has one for.
pub type Identity = Vec<(String, String)>;

impl Policy {
    /// Checks the lines of `Authorization` of a request, at a time in seconds of 1970. None: it
    /// is let through without a token.
    pub fn authorize(&self, lines: &[String], now: f64) -> Result<Option<Identity>, Refused> {
        let line = match lines {
            [] => "",
            [line] => line.trim_matches(|c| c == ' ' || c == '\t'),
            _ => return Err(Refused { status: 400, error: "invalid_request", why: "there is more than one Authorization" }),
        };
        match line.split_once(' ') {
            // RFC 9110, section 11.1: the scheme's case does not matter.
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => self.check(token.trim_start_matches(' '), now).map(Some),
            _ if self.anonymous && line.is_empty() => Ok(None),
            _ => Err(Refused { status: 401, error: "", why: "a token is needed" }),
        }
    }

    /// Checks a token.
    pub fn check(&self, token: &str, now: f64) -> Result<Identity, Refused> {
        if token.len() > MAX_TOKEN {
            return invalid("the token is too long");
        }
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let (header, payload, signature) = match parts[..] {
            [h, p, s] => match (base64::decode(h), base64::decode(p), base64::decode(s)) {
                (Some(h), Some(p), Some(s)) => (h, p, s),
                _ => return invalid("the token is malformed"),
            },
            _ => return invalid("the token is malformed"),
        };
        let header = match json::parse(&header) {
            Some(v @ Value::Object(_)) => v,
            _ => return invalid("the token is malformed"),
        };
        let key = self.key(&header)?;
        let signed = &token[..parts[0].len() + 1 + parts[1].len()];
        if !key.verify(signed.as_bytes(), &signature) {
            return invalid("the signature is wrong");
        }
        // Who holds the key has said what follows.
        match json::parse(&payload) {
            Some(claims @ Value::Object(_)) => self.claims(&claims, now),
            _ => invalid("the token is malformed"),
        }
    }

    /// Returns the one key that a token may be signed with. The algorithm is the key's, so that
    /// a token cannot have a public key taken for a secret (RFC 8725, section 3.1).
    fn key(&self, header: &Value) -> Result<Rc<Key>, Refused> {
        if header.get("crit").is_some() {
            return invalid("the token has extensions that are critical"); // RFC 7515, section 4.1.11: none is understood
        }
        // RFC 8725, section 3.11.
        if let Some(want) = &self.typ {
            let typ = header.get("typ").and_then(Value::text).unwrap_or_default();
            let short = match typ.get(..12) {
                Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[12..], // RFC 7515, section 4.1.9
                _ => typ,
            };
            if !short.eq_ignore_ascii_case(want) {
                return invalid("the token is of another type");
            }
        }
        let alg = match header.get("alg") {
            Some(Value::String(alg)) => alg.as_str(),
            _ => return invalid("the token is malformed"),
        };
        let id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.as_str()),
            Some(_) => return invalid("the token is malformed"),
        };
        let key = match &self.published {
            Some(published) => published.find(id)?,
            None => self.given(id)?,
        };
        match key.algorithms().contains(&alg) {
            true => Ok(key),
            false => invalid("the token's algorithm is not that of the key"),
        }
    }

    /// Returns the key of the configuration that a token names.
    fn given(&self, id: Option<&str>) -> Result<Rc<Key>, Refused> {
        let mut fit = self.keys.iter().filter(|k| match (k.id.as_deref(), id) {
            (Some(have), Some(want)) => have == want,
            _ => true, // a key that has no kid is the only one
        });
        match (fit.next(), fit.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => invalid("the token's key is unknown"),
            _ => invalid("the token does not name its key"),
        }
    }

    fn claims(&self, claims: &Value, now: f64) -> Result<Identity, Refused> {
        match claims.get("exp") {
            Some(Value::Number(exp)) if now < exp + self.leeway => (), // RFC 7519, section 4.1.4
            Some(Value::Number(_)) => return invalid("the token has expired"),
            Some(_) => return invalid("the token is malformed"),
            None => return invalid("the token does not expire"),
        }
        match claims.get("nbf") {
            None => (),
            Some(Value::Number(nbf)) if now >= nbf - self.leeway => (), // section 4.1.5
            Some(Value::Number(_)) => return invalid("the token is not valid yet"),
            Some(_) => return invalid("the token is malformed"),
        }
        match claims.get("iss").and_then(Value::text) {
            Some(iss) if self.issuers.iter().any(|want| want == iss) => (),
            _ => return invalid("the token is of another issuer"),
        }
        // Section 4.1.3: a token for somebody is not for anybody else. One for nobody in
        // particular is not for us, if we have a name.
        let audiences = match claims.get("aud") {
            None => Vec::new(),
            Some(aud) => match aud.texts() {
                Some(all) => all,
                None => return invalid("the token is malformed"),
            },
        };
        let ours = audiences.iter().any(|aud| self.audiences.iter().any(|want| want == aud));
        if !ours && !(audiences.is_empty() && self.audiences.is_empty()) {
            return invalid("the token is for somebody else");
        }
        let scopes: Vec<&str> = match claims.get("scope") {
            Some(v) => v.texts().unwrap_or_default().into_iter().flat_map(|s| s.split(' ')).collect(), // RFC 8693, section 4.2
            None => Vec::new(),
        };
        if self.scopes.iter().any(|want| !scopes.contains(&want.as_str())) {
            return Err(Refused { status: 403, error: "insufficient_scope", why: "the token is not for this" });
        }
        let mut identity = Vec::new();
        for (field, claim) in &self.fields {
            let v = match claims.get(claim) {
                None | Some(Value::Null) => continue,
                Some(Value::String(s)) => s.clone(),
                // What is not exact here could be another one's number.
                Some(Value::Number(n)) if n.fract() == 0.0 && n.abs() < EXACT => n.to_string(),
                Some(Value::Bool(b)) => b.to_string(),
                Some(v) => match v.texts() {
                    Some(all) => all.join(" "),
                    None => return invalid("a claim cannot be a field"),
                },
            };
            // A line of its own could follow (RFC 9110, section 5.5).
            if v.chars().any(char::is_control) {
                return invalid("a claim cannot be a field");
            }
            identity.push((field.clone(), v));
        }
        Ok(identity)
    }

    /// The challenge of a response that refuses (RFC 6750, section 3).
    pub fn challenge(&self, r: &Refused) -> String {
        let mut challenge = format!("Bearer realm=\"{}\"", self.realm);
        if !r.error.is_empty() {
            challenge += &format!(", error=\"{}\", error_description=\"{}\"", r.error, r.why);
        }
        if r.status == 403 {
            challenge += &format!(", scope=\"{}\"", self.scopes.join(" "));
        }
        challenge
    }
}
