#!/bin/sh
# Builds the examples with Go alone, into the directory that is named, or here.
set -eu
out=$(realpath "${1:-$(dirname "$0")}")
cd "$(dirname "$0")"
for name in headers auth rewrite body; do
	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o "$out/$name.wasm" ./$name
done
