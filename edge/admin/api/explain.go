package api

// ExplainRequest is a request of which is asked what would become of it.
type ExplainRequest struct {
	Method  string  `json:"method,omitempty"` // default GET
	URL     string  `json:"url"`              // as it is sent, percent-encoded; http if it names no scheme. OPTIONS without a path is OPTIONS *
	Headers []Field `json:"headers,omitempty"`
	Client  string  `json:"client,omitempty"` // address; default 127.0.0.1
}

// Field is a field of a message.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explanation is what would become of a request, and why. Filters are not run:
// what they would change is not in it.
type Explanation struct {
	Listener    string       `json:"listener,omitempty"` // address that takes the request
	Site        string       `json:"site,omitempty"`
	SiteWhy     string       `json:"site_why,omitempty"`
	Route       string       `json:"route,omitempty"`
	Match       string       `json:"match,omitempty"` // of the route
	Captures    []Field      `json:"captures,omitempty"`
	Others      []Candidate  `json:"others,omitempty"` // routes that lost, and near misses
	Answer      *Fixed       `json:"answer,omitempty"` // if it is sluice's own
	Arm         string       `json:"arm,omitempty"`
	ArmWhy      string       `json:"arm_why,omitempty"`
	Filters     []FilterRun  `json:"filters,omitempty"`      // in the order in which they run
	Cache       *CacheCase   `json:"cache,omitempty"`        // nil: the route has none
	Coding      string       `json:"coding,omitempty"`       // that an answer of a fitting type would be compressed with
	Upstream    *Destination `json:"upstream,omitempty"`     // of the route or arm, also if something answers before it
	Function    string       `json:"function,omitempty"`     // likewise: "hello@3"
	FunctionWhy string       `json:"function_why,omitempty"` // this version and not another that serves too
	Request     *Sent        `json:"request,omitempty"`      // what the upstream or function is asked; nil: it is not
	Notes       []string     `json:"notes,omitempty"`
}

// Candidate is a route that does not serve the request.
type Candidate struct {
	Route string `json:"route"`
	Match string `json:"match"`
	Why   string `json:"why"`
	Near  bool   `json:"near,omitempty"` // it does not match, but nearly
}

// Fixed is an answer of sluice's own.
type Fixed struct {
	Status   int    `json:"status"`
	Location string `json:"location,omitempty"`
	Why      string `json:"why"` // "redirect", "respond", or the cause of an error
}

// FilterRun is a filter that would run.
type FilterRun struct {
	Name    string `json:"name"`
	Version int    `json:"version"`          // 0: there is none, or none yet
	Why     string `json:"why,omitempty"`    // this version and not another that serves too
	Shadow  int    `json:"shadow,omitempty"` // version that gets a copy
	State   string `json:"state"`            // "live"; "missing": nothing was uploaded for it; "damaged": the state directory is; "offline": of a file that is not running
	Pinned  bool   `json:"pinned,omitempty"`
	OnError string `json:"on_error"` // "deny", "skip"
}

// The states of a FilterRun.
const (
	FilterLive    = "live"
	FilterMissing = "missing"
	FilterDamaged = "damaged"
	FilterOffline = "offline" // its version, unless it is pinned, is known when the file runs
)

// CacheCase is what the cache would do.
type CacheCase struct {
	Key  string  `json:"key"`
	Does string  `json:"does"` // "hit", "stale", "miss", "revalidate", "pass", "bypass"
	Why  string  `json:"why"`
	Age  float64 `json:"age_s,omitempty"` // of what is stored
	TTL  float64 `json:"ttl_s,omitempty"` // left
}

// Destination is the upstream that would be asked.
type Destination struct {
	Name      string     `json:"name"`
	Balance   string     `json:"balance"`
	Endpoints []Eligible `json:"endpoints"` // the one that is tried first comes first
}

// Eligible is an endpoint that may be picked, or why it may not.
type Eligible struct {
	Address string `json:"address"`
	Why     string `json:"why,omitempty"` // "backup", "suspended for 3s more: connection_refused"
	Usable  bool   `json:"usable"`
}

// Sent is the request as the upstream or function gets it, but for what frames it. The
// id of a request is not known before: it is "(new)", unless a trusted hop gives it.
type Sent struct {
	Method  string  `json:"method"`
	Host    string  `json:"host"`
	URI     string  `json:"uri"`
	Upgrade string  `json:"upgrade,omitempty"` // the protocol that is asked for: "websocket"
	Fields  []Field `json:"fields,omitempty"`
}
