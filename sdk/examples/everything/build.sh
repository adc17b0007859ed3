#!/bin/sh
# Builds the guest of a language (go, c, rust, assemblyscript) into the file that is named.
set -eu
out=$2
cd "$(dirname "$0")"
case $1 in
go) GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o "$out" ./go ;;
c)
	clang --target=wasm32 -mbulk-memory -Os -Wall -Wextra -ffreestanding -nostdlib \
		-Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -o "$out" everything.c
	;;
rust)
	cargo build --quiet --offline --locked --release --target wasm32-unknown-unknown --target-dir "$out.target"
	cp "$out.target/wasm32-unknown-unknown/release/everything.wasm" "$out"
	;;
assemblyscript)
	cd ../..
	assemblyscript/node_modules/.bin/asc examples/everything/everything.ts --optimize --exportStart _initialize \
		--use abort=assemblyscript/assembly/host/abort --use seed=assemblyscript/assembly/host/seed -o "$out"
	;;
esac
