// What go/main.go says.

import { Exchange, Filter, Verdict, handle } from "../../assemblyscript/assembly";
import { Fetch, Fetched } from "../../assemblyscript/assembly/fetch";
import { Namespace } from "../../assemblyscript/assembly/kv";
import { Counter, Gauge, Histogram } from "../../assemblyscript/assembly/metrics";
import * as proxy from "../../assemblyscript/assembly/proxy";
import * as system from "../../assemblyscript/assembly/system";
import { Code, Pair, Result } from "../../assemblyscript/assembly/proxy";
export { handle_request, handle_response } from "../../assemblyscript/assembly";

class Text {
  constructor(public text: string) {}
}

function ok(code: Code): string {
  return code == Code.Ok ? "ok" : (<i32>code).toString();
}

function text(r: Result<string>): string {
  return r.ok ? r.value : (<i32>r.code).toString();
}

function texts(r: Result<string[]>): string {
  return r.ok ? r.value.join(",") : (<i32>r.code).toString();
}

function int(r: Result<i64>): string {
  return r.ok ? r.value.toString() : (<i32>r.code).toString();
}

class Everything extends Filter {
  private verdict: Verdict = Verdict.Next;
  private fetches: Fetched[] = [];

  configure(config: string): string | null {
    if (config == "draw") Math.random();
    return null;
  }

  request(x: Exchange): Verdict {
    const lines = x.request.fields.values("X-Do");
    for (let i = 0; i < lines.length; i++) x.response.fields.add("X-Did", this.run(x, lines[i].split("|")));
    return this.verdict;
  }

  response(x: Exchange): void {
    const v = x.value;
    if (v === null) return;
    x.response.fields.set("X-Value", (v as Text).text + ", failed " + x.failed.toString());
    x.response.trailers.set("X-Sum", "2");
  }

  private run(x: Exchange, a: string[]): string {
    const what = a[0];
    if (what == "get") {
      const r = new Namespace(a[1]).get(a[2]);
      return r.ok ? r.value.version.toString() + " " + r.value.text : ok(r.code);
    }
    if (what == "set") return int(new Namespace(a[1]).setText(a[2], a[3], I64.parseInt(a[4]), I64.parseInt(a[5])));
    if (what == "delete") return ok(new Namespace(a[1]).delete(a[2], I64.parseInt(a[3])));
    if (what == "add") return int(new Namespace(a[1]).add(a[2], I64.parseInt(a[3]), I64.parseInt(a[4])));
    if (what == "list") return texts(new Namespace(a[1]).list(a[2], a[3]));

    if (what == "start") {
      const f = new Fetch(a[1], a[3]);
      f.method = a[2];
      f.fields = [new Pair(a[4], a[5])];
      f.timeout = U32.parseInt(a[7]);
      const r = f.start(I64.parseInt(a[6]));
      if (r.ok) this.fetches.push(r.value);
      return ok(r.code);
    }
    if (what == "write") return ok(this.fetch(a).writeString(a[2]));
    if (what == "finish") return ok(this.fetch(a).finish());
    if (what == "status") {
      const r = this.fetch(a).status();
      return r.ok ? r.value.toString() : ok(r.code);
    }
    if (what == "names") return texts(this.fetch(a).names());
    if (what == "values") return texts(this.fetch(a).values(a[2]));
    if (what == "read") return text(this.fetch(a).text(1 << 20));
    if (what == "close") return ok(this.fetch(a).close());

    if (what == "counter") return ok(new Counter(a[1], [new Pair(a[2], a[3])]).add(I64.parseInt(a[4])));
    if (what == "gauge") {
      const g = new Gauge(a[1]);
      const code = g.set(I64.parseInt(a[2]));
      return ok(code == Code.Ok ? g.add(I64.parseInt(a[3])) : code);
    }
    if (what == "histogram") return ok(new Histogram(a[1]).record(I64.parseInt(a[2])));
    return this.other(x, a);
  }

  // What is about the exchange.
  private other(x: Exchange, a: string[]): string {
    const what = a[0];
    if (what == "log") return ok(proxy.logField(a[1], a[2]));
    if (what == "client") return text(proxy.client(I32.parseInt(a[1])));
    if (what == "route") return text(proxy.route(I32.parseInt(a[1])));
    if (what == "choose") return ok(proxy.choose(I32.parseInt(a[1]), a[2]));
    if (what == "hints") return ok(proxy.hints([new Pair(a[1], a[2])]));
    if (what == "now") return system.now().toString();
    if (what == "monotonic") return system.monotonic().toString();
    if (what == "draw") {
      const drawn = new Uint8Array(I32.parseInt(a[1]));
      system.random(drawn);
      let hex = "";
      for (let i = 0; i < drawn.length; i++) hex += (drawn[i] >> 4).toString(16) + (drawn[i] & 15).toString(16);
      return hex;
    }
    if (what == "secret") return text(proxy.secret(a[1]));

    if (what == "enable") return (<i32>x.enable(I32.parseInt(a[1]))).toString();
    if (what == "value") x.value = new Text(a[1]);
    else if (what == "redirect") this.verdict = x.redirect(I32.parseInt(a[1]), a[2]);
    else if (what == "cookie") return or(x.request.cookie(a[1]));
    else if (what == "arm") return or(x.request.arm);
    else if (what == "set-arm") x.request.chooseArm(a[1]);
    else if (what == "trailer") {
      x.request.body.readAll();
      const v = or(x.request.trailers.get(a[1]));
      x.request.trailers.set("X-Sum", "1");
      return v;
    } else if (what == "random") return Math.random().toString();
    else if (what == "map") {
      const m = new Map<string, i32>();
      for (let i = 0; i < 64; i++) m.set(i.toString(), i);
      return m.size.toString();
    } else return "there is no " + what;
    return "ok";
  }

  // Returns a fetch by its number, which is that of its start.
  private fetch(a: string[]): Fetched {
    return this.fetches[I32.parseInt(a[1]) - 1];
  }
}

function or(s: string | null): string {
  return s === null ? "" : s;
}

handle(new Everything());
