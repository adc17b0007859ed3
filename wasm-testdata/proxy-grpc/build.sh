#!/bin/sh
# Builds proxy-grpc.wasm with clang and wasm-ld.
set -eu
cd "$(dirname "$0")"
out=${1:-proxy-grpc.wasm}
clang --target=wasm32 -O2 -Wall -Wextra -ffreestanding -nostdlib \
	-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=4096 -o "$out" proxy-grpc.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
