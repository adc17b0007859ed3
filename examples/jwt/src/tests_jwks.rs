//! Tests of keys that are published.

use crate::jwks::{Published, Source, World, PAUSE, STALE};
use crate::policy::Policy;
use crate::token::Refused;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A proxy whose time stands still unless it is moved on.
#[derive(Debug, Default)]
struct Fake {
    now: u64,
    kept: BTreeMap<String, (Vec<u8>, u64)>, // and when it is gone
    served: Option<String>,                 // by the upstream; none: it is down
    fetched: usize,
    logged: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Rc<RefCell<Fake>>);

impl World for Shared {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let f = self.0.borrow();
        f.kept.get(name).filter(|(_, gone)| *gone > f.now).map(|(v, _)| v.clone())
    }

    fn keep(&self, name: &str, value: &[u8], seconds: u64) {
        let mut f = self.0.borrow_mut();
        let gone = f.now + seconds;
        f.kept.insert(name.into(), (value.into(), gone));
    }

    fn count(&self, name: &str, seconds: u64) -> i64 {
        let n = self.get(name).map_or(0, |v| String::from_utf8(v).unwrap().parse::<i64>().unwrap()) + 1;
        let mut f = self.0.borrow_mut();
        let gone = if n == 1 { f.now + seconds } else { f.kept[name].1 };
        f.kept.insert(name.into(), (n.to_string().into_bytes(), gone));
        n
    }

    fn fetch(&self, from: &Source) -> Result<Vec<u8>, String> {
        assert_eq!((from.upstream.as_str(), from.uri.as_str()), ("id", "/keys"));
        let mut f = self.0.borrow_mut();
        f.fetched += 1;
        f.served.clone().map(String::into_bytes).ok_or_else(|| "it is down".into())
    }

    fn log(&self, text: &str) {
        self.0.borrow_mut().logged.push(text.into());
    }
}

impl Shared {
    fn published(&self) -> Published {
        let source = Source { upstream: "id".into(), uri: "/keys".into(), host: None, fresh: 600 };
        Published { source, world: Box::new(self.clone()) }
    }

    fn serve(&self, set: &str) {
        self.0.borrow_mut().served = Some(set.into());
    }

    fn pass(&self, seconds: u64) {
        self.0.borrow_mut().now += seconds;
    }

    fn fetched(&self) -> usize {
        self.0.borrow().fetched
    }
}

fn why(r: Result<Rc<crate::keys::Key>, Refused>) -> String {
    match r {
        Ok(key) => key.id.clone().unwrap_or_default(),
        Err(r) => format!("{} {}", r.status, r.why),
    }
}

const UNKNOWN: &str = "401 the token's key is unknown";
const AMBIGUOUS: &str = "401 the token does not name its key";

fn ed(kid: &str) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#, kid)
}

fn set(kids: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, kids.iter().map(|k| ed(k)).collect::<Vec<_>>().join(","))
}

#[test]
fn fetched_once() {
    let w = Shared::default();
    w.serve(&set(&["a", "b"]));
    let p = w.published();
    for _ in 0..100 {
        assert_eq!(why(p.find(Some("a"))), "a");
        assert_eq!(why(p.find(Some("b"))), "b");
        w.pass(1);
    }
    assert_eq!(w.fetched(), 1);
    w.pass(600); // it is not fresh any more
    assert_eq!(why(p.find(Some("a"))), "a");
    assert_eq!(why(p.find(Some("a"))), "a");
    assert_eq!(w.fetched(), 2);
}

#[test]
fn rotated() {
    let w = Shared::default();
    w.serve(&set(&["a"]));
    let p = w.published();
    assert_eq!(why(p.find(Some("a"))), "a");
    w.pass(PAUSE);
    w.serve(&set(&["b"]));
    assert_eq!(why(p.find(Some("b"))), "b"); // unknown: fetched at once
    assert_eq!(why(p.find(Some("a"))), UNKNOWN); // it was taken back
    assert_eq!(w.fetched(), 2);

    // Whatever others name, that is not more than once in a pause.
    for n in 0..1000 {
        assert_eq!(why(p.find(Some(&n.to_string()))), UNKNOWN);
    }
    assert_eq!(w.fetched(), 2);
    w.pass(PAUSE);
    for n in 0..1000 {
        assert_eq!(why(p.find(Some(&n.to_string()))), UNKNOWN);
    }
    assert_eq!(w.fetched(), 3);
    assert_eq!(why(p.find(Some("b"))), "b");
}

