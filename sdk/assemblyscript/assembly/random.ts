// Numbers for Math.random that no two exchanges have in common.

// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(buf: usize, length: u32): u32;

const drawn = memory.data(8);

// What is drawn while the module is initialised, all exchanges begin with. It is set if that
// has been done; a module that does not use Math.random has no call of it, nor of random_get.
let again: (() => void) | null = null;

function draw(): u64 {
  if (random_get(drawn, 8) != 0) unreachable();
  return load<u64>(drawn);
}

// Is what asc asks for a seed, if it is told --use seed=sluice/assembly/random/seed.
export function seed(): f64 {
  again = () => {
    NativeMath.seedRandom(draw());
  };
  return reinterpret<f64>(draw());
}

// Seeds Math.random anew for an exchange, if it has been used before.
export function renew(): void {
  const f = again;
  if (f !== null) f();
}
