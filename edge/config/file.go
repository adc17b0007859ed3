// Package config reads the file that a user writes: YAML into a File, in which
// every default has been applied and every reference been checked. All problems
// are found at once, each with its place.
package config

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/sluice-edge/sluice/edge/diag"
)

// File is a whole configuration. It is complete: whoever uses it looks up no
// default and asks for no other file but those that it names. Nobody changes it.
type File struct {
	Version   int            // of the grammar: 1
	Listen    Listen         // where sites listen that name no address of their own
	State     string         // directory of what outlives a restart; absolute. Default: $STATE_DIRECTORY, $XDG_STATE_HOME/sluice, as root /var/lib/sluice, else ~/.local/state/sluice
	Sites     []Site         // in the order of the file
	Upstreams []Upstream     // in the order of the file; then those that targets imply, in the order of their first use
	Filters   []Filter       // in the order of the file
	Functions []Function     // in the order of the file
	Trust     []netip.Prefix // whose X-Forwarded-* and request ids are believed. Default: nobody's
	TLS       TLS
	Compress  Compress // what sites inherit
	Cache     Store
	Limits    Limits
	Log       Log
	Metrics   Metrics
	Admin     Admin

	texts     []Text
	files     []string       // absolute paths of the texts and of what file: names
	include   []string       // absolute patterns
	upstreams map[string]int // indices by name
	filters   map[string]int
	functions map[string]int
}

// Text is one file of a configuration: the main one, or one that it includes.
type Text struct {
	Name  string // path, as problems name it
	Bytes []byte
}

// Diag returns an empty list of problems that knows the text of the file, for
// those who find out more about it.
func (f *File) Diag() *diag.List {
	l := new(diag.List)
	for _, t := range f.texts {
		l.Source(t.Name, t.Bytes)
	}
	return l
}

// Name returns what the main file was called when it was parsed.
func (f *File) Name() string { return f.texts[0].Name }

// Texts returns what the configuration was parsed from: the main file first, then
// those that it includes, in the order in which they were merged.
func (f *File) Texts() []Text { return f.texts }

// Upstream returns the upstream of that name, or nil.
func (f *File) Upstream(name string) *Upstream {
	if i, ok := f.upstreams[name]; ok {
		return &f.Upstreams[i]
	}
	return nil
}

// Filter returns the filter of that name, or nil.
func (f *File) Filter(name string) *Filter {
	if i, ok := f.filters[name]; ok {
		return &f.Filters[i]
	}
	return nil
}

// Function returns the function of that name, or nil.
func (f *File) Function(name string) *Function {
	if i, ok := f.functions[name]; ok {
		return &f.Functions[i]
	}
	return nil
}

// index makes Upstream, Filter and Function find what the file has.
func (f *File) index() {
	f.upstreams = make(map[string]int, len(f.Upstreams))
	for i := range f.Upstreams {
		f.upstreams[f.Upstreams[i].Name] = i
	}
	f.filters = make(map[string]int, len(f.Filters))
	for i := range f.Filters {
		f.filters[f.Filters[i].Name] = i
	}
	f.functions = make(map[string]int, len(f.Functions))
	for i := range f.Functions {
		f.functions[f.Functions[i].Name] = i
	}
}

// Listen is where sites are reached whose keys name no address. What is not
// written is not opened; without the key, and with a site that needs it, it is
// ":80" and ":443".
type Listen struct {
	Place diag.Place
	HTTP  []Address // TCP
	HTTPS []Address // TCP, and UDP for HTTP/3
}

// Address is where to listen.
type Address struct {
	Place   diag.Place
	Network string // "tcp", or "unix" where the key allows it
	Address string // "host:port" with the host empty for all, or an absolute path
}

// Site is what one host name, or a family of them, answers with.
type Site struct {
	Place   diag.Place
	Key     string  // as written
	Name    string  // short id for CLI, API and metrics, unique. Default: made from the key
	Host    string  // lower case: "example.com", "*.example.com", an IP address (IPv6 in brackets), or "*" for any
	Scheme  string  // "http" or "https" if the key names an address; "" if the site is reached through Listen
	Bind    string  // "host:port" that the site is bound to; "" if it is reached through Listen. The host is empty unless the key's is an IP address or localhost
	Aliases []Alias // hosts that are redirected (308) to the site
	Routes  []Route // in the order of the file; never empty
	Settings
}

// Alias is another host of a site.
type Alias struct {
	Place diag.Place
	Host  string // lower case: "www.example.com" or "*.example.com"
}

// Route is a part of a site: what it matches and what it does with it. Exactly
// one of To, Redirect, Respond and Split is set.
type Route struct {
	Place    diag.Place
	Name     string // unique in its site. Default: the match as written, with a number behind it if that is taken
	Key      string // of the match, as written; "" for the route that a site's own target makes
	Match    Match
	To       Target
	Redirect *Redirect
	Respond  *Respond
	Split    *Split

	// What is asked of the upstream or the function instead of what the client
	// asked for. At most one of Strip and Rewrite is set.
	Strip     string // prefix that is taken off the path: "/api". Default: none
	AddPrefix string // prefix that is put before the path, after Strip: "/v2". Default: none
	Rewrite   string // path, with a query if it has a ?; insertions as in Redirect.To. Default: none

	// What the file has instead, as in Pair.From.
	AddPrefixFrom, RewriteFrom string

	Settings
}

