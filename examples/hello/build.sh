#!/bin/sh
# Builds hello.wasm with clang, wasm-ld and wasi-libc (Debian: clang lld wasi-libc
# libclang-rt-14-dev-wasm32).
set -eu
cd "$(dirname "$0")"
out=${1:-hello.wasm}
clang --target=wasm32-wasi -Os -Wall -Wextra \
	-Wl,--strip-all -Wl,-z,stack-size=8192 -o "$out" hello.c
chmod 644 "$out" # wasm-ld makes it executable, which it is not
