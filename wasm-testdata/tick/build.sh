#!/bin/sh
# Builds tick.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-tick.wasm}
clang --target=wasm32 -Os -Wall -Wextra -ffreestanding -nostdlib \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" tick.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
