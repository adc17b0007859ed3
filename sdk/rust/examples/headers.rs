//! Adds, sets and removes fields of the request, and sets one of the response.

use sluice::{Exchange, Filter, Verdict};

struct Headers;

impl Filter for Headers {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Headers)
    }

    fn request(&self, x: &mut Exchange) -> Verdict {
        let fields = &mut x.request.fields;
        fields.set("X-Through", "sluice");
        fields.add("X-Seen", "headers");
        fields.del("X-Debug");
        x.response.fields.set("X-Sluice-Filter", "headers");
        Verdict::Next
    }
}

sluice::filter!(Headers);
