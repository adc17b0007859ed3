//! Lets only requests through that carry an API key. The configuration has a user and a key on
//! each line.

use sluice::{Exchange, Filter, Verdict};

struct Auth {
    keys: Vec<(String, String)>, // user and key
}

impl Filter for Auth {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(config).map_err(|e| e.to_string())?;
        let mut keys = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.split_once(' ') {
                Some((user, key)) if !user.is_empty() && !key.is_empty() => keys.push((user.to_string(), key.to_string())),
                _ => return Err("want a user, a space and a key on each line".to_string()),
            }
        }
        if keys.is_empty() {
            return Err("want a user, a space and a key on each line".to_string());
        }
        Ok(Auth { keys })
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let fields = &mut x.request.fields;
        fields.del("X-User"); // only we say who somebody is
        let key = fields.get("X-Api-Key").unwrap_or_default();
        match self.keys.iter().find(|(_, want)| sluice::equal(key.as_bytes(), want.as_bytes())) {
            Some((user, _)) => {
                fields.set("X-User", user);
                fields.del("X-Api-Key"); // the origin need not know it
                Verdict::Next
            }
            None => {
                x.response.fields.set("WWW-Authenticate", "ApiKey");
                x.answer(401, "401 Unauthorized\n")
            }
        }
    }
}

sluice::filter!(Auth);
