#!/bin/sh
# Builds sluice-calls.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-sluice-calls.wasm}
clang --target=wasm32 -Os -Wall -Wextra -ffreestanding -nostdlib \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096,--initial-memory=196608 -o "$out" sluice-calls.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
