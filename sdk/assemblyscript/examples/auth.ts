// Lets only requests through that carry an API key. The configuration has a user and a key on
// each line.

import { Exchange, Filter, Verdict, equal, handle } from "../assembly";
export { handle_request, handle_response } from "../assembly";

class Auth extends Filter {
  private users: string[] = [];
  private keys: string[] = [];

  configure(config: string): string | null {
    const lines = config.split("\n");
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i];
      if (line.length == 0) continue;
      const space = line.indexOf(" ");
      if (space < 1 || space == line.length - 1) return "want a user, a space and a key on each line";
      this.users.push(line.substring(0, space));
      this.keys.push(line.substring(space + 1));
    }
    return this.users.length > 0 ? null : "want a user, a space and a key on each line";
  }

  request(x: Exchange): Verdict {
    const fields = x.request.fields;
    fields.del("X-User"); // only we say who somebody is
    const key = fields.get("X-Api-Key");
    for (let i = 0; key !== null && i < this.keys.length; i++) {
      if (equal(key, this.keys[i])) {
        fields.set("X-User", this.users[i]);
        fields.del("X-Api-Key"); // the origin need not know it
        return Verdict.Next;
      }
    }
    x.response.fields.set("WWW-Authenticate", "ApiKey");
    return x.answer(401, "401 Unauthorized\n");
  }
}

handle(new Auth());
