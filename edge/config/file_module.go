package config

import (
	"time"

	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/filters/deploy"
)

// Filter is a module that routes may name.
type Filter struct {
	Place   diag.Place
	Name    string
	Wasm    string        // path of the module; absolute. "" if it is what was uploaded
	ABI     string        // that the module must be of: http-wasm or proxy-wasm. Default "": the one that it is of
	Root    string        // id of the root context of a proxy-wasm module. Default ""
	VM      string        // id of the virtual machine of a proxy-wasm module. Default "": the name
	Config  []byte        // what the guest gets: JSON of the value in the file, or the string as it stands; nil for none
	Shared  bool          // instances keep their state from request to request
	Memory  int64         // of one instance, in bytes. Default 32MB
	Timeout time.Duration // of one call. Default 50ms
	Body    int64         // content that it may hold at a time, in bytes. Default 1MB
	OnError OnError
	Allow   Allow
	Deploy  Deploy
}

// Deploy is which versions of a module run.
type Deploy struct {
	Versions []Deployed   // in the order of their numbers, one or two; the shares add up to 100. Default: the current one
	Shadow   int          // runs on copies of the traffic; 0, the default: none
	Guard    deploy.Guard // when the newer of two versions is rolled back. Default: never
}

// Deployed is a version that serves.
type Deployed struct {
	Version int
	Share   float64 // percent, 0 to 100
}

// Allow is what a module may import of the proxy's own module. Default: what is granted
// to all.
type Allow struct {
	Place   diag.Place
	KV      []string // namespaces, sorted
	Fetch   []string // upstreams, sorted
	Metrics bool
	Route   bool
	Hints   bool
	Secrets []Pair // sorted by name
}

// OnError is what becomes of a request whose filter fails.
type OnError uint8

// What becomes of a request whose filter fails. Deny is the default.
const (
	Deny OnError = iota // it is answered with an error
	Skip                // it goes on as if the filter were not there
)

// Function is a module that answers requests.
type Function struct {
	Place       diag.Place
	Name        string
	Wasm        string        // path of the module; absolute. "" if it is what was uploaded
	Env         []Pair        // environment variables, sorted by name. Default: none
	Args        []string      // arguments, after the name. Default: none
	Memory      int64         // of one instance, in bytes. Default 128MB
	Timeout     time.Duration // of one request, without the time that it waits for the client. Default 10s
	Concurrency int           // requests at a time; more wait a while and are answered with 503. Default 100
	Every       time.Duration // between two runs that nobody asks for. Default 0: there are none
	Allow       Allow
	Deploy      Deploy
}
