// The tour on the runtime of AssemblyScript: see ../../README.md.

export * from "@solo-io/proxy-runtime/proxy"; // what the host calls
import {
  BaseContext, BufferTypeValues, Context, Counter, FilterDataStatusValues, FilterHeadersStatusValues,
  FilterTrailersStatusValues, GrpcStatusValues, HeaderPair, LogLevelValues, RootContext, WasmResultValues,
  continue_request, get_buffer_bytes, get_property, log, registerRootContext, send_local_response,
  set_tick_period_milliseconds, stream_context,
} from "@solo-io/proxy-runtime/runtime";
import { proxy_get_shared_data, proxy_set_shared_data } from "@solo-io/proxy-runtime/imports";

// @ts-ignore: decorator
@external("env", "proxy_set_buffer_bytes")
declare function proxy_set_buffer_bytes(type: u32, start: usize, size: usize, data: usize, length: usize): u32;

function pair(name: string, value: string): HeaderPair {
  return new HeaderPair(String.UTF8.encode(name), String.UTF8.encode(value));
}

// The runtime's own functions for shared data have what is set and what is got the wrong
// way around: these ask the host themselves.
class Slot {
  data: usize;
  size: usize;
  cas: u32;
}

function count(key: string): i32 {
  const name = String.UTF8.encode(key);
  const slot = new Slot();
  const at = changetype<usize>(slot);
  while (true) {
    let n = 0;
    const got = proxy_get_shared_data(changetype<usize>(name), name.byteLength, at + offsetof<Slot>("data"), at + offsetof<Slot>("size"), at + offsetof<Slot>("cas"));
    if (got == WasmResultValues.Ok) {
      n = i32(parseInt(String.UTF8.decodeUnsafe(slot.data, slot.size)));
    } else if (got != WasmResultValues.NotFound) {
      throw new Error("get shared data: " + got.toString());
    }
    n++;
    const value = String.UTF8.encode(n.toString());
    const set = proxy_set_shared_data(changetype<usize>(name), name.byteLength, changetype<usize>(value), value.byteLength, slot.cas);
    if (set == WasmResultValues.Ok) {
      return n;
    } else if (set != WasmResultValues.CasMismatch) {
      throw new Error("set shared data: " + set.toString());
    }
  }
}

class Root extends RootContext {
  requests: Counter = new Counter("tour.requests");

  onConfigure(size: u32): bool {
    if (!super.onConfigure(size)) {
      return false;
    }
    log(LogLevelValues.info, "configured: " + this.getConfiguration());
    set_tick_period_milliseconds(100);
    return true;
  }

  onTick(): void {
    log(LogLevelValues.info, "tick " + count("ticks").toString());
  }

  createContext(id: u32): Context {
    return new Tour(id, this);
  }
}

class Tour extends Context {
  path: string = "";

  onRequestHeaders(n: u32, end: bool): FilterHeadersStatusValues {
    const root = this.root_context as Root;
    root.requests.increment(1);
    const head = stream_context.headers.request;
    this.path = head.get(":path");
    head.replace("x-tour", String.UTF8.decode(get_property("request\0method")));
    head.remove("x-secret");
    if (this.path == "/deny") {
      send_local_response(403, "denied", String.UTF8.encode("no\n"), [pair("x-why", "tour")], GrpcStatusValues.InvalidCode);
      return FilterHeadersStatusValues.StopIteration;
    }
    if (this.path == "/count") {
      head.add("x-count", count("count").toString());
    }
    if (this.path == "/upper") {
      head.remove("content-length");
    }
    if (!this.path.startsWith("/call")) {
      return FilterHeadersStatusValues.Continue;
    }
    const fields = [pair(":method", "GET"), pair(":path", this.path), pair(":authority", "api"), pair("x-from", "tour")];
    const called = root.httpCall(root.getConfiguration(), fields, new ArrayBuffer(0), [], 3000, this,
      (origin: BaseContext, headers: u32, size: usize, trailers: u32) => { (origin as Tour).called(headers, size); });
    if (called != WasmResultValues.Ok) {
      send_local_response(500, "", String.UTF8.encode("not called: " + called.toString() + "\n"), [], GrpcStatusValues.InvalidCode);
    }
    return FilterHeadersStatusValues.StopIteration;
  }

  called(headers: u32, size: usize): void {
    const status = headers > 0 ? stream_context.headers.http_callback.get(":status") : "nothing";
    if (status != "200") {
      send_local_response(503, "", String.UTF8.encode("api said " + status + "\n"), [], GrpcStatusValues.InvalidCode);
      return;
    }
    const user = String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpCallResponseBody, 0, size as u32));
    stream_context.headers.request.add("x-user", user);
    continue_request();
  }

  onRequestBody(size: usize, end: bool): FilterDataStatusValues {
    if (this.path != "/upper") {
      return FilterDataStatusValues.Continue;
    }
    if (!end) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    const text = String.UTF8.decode(get_buffer_bytes(BufferTypeValues.HttpRequestBody, 0, size as u32)).toUpperCase();
    const content = String.UTF8.encode(text);
    proxy_set_buffer_bytes(BufferTypeValues.HttpRequestBody, 0, size, changetype<usize>(content), content.byteLength);
    return FilterDataStatusValues.Continue;
  }

  onResponseHeaders(n: u32, end: bool): FilterHeadersStatusValues {
    const head = stream_context.headers.response;
    head.add("x-tour", "done");
    if (this.path == "/append") {
      head.remove("content-length");
    }
    return FilterHeadersStatusValues.Continue;
  }

  onResponseBody(size: usize, end: bool): FilterDataStatusValues {
    if (this.path == "/append" && end) {
      const more = String.UTF8.encode("!");
      proxy_set_buffer_bytes(BufferTypeValues.HttpResponseBody, size, 0, changetype<usize>(more), more.byteLength);
    }
    return FilterDataStatusValues.Continue;
  }

  onResponseTrailers(n: u32): FilterTrailersStatusValues {
    stream_context.trailers.response.add("x-end", "tour");
    return FilterTrailersStatusValues.Continue;
  }

  onLog(): void {
    log(LogLevelValues.info, "done: " + this.path + " " + stream_context.headers.response.get(":status"));
  }
}

registerRootContext((id: u32) => new Root(id), "tour");
