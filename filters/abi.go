package filters

import (
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/filters/wasm"
)

// ABI is the interface between a filter's module and its host.
type ABI string

// The ABIs that filters may be of.
const (
	HTTPWasm  ABI = "http-wasm"  // the http-wasm HTTP handler ABI
	ProxyWasm ABI = "proxy-wasm" // Envoy's
)

// Recognise tells a filter's ABI from what its module imports and exports.
func Recognise(i *wasm.Info) (ABI, error) {
	if _, ok := i.Export("handle_request"); ok || i.ImportsFrom("http_handler") {
		return HTTPWasm, nil
	}
	for _, e := range i.Exports {
		if strings.HasPrefix(e.Name, "proxy_abi_version_") {
			return ProxyWasm, nil
		}
	}
	if _, ok := i.Export("_start"); ok {
		return "", errors.New("is a WASI command, which can be a function, not a filter")
	}
	return "", errors.New(`is of no known ABI: an http-wasm filter imports from "http_handler" and exports "handle_request", one of proxy-wasm exports "proxy_abi_version_0_2_1" or an older version`)
}
