package edge

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Request is a request, as the next handler is to see it.
//
// Once a transport has started to pump Body to an endpoint the rest of the
// request is frozen: whoever reads Body owns Trailers, everybody else may only
// read the other fields.
type Request struct {
	Method    string // case-sensitive (RFC 9110, section 9.1)
	Scheme    string // "http" or "https"
	Authority string // Host, or :authority
	Path      string // percent-encoded; begins with '/', or is "*"
	Query     string // without the '?'
	Proto     string // as the client sent it: "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"
	Fields    Fields
	Body      Body   // nil: no content
	Length    int64  // of Body in bytes; -1: unknown
	Trailers  Fields // valid once Body has returned io.EOF
	Upgrade   string // the protocol asked for: a token of HTTP/1's Upgrade, or :protocol (RFC 8441, RFC 9220)
	GRPC      bool   // a call of ours, which endpoints are sent by HTTP/2: see edge/grpc. What clients send never is
}

// Safe reports whether a method asks for no change (RFC 9110, section 9.2.1).
func Safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// Response is a response, as the engine is to deliver it. The zero value means
// that there is none yet.
type Response struct {
	Status   int
	Fields   Fields
	Body     Body   // nil: no content
	Length   int64  // of Body in bytes; -1: unknown; in answer to HEAD what GET would have
	Trailers Fields // valid once Body has returned io.EOF

	// Tunnel, if set, takes the client's stream over once the head is delivered.
	// Status is then 101, whatever the client's version of HTTP calls that. The
	// enders run when it has returned.
	Tunnel func(client Stream) error
}

// Client is the downstream connection. All exchanges of a connection share it,
// and nobody changes it.
type Client struct {
	Addr, Local netip.AddrPort
	IP          string               // Addr without its port, as it is forwarded
	TLS         *tls.ConnectionState // nil: no TLS
}

// NewClient returns the description of a connection between two addresses.
func NewClient(addr, local netip.AddrPort, state *tls.ConnectionState) Client {
	return Client{Addr: addr, Local: local, IP: addr.Addr().Unmap().WithZone("").String(), TLS: state}
}

// Limits is what a route allows its exchanges. A zero field means the default of
// whoever enforces it.
type Limits struct {
	Connect   time.Duration // until the connection to the endpoint stands
	FirstByte time.Duration // from the request's last byte until the response's head is complete
	Stalled   time.Duration // without progress in either direction of the upstream connection
	Retries   int           // how often another endpoint is tried after one that could not be connected to; negative: never
}

// Record is what log, metrics, traces and explain report about an exchange.
type Record struct {
	ID string // request id

	// Who asks: the address of the connection, or what a trusted hop says of it.
	ClientAddr netip.Addr
	ClientIP   string // ClientAddr, as it is forwarded and logged
	Trusted    bool   // the connection is a trusted hop's
	Forwarded  string // the clients before the connection's, as a trusted hop has them: "192.0.2.1, "

	Hops int // proxies of ours that the request has come through, this one included, as Via says

	Unlogged bool // there is to be no line in the access log
	Start    time.Time
	Method   string // of the request as it came; filters may change x.Request
	Path     string // likewise
	Query    string // likewise
	Site     string // names of the configuration, valid for as long as it is
	Route    string
	Arm      string // of the route's split; "" without one
	Upstream string
	Endpoint string // address that answered, or was tried last
	Tries    int    // requests sent upstream
	Cache    string // what the cache did: "hit", "miss", "pass", ...; "" without one
	Encoding string // content coding that we applied; "" for none
	Received int64  // bytes of request content that were read
	Sent     int64  // bytes of response content that were delivered
	Filters  []FilterRun
	Function FilterRun     // the function that answered; Name is "" without one
	Guest    Fields        // what guests add to the log, a line for each name
	Waited   time.Duration // for the upstream, until the head of its response
	Why      string        // short stable code of the outcome; "" until the exchange has ended or failed
	Err      error         // first cause of a failure
}

// FilterRun is one filter's part in an exchange.
type FilterRun struct {
	Name    string
	Version int           // of its module; 0 for a built-in
	Took    time.Duration // in the filter itself, without what lies behind it
	Failed  bool
}

func (r *Record) reset(c *Client, now time.Time) {
	clear(r.Filters)
	*r = Record{Start: now, Filters: r.Filters[:0], Guest: r.Guest.emptied()}
	if c != nil {
		r.ClientAddr, r.ClientIP = c.Addr.Addr(), c.IP
	}
}
