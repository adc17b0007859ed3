// Package api is the admin API's JSON and its client. It imports the standard
// library only, so that any program can use it.
//
//	GET            /v1/status             Status
//	GET            /v1/ready              Ready, with 503 while it is not
//	GET            /v1/live               204
//	GET            /v1/version            Version
//	GET            /v1/filters            []Filter
//	PUT            /v1/filters/{filter}   body: the module; answers with a ModuleVersion
//	GET, DELETE    /v1/filters/{filter}   Filter
//	GET            /v1/filters/{filter}/versions     []ModuleVersion
//	POST           /v1/filters/{filter}/versions     body: the module, which serves nothing yet; answers with a ModuleVersion
//	GET, PUT       /v1/filters/{filter}/deployment   Deployment; PUT takes a DeploymentChange
//	GET            /v1/filters/{filter}/shadow       Shadow
//	POST           /v1/filters/{filter}/rollback     to the version before; of several that serve, to the one alone that served before
//	GET, PUT ...   /v1/functions/...      the same for functions: []Function, Function
//	POST           /v1/filters/{filter}/try   TryRequest; answers with a Trial. The same for functions
//	GET            /v1/functions/{function}/logs   lines of text; ?follow=1 goes on
//	GET            /v1/routes             []Route
//	GET            /v1/routes/{route}     RouteConfig
//	PUT, PATCH     /v1/routes/{route}     body: the route as in the file, in JSON or YAML; a merge patch (RFC 7396) of it
//	DELETE         /v1/routes/{route}     takes back what PUT and PATCH did
//	GET, POST      /v1/captures           []Capture; POST takes a CaptureRequest, and answers with a Capture
//	GET, DELETE    /v1/captures/{id}      Capture; DELETE ends it too
//	GET            /v1/captures/{id}/exchanges   a Captured a line; ?follow=1 goes on until the capture has ended
//	GET, PUT       /v1/splits/{route}     Split; PUT takes a SplitChange
//	GET            /v1/kv                 []Namespace
//	GET            /v1/kv/{namespace}     Keys; ?prefix=, ?after= and ?limit= (1000)
//	GET            /v1/kv/{namespace}/{key}   the value, with the version as its ETag, and Sluice-Expires if it does
//	PUT            /v1/kv/{namespace}/{key}   body: the value; ?ttl=10m; answers with a Key. If-Match: the version; If-None-Match: *
//	DELETE         /v1/kv/{namespace}/{key}   204; If-Match likewise
//	GET            /v1/config             Configuration
//	PUT            /v1/config             body: the main file as YAML; answers with a Configuration
//	POST           /v1/config/check       the same body; answers with a Check
//	GET            /v1/config/history     []Revision
//	POST           /v1/config/rollback/{number}
//	POST           /v1/explain            ExplainRequest; answers with an Explanation
//	POST           /v1/logs/reopen        204
//	GET            /metrics               Prometheus
//	GET            /debug/pprof/          profiles of the process
//
// PUT of a filter takes ?on=SITE/PATH, which runs it on that route, and
// ?config=VALUE; PUT of a function takes ?route=SITE/PATH, which makes that route
// if there is none. Every write takes ?dry_run=1, which checks and changes
// nothing. A parameter that is not known is refused.
//
// What changes the configuration takes If-Match with the ETag of /v1/config, and is
// refused with 412 if somebody was faster. So do a split and a deployment, with their
// own; an upload, a rollback and a removal take that of the deployment.
//
// Errors are a Problem, as application/problem+json.
package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	Latest      Latest        `json:"latest"`
	Routes      []RouteStatus `json:"routes"` // those that had traffic, in the order of the file
	Upstreams   []Upstream    `json:"upstreams"`
	Filters     []Filter      `json:"filters"`
	Functions   []Function    `json:"functions"`
	Splits      []Split       `json:"splits"`
	Sandboxes   string        `json:"sandboxes,omitempty"` // how those of guests are put back after each request, and why that way: "scan: it works"
	Cache       *Cache        `json:"cache,omitempty"`     // nil: no route has one
}

// Latest is the traffic of the last minute. Times are in milliseconds, from a
// request's head to the end of its answer.
type Latest struct {
	Requests uint64  `json:"requests"`
	Rate     float64 `json:"rate"`   // requests a second
	Errors   float64 `json:"errors"` // share that was answered with 5xx or broken off: 0 to 1
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
}

// RouteStatus is the traffic of a route.
type RouteStatus struct {
	Route    string `json:"route"` // site/route
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"` // answered with 5xx, or broken off
	Latest   Latest `json:"latest"`
}

// Config is the configuration that is in force.
type Config struct {
	File     string    `json:"file,omitempty"` // "" without one: demo, to
	Loaded   time.Time `json:"loaded"`
	Reloads  uint64    `json:"reloads"`
	Problem  *Problem  `json:"problem,omitempty"` // why the file as it is now was not taken
	Overlays int       `json:"overlays"`          // changes by the API that the file does not have
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
	Latest    Latest     `json:"latest"` // times from sending the request to the head of the answer
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

// Split is how a route's traffic is divided.
type Split struct {
	Route string `json:"route"`
	By    string `json:"by"` // "cookie sid", "client", ...
	Arms  []Arm  `json:"arms"`
}

// ETag returns what stands for how the traffic is divided, and not for what has come of it.
func (s *Split) ETag() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", s.By)
	for _, a := range s.Arms {
		fmt.Fprintf(h, "%s %v\n", a.Name, a.Share)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
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
