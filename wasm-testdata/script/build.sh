#!/bin/sh
# Builds script.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-script.wasm}
clang --target=wasm32 -Os -Wall -Wextra -Wno-implicit-fallthrough -ffreestanding -nostdlib \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" script.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
