// Replaces one text by another in text responses, piece by piece. The configuration is the text,
// a space, and what is to be there instead.

import { Exchange, Features, Filter, Verdict, handle } from "../assembly";
export { handle_request, handle_response } from "../assembly";

class Replace extends Filter {
  private from: Uint8Array = new Uint8Array(0);
  private to: Uint8Array = new Uint8Array(0);

  configure(config: string): string | null {
    this.features = Features.BufferResponse;
    const space = config.indexOf(" ");
    if (space < 1) return "want a text, a space, and what is to be there instead";
    this.from = Uint8Array.wrap(String.UTF8.encode(config.substring(0, space)));
    this.to = Uint8Array.wrap(String.UTF8.encode(config.substring(space + 1)));
    return null;
  }

  request(x: Exchange): Verdict {
    x.request.fields.del("Accept-Encoding"); // compressed content cannot be searched
    return Verdict.Next;
  }

  response(x: Exchange): void {
    const type = x.response.fields.get("Content-Type");
    if (x.failed || type === null || !type.startsWith("text/")) return;
    const body = x.response.body;
    const length = this.from.length;
    // What is at the end of a piece may be the beginning of the text: it is looked at again
    // with the next.
    const buf = new Uint8Array(16384 + length);
    let have = 0;
    for (;;) {
      const n = body.read(buf.subarray(have, have + 16384));
      if (n == 0) {
        body.write(buf.subarray(0, have));
        return;
      }
      have += n;
      let done = 0;
      let at = 0;
      while (at + length <= have) {
        if (!this.begins(buf, at)) {
          at++;
          continue;
        }
        body.write(buf.subarray(done, at));
        body.write(this.to);
        at += length;
        done = at;
      }
      body.write(buf.subarray(done, at));
      buf.copyWithin(0, at, have);
      have -= at;
    }
  }

  private begins(buf: Uint8Array, at: i32): bool {
    for (let i = 0; i < this.from.length; i++) {
      if (buf[at + i] != this.from[i]) return false;
    }
    return true;
  }
}

handle(new Replace());
