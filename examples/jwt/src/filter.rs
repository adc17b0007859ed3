//! The filter around what checks tokens.

use crate::policy::Policy;
use crate::token::Refused;
use sluice::{proxy, system, Exchange, Filter, Verdict};

struct Jwt(Policy);

impl Filter for Jwt {
    fn configure(config: &[u8]) -> Result<Self, String> {
        #[cfg(feature = "jwks")]
        return Policy::read_in(config, Some(Box::new(world::Proxy))).map(Jwt);
        #[cfg(not(feature = "jwks"))]
        Policy::read(config).map(Jwt)
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let fields = &mut x.request.fields;
        for (name, _) in &self.0.fields {
            fields.del(name); // only we say who somebody is
        }
        match self.0.authorize(&fields.values("Authorization"), system::now().as_secs_f64()) {
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
        if r.status < 500 {
            x.response.fields.set("WWW-Authenticate", self.0.challenge(r));
        }
        x.answer(r.status, &format!("{}: {}\n", r.status, r.why))
    }
}

/// What fetches keys, and keeps them in a namespace.
#[cfg(feature = "jwks")]
mod world {
    use crate::jwks::{Source, World, MAX_SET};
    use sluice::fetch::Fetch;
    use sluice::kv::{Namespace, When};
    use sluice::Level;
    use std::time::Duration;

    const KEPT: Namespace = Namespace("jwt");

    #[derive(Debug)]
    pub struct Proxy;

    impl World for Proxy {
        fn get(&self, name: &str) -> Option<Vec<u8>> {
            KEPT.get(name.as_bytes()).ok()?.map(|e| e.value)
        }

        fn keep(&self, name: &str, value: &[u8], seconds: u64) {
            if let Err(e) = KEPT.set(name.as_bytes(), value, Some(Duration::from_secs(seconds)), When::Always) {
                self.log(&format!("{} is not kept: {}", name, e));
            }
        }

        fn count(&self, name: &str, seconds: u64) -> i64 {
            KEPT.add(name.as_bytes(), 1, Some(Duration::from_secs(seconds))).unwrap_or(i64::MAX)
        }

        fn fetch(&self, from: &Source) -> Result<Vec<u8>, String> {
            let host: Vec<(&str, &str)> = from.host.iter().map(|h| ("Host", h.as_str())).collect();
            let ask = Fetch { fields: &host, timeout: Some(Duration::from_secs(5)), ..Fetch::get(&from.upstream, &from.uri) };
            let mut r = ask.send(b"").map_err(|e| e.to_string())?;
            match r.status() {
                Ok(200) => r.read_all(MAX_SET).map_err(|e| e.to_string()),
                Ok(status) => Err(format!("the upstream has answered {}", status)),
                Err(e) => Err(e.to_string()),
            }
        }

        fn log(&self, text: &str) {
            sluice::log(Level::Warn, text);
        }
    }
}

sluice::filter!(Jwt);
