module github.com/sluice-edge/sluice/filters/outside/tour/go

go 1.26.0

require github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0
