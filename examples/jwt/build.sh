#!/bin/sh
# Builds jwt.wasm with cargo (Debian: cargo rustc libstd-rust-dev-wasm32), here or where it is
# said, with the features that are said: ./build.sh jwks.wasm jwks. It fetches nothing.
set -eu
out=$(realpath "${1:-$(dirname "$0")/jwt.wasm}")
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}
cargo build --offline --quiet --release --target wasm32-unknown-unknown --features "${2:-}"
cp "$target/wasm32-unknown-unknown/release/jwt.wasm" "$out"
