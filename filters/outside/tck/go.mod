module github.com/sluice-edge/sluice/filters/outside/tck

go 1.26.0

require (
	github.com/http-wasm/http-wasm-host-go v0.7.0
	github.com/sluice-edge/sluice v0.0.0
)

require golang.org/x/tools v0.52.0 // indirect

replace github.com/sluice-edge/sluice => ../../..
