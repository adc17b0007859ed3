#!/bin/sh
# Builds headers.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
clang --target=wasm32 -Os -Wall -Wextra -ffreestanding -nostdlib \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "${1:-headers.wasm}" headers.c
