#!/bin/sh
# Builds proxy-filter.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-proxy-filter.wasm}
clang --target=wasm32 -O2 -nostdlib -fno-builtin \
	-Wl,--no-entry -Wl,--strip-all -o "$out" proxy-filter.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
