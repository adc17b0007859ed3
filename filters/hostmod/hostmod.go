// Package hostmod is the import module "sluice", by which guests of any ABI reach what
// the ABI has no word for: state that lasts, requests of their own, metrics, the log,
// facts about the client, the route. docs/abi.md has its functions.
//
// A function is never changed, only others are added. Each belongs to a [Capability],
// and a module that imports one of a capability that it is not granted is refused by
// [Check]. Names (of namespaces, upstreams, secrets) are granted one by one.
package hostmod

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/journal"
)

// Name is the import module's name.
const Name = "sluice"

// Grants is what a filter or function is allowed. The zero value allows what harms
// nobody: log and client.
type Grants struct {
	KV      []string // namespaces
	Fetch   []string // upstreams
	Metrics bool
	Route   bool
	Hints   bool
	Secrets map[string]string // values by name
}

// Limits bounds what a guest may have of the proxy. The zero value of a field means
// its default.
type Limits struct {
	Fetches     int           // that an exchange may start; default 16
	OpenFetches int           // of these, at a time; default 4
	FetchTime   time.Duration // from the start of a fetch until its last byte is read; default 10 s
	FetchBuffer int           // bytes of a fetch's content that are held until the upstream takes them; default 64 KiB
	URIBytes    int           // longest URI of a fetch; default 8 KiB
	FieldBytes  int           // fields of a fetch, as the guest lists them; default 32 KiB
	LogFields   int           // fields of the access log that an exchange may have; default 16
	LogBytes    int           // longest value of one; default 1 KiB
	Hints       int           // interim responses of an exchange; default 4
	HintBytes   int           // fields of one, as the guest lists them; default 8 KiB
	ListKeys    int           // keys that kv_list returns; default 1000
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Fetches, 16}, {&l.OpenFetches, 4}, {&l.FetchBuffer, 64 << 10}, {&l.URIBytes, 8 << 10}, {&l.FieldBytes, 32 << 10},
		{&l.LogFields, 16}, {&l.LogBytes, 1 << 10}, {&l.Hints, 4}, {&l.HintBytes, 8 << 10}, {&l.ListKeys, 1000},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.FetchTime == 0 {
		l.FetchTime = 10 * time.Second
	}
}

// Env is what the proxy has for guests. What is nil is not there, as it fails.
type Env struct {
	KV       *kv.Store
	Upstream func(name string) (edge.Handler, bool) // of the configuration in force
	Function func(name string) (edge.Handler, bool) // likewise
	Metrics  *Meters                                // of the filter or function
	Log      *slog.Logger                           // default: slog's
	Limits   Limits

	// Quiet says that nothing that the guest does is to have an effect: it runs beside
	// the one that serves, or is tried. It may read keys, and fetch by methods that are
	// safe. Other functions by which it would change something are unavailable.
	Quiet bool
}

// Guest is what one filter or function has of the module.
type Guest struct {
	grants Grants
	env    Env
	log    *journal.Limiter
	hide   *strings.Replacer // of secrets, in what the guest has logged
}

// New returns what a filter or function has that is granted g.
func New(g Grants, env Env) *Guest {
	env.Limits.setDefaults()
	if env.Log == nil {
		env.Log = slog.Default()
	}
	return &Guest{grants: g, env: env, log: journal.NewLimiter(env.Log, 1), hide: journal.Hiding(slices.Collect(maps.Values(g.Secrets)))}
}

// Secrets returns the values of the secrets that are granted, which no log is to show.
// Nothing is granted to a nil g.
func (g *Guest) Secrets() []string {
	if g == nil {
		return nil
	}
	return slices.Sorted(maps.Values(g.grants.Secrets))
}

// Party is what the State of an instance is that imports the module.
type Party interface {
	// Host returns what the guest has of the module.
	Host() *Use

	// Sleep is told that the guest is about to wait. It may panic as host functions do.
	Sleep()
}

// Use is one instance's use of the module, for one exchange. Who has made it calls End
// when the guest has run for the last time, and before the instance is closed.
type Use struct {
	// Guest is what the filter has; nil: nothing is granted.
	Guest *Guest

	// Exchange is whom the guest serves; nil: nobody.
	Exchange *edge.Exchange

	// Root says that the guest serves nobody, and may have what does without: keys and
	// metrics. Otherwise it is being initialised then, and what it does is to have no
	// effect but on itself.
	Root bool

	// Rehearsal says that the exchange is made up, and that what the guest keeps of it is
	// what all others begin with. What is of the exchange, or is the same each time, it has;
	// to call for anything else ends it: what it keeps of the answer would stay, and what it
	// does would be seen. Metrics that there are it may count, and nothing is counted.
	Rehearsal bool

	// Passed says that the request is on its way: its target is chosen.
	Passed bool

	fetches []*fetch // by handle - 1; nil: closed
	hints   int
	now     call // is in Use so that calls allocate nothing
}

// End ends what the guest has begun and not ended.
func (u *Use) End() {
	for i, f := range u.fetches {
		if f != nil {
			f.end()
			u.fetches[i] = nil
		}
	}
	u.fetches = u.fetches[:0]
}

// idle is what a guest has that nothing is granted.
var idle = New(Grants{}, Env{Log: slog.New(slog.DiscardHandler)})

func (u *Use) guest() *Guest {
	if u.Guest == nil {
		return idle
	}
	return u.Guest
}
