// Requests of the filter's own, to upstreams that sluice.yaml grants under
// allow: { fetch: [...] }. Several may run at once: to start one does not wait for its response.

import * as host from "./host";
import { buf } from "./host";
import { Code, Pair, Result, code, done, pairs, texts } from "./proxy";

/** A request to be made. */
export class Fetch {
  method: string = "GET";
  /** host is the authority, which else is the upstream's name. */
  fields: Pair[] = [];
  /** In milliseconds, from the start to the last byte read; 0: the limit. */
  timeout: u32 = 0;

  /** The URI is path and query, encoded. */
  constructor(
    public upstream: string,
    public uri: string,
  ) {}

  /** Makes the request, with content or none. */
  send(content: Uint8Array = new Uint8Array(0)): Result<Fetched> {
    const r = this.start(content.length);
    if (!r.ok || content.length == 0) return r;
    const c = r.value.write(content);
    if (c != Code.Ok) {
      r.value.close();
      r.code = c;
    }
    return r;
  }

  /** Begins the request, whose content is to be written: so many bytes, or -1 if that is not known. */
  start(length: i64 = 0): Result<Fetched> {
    const u = host.encode(this.upstream);
    const m = host.encode(this.method);
    const uri = host.encode(this.uri);
    const f = pairs(this.fields);
    const n = host.fetch_start(
      host.at(u), u.byteLength, host.at(m), m.byteLength, host.at(uri), uri.byteLength, host.at(f), f.byteLength, length, this.timeout,
    );
    return new Result<Fetched>(new Fetched(n), code(n));
  }
}

/** A request that is under way and its response. */
export class Fetched {
  constructor(private handle: i32) {}

  /** Writes content of the request. */
  write(content: Uint8Array): Code {
    return code(host.fetch_write(this.handle, content.dataStart, content.length));
  }

  /** Writes a text as UTF-8. */
  writeString(text: string): Code {
    return this.write(Uint8Array.wrap(host.encode(text)));
  }

  /** Ends content whose length was not known. */
  finish(): Code {
    return code(host.fetch_finish(this.handle));
  }

  /** Waits for the response's head, and returns its status. */
  status(): Result<i32> {
    const n = host.fetch_status(this.handle);
    return n < 0 ? new Result<i32>(0, code(n)) : new Result<i32>(n);
  }

  /** The names of its fields, in lower case, each once. */
  names(): Result<string[]> {
    let n = host.fetch_names(this.handle, host.at(buf), buf.byteLength);
    while (!done(n)) n = host.fetch_names(this.handle, host.at(buf), buf.byteLength);
    return texts(n);
  }

  /** The values of a field. */
  values(name: string): Result<string[]> {
    const b = host.encode(name);
    let n = host.fetch_values(this.handle, host.at(b), b.byteLength, host.at(buf), buf.byteLength);
    while (!done(n)) n = host.fetch_values(this.handle, host.at(b), b.byteLength, host.at(buf), buf.byteLength);
    return texts(n);
  }

  /** Reads content, and returns how many bytes: what is at hand, at least one; 0 at the end. */
  read(into: Uint8Array): Result<i32> {
    const n = host.fetch_read(this.handle, into.dataStart, into.length);
    return n < 0 ? new Result<i32>(0, code(n)) : new Result<i32>(n);
  }

  /** Reads all content, of which there may be up to limit bytes; else it is Code.Limit. */
  readAll(limit: i32): Result<Uint8Array> {
    let all = new Uint8Array(8192);
    let length = 0;
    let n = host.fetch_read(this.handle, all.dataStart, all.length);
    while (n > 0) {
      if (n > limit - length) return new Result<Uint8Array>(new Uint8Array(0), Code.Limit);
      length += n;
      if (length == all.length) {
        const more = new Uint8Array(2 * length);
        more.set(all);
        all = more;
      }
      n = host.fetch_read(this.handle, all.dataStart + length, all.length - length);
    }
    if (n < 0) return new Result<Uint8Array>(new Uint8Array(0), code(n));
    return new Result<Uint8Array>(all.slice(0, length));
  }

  /** Reads it as a text of UTF-8. */
  text(limit: i32): Result<string> {
    const r = this.readAll(limit);
    return new Result<string>(String.UTF8.decode(r.value.buffer), r.code);
  }

  /** Gives the request up, if it is not at its end. */
  close(): Code {
    return code(host.fetch_close(this.handle));
  }
}
