//! What go/main.go says.

use sluice::fetch::{Fetch, Response};
use sluice::kv::{Namespace, When};
use sluice::metrics::{Counter, Gauge, Histogram};
use sluice::proxy::{self, Client, Error, Route};
use sluice::{system, Exchange, Features, Filter, Verdict};
use std::collections::HashMap;
use std::time::Duration;

struct Everything;

impl Filter for Everything {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Everything)
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let mut guest = Guest { verdict: Verdict::Next, fetches: Vec::new() };
        for line in x.request.fields.values("X-Do") {
            let did = match guest.run(x, &line.split('|').collect::<Vec<_>>()) {
                Ok(did) => did,
                Err(e) => e.code().to_string(),
            };
            x.response.fields.add("X-Did", did);
        }
        guest.verdict
    }

    fn response(&self, x: &mut Exchange) {
        if let Some(v) = x.value.take() {
            let v = v.downcast::<String>().unwrap();
            x.response.fields.set("X-Value", format!("{}, failed {}", v, x.failed()));
            x.response.trailers.set("X-Sum", "2");
        }
    }
}

sluice::filter!(Everything);

/// The guest of one exchange.
struct Guest {
    verdict: Verdict,
    fetches: Vec<Option<Response>>,
}

fn ok<T>(_: T) -> String {
    "ok".to_string()
}

fn number(s: &str) -> i64 {
    s.parse().unwrap()
}

/// 0 is none.
fn time(s: &str) -> Option<Duration> {
    match number(s) {
        0 => None,
        n => Some(Duration::from_millis(n as u64)),
    }
}

fn when(s: &str) -> When {
    match number(s) {
        -1 => When::Always,
        0 => When::Absent,
        n => When::Version(n),
    }
}

impl Guest {
    fn run(&mut self, x: &mut Exchange, a: &[&str]) -> Result<String, Error> {
        match a[0] {
            "get" => match Namespace(a[1]).get(a[2].as_bytes())? {
                Some(e) => Ok(format!("{} {}", e.version, String::from_utf8_lossy(&e.value))),
                None => Err(Error::None),
            },
            "set" => Namespace(a[1]).set(a[2].as_bytes(), a[3].as_bytes(), time(a[4]), when(a[5])).map(|n| n.to_string()),
            "delete" => Namespace(a[1]).delete(a[2].as_bytes(), when(a[3])).map(ok),
            "add" => Namespace(a[1]).add(a[2].as_bytes(), number(a[3]), time(a[4])).map(|n| n.to_string()),
            "list" => {
                let keys = Namespace(a[1]).list(a[2].as_bytes(), a[3].as_bytes())?;
                Ok(keys.iter().map(|k| String::from_utf8_lossy(k)).collect::<Vec<_>>().join(","))
            }

            "start" => {
                let fields = [(a[4], a[5])];
                let f = Fetch { upstream: a[1], method: a[2], uri: a[3], fields: &fields, timeout: time(a[7]) };
                self.fetches.push(Some(f.start(number(a[6]))?));
                Ok("ok".to_string())
            }
            "write" => self.fetch(a)?.write(a[2].as_bytes()).map(ok),
            "finish" => self.fetch(a)?.finish().map(ok),
            "status" => self.fetch(a)?.status().map(|n| n.to_string()),
            "names" => self.fetch(a)?.names().map(|all| all.join(",")),
            "values" => self.fetch(a)?.values(a[2]).map(|all| all.join(",")),
            "read" => self.fetch(a)?.read_all(1 << 20).map(|b| String::from_utf8_lossy(&b).into_owned()),
            "close" => Ok(ok(self.fetches[number(a[1]) as usize - 1] = None)),

            "counter" => Counter::define(a[1], &[(a[2], a[3])])?.add(number(a[4]) as u32).map(ok),
            "gauge" => {
                let gauge = Gauge::define(a[1], &[])?;
                gauge.set(number(a[2]))?;
                gauge.add(number(a[3])).map(ok)
            }
            "histogram" => Histogram::define(a[1], &[])?.record(number(a[2])).map(ok),
            _ => self.other(x, a),
        }
    }

    /// What is about the exchange.
    fn other(&mut self, x: &mut Exchange, a: &[&str]) -> Result<String, Error> {
        match a[0] {
            "log" => proxy::log_field(a[1], a[2]).map(ok),
            "client" => proxy::client(FACTS[number(a[1]) as usize])?.ok_or(Error::None),
            "route" => proxy::route(PARTS[number(a[1]) as usize])?.ok_or(Error::None),
            "choose" => proxy::choose(PARTS[number(a[1]) as usize], a[2]).map(ok),
            "hints" => proxy::hints(&[(a[1], a[2])]).map(ok),
            "now" => Ok(system::now().as_nanos().to_string()),
            "monotonic" => Ok(system::monotonic().as_nanos().to_string()),
            "draw" => {
                let mut drawn = vec![0; number(a[1]) as usize];
                system::random(&mut drawn);
                Ok(drawn.iter().map(|b| format!("{:02x}", b)).collect())
            }
            "secret" => proxy::secret(a[1]).map(|v| String::from_utf8_lossy(&v).into_owned()),

            "enable" => {
                let all = [(1, Features::BUFFER_REQUEST), (2, Features::BUFFER_RESPONSE), (4, Features::TRAILERS)];
                let asked = all.iter().filter(|(bit, _)| number(a[1]) & bit != 0).fold(Features::NONE, |all, (_, f)| all | *f);
                let enabled = x.enable(asked);
                let n: i64 = all.iter().filter(|(_, f)| enabled.contains(*f)).map(|(bit, _)| bit).sum();
                Ok(n.to_string())
            }
            "value" => Ok(ok(x.value = Some(Box::new(a[1].to_string())))),
            "redirect" => Ok(ok(self.verdict = x.redirect(number(a[1]) as u16, a[2]))),
            "cookie" => Ok(x.request.cookie(a[1]).unwrap_or_default()),
            "arm" => Ok(x.request.arm().unwrap_or_default()),
            "set-arm" => Ok(ok(x.request.set_arm(a[1]))),
            "trailer" => {
                x.request.body.read_all();
                let v = x.request.trailers.get(a[1]).unwrap_or_default();
                x.request.trailers.set("X-Sum", "1");
                Ok(v)
            }
            "map" => Ok((0..64).map(|i| (i.to_string(), i)).collect::<HashMap<_, _>>().len().to_string()),
            _ => Ok(format!("there is no {}", a[0])),
        }
    }

    /// Returns a fetch by its number, which is that of its start.
    fn fetch(&mut self, a: &[&str]) -> Result<&mut Response, Error> {
        self.fetches[number(a[1]) as usize - 1].as_mut().ok_or(Error::Invalid)
    }
}

const FACTS: [Client; 11] = [
    Client::Address, Client::Peer, Client::Local, Client::Proto, Client::Tls, Client::Cipher, Client::ServerName, Client::Alpn, Client::Subject,
    Client::Fingerprint, Client::RequestId,
];
const PARTS: [Route; 5] = [Route::Site, Route::Route, Route::Arm, Route::Upstream, Route::Function];
