// What the proxy has besides the exchange: the client, the route, the log, early hints, secrets.
// sluice.yaml grants route, hints and secrets under allow; the others need no grant.

import * as host from "./host";
import { buf, fits } from "./host";

/** Why something was not done. */
export enum Code {
  /** It was done. */
  Ok = 0,
  /** There is no such key, value, arm, upstream or function. */
  None = -1,
  /** The key has another version. */
  Conflict = -2,
  /** The name is not granted. */
  Denied = -3,
  /** An argument: a name, a value that is out of range, a handle that is not open. */
  Invalid = -4,
  /** A bound is reached. */
  Limit = -5,
  /** The upstream or the disk has failed; the cause is in the log. */
  Failed = -6,
  /** The fetch has taken too long. */
  Timeout = -7,
  /** There is no request, or it is too late. */
  Unavailable = -8,
  /** The client has gone. */
  Gone = -9,
}

/** A value, or why there is none: then the value is 0, or empty. */
export class Result<T> {
  constructor(
    public value: T,
    public code: Code = Code.Ok,
  ) {}

  get ok(): bool {
    return this.code == Code.Ok;
  }
}

/** Returns what a negative number stands for. */
export function code(result: i64): Code {
  return result < 0 ? <Code>(<i32>result) : Code.Ok;
}

/** Returns the first bytes of the buffer of ./host as a text, or what a negative number stands for. */
export function text(result: i32): Result<string> {
  return result < 0 ? new Result<string>("", code(result)) : new Result<string>(host.decode(buf, result));
}

/** Is text for a list: its length is in the low half. */
export function texts(result: i64): Result<string[]> {
  return result < 0 ? new Result<string[]>([], code(result)) : new Result<string[]>(host.split(buf, <u32>result));
}

/** Reports whether a getter has failed, or written what it has. If neither, it will when it is called again. */
export function done(result: i64): bool {
  return result < 0 || fits(<u32>result);
}

/** A name and a value. */
export class Pair {
  constructor(
    public name: string,
    public value: string,
  ) {}
}

/** Returns a list of pairs as the host takes them. */
export function pairs(list: Pair[]): ArrayBuffer {
  let all = "";
  for (let i = 0; i < list.length; i++) all += list[i].name + "\0" + list[i].value + "\0";
  return host.encode(all);
}

/** A fact about the client and its connection. */
export enum Client {
  /** The client's address. */
  Address,
  /** Address and port that the connection comes from. */
  Peer,
  /** Address and port that the connection came in on. */
  Local,
  /** The version of HTTP. */
  Proto,
  /** The version of TLS: TLSv1.3. */
  TLS,
  /** The cipher suite. */
  Cipher,
  /** The server's name that was asked for (SNI). */
  ServerName,
  /** The protocol that was negotiated (ALPN). */
  ALPN,
  /** The subject of the client's certificate (RFC 2253), verified or not. */
  Subject,
  /** The SHA-256 of that certificate in hexadecimal. */
  Fingerprint,
  /** The id of the request. */
  RequestID,
}

/** Returns a fact about the client; Code.None if there is none. */
export function client(what: Client): Result<string> {
  let n = host.client_get(what, host.at(buf), buf.byteLength);
  while (!done(n)) n = host.client_get(what, host.at(buf), buf.byteLength);
  return text(n);
}

/** A part of the route that serves an exchange. */
export enum Route {
  Site,
  Route,
  Arm,
  Upstream,
  Function,
}

/** Returns the name of a part of the route; Code.None if it has none. */
export function route(what: Route): Result<string> {
  let n = host.route_get(what, host.at(buf), buf.byteLength);
  while (!done(n)) n = host.route_get(what, host.at(buf), buf.byteLength);
  return text(n);
}

/**
 * Has the request served by another arm of the route's split, upstream or function of
 * sluice.yaml than the route says. Of a filter, before it lets the request go on.
 */
export function choose(what: Route, name: string): Code {
  const b = host.encode(name);
  return code(host.route_choose(what, host.at(b), b.byteLength));
}

/** Puts a text into the access log's line, under guest. */
export function logField(name: string, value: string): Code {
  const n = host.encode(name);
  const v = host.encode(value);
  return code(host.log_field(host.at(n), n.byteLength, host.at(v), v.byteLength));
}

/** Sends an interim response, 103 Early Hints (RFC 8297), before the response. */
export function hints(fields: Pair[]): Code {
  const b = pairs(fields);
  return code(host.hints_send(host.at(b), b.byteLength));
}

/** Returns a secret that sluice.yaml names under allow. */
export function secret(name: string): Result<string> {
  const b = host.encode(name);
  let n = host.secret_get(host.at(b), b.byteLength, host.at(buf), buf.byteLength);
  while (!done(n)) n = host.secret_get(host.at(b), b.byteLength, host.at(buf), buf.byteLength);
  return text(n);
}
