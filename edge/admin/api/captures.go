package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// CaptureRequest asks for a capture of the exchanges that come next, and that all of
// its conditions hold for.
type CaptureRequest struct {
	Route  string `json:"route,omitempty"`  // site/route, or a site; default: every route
	Method string `json:"method,omitempty"` // default: every one
	Path   string `json:"path,omitempty"`   // as the client has sent it; with * at its end, what it begins with
	Status string `json:"status,omitempty"` // of the answer: 404, or 5xx for all of a class
	Filter string `json:"filter,omitempty"` // that has run
	Count  int    `json:"count,omitempty"`  // exchanges after which the capture ends; default 100, at most 1000
	For    string `json:"for,omitempty"`    // time after which it ends: default 1m, at most 1h
	Bodies string `json:"bodies,omitempty"` // of each content, so much is kept: 64KB, at most 1MB; default off
}

// The states of captures.
const (
	CaptureRuns    = "running"
	CaptureCounted = "count"   // ended: it has all exchanges that were asked for
	CaptureTimed   = "time"    // ended: its time is over
	CaptureFull    = "full"    // ended: there is no room for more
	CaptureStopped = "stopped" // ended: the proxy does
)

// Capture is exchanges that are recorded, or that were.
type Capture struct {
	ID        string         `json:"id,omitempty"` // none of a dry run
	Asked     CaptureRequest `json:"asked"`
	State     string         `json:"state,omitempty"` // "running"; or why it has ended: "count", "time", "full"
	Started   time.Time      `json:"started,omitzero"`
	Ends      time.Time      `json:"ends,omitzero"` // at the latest; when it has, once it has
	Exchanges int            `json:"exchanges"`
	Bytes     int64          `json:"bytes"` // of the lines
}

// CaptureFormat is the version of the lines of captures. Members may be added to it;
// what changes otherwise gets another number.
const CaptureFormat = 1

// Captured is one exchange of a capture: a line of JSON. Values that are not to be
// told are "[redacted]".
type Captured struct {
	Format   int           `json:"v"` // 1
	ID       string        `json:"id"`
	Time     time.Time     `json:"time"`
	Client   string        `json:"client"` // address
	Proto    string        `json:"proto"`
	Site     string        `json:"site"`
	Route    string        `json:"route"`
	Redacted []string      `json:"redacted,omitempty"` // names of fields, of parameters and of members of JSON that were
	Request  HTTPRequest   `json:"request"`            // as the route's filters get it
	Response *HTTPResponse `json:"response,omitempty"` // as they get it: that of the upstream, the function or the cache; absent if a filter or the route has answered
	Answer   *HTTPResponse `json:"answer,omitempty"`   // as the client gets it
	Filters  []CapturedRun `json:"filters,omitempty"`  // that have run, in their order
	Why      string        `json:"why,omitempty"`      // as in the access log
	MS       float64       `json:"ms"`                 // until the answer had been delivered
}

// CapturedRun is a filter's part in an exchange.
type CapturedRun struct {
	Name    string  `json:"name"`
	Version int     `json:"version,omitempty"`
	MS      float64 `json:"ms"`
	Failed  bool    `json:"failed,omitempty"`
}

// StartCapture starts a capture.
func (c *Client) StartCapture(ctx context.Context, r CaptureRequest) (Capture, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return Capture{}, err
	}
	return send[Capture](ctx, c, http.MethodPost, Change{}, mediaJSON, body, "v1", "captures")
}

// Captures returns all captures, the oldest first.
func (c *Client) Captures(ctx context.Context) ([]Capture, error) {
	return get[[]Capture](ctx, c, "v1", "captures")
}

// Capture returns one capture.
func (c *Client) Capture(ctx context.Context, id string) (Capture, error) {
	return get[Capture](ctx, c, "v1", "captures", id)
}

// RemoveCapture ends a capture, and removes what it has.
func (c *Client) RemoveCapture(ctx context.Context, id string) error {
	return c.remove(ctx, "v1", "captures", id)
}

// Captured returns the exchanges that a capture has, a line of JSON each, and, if
// follow is true, goes on with those to come until it ends. Who gets it closes it.
func (c *Client) Captured(ctx context.Context, id string, follow bool) (io.ReadCloser, error) {
	return c.stream(ctx, "application/jsonl", follow, "v1", "captures", id, "exchanges")
}

// MarshalLine returns the exchange as a line.
func (c *Captured) MarshalLine() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(c)
	return b.Bytes(), err
}
