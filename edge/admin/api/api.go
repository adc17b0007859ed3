// Package api is the admin API's JSON and its client. It imports the standard
// library only, so that any program can use it.
//
//	GET            /v1/status           Status
//	GET            /v1/ready            Ready, with 503 while it is not
//	GET            /v1/live             204
//	GET            /v1/version          Version
//	GET            /v1/filters          []Filter
//	PUT            /v1/filters/{filter} body: the module; answers with a FilterVersion
//	GET, DELETE    /v1/filters/{filter} Filter
//	GET, PUT       /v1/splits/{route}   Split; PUT takes a SplitChange
//
// Errors are a Problem, as application/problem+json.
package api

import (
	"strconv"
	"strings"
	"time"
)

// Status is the health of a running proxy on one page.
type Status struct {
	Version     Version       `json:"version"`
	Started     time.Time     `json:"started"`
	Ready       bool          `json:"ready"`
	Config      Config        `json:"config"`
	Listeners   []Listener    `json:"listeners"`
	Connections []Connections `json:"connections"`
	Requests    uint64        `json:"requests"`
	Errors      uint64        `json:"errors"` // of the requests: answered with 5xx of our own
	Upstreams   []Upstream    `json:"upstreams"`
	Filters     []Filter      `json:"filters"`
	Splits      []Split       `json:"splits"`
	Cache       *Cache        `json:"cache,omitempty"` // nil: no route has one
}

// Config is the configuration that is in force.
type Config struct {
	File    string    `json:"file,omitempty"` // "" without one: demo, to
	Loaded  time.Time `json:"loaded"`
	Reloads uint64    `json:"reloads"`
	Problem *Problem  `json:"problem,omitempty"` // why the file as it is now was not taken
}

// Listener is a socket that takes traffic.
type Listener struct {
	Name      string   `json:"name"`
	Address   string   `json:"address"`
	Protocols []string `json:"protocols"` // "http/1.1", "h2", "h3"
}

// Connections counts the client connections of one protocol.
type Connections struct {
	Protocol string `json:"protocol"`
	Open     int    `json:"open"`
	Active   int    `json:"active"`  // with a request in progress
	Tunnels  int    `json:"tunnels"` // WebSockets and the like
}

// Upstream is a pool of endpoints.
type Upstream struct {
	Name      string     `json:"name"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is one address of an upstream.
type Endpoint struct {
	Address  string `json:"address"`
	Weight   int    `json:"weight"`
	Backup   bool   `json:"backup,omitempty"`
	Active   int    `json:"active"` // requests in progress
	Idle     int    `json:"idle"`   // connections kept
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"` // requests that got no whole answer
}

// Cache is the state of the cache.
type Cache struct {
	Bytes     int64  `json:"bytes"`
	Limit     int64  `json:"limit"` // bytes
	Entries   int64  `json:"entries"`
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Evictions uint64 `json:"evictions"`
}

// Ready says whether the proxy takes traffic.
type Ready struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why not: "draining"
}

// Version is what is running.
type Version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Go       string `json:"go"`
	Platform string `json:"platform"` // "linux/amd64"
}

// Filter is a filter and the versions of its module.
type Filter struct {
	Name     string          `json:"name"`
	Live     int             `json:"live"`   // version that serves; 0: none
	Routes   []string        `json:"routes"` // that it runs on; empty: it is uploaded, and unused
	Runs     uint64          `json:"runs"`
	Failures uint64          `json:"failures"` // traps, time and memory exceeded
	Versions []FilterVersion `json:"versions"` // newest first
}

// FilterVersion is an uploaded module. It never changes.
type FilterVersion struct {
	Filter    string    `json:"filter"`
	Version   int       `json:"version"`
	Live      bool      `json:"live"`
	Digest    string    `json:"digest"` // "sha256:..."
	ABI       string    `json:"abi"`    // "http-wasm"
	Bytes     int64     `json:"bytes"`
	Imports   []string  `json:"imports,omitempty"` // host functions that it uses: "module.name"
	CompileMS float64   `json:"compile_ms,omitempty"`
	Uploaded  time.Time `json:"uploaded"`
	Source    string    `json:"source,omitempty"`   // the file that names it, or "upload"
	Routes    []string  `json:"routes,omitempty"`   // in answer to an upload: where it is live now
	Warnings  []string  `json:"warnings,omitempty"` // such as: no route uses the filter
}

// Split is how a route's traffic is divided.
type Split struct {
	Route string `json:"route"`
	By    string `json:"by"` // "cookie sid", "client", ...
	Arms  []Arm  `json:"arms"`
}

// Arm is one side of a split.
type Arm struct {
	Name     string  `json:"name"`
	Share    float64 `json:"share"` // percent of new assignments
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"` // 5xx
}

// SplitChange says how a split is to be divided from now on.
type SplitChange struct {
	Weights map[string]float64 `json:"weights"` // percent by arm; together 100
}

// Problem is an error of the API (RFC 9457), with the place of what caused it.
type Problem struct {
	Type     string    `json:"type,omitempty"` // URI reference; absent: "about:blank"
	Title    string    `json:"title"`
	Status   int       `json:"status,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	File     string    `json:"file,omitempty"`
	Line     int       `json:"line,omitempty"`   // from 1
	Column   int       `json:"column,omitempty"` // from 1
	Hint     string    `json:"hint,omitempty"`   // what to do
	Problems []Problem `json:"problems,omitempty"`
}

// ContentType is the media type of a Problem.
const ContentType = "application/problem+json"

// Error returns the problem on one line, and each of its parts on a line more.
func (p *Problem) Error() string {
	var b strings.Builder
	p.write(&b, "")
	return b.String()
}

func (p *Problem) write(b *strings.Builder, indent string) {
	b.WriteString(indent)
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
		if p.Line > 0 {
			b.WriteString(strconv.Itoa(p.Line))
			b.WriteByte(':')
			if p.Column > 0 {
				b.WriteString(strconv.Itoa(p.Column))
				b.WriteByte(':')
			}
		}
		b.WriteByte(' ')
	}
	switch {
	case p.Detail != "":
		b.WriteString(p.Detail)
	case p.Title != "":
		b.WriteString(p.Title)
	default:
		b.WriteString("status ")
		b.WriteString(strconv.Itoa(p.Status))
	}
	if p.Hint != "" {
		b.WriteString(" (hint: ")
		b.WriteString(p.Hint)
		b.WriteByte(')')
	}
	for i := range p.Problems {
		b.WriteByte('\n')
		p.Problems[i].write(b, indent+"  ")
	}
}
