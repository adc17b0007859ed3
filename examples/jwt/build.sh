#!/bin/sh
# Builds jwt.wasm with cargo (Debian: cargo rustc libstd-rust-dev-wasm32), here or where it is
# said, with the features that are said: ./build.sh jwks.wasm jwks. It fetches nothing.
set -eu
out=$(realpath "${1:-$(dirname "$0")/jwt.wasm}")
cd "$(dirname "$0")"
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

PATH=$found:$PATH cargo build --offline --quiet --release --target wasm32-unknown-unknown --features "${2:-}"
cp "$target/wasm32-unknown-unknown/release/jwt.wasm" "$out"
