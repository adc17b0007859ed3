package api

import "time"

// Filter is a filter and the versions of its module.
type Filter struct {
	Name     string          `json:"name"`
	Live     int             `json:"live"`   // version that serves; 0: none
	Routes   []string        `json:"routes"` // that it runs on; empty: it is uploaded, and unused
	Runs     uint64          `json:"runs"`
	Failures uint64          `json:"failures"` // traps, time and memory exceeded
	Versions []ModuleVersion `json:"versions"` // newest first
}

// Function is a function and the versions of its module.
type Function struct {
	Name     string          `json:"name"`
	Live     int             `json:"live"`   // version that serves; 0: none
	Routes   []string        `json:"routes"` // that it answers; empty: it is uploaded, and unused
	Runs     uint64          `json:"runs"`
	Running  int             `json:"running"`  // now
	Failures uint64          `json:"failures"` // traps, time and memory exceeded, broken answers
	Versions []ModuleVersion `json:"versions"` // newest first
}

// ModuleVersion is a module of a filter or function. It never changes.
type ModuleVersion struct {
	Filter    string    `json:"filter,omitempty"`
	Function  string    `json:"function,omitempty"`
	Version   int       `json:"version"`
	Live      bool      `json:"live"`
	Digest    string    `json:"digest"` // "sha256:..."
	ABI       string    `json:"abi"`    // "http-wasm", "wasi"
	Bytes     int64     `json:"bytes"`
	Imports   []string  `json:"imports,omitempty"` // host functions that it uses: "module.name"
	CompileMS float64   `json:"compile_ms,omitempty"`
	Uploaded  time.Time `json:"uploaded"`
	Source    string    `json:"source,omitempty"`   // "api" or "file"
	Routes    []string  `json:"routes,omitempty"`   // in answer to an upload: where it is live now
	Warnings  []string  `json:"warnings,omitempty"` // such as: no route uses it
}

// Use says where an uploaded module is put to use.
type Use struct {
	Route  string // site/path: of a filter, the route that it is to run on, or a site; of a function, the route that it is to answer. "": nowhere new
	Config string // of a filter: JSON, or a text. "": as it is
	DryRun bool   // check, and change nothing
}
