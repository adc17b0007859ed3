// Adds, sets and removes fields of the request, and sets one of the response.

import { Exchange, Filter, Verdict, handle } from "../assembly";
export { handle_request, handle_response } from "../assembly";

class Headers extends Filter {
  request(x: Exchange): Verdict {
    const fields = x.request.fields;
    fields.set("X-Through", "sluice");
    fields.add("X-Seen", "headers");
    fields.del("X-Debug");
    x.response.fields.set("X-Sluice-Filter", "headers");
    return Verdict.Next;
  }
}

handle(new Headers());
