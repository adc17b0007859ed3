//! Replaces one text by another in text responses, piece by piece. The configuration is the text,
//! a space, and what is to be there instead.

use sluice::{Exchange, Features, Filter, Verdict};

struct Replace {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Filter for Replace {
    const FEATURES: Features = Features::BUFFER_RESPONSE;

    fn configure(config: &[u8]) -> Result<Self, String> {
        match config.iter().position(|&c| c == b' ') {
            Some(i) if i > 0 => Ok(Replace { from: config[..i].to_vec(), to: config[i + 1..].to_vec() }),
            _ => Err("want a text, a space, and what is to be there instead".to_string()),
        }
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        x.request.fields.del("Accept-Encoding"); // compressed content cannot be searched
        Verdict::Next
    }

    fn response(&self, x: &mut Exchange) {
        let content_type = x.response.fields.get("Content-Type").unwrap_or_default();
        if x.failed() || !content_type.starts_with("text/") {
            return;
        }
        let body = &mut x.response.body;
        let mut piece = vec![0; 16384];
        // What is at the end of a piece may be the beginning of the text: it is looked at again
        // with the next.
        let mut have = Vec::new();
        loop {
            let n = body.read(&mut piece);
            if n == 0 {
                body.write(&have);
                return;
            }
            have.extend_from_slice(&piece[..n]);
            let (mut done, mut at) = (0, 0);
            while at + self.from.len() <= have.len() {
                if !have[at..].starts_with(&self.from) {
                    at += 1;
                    continue;
                }
                body.write(&have[done..at]);
                body.write(&self.to);
                at += self.from.len();
                done = at;
            }
            body.write(&have[done..at]);
            have.drain(..at);
        }
    }
}

sluice::filter!(Replace);