// Target is what answers: an upstream or a function. The zero value is neither.
type Target struct {
	Upstream string // name of an Upstream
	Function string // name of a Function
	Version  int    // of the function's module; 0: the current one
}

// Match is what a route asks of a request; all of it must hold.
type Match struct {
	Methods []string // upper case, each once, sorted; empty: any
	Path    string   // "/exact", "/prefix/*", "/users/{id}", "/files/{path...}"; "/" for everything that no other route has
	When    When
}

// When is what a route asks beyond method and path. More of it makes a route
// more specific. Each list is sorted by name.
type When struct {
	Header []Pair // names in lower case
	Query  []Pair
	Cookie []Pair
}

// Pair is a name with the value it must have, or gets.
type Pair struct {
	Name, Value string
	From        string // what the file has instead of a value that stands elsewhere, which may be a secret: "env:KEY"; else ""
}

// Shown returns the value as people may see it: as the file has it.
func (p Pair) Shown() string { return cmp.Or(p.From, p.Value) }

// Settings is how a route treats its exchanges. A site's are the defaults of its
// routes: a route's value replaces the site's, key by key, and its filters come
// after the site's.
type Settings struct {
	Filters  []FilterUse // in the order in which requests meet them. Default: none
	Cache    Cache
	Compress Compress
	Timeout  Timeout
	Body     int64 // largest content of a request, in bytes; Unlimited is the default
	Retry    Retry

	Host           Host
	RewriteAnswers bool // whether Location, Content-Location, Refresh and Set-Cookie of an answer follow what the route has changed of the request. Default: yes
	Fields         FieldEdits
	Log            bool // whether exchanges have a line in the access log. Default: yes
}

// FilterUse is a filter on a route.
type FilterUse struct {
	Name    string // of a Filter
	Version int    // of its module; 0: the current one
}

// Host is the host that an upstream or function is asked for.
type Host struct {
	Kind HostKind
	Name string // in HostNamed: "example.com" or "example.com:8080"
	From string // what the file has instead, as in Pair.From
}

// HostKind is the kind of a Host.
type HostKind uint8

// The kinds of Host. HostKeep is the default.
const (
	HostKeep     HostKind = iota // the one that the client has asked for
	HostUpstream                 // the address of the endpoint
	HostNamed
)

// FieldEdits is what is changed of the fields: of a request before it goes to the
// upstream or function, of an answer before it goes to the client.
type FieldEdits struct{ Request, Response FieldEdit }

// FieldEdit changes fields: first Remove, then Set, then Add. Names are spelled
// as in the file and compare case-insensitively.
type FieldEdit struct {
	Set    []Pair // replaces all fields of the name
	Add    []Pair
	Remove []string
}

// Unlimited is the value of a limit that is none.
const Unlimited = -1

// Redirect answers with another place to go to.
type Redirect struct {
	Place  diag.Place
	To     string // path or URL; $1, {name}, {path}, {host}, {query} insert captures of the match; "" with a Map
	Status int    // 301, 302, 303, 307 or 308. Default 308
	Map    string // absolute path of a file of pairs, which stand for this route in the site's table; "" with a To
	From   string // what the file has instead of To or Map, as in Pair.From
}

// Shown returns To or Map as people may see it: as the file has it.
func (r *Redirect) Shown() string { return cmp.Or(r.From, r.To, r.Map) }

// Respond is a fixed answer.
type Respond struct {
	Place  diag.Place
	Status int // 200 to 599. Default 200
	Body   string
	Fields []Pair // in the order of the file
}

// Split divides the exchanges of a route among arms.
type Split struct {
	Place diag.Place
	Arms  []Arm // in the order of the file; the shares add up to 100
	By    By
}

// Arm is one side of a split.
type Arm struct {
	Place  diag.Place
	Name   string
	Target Target
	Share  float64 // percent, 0 to 100; 0 leaves the arm to those who were assigned to it before
}

// By is what decides to which arm an exchange belongs.
type By struct {
	Kind ByKind
	Name string // of the cookie or the header field, which is in lower case; else ""
}

// ByKind is the kind of a By.
type ByKind uint8

// The kinds of By. OwnCookie is the default.
const (
	OwnCookie ByKind = iota // a cookie that we set
	ByCookie                // a cookie that the origin sets
	ByHeader                // a field of the request
	ByClient                // the client's address
	ByChance                // nothing: each exchange anew
	ByFilter                // a filter, which names the arm; nothing if it does not
)

// Cache is whether and how a route's answers are stored.
type Cache struct {
	Mode CacheMode
	TTL  time.Duration // in CacheTTL: how long an answer is fresh that does not say so itself
}

// CacheMode is the kind of a Cache.
type CacheMode uint8

