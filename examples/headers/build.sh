#!/bin/sh
# Builds headers.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-headers.wasm}
clang --target=wasm32 -Os -Wall -Wextra -ffreestanding -nostdlib -I ../../sdk/c \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" headers.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
