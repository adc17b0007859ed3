//! Puts another prefix in place of the path's. The configuration has the two on each line; the
//! first that fits counts. The query stays.

use sluice::{Exchange, Filter, Verdict};

struct Rewrite {
    rules: Vec<(String, String)>,
}

impl Filter for Rewrite {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(config).map_err(|e| e.to_string())?;
        let mut rules = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.split_once(' ') {
                Some((from, to)) if from.starts_with('/') && to.starts_with('/') => rules.push((from.to_string(), to.to_string())),
                _ => return Err("want two paths on each line".to_string()),
            }
        }
        if rules.is_empty() {
            return Err("want two paths on each line".to_string());
        }
        Ok(Rewrite { rules })
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let uri = x.request.uri();
        for (from, to) in &self.rules {
            if let Some(rest) = uri.strip_prefix(from.as_str()) {
                x.request.set_uri(&format!("{}{}", to, rest));
                break;
            }
        }
        Verdict::Next
    }
}

sluice::filter!(Rewrite);
