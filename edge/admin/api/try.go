package api

import (
	"context"
	"encoding/json"
	"net/http"
	"unicode/utf8"
)

// TryRequest is a request that a module is tried with.
type TryRequest struct {
	Version  int           `json:"version,omitempty"` // stored version, which need not be deployed; default the live one, or the newest if none is live
	Request  HTTPRequest   `json:"request"`
	Response *HTTPResponse `json:"response,omitempty"` // what a filter is given as the rest of the proxy's answer; default 200 without content. A function is given none
	Client   string        `json:"client,omitempty"`   // address; default 127.0.0.1
	Effects  bool          `json:"effects,omitempty"`  // what the module is allowed has effects: keys are written, upstreams told something, metrics counted. Otherwise it may read keys, and ask upstreams by GET, HEAD, OPTIONS and TRACE, and what changes something is unavailable to it
}

// HTTPRequest is a request. Its content is text in body, or any in body_base64, which
// goes before.
type HTTPRequest struct {
	Method   string  `json:"method,omitempty"` // default GET
	URL      string  `json:"url"`              // percent-encoded; http if it names no scheme
	Headers  []Field `json:"headers,omitempty"`
	Body     string  `json:"body,omitempty"`
	Base64   []byte  `json:"body_base64,omitempty"` // in base64
	Bytes    int64   `json:"bytes,omitempty"`       // of the content, as far as it was read; of no meaning in what is asked
	Cut      bool    `json:"truncated,omitempty"`   // there was more content than there is here
	Trailers []Field `json:"trailers,omitempty"`
}

// HTTPResponse is a response, or the error that came in place of one.
type HTTPResponse struct {
	Status   int     `json:"status,omitempty"` // default 200
	Error    string  `json:"error,omitempty"`  // what kept the proxy from having a response: an error type of RFC 9209, such as connection_refused; status is what it is answered with
	Headers  []Field `json:"headers,omitempty"`
	Body     string  `json:"body,omitempty"`
	Base64   []byte  `json:"body_base64,omitempty"` // in base64
	Bytes    int64   `json:"bytes,omitempty"`       // as in a request
	Cut      bool    `json:"truncated,omitempty"`   // there was more content than there is here
	Trailers []Field `json:"trailers,omitempty"`
}

// Content returns the content that there is.
func (r *HTTPRequest) Content() []byte { return content(r.Body, r.Base64) }

// SetContent makes b the content, as text if it is text.
func (r *HTTPRequest) SetContent(b []byte) { r.Body, r.Base64 = asText(b) }

// Content returns the content that there is.
func (r *HTTPResponse) Content() []byte { return content(r.Body, r.Base64) }

// SetContent makes b the content, as text if it is text.
func (r *HTTPResponse) SetContent(b []byte) { r.Body, r.Base64 = asText(b) }

func content(text string, other []byte) []byte {
	if len(other) > 0 {
		return other
	}
	return []byte(text)
}

func asText(b []byte) (text string, other []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return "", b
}

// The verdicts of trials.
const (
	TrialNext     = "next"     // the filter let the request go on
	TrialAnswered = "answered" // the module has answered
	TrialFailed   = "failed"   // it has trapped, or run into a limit
	TrialSkipped  = "skipped"  // it has failed, and the exchange went on without it, since on-error is skip
)

// Trial is what a module did with one request.
type Trial struct {
	Filter   string        `json:"filter,omitempty"`
	Function string        `json:"function,omitempty"`
	Version  int           `json:"version,omitempty"` // 0: of a file
	ABI      string        `json:"abi"`
	Verdict  string        `json:"verdict"`           // "next", "answered", "failed", "skipped"
	Cause    string        `json:"cause,omitempty"`   // of a failure: "trap", "timeout", "exit", "abi", "busy", "oversized"
	Failure  string        `json:"failure,omitempty"` // in words
	Request  *HTTPRequest  `json:"request,omitempty"` // as it went on; absent if it did not
	Response *HTTPResponse `json:"response"`          // as the client gets it
	Changes  []TrialChange `json:"changes"`           // what the module made of the request, and of the response that it was given
	Said     []TrialLine   `json:"said"`              // what it has logged
	Log      []Field       `json:"log,omitempty"`     // what it has added to the access log's line
	Fetches  []TrialFetch  `json:"fetches,omitempty"` // that it has made, in their order; of sluice filter test alone
	Missing  []string      `json:"missing,omitempty"` // lines of the file that would allow what it was not allowed; likewise
	Cost     TrialCost     `json:"cost"`
}

// TrialChange is one thing that a filter has changed.
type TrialChange struct {
	In   string `json:"in"`               // "request" or "response"; or "kv", of sluice filter test alone
	What string `json:"what"`             // "method", "scheme", "authority", "path", "query", "status", "field", "trailer", "content"; "key"
	Name string `json:"name,omitempty"`   // of a field or a trailer; of a key, namespace/key
	Do   string `json:"do"`               // "set", "added", "removed"
	From string `json:"from,omitempty"`   // of content: its size in bytes
	To   string `json:"to,omitempty"`     // likewise
	TTL  int64  `json:"ttl_ms,omitempty"` // of a key: when it expires, counted from the request
}

// TrialFetch is a request that a module has sent to an upstream.
type TrialFetch struct {
	Upstream string `json:"upstream"`
	Method   string `json:"method,omitempty"` // absent: it was not sent
	URI      string `json:"uri,omitempty"`
	Bytes    int64  `json:"bytes,omitempty"`  // of its content, as far as its length is told
	Status   int    `json:"status,omitempty"` // of the response
	Error    string `json:"error,omitempty"`  // what came in place of one
}

// TrialLine is a line that a guest has logged.
type TrialLine struct {
	Level string `json:"level"` // "DEBUG", "INFO", "WARN", "ERROR"
	Text  string `json:"text"`
}

// TrialCost is what a module has used.
type TrialCost struct {
	MS      float64 `json:"ms"`           // in which it ran, without what it waited for
	StartMS float64 `json:"start_ms"`     // in which it was initialised, once and not for each request
	Memory  int64   `json:"memory_bytes"` // the most that its memory has had
	Fresh   bool    `json:"fresh"`        // every request gets an instance that is made for it, which costs start_ms each time
	Why     string  `json:"why_fresh,omitempty"`
}

// TryFilter runs one request through a version of a filter, apart from all traffic.
func (c *Client) TryFilter(ctx context.Context, name string, t TryRequest) (Trial, error) {
	return c.try(ctx, t, "v1", "filters", name, "try")
}

// TryFunction has a version of a function answer one request, likewise.
func (c *Client) TryFunction(ctx context.Context, name string, t TryRequest) (Trial, error) {
	return c.try(ctx, t, "v1", "functions", name, "try")
}

func (c *Client) try(ctx context.Context, t TryRequest, path ...string) (Trial, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return Trial{}, err
	}
	return send[Trial](ctx, c, http.MethodPost, Change{}, mediaJSON, body, path...)
}
