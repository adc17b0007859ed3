// Keys and values, on disk: they last over restarts and new versions of a module. sluice.yaml
// grants namespaces under allow: { kv: [...] }.

import * as host from "./host";
import { buf } from "./host";
import { Code, Result, code, done, texts } from "./proxy";

/** The key is not there. */
export const Absent: i64 = 0;

/** Whatever version the key has. */
export const Always: i64 = -1;

/** A value, and the version of its key: a positive number that no other state of any key has had. */
export class Entry {
  constructor(
    public value: Uint8Array,
    public version: i64,
  ) {}

  /** The value as a text. */
  get text(): string {
    return String.UTF8.decode(this.value.buffer);
  }
}

// Where the host writes a number.
const number = memory.data(8, 8);

/** A namespace. */
export class Namespace {
  private ns: ArrayBuffer;

  constructor(name: string) {
    this.ns = host.encode(name);
  }

  /** Returns what a key has; Code.None if it is not there. */
  get(key: string): Result<Entry> {
    const ns = this.ns;
    const k = host.encode(key);
    let n = host.kv_get(host.at(ns), ns.byteLength, host.at(k), k.byteLength, host.at(buf), buf.byteLength, number);
    while (!done(n)) n = host.kv_get(host.at(ns), ns.byteLength, host.at(k), k.byteLength, host.at(buf), buf.byteLength, number);
    if (n < 0) return new Result<Entry>(new Entry(new Uint8Array(0), 0), code(n));
    return new Result<Entry>(new Entry(Uint8Array.wrap(buf.slice(0, n)), load<i64>(number)));
  }

  /**
   * Sets a value for so many milliseconds, 0 for ever, and returns the key's new version;
   * Code.Conflict if it does not have the version that is asked for, which may be Absent or
   * Always.
   */
  set(key: string, value: Uint8Array, ttl: i64 = 0, version: i64 = Always): Result<i64> {
    const ns = this.ns;
    const k = host.encode(key);
    const n = host.kv_set(
      host.at(ns), ns.byteLength, host.at(k), k.byteLength, value.dataStart, value.length, ttl, version,
    );
    return n < 0 ? new Result<i64>(0, code(n)) : new Result<i64>(n);
  }

  /** Sets a text likewise. */
  setText(key: string, value: string, ttl: i64 = 0, version: i64 = Always): Result<i64> {
    return this.set(key, Uint8Array.wrap(host.encode(value)), ttl, version);
  }

  /** Deletes a key; Code.None if it is not there. */
  delete(key: string, version: i64 = Always): Code {
    const ns = this.ns;
    const k = host.encode(key);
    return code(host.kv_delete(host.at(ns), ns.byteLength, host.at(k), k.byteLength, version));
  }

  /**
   * Adds to a number, 0 if it is not there, and returns the sum. The time in milliseconds, 0 for
   * ever, is that of a number that was not there.
   */
  add(key: string, delta: i64, ttl: i64 = 0): Result<i64> {
    const ns = this.ns;
    const k = host.encode(key);
    const n = host.kv_add(host.at(ns), ns.byteLength, host.at(k), k.byteLength, delta, ttl, number);
    return n < 0 ? new Result<i64>(0, code(n)) : new Result<i64>(load<i64>(number));
  }

  /**
   * Returns the next keys with a prefix that come after a key, "" for the first, in order of their
   * bytes: some, or none at the end.
   */
  list(prefix: string = "", after: string = ""): Result<string[]> {
    const ns = this.ns;
    const p = host.encode(prefix);
    const a = host.encode(after);
    let n = host.kv_list(
      host.at(ns), ns.byteLength, host.at(p), p.byteLength, host.at(a), a.byteLength, host.at(buf), buf.byteLength,
    );
    while (!done(n)) {
      n = host.kv_list(
        host.at(ns), ns.byteLength, host.at(p), p.byteLength, host.at(a), a.byteLength, host.at(buf), buf.byteLength,
      );
    }
    return texts(n);
  }
}
