// Counters, gauges and histograms, which /metrics shows as sluice_guest_NAME. sluice.yaml grants
// them with allow: { metrics: yes }. A metric is defined once, in a filter's constructor or in
// configure, and kept: one that could not be defined does nothing, and says why.

import * as host from "./host";
import { Code, Pair, code, pairs } from "./proxy";

/** What metrics have in common. */
export class Metric {
  protected number: i32;

  constructor(kind: u32, name: string, labels: Pair[]) {
    const n = host.encode(name);
    const l = pairs(labels);
    this.number = host.metric_define(kind, host.at(n), n.byteLength, host.at(l), l.byteLength);
  }

  /** Whether it is defined, or why not. */
  get code(): Code {
    return code(this.number);
  }
}

/** A number that grows. */
export class Counter extends Metric {
  /** Defines a counter, whose name ends with _total. */
  constructor(name: string, labels: Pair[] = []) {
    super(0, name, labels);
  }

  /** Adds n, which is not negative. */
  add(n: i64 = 1): Code {
    return this.number < 0 ? this.code : code(host.metric_add(this.number, n));
  }
}

/** A number that goes up and down. */
export class Gauge extends Metric {
  constructor(name: string, labels: Pair[] = []) {
    super(1, name, labels);
  }

  add(delta: i64): Code {
    return this.number < 0 ? this.code : code(host.metric_add(this.number, delta));
  }

  set(value: i64): Code {
    return this.number < 0 ? this.code : code(host.metric_record(this.number, value));
  }
}

/** How many values there were up to 1, 2, 4, ... 2^30. */
export class Histogram extends Metric {
  constructor(name: string, labels: Pair[] = []) {
    super(2, name, labels);
  }

  record(value: i64): Code {
    return this.number < 0 ? this.code : code(host.metric_record(this.number, value));
  }
}
