// For filters in AssemblyScript: modules of the http-wasm ABI, which see each request, may
// change it or answer it, and see the response.
//
//	import { Exchange, Filter, Verdict, handle } from "sluice/assembly";
//	export { handle_request, handle_response } from "sluice/assembly";
//
//	class Greet extends Filter {
//	  request(x: Exchange): Verdict {
//	    x.request.fields.set("X-Greeting", "hello");
//	    return Verdict.Next;
//	  }
//	}
//
//	handle(new Greet());
//
// is built by asc with --exportStart _initialize --use abort=sluice/assembly/host/abort
// --use seed=sluice/assembly/host/seed. The second is for Math.random.
//
// Each exchange gets an instance of the module as it was after its initialisation: what a
// filter keeps in variables lasts for one exchange.
//
// What is not allowed traps: the exchange is answered with 502, or goes on as if the filter
// were not there, as on-error in sluice.yaml says. An assertion that does not hold is a trap,
// too, and is logged.

import * as host from "./host";
import { Request, Response, config } from "./message";

export { Body, Fields, Request, Response } from "./message";

// ./kv, ./fetch, ./metrics and ./proxy are for what a filter does besides; ./system has a
// clock and random numbers.

/** What a module does. */
export class Filter {
  /** What the filter needs in every exchange, or-ed. Set it in the constructor or in configure. */
  features: Features = Features.None;

  /**
   * Is given the filter's configuration once, before any exchange: the string that stands under
   * config in sluice.yaml, or the JSON of any other value; nothing if there is none. What it
   * returns but null keeps the module from being used, and is shown to who uploads it.
   */
  configure(config: string): string | null {
    return null;
  }

  /** Sees a request before the next handler. */
  request(x: Exchange): Verdict {
    return Verdict.Next;
  }

  /**
   * Sees the response of the next handler, also that to its failure. It may change the response
   * only with Features.BufferResponse. It is not called after Verdict.Stop.
   */
  response(x: Exchange): void {}
}

/** What a host does only if asked. */
export enum Features {
  None = 0,
  /** Keeps what is read of a request's content, for the next handler. */
  BufferRequest = 1,
  /** Lets Filter.response read and change the response. */
  BufferResponse = 2,
  /** Gives access to trailers. */
  Trailers = 4,
}

/** What becomes of a request. */
export enum Verdict {
  /** Answer with the response: 200 and no content unless it was changed. */
  Stop,
  /** Go on to the next handler. */
  Next,
}

/** One request and its response. */
export class Exchange {
  request: Request = new Request();
  response: Response = new Response();

  /** The filter's own: what Filter.request leaves here Filter.response finds. */
  value: Object | null = null;

  /** Whether the next handler has failed. Valid in Filter.response. */
  failed: bool = false;

  /** Asks for features in this exchange alone. Returns all that are enabled. */
  enable(features: Features): Features {
    return host.enable_features(features);
  }

  /** Makes a response of a status and plain text, and returns Verdict.Stop. */
  answer(status: i32, text: string): Verdict {
    this.response.status = status;
    this.response.fields.set("Content-Type", "text/plain; charset=utf-8");
    this.response.body.writeString(text);
    return Verdict.Stop;
  }

  /**
   * Makes a response that names another place to go to, with the status 301, 302, 303, 307 or
   * 308, and returns Verdict.Stop.
   */
  redirect(status: i32, location: string): Verdict {
    this.response.status = status;
    this.response.fields.set("Location", location);
    return Verdict.Stop;
  }
}

/** How important a message is. */
export enum Level {
  Debug = -1,
  Info = 0,
  Warn = 1,
  Error = 2,
}

/** Logs a message. The host may want none of its level; see logs. */
export function log(level: Level, message: string): void {
  const b = host.encode(message);
  host.log_message(level, host.at(b), b.byteLength);
}

/** Reports whether the host wants messages of a level, for those that are costly to make. */
export function logs(level: Level): bool {
  return host.log_enabled(level) != 0;
}

/**
 * Reports whether two texts are the same. It takes as long whatever they have in common, so that
 * nobody can guess a secret by the time.
 */
export function equal(a: string, b: string): bool {
  if (a.length != b.length) return false;
  // It is in memory so that the compiler does not see that nothing can change any more.
  store<i32>(differ, 0);
  for (let i = 0; i < a.length; i++) store<i32>(differ, load<i32>(differ) | (a.charCodeAt(i) ^ b.charCodeAt(i)));
  return load<i32>(differ) == 0;
}

const differ = memory.data(4);

let filter: Filter = new Filter();

// The exchanges between their request and their response. The host hands the index, and one,
// from one to the other. Free places are null.
const held: Array<Exchange | null> = [];

/** Makes f the module's filter. It is called once, while the module is initialised. */
export function handle(f: Filter): void {
  filter = f;
  const wrong = f.configure(String.UTF8.decode(config()));
  if (wrong !== null) {
    log(Level.Error, "configuration: " + wrong);
    unreachable();
  }
  if (f.features != Features.None) host.enable_features(f.features);
}

/** What the host calls for a request: a module exports it. */
export function handle_request(): u64 {
  const x = new Exchange();
  if (filter.request(x) == Verdict.Stop) return 0;
  let at = held.indexOf(null);
  if (at < 0) at = held.push(x) - 1;
  else held[at] = x;
  return ((<u64>at + 1) << 32) | 1;
}

/** What the host calls for a response: a module exports it. */
export function handle_response(context: u32, failed: u32): void {
  if (context == 0 || context > <u32>held.length) return;
  const x = held[context - 1];
  held[context - 1] = null;
  if (x === null) return;
  x.failed = failed != 0;
  filter.response(x);
}
