#!/bin/sh
# Builds the examples with asc, which npm ci installs, into the directory that is named, or
# here.
set -eu
out=$(realpath "${1:-$(dirname "$0")}")
cd "$(dirname "$0")/.."
for name in headers auth rewrite body; do
	npx --no-install asc examples/$name.ts --optimize --exportStart _initialize --use abort=assembly/host/abort --use seed=assembly/host/seed -o "$out/$name.wasm"
done
