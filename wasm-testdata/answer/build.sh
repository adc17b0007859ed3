#!/bin/sh
# Builds answer.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-answer.wasm}
clang --target=wasm32 -Os -Wall -Wextra -Wno-implicit-fallthrough -ffreestanding -nostdlib -I ../../sdk/c \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" answer.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