#[test]
fn unreachable() {
    let w = Shared::default();
    let p = w.published();
    for _ in 0..50 {
        assert_eq!(why(p.find(Some("a"))), "503 the keys cannot be fetched");
    }
    assert_eq!(w.fetched(), 10); // and no more
    w.serve(&set(&["a"]));
    w.pass(PAUSE);
    assert_eq!(why(p.find(Some("a"))), "a");
    assert_eq!(w.fetched(), 11);

    // What is known is used while it is down, but not for ever.
    w.0.borrow_mut().served = None;
    for _ in 0..(STALE / 3600 - 1) {
        w.pass(3600);
        assert_eq!(why(p.find(Some("a"))), "a");
        assert_eq!(why(p.find(Some("b"))), UNKNOWN);
    }
    w.pass(3600);
    assert_eq!(why(p.find(Some("a"))), "503 the keys cannot be fetched");
    assert_eq!(w.0.borrow().logged[0], "keys of id/keys: it is down");

    // What is no set does not replace one.
    for bad in ["", "<html>", "{}", r#"{"keys":[]}"#, r#"{"keys":{}}"#, r#"{"keys":[{"kty":"oct","kid":"a","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}]}"#, r#"{"keys":[1]}"#] {
        let w = Shared::default();
        let p = w.published();
        w.serve(&set(&["a"]));
        assert_eq!(why(p.find(Some("a"))), "a");
        w.serve(bad);
        w.pass(700);
        assert_eq!(why(p.find(Some("a"))), "a", "{}", bad);
        assert_eq!(w.0.borrow().logged.len(), 1, "{}", bad);
    }
}

#[test]
fn picked() {
    let f = |set: &str, id: Option<&str>, want: &str| {
        let w = Shared::default();
        w.serve(set);
        assert_eq!(why(w.published().find(id)), want, "{:?} of {}", id, set);
    };
    f(&set(&["a", "b"]), None, AMBIGUOUS);
    f(&set(&["a"]), None, "a");
    f(&set(&["a", "a"]), Some("a"), AMBIGUOUS);
    f(&set(&["a", "b"]), Some("c"), UNKNOWN);
    // Others are left out, whatever they are: secrets and private keys among them.
    let with = |other: &str| format!(r#"{{"keys":[{},{}]}}"#, other, ed("a"));
    for other in [
        r#"{"kty":"oct","kid":"x","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","kid":"x","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","kid":"x","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"EC","crv":"P-384","kid":"x"}"#,
        r#"{"kid":"x"}"#,
        "null",
    ] {
        f(&with(other), Some("a"), "a");
        f(&with(other), Some("x"), UNKNOWN);
        f(&with(other), None, "a"); // it is the only one of use
    }
    f(&with(r#"{"kty":"RSA","kid":"x","n":"AQ","e":"AQAB"}"#), Some("x"), UNKNOWN); // not a good one
    f(&with(r#"{"kty":"RSA","kid":"x","n":"AQ","e":"AQAB"}"#), Some("a"), "a");
}

#[test]
fn configured() {
    let f = |config: &str, want: &str| {
        let got = Policy::read_in(config.as_bytes(), Some(Box::new(Shared::default()))).map_or_else(|e| e, |p| format!("{:?}", p.published.map(|p| p.source)));
        assert!(got.contains(want), "{}: got {}, want {}", config, got, want);
    };
    f(r#"{"jwks":{"upstream":"id","uri":"/k"},"issuer":"joe"}"#, r#"Source { upstream: "id", uri: "/k", host: None, fresh: 600 }"#);
    f(r#"{"jwks":{"upstream":"id","uri":"/k","host":"id.example.org","fresh":30},"issuer":"joe"}"#, r#"host: Some("id.example.org"), fresh: 30"#);
    f(r#"{"jwks":{"upstream":"id"},"issuer":"joe"}"#, "a uri that begins with /");
    f(r#"{"jwks":{"upstream":"id","uri":"k"},"issuer":"joe"}"#, "a uri that begins with /");
    f(r#"{"jwks":{"uri":"/k"},"issuer":"joe"}"#, "the name of an upstream");
    f(r#"{"jwks":"id","issuer":"joe"}"#, "want a map of upstream and uri");
    f(r#"{"jwks":{"upstream":"id","uri":"/k","fresh":5},"issuer":"joe"}"#, "want seconds, from 30 to 86400");
    f(r#"{"jwks":{"upstream":"id","uri":"/k","url":"x"},"issuer":"joe"}"#, r#"there is no "url""#);
    f(r#"{"jwks":{"upstream":"id","uri":"/k"},"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],"issuer":"joe"}"#, "want one of them");
    assert!(Policy::read(br#"{"jwks":{"upstream":"id","uri":"/k"},"issuer":"joe"}"#).unwrap_err().contains("built without"));
}