// The modes of a cache. CacheOff is the default.
const (
	CacheOff     CacheMode = iota // store nothing
	CacheHeaders                  // store what the answer's fields allow, as RFC 9111 has it
	CacheTTL                      // as CacheHeaders, and what says nothing of its lifetime for TTL
)

// Compress is how answers are compressed.
type Compress struct {
	Off    bool     // Default: no
	Prefer []string // codings that may be used, the favourite first. Default: br, zstd, gzip
	Level  int      // 1 (fast) to 9 (small); 0 lets the coding choose and is the default
	Types  []string // media types: "text/html", "text/*", "+json". Default: compress.DefaultTypes
	Min    int64    // least length of an answer, in bytes. Default 1KB
}

// Timeout is how long a route waits. Nothing bounds the total time: long
// transfers live as long as they move.
type Timeout struct {
	Connect       time.Duration // until a connection to the endpoint stands. Default 5s
	FirstByte     time.Duration // from the end of the request until the answer's head is complete. Default 60s
	Stalled       time.Duration // without progress on the upstream connection. Default 30s
	ClientStalled time.Duration // without progress on the client's. Default: limits.stalled
}

// Retry is how often a request is sent to another endpoint when the connection
// to the first could not be made.
type Retry struct {
	Times int // 0 to 10. Default 1
}

// Upstream is a pool of endpoints that do the same.
type Upstream struct {
	Place       diag.Place
	Name        string // that of the file, or the address of an implied one, as the file has it
	Implied     bool   // made from a target that is an address
	Endpoints   []Endpoint
	Balance     Balance
	Connections Connections
	Speak       string // protocol to the endpoints: "h1", the default
}

// Endpoint is one address of an upstream.
type Endpoint struct {
	Place   diag.Place
	Network string // "tcp" or "unix"
	Address string // "host:port" or an absolute path
	From    string // what the file has instead of Address, as in Pair.From
	Weight  int    // 1 to 1000: its part of the requests. Default 1
	Backup  bool   // serves only if no other endpoint can
}

// Balance is how an endpoint is picked.
type Balance uint8

// The ways of picking an endpoint. RoundRobin is the default.
const (
	RoundRobin    Balance = iota // in turns, by weight
	LeastRequests                // the one with the fewest requests in flight, by weight
)

// Connections is how connections to an endpoint are kept.
type Connections struct {
	Idle int // kept open per endpoint while unused; 0 keeps none. Default 256
}

// TLS is how connections are encrypted.
type TLS struct {
	Place        diag.Place
	Min          uint16 // least version, as crypto/tls numbers them. Default TLS 1.2
	Certificates []Certificate
	Internal     Internal
}

// Certificate is a pair of files in PEM.
type Certificate struct {
	Place     diag.Place
	Cert, Key string // absolute paths; Cert holds the chain, the leaf first
}

// Internal is the authority of our own that signs for names without a
// certificate.
type Internal struct {
	Lifetime time.Duration // of a certificate that it signs. Default 7d
	CA       *Certificate  // the authority's own; nil, the default: made once and kept in the state directory
}

// Store is the cache's store, which all sites share.
type Store struct {
	Memory int64 // in bytes. Default 512MB
}

// Limits bounds what all clients together, or one connection, can make us hold.
type Limits struct {
	Connections int           // open at a time. Default 100000
	Header      int64         // bytes of a field section. Default 32KB
	Fields      int           // lines of a field section. Default 100
	Stalled     time.Duration // without progress on a client's connection. Default 30s
	Hops        int           // of proxies like this one that a request may have come through. Default 10
}

// Log is what is written down.
type Log struct {
	Access Access   // a line per exchange
	Errors Output   // what goes wrong. Default stderr
	Level  Level    // least level of Errors. Default info
	Redact []string // request fields, in lower case, whose values are never logged. Default: authorization, cookie, proxy-authorization
	Fields []string // request fields, in lower case, that the access line carries. Default: none
}

// Access is the access log.
type Access struct {
	Output   Output        // Default stdout; Off if there is a File
	File     string        // absolute path of the file that lines are appended to; "" for none
	Format   string        // "json", the default; "common"; "combined"; or a template with {names}
	Size     int64         // bytes after which the file is rotated; 0, the default, for never
	Age      time.Duration // time after which the file is rotated; 0, the default, for never
	Keep     int           // rotated files that are kept; 0 keeps all. Default 14
	Compress bool          // rotated files are compressed (gzip). Default: yes
}

// Metrics is where the metrics can be read beside the admin API, which has them at
// /metrics.
type Metrics struct {
	Listen *Address // nil, the default: nowhere else
}

// Output is where lines go.
type Output uint8

// The outputs.
const (
	Off Output = iota
	Stdout
	Stderr
)

// Level is how much is logged, in the order of slog's levels.
type Level uint8

// The levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

// Admin is the API that steers a running proxy.
type Admin struct {
	Place  diag.Place
	Off    bool    // Default: no
	Listen Address // Default 127.0.0.1:2024
	Token  string  // that clients must show; "", the default, is allowed on loopback and unix sockets only
}
