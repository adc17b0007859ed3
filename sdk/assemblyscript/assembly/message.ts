import * as host from "./host";
import { buf, fits } from "./host";

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const REQUEST_TRAILERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;

// Where a filter and the origin read to which arm of a route's split an exchange belongs,
// and where a filter chooses it.
const ARM = "X-Sluice-Arm";

export function config(): ArrayBuffer {
  let n = host.get_config(host.at(buf), buf.byteLength);
  while (!fits(n)) n = host.get_config(host.at(buf), buf.byteLength);
  return buf.slice(0, n);
}

/** A request. It can be changed before the next handler. */
export class Request {
  /** Host is among them. */
  fields: Fields = new Fields(REQUEST);
  /** Of the content, once it has been read; changed with Features.Trailers. */
  trailers: Fields = new Fields(REQUEST_TRAILERS);
  body: Body = new Body(REQUEST);

  get method(): string {
    let n = host.get_method(host.at(buf), buf.byteLength);
    while (!fits(n)) n = host.get_method(host.at(buf), buf.byteLength);
    return host.decode(buf, n);
  }

  /** It traps if v is no token. */
  set method(v: string) {
    const b = host.encode(v);
    host.set_method(host.at(b), b.byteLength);
  }

  /** Path and query, encoded. */
  get uri(): string {
    let n = host.get_uri(host.at(buf), buf.byteLength);
    while (!fits(n)) n = host.get_uri(host.at(buf), buf.byteLength);
    return host.decode(buf, n);
  }

  /**
   * sluice then looks the route up once more, and runs the filters of that route which this
   * one did not have. It traps unless v is encoded and begins with a slash.
   */
  set uri(v: string) {
    const b = host.encode(v);
    host.set_uri(host.at(b), b.byteLength);
  }

  /** The URI's path, encoded. */
  get path(): string {
    const uri = this.uri;
    const i = uri.indexOf("?");
    return i < 0 ? uri : uri.substring(0, i);
  }

  /** The URI's query, encoded, without the question mark. */
  get query(): string {
    const uri = this.uri;
    const i = uri.indexOf("?");
    return i < 0 ? "" : uri.substring(i + 1);
  }

  /** The value of the first cookie of that name, as it was sent, or null. */
  cookie(name: string): string | null {
    const lines = this.fields.values("Cookie");
    for (let i = 0; i < lines.length; i++) {
      const pairs = lines[i].split(";"); // RFC 6265, section 4.2.1
      for (let j = 0; j < pairs.length; j++) {
        const pair = pairs[j].trim();
        const equals = pair.indexOf("=");
        if (equals >= 0 && pair.substring(0, equals) == name) return pair.substring(equals + 1);
      }
    }
    return null;
  }

  /**
   * The name of the arm to which the exchange belongs so far: the split of the route has dealt
   * it, or a filter before has chosen it. It is null on a route without a split.
   */
  get arm(): string | null {
    return this.fields.get(ARM);
  }

  /** Chooses an arm of the route's split. A name that no arm has changes nothing. */
  chooseArm(name: string): void {
    this.fields.set(ARM, name);
  }

  /** The version of HTTP that the client speaks: HTTP/2.0. */
  get proto(): string {
    let n = host.get_protocol_version(host.at(buf), buf.byteLength);
    while (!fits(n)) n = host.get_protocol_version(host.at(buf), buf.byteLength);
    return host.decode(buf, n);
  }

  /** The client's address and port: 192.0.2.1:49152, or [2001:db8::1]:49152. */
  get client(): string {
    let n = host.get_source_addr(host.at(buf), buf.byteLength);
    while (!fits(n)) n = host.get_source_addr(host.at(buf), buf.byteLength);
    return host.decode(buf, n);
  }
}

/**
 * A response. Before the next handler it is what the filter wants it to be: fields that are set
 * replace those of the next handler, content replaces its content. Behind it, with
 * Features.BufferResponse, it can be read and changed.
 */
export class Response {
  fields: Fields = new Fields(RESPONSE);
  /** Changed with Features.Trailers. */
  trailers: Fields = new Fields(RESPONSE_TRAILERS);
  body: Body = new Body(RESPONSE);

  get status(): i32 {
    return host.get_status_code();
  }

  /** It traps if code is not that of a final response. */
  set status(code: i32) {
    host.set_status_code(code);
  }
}

/**
 * The field lines of a message's head, or its trailers. Names compare without regard to case. A
 * change traps if the name is no token, or the value has a line break. Changes to Content-Length
 * and to what is about one connection are ignored: such fields follow from the message.
 */
export class Fields {
  constructor(private kind: u32) {}

  /** The names, in lower case, each once. */
  names(): string[] {
    let n = <u32>host.get_header_names(this.kind, host.at(buf), buf.byteLength);
    while (!fits(n)) n = <u32>host.get_header_names(this.kind, host.at(buf), buf.byteLength);
    return host.split(buf, n);
  }

  /** The first value of a name, or null. */
  get(name: string): string | null {
    const all = this.values(name);
    return all.length > 0 ? all[0] : null;
  }

  /** The values of a name, one a line. */
  values(name: string): string[] {
    const b = host.encode(name);
    let n = <u32>host.get_header_values(this.kind, host.at(b), b.byteLength, host.at(buf), buf.byteLength);
    while (!fits(n)) n = <u32>host.get_header_values(this.kind, host.at(b), b.byteLength, host.at(buf), buf.byteLength);
    return host.split(buf, n);
  }

  /** Replaces all lines of a name by one. */
  set(name: string, value: string): void {
    const n = host.encode(name);
    const v = host.encode(value);
    host.set_header_value(this.kind, host.at(n), n.byteLength, host.at(v), v.byteLength);
  }

  /** Appends a line. */
  add(name: string, value: string): void {
    const n = host.encode(name);
    const v = host.encode(value);
    host.add_header_value(this.kind, host.at(n), n.byteLength, host.at(v), v.byteLength);
  }

  /** Removes all lines of a name. */
  del(name: string): void {
    const n = host.encode(name);
    host.remove_header(this.kind, host.at(n), n.byteLength);
  }
}

/**
 * A message's content. It is read as a stream, of which the filter sees no more than it reads;
 * the first write replaces all that was there.
 */
export class Body {
  private ended: bool = false;

  constructor(private kind: u32) {}

  /**
   * Reads on, and returns how many bytes: 0 at the end, or if the array is empty. It fills the
   * array unless the content ends before; in a function it returns what is at hand.
   */
  read(into: Uint8Array): i32 {
    while (!this.ended && into.length > 0) {
      const r = host.read_body(this.kind, into.dataStart, into.length);
      this.ended = r >> 32 != 0;
      if (<u32>r > 0) return <u32>r;
    }
    return 0;
  }

  /** Reads all that is left. */
  readAll(): Uint8Array {
    let all = new Uint8Array(8192);
    let length = 0;
    let n = this.read(all);
    while (n > 0) {
      length += n;
      if (length == all.length) {
        const more = new Uint8Array(2 * length);
        more.set(all);
        all = more;
      }
      n = this.read(all.subarray(length));
    }
    return all.slice(0, length);
  }

  /** Reads all that is left as a text of UTF-8. */
  text(): string {
    return String.UTF8.decode(this.readAll().buffer);
  }

  /** Writes content. The first call replaces all that was there, others append. */
  write(content: Uint8Array): void {
    host.write_body(this.kind, content.dataStart, content.length);
  }

  /** Writes a text as UTF-8. */
  writeString(text: string): void {
    const b = host.encode(text);
    host.write_body(this.kind, host.at(b), b.byteLength);
  }
}
