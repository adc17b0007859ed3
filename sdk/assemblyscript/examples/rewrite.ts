// Puts another prefix in place of the path's. The configuration has the two on each line; the
// first that fits counts. The query stays.

import { Exchange, Filter, Verdict, handle } from "../assembly";
export { handle_request, handle_response } from "../assembly";

class Rewrite extends Filter {
  private from: string[] = [];
  private to: string[] = [];

  configure(config: string): string | null {
    const lines = config.split("\n");
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i];
      if (line.length == 0) continue;
      const space = line.indexOf(" ");
      if (!line.startsWith("/") || space < 0 || line.charAt(space + 1) != "/") return "want two paths on each line";
      this.from.push(line.substring(0, space));
      this.to.push(line.substring(space + 1));
    }
    return this.from.length > 0 ? null : "want two paths on each line";
  }

  request(x: Exchange): Verdict {
    const uri = x.request.uri;
    for (let i = 0; i < this.from.length; i++) {
      if (uri.startsWith(this.from[i])) {
        x.request.uri = this.to[i] + uri.substring(this.from[i].length);
        break;
      }
    }
    return Verdict.Next;
  }
}

handle(new Rewrite());
