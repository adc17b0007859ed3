// A clock, to the millisecond, and random numbers, of WASI. They need no grant, and a module imports only those
// that it calls.

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "clock_time_get")
declare function clock_time_get(clock: u32, precision: u64, time: usize): u32;

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(buf: usize, length: u32): u32;

const time = memory.data(8, 8);

function clock(id: u32): u64 {
  if (clock_time_get(id, 1, time) != 0) unreachable();
  return load<u64>(time);
}

/** Returns the nanoseconds since 1970, as the proxy's clock has it. */
export function now(): u64 {
  return clock(0);
}

/** Returns nanoseconds that only ever grow, for measuring: what they count from means nothing. */
export function monotonic(): u64 {
  return clock(1);
}

/**
 * Fills a buffer with random numbers of the system's, which are good enough for secrets. A
 * filter that draws while it is initialised is initialised for each exchange anew, which takes
 * longer, so that no two have them in common.
 */
export function random(buf: Uint8Array): void {
  if (random_get(buf.dataStart, buf.byteLength) != 0) unreachable();
}
