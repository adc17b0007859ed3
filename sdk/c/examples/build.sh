#!/bin/sh
# Builds the examples with clang and wasm-ld (Debian: clang, lld), into the directory
# that is named, or here.
set -eu
out=$(realpath "${1:-$(dirname "$0")}")
cd "$(dirname "$0")"
for name in headers auth rewrite body; do
	clang --target=wasm32 -mbulk-memory -Os -Wall -Wextra -ffreestanding -nostdlib -I .. \
		-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "$out/$name.wasm" $name.c
done
