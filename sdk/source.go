//go:build !wasip1

package sdk

import (
	"embed"
	"io/fs"
)

// A package's tests are not part of what others need of it, nor is this file.
//
//go:embed LICENSE sdk.go message.go host.go guest.go native.go
//go:embed config/config.go function/function.go function/response.go function/native.go
//go:embed proxy/proxy.go proxy/kv.go proxy/fetch.go proxy/metrics.go proxy/guest.go proxy/native.go
//go:embed internal/pieces/pieces.go
//go:embed c/sluice.h
//go:embed rust/Cargo.toml rust/LICENSE rust/src/*.rs rust/examples/*.rs
//go:embed assemblyscript/LICENSE assemblyscript/assembly/*.ts
var source embed.FS

// Source returns the files of this package, of those below it, and of the SDKs for C,
// Rust and AssemblyScript, as they lie in its directory: what a project needs that
// builds filters and functions where nothing can be fetched. sluice filter new writes
// it there.
func Source() fs.FS { return source }
