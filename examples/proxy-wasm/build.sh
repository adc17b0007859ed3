#!/bin/sh
# Builds bouncer.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-bouncer.wasm}
clang --target=wasm32 -Os -Wall -Wextra -Wno-unused-parameter -ffreestanding -nostdlib -mbulk-memory \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" bouncer.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
