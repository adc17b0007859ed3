package metrics

import (
	"sync/atomic"
	"time"
)

// Requests is what is counted of the requests to one route, or to one arm of it.
// Any number of goroutines may use it at once. Without traffic it is a few hundred
// bytes.
type Requests struct {
	inFlight atomic.Int64
	received atomic.Uint64
	sent     atomic.Uint64
	errors   atomic.Uint64
	duration Histogram
	window   Window
	outcomes outcomes
	cache    [len(cacheResults)]atomic.Uint64
}

// Outcome is what is counted of a request that has ended.
type Outcome struct {
	Method   string // as the client sent it
	Proto    string // likewise: "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"
	Status   int    // of the response; 0: there was none
	Cache    string // what the cache did: "hit", "stale", "miss", "revalidated", "pass", "bypass"; "" without one
	Duration time.Duration
	Received int64 // bytes of request content
	Sent     int64 // bytes of response content
	Failed   bool  // counts as an error: the caller says what is one
}

// NewRequests returns counters that stand at zero, for cfg, which Validate finds
// nothing wrong with. Start is where the window begins: the time of now.
func NewRequests(start time.Time, cfg WindowConfig) *Requests {
	r := new(Requests)
	r.window.init(start, cfg)
	return r
}

// Enter counts a request as in flight, until Leave.
func (r *Requests) Enter() { r.inFlight.Add(1) }

// Leave ends Enter: the request is over, or has become another route's.
func (r *Requests) Leave() { r.inFlight.Add(-1) }

// Count counts a request that has ended now. Its strings are not kept. It
// allocates only what is new: a combination of method, status and protocol, the
// first request of a slot of the window, durations of another order.
func (r *Requests) Count(now time.Time, o *Outcome) {
	r.outcomes.of(keyOf(o)).n.Add(1)
	if o.Received > 0 {
		r.received.Add(uint64(o.Received))
	}
	if o.Sent > 0 {
		r.sent.Add(uint64(o.Sent))
	}
	if o.Failed {
		r.errors.Add(1)
	}
	if o.Cache != "" {
		r.cache[cacheResult(o.Cache)].Add(1)
	}
	bucket, ns := bucketOf(o.Duration), int64(max(o.Duration, 0))
	r.duration.observe(bucket, ns)
	r.window.observe(now, bucket, ns, o.Failed)
}

// Totals is what Requests has counted since it was made.
type Totals struct {
	Requests, Errors uint64
	Received, Sent   uint64 // bytes
	InFlight         int64  // now
}

// Totals returns what has been counted.
func (r *Requests) Totals() Totals {
	t := Totals{
		Errors:   r.errors.Load(),
		Received: r.received.Load(),
		Sent:     r.sent.Load(),
		InFlight: r.inFlight.Load(),
	}
	for _, c := range r.outcomes.list() {
		t.Requests += c.n.Load()
	}
	return t
}

// Durations returns the durations of all requests.
func (r *Requests) Durations() HistogramSnapshot { return r.duration.Snapshot() }

// Latest returns what the window that ends now has.
func (r *Requests) Latest(now time.Time) Latest { return r.window.Latest(now) }

// Cache returns for how many requests the cache did what result says, as
// [Outcome.Cache] does.
func (r *Requests) Cache(result string) uint64 { return r.cache[cacheResult(result)].Load() }

// Other is the value of a label that stands for all that have no series of their
// own.
const Other = "_other"

// cacheResults are the results that are counted apart. The first is of others.
var cacheResults = [...]string{Other, "hit", "stale", "miss", "revalidated", "pass", "bypass"}

func cacheResult(result string) int {
	for i, r := range cacheResults {
		if r == result {
			return i
		}
	}
	return 0
}

// methods are the methods that are counted apart: those of RFC 9110, section 9.3,
// and PATCH (RFC 5789). The first is of others.
var methods = [...]string{Other, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func methodOf(method string) uint32 {
	switch method {
	case "GET":
		return 1
	case "HEAD":
		return 2
	case "POST":
		return 3
	case "PUT":
		return 4
	case "DELETE":
		return 5
	case "CONNECT":
		return 6
	case "OPTIONS":
		return 7
	case "TRACE":
		return 8
	case "PATCH":
		return 9
	}
	return 0
}

// protos are the protocols, as clients negotiate them. The first is of others.
var protos = [...]string{Other, "h1", "h2", "h3"}

func protoOf(proto string) uint32 {
	switch proto {
	case "HTTP/1.1", "HTTP/1.0":
		return 1
	case "HTTP/2.0":
		return 2
	case "HTTP/3.0":
		return 3
	}
	return 0
}
