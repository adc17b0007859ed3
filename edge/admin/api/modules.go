package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Filter is a filter and the versions of its module.
type Filter struct {
	Name     string          `json:"name"`
	Live     int             `json:"live"`   // version that serves; 0: none
	Routes   []string        `json:"routes"` // that it runs on; empty: it is uploaded, and unused
	Runs     uint64          `json:"runs"`
	Failures uint64          `json:"failures"` // traps, time and memory exceeded
	Versions []ModuleVersion `json:"versions"` // newest first

	Deployment Deployment `json:"deployment"`
	Damage     string     `json:"damage,omitempty"` // what is wrong with the state directory, so that all requests are denied
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

	Schedule   *Schedule  `json:"schedule,omitempty"` // by which the proxy runs it; none: only requests do
	Deployment Deployment `json:"deployment"`
	Damage     string     `json:"damage,omitempty"` // what is wrong with the state directory, so that all requests are denied
}

// Schedule is when the proxy runs a function by itself. Figures count since the proxy was
// started, or the schedule was.
type Schedule struct {
	Every    string        `json:"every"` // "5m"
	Next     time.Time     `json:"next"`  // when a run is due
	Running  bool          `json:"running"`
	Runs     uint64        `json:"runs"`     // that have ended
	Failures uint64        `json:"failures"` // of these: answered with anything but 2xx, or not at all
	Skipped  uint64        `json:"skipped"`  // were due while the one before had not ended
	Last     *ScheduledRun `json:"last,omitempty"`
}

// ScheduledRun is a run that has ended.
type ScheduledRun struct {
	Due     time.Time `json:"due"`
	Began   time.Time `json:"began"`
	MS      float64   `json:"ms"`
	ID      string    `json:"id"` // of the request, as in the log of the function
	Version int       `json:"version,omitempty"`
	Status  int       `json:"status,omitempty"` // of the answer; 0: there was none
	Error   string    `json:"error,omitempty"`  // why it has failed
}

// Deployment is which versions of a module run. Figures count since the proxy was
// started.
type Deployment struct {
	Versions   []Deployed  `json:"versions"`         // that serve, in the order of their numbers; empty: none
	Shadow     int         `json:"shadow,omitempty"` // version that runs on copies of the traffic
	Guard      string      `json:"guard"`            // when the newer version is rolled back; "off"
	Since      time.Time   `json:"since,omitzero"`
	RolledBack *RolledBack `json:"rolled_back,omitempty"` // by the guard, and nothing was deployed since
}

// ETag returns what stands for which versions run and how, and not for what they have done.
func (d *Deployment) ETag() string {
	h := sha256.New()
	for _, v := range d.Versions {
		fmt.Fprintf(h, "%d %v\n", v.Version, v.Percent)
	}
	fmt.Fprintf(h, "%d %s", d.Shadow, d.Guard)
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Deployed is a version that serves.
type Deployed struct {
	Version  int     `json:"version"`
	Percent  float64 `json:"percent"`
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"` // of the requests: answered with 5xx by whomever, or broken off
	Traps    uint64  `json:"traps"`  // of the requests: the module itself has failed
	Mean     float64 `json:"mean_ms"`
	P95      float64 `json:"p95_ms"`
	WhyFresh string  `json:"why_fresh,omitempty"` // each request gets an instance that is made for it, since the module's cannot be put back
}

// RolledBack is what a guard has done.
type RolledBack struct {
	From   int       `json:"from"` // version that did not do well
	To     int       `json:"to"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`

	Unsaved string `json:"unsaved,omitempty"` // why it could not be written to the state directory yet: after a restart the newer version would serve again
}

// DeploymentChange is which versions of a module are to run from now on.
type DeploymentChange struct {
	Versions []DeployedShare `json:"versions"`         // one or two; together 100 percent
	Shadow   int             `json:"shadow,omitempty"` // 0: none
	Guard    *string         `json:"guard,omitempty"`  // nil: the one that there is; "off": none

	IfMatch string `json:"-"` // ETag that the deployment must have; "": any
}

// DeployedShare is the part of the traffic that a version is to have.
type DeployedShare struct {
	Version int     `json:"version"`
	Percent float64 `json:"percent"`
}

// Shadow is what a version in shadow has made of copies of the traffic. Its requests are
// those that versions which serve had since then.
type Shadow struct {
	Version     int               `json:"version"`
	Since       time.Time         `json:"since"`
	Same        uint64            `json:"same"`
	Differs     uint64            `json:"differs"`
	Failed      uint64            `json:"failed"`  // its module has
	Dropped     map[string]uint64 `json:"dropped"` // not copied, by reason: "busy", "large", "incomplete", "upgrade", "slow", "closed"
	Kinds       map[string]uint64 `json:"kinds"`   // of what differs: "verdict", "request", "request-fields", "request-content", "status", "fields", "content"
	LiveMean    float64           `json:"live_mean_ms"`
	ShadowMean  float64           `json:"shadow_mean_ms"`
	Differences []Difference      `json:"differences"` // the last, the latest first
}

// Difference is a request of which a version in shadow would have made something else.
type Difference struct {
	Time    time.Time `json:"time"`
	ID      string    `json:"id"` // of the request, as in the access log
	Method  string    `json:"method"`
	Target  string    `json:"target"` // path and query
	Live    int       `json:"live"`   // version that served it
	Kinds   []string  `json:"kinds"`
	Details []string  `json:"details"` // values of fields that the log does not show are redacted
}

// ModuleVersion is a module of a filter or function. It never changes.
type ModuleVersion struct {
	Filter    string    `json:"filter,omitempty"`
	Function  string    `json:"function,omitempty"`
	Version   int       `json:"version"`           // 0 of a dry run
	Live      bool      `json:"live"`              // it serves
	Percent   float64   `json:"percent,omitempty"` // of the traffic
	Shadow    bool      `json:"shadow,omitempty"`  // it runs on copies of the traffic
	Digest    string    `json:"digest"`            // "sha256:..."
	ABI       string    `json:"abi"`               // "http-wasm", "wasi"
	Bytes     int64     `json:"bytes"`
	Imports   []string  `json:"imports,omitempty"` // host functions that it uses: "module.name"
	CompileMS float64   `json:"compile_ms,omitempty"`
	Uploaded  time.Time `json:"uploaded,omitzero"`
	Source    string    `json:"source,omitempty"`   // "api" or "file"
	Routes    []string  `json:"routes,omitempty"`   // in answer to an upload: where it is live now
	Warnings  []string  `json:"warnings,omitempty"` // such as: no route uses it
}

// Use says where an uploaded module is put to use.
type Use struct {
	Route  string // site/path: of a filter, the route that it is to run on, or a site; of a function, the route that it is to answer. "": nowhere new
	Config string // of a filter: JSON, or a text. "": as it is
	Store  bool   // a version that serves nothing yet; Route and Config are ""
	DryRun bool   // check, and change nothing

	IfMatch string // ETag that the deployment must have; "": any
}
