#!/bin/sh
# Builds the examples with cargo (Debian: cargo rustc libstd-rust-dev-wasm32), into the directory
# that is named, or here. It fetches nothing.
set -eu
out=$(realpath "${1:-$(dirname "$0")}")
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

# The first cargo of the path may not have the target, as rustup's has not at first, while
# another has it.
found=
IFS=:
for dir in $PATH; do
	if [ -x "$dir/cargo" ] && [ -x "$dir/rustc" ] &&
		lib=$("$dir/rustc" --print target-libdir --target wasm32-unknown-unknown 2>/dev/null) && [ -d "$lib" ]; then
		found=$dir
		break
	fi
done
unset IFS
if [ -z "$found" ]; then
	echo "build.sh: there is no cargo in \$PATH that builds for wasm32-unknown-unknown (Debian: cargo rustc libstd-rust-dev-wasm32)" >&2
	exit 1
fi

PATH=$found:$PATH cargo build --offline --quiet --release --target wasm32-unknown-unknown --examples
for name in headers auth rewrite body; do
	cp "$target/wasm32-unknown-unknown/release/examples/$name.wasm" "$out/$name.wasm"
done
