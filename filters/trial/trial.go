// Package trial runs one request through a module on an exchange of its own, without
// a socket, and tells what the module did: its verdict, what it has changed, what it
// has logged, and what that has cost. Nobody else's exchange has part in it.
package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/asked"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/journal"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// Config bounds trials.
type Config struct {
	Time    time.Duration // until a trial is over, all that is waited for included; default 10 s
	Content int64         // bytes of content of one message, given or made; default 1 MiB. What a module makes beyond it is cut off
	Lines   int           // that a guest may log in a trial; of more the last are told; default 200
	World   *World        // of which each trial tells; nil: none
}

func (c *Config) setDefaults() {
	if c.Time == 0 {
		c.Time = 10 * time.Second
	}
	if c.Content == 0 {
		c.Content = 1 << 20
	}
	if c.Lines == 0 {
		c.Lines = 200
	}
}

// Guest is a module that is tried. Its trials run one after the other.
type Guest struct {
	cfg      Config
	filter   *filters.Filter    // nil: it is a function
	function *function.Function // nil: it is a filter
	journal  *journal.Journal
	like     api.Trial // what all of its trials have alike
	trials   int
}

// NewFilter makes a filter of a module, of which it keeps a reference of its own. It
// counts and logs apart from filters that serve.
func NewFilter(m *wasm.Module, c filters.Config, cfg Config) (*Guest, error) {
	g := newGuest(cfg)
	c.Log, c.Journal = cfg.World.log(), g.journal
	begun := time.Now()
	f, err := filters.New(m, c)
	if err != nil {
		return nil, err
	}
	g.filter = f
	g.like.Filter, g.like.Version, g.like.ABI = c.Name, c.Version, string(f.ABI())
	g.made(begun)
	return g, nil
}

// NewFunction makes a function of a module, likewise.
func NewFunction(m *wasm.Module, c function.Config, cfg Config) (*Guest, error) {
	g := newGuest(cfg)
	c.Log, c.Journal = cfg.World.log(), g.journal
	begun := time.Now()
	f, err := function.New(m, c)
	if err != nil {
		return nil, err
	}
	g.function = f
	g.like.Function, g.like.Version, g.like.ABI = c.Name, c.Version, f.Kind().String()
	g.made(begun)
	return g, nil
}

// made notes what making the guest has come to.
func (g *Guest) made(begun time.Time) {
	why := g.stats().Fresh
	g.like.Cost.StartMS = milliseconds(time.Since(begun))
	g.like.Cost.Fresh, g.like.Cost.Why = len(why) > 0, strings.Join(why, "; ")
}

func newGuest(cfg Config) *Guest {
	cfg.setDefaults()
	g := &Guest{cfg: cfg, journal: journal.New(slog.New(slog.DiscardHandler), journal.Config{Lines: cfg.Lines})}
	g.like.Changes, g.like.Said = []api.TrialChange{}, []api.TrialLine{}
	return g
}

// Close releases what the guest holds.
func (g *Guest) Close() {
	if g.filter != nil {
		g.filter.Close()
	} else {
		g.function.Close()
	}
}

func (g *Guest) stats() wasm.Stats {
	if g.filter != nil {
		return g.filter.Stats()
	}
	return g.function.Stats()
}

// Run tries the guest with one request, or less of it if ctx is done before. The error
// is an [api.Problem] of who asks; that a guest fails is a result.
func (g *Guest) Run(ctx context.Context, t *api.TryRequest) (api.Trial, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.cfg.Time, fmt.Errorf("the trial is not over within %v", g.cfg.Time))
	defer cancel()
	r := &run{guest: g, limit: g.cfg.Content, trial: g.like, before: g.stats()}
	if err := r.answer.take(t.Response, g.cfg.Content); err != nil {
		return api.Trial{}, err
	}
	g.trials++
	if err := r.begin(t, "trial-"+strconv.Itoa(g.trials)); err != nil {
		return api.Trial{}, err
	}
	kept, err := g.cfg.World.begin()
	if err != nil {
		r.x.End()
		return api.Trial{}, err
	}
	begun := time.Now()
	unlink := context.AfterFunc(ctx, func() { r.x.Cancel(context.Cause(ctx)) })
	r.serve()
	unlink()
	id := r.x.Record.ID
	r.x.End()
	r.account(id)
	return r.trial, g.cfg.World.tell(&r.trial, kept, begun)
}

// run is one trial.
type run struct {
	guest  *Guest
	x      *edge.Exchange
	client edge.Client
	limit  int64
	answer answer
	given  message // the request that the guest is given
	from   message // the response likewise
	passed bool    // the next handler has been called
	behind error   // what it returned
	before wasm.Stats
	trial  api.Trial
}

// begin makes the exchange.
func (r *run) begin(t *api.TryRequest, id string) error {
	q := &t.Request
	a, err := asked.Read(&api.ExplainRequest{Method: q.Method, URL: q.URL, Headers: q.Headers, Client: t.Client})
	if err != nil {
		return err
	}
	content := q.Content()
	if int64(len(content)) > r.limit {
		return refused("the request's content has %d bytes, more than the %d of a trial", len(content), r.limit)
	}
	x := new(edge.Exchange)
	r.x, r.client = x, edge.NewClient(netip.AddrPortFrom(a.Client, 1), netip.AddrPort{}, nil)
	x.Begin(nil, &r.client, time.Now())
	x.Record.ID = id
	if err := a.Parse(http1.Config{HeaderBytes: 256 << 10, Fields: 1000}, &x.Request); err != nil {
		x.End()
		return refused("%v", err)
	}
	x.Parsed()
	x.Request.Body, x.Request.Length = nil, 0
	if len(content) > 0 || len(q.Trailers) > 0 {
		x.Request.Body, x.Request.Length = edge.Content(content), int64(len(content))
	}
	for _, f := range q.Trailers {
		x.Request.Trailers.Add(f.Name, f.Value)
	}
	r.given = requestOf(&x.Request)
	r.given.content = content
	return nil
}

// serve lets the guest have the exchange, and takes what comes of it.
func (r *run) serve() {
	var err error
	if g := r.guest; g.filter != nil {
		err = g.filter.Filter(r.x, edge.HandlerFunc(r.next))
	} else {
		err = g.function.Serve(r.x)
	}
	r.conclude(err)
}

// next is the rest of the proxy: it takes the whole request, as an upstream does, and
// then answers.
func (r *run) next(x *edge.Exchange) error {
	r.passed = true
	went := requestOf(&x.Request)
	err := went.read(x.Request.Body, &x.Request.Trailers, r.limit)
	r.trial.Request = went.request()
	r.trial.Changes = append(r.trial.Changes, r.given.changes("request", &went)...)
	if err == nil {
		err = r.answer.give(x)
	}
	r.behind = err
	r.from = responseOf(&x.Response)
	if x.Response.Body != nil {
		r.from.content = r.answer.content
	}
	return err
}

// conclude takes the response, and says what the guest has done.
func (r *run) conclude(err error) {
	x, t := r.x, &r.trial
	t.Verdict = api.TrialAnswered
	if r.passed {
		t.Verdict = api.TrialNext
	}
	kind := ""
	if err != nil {
		x.Answer(err)
		kind = edge.AsError(err).Kind.String()
	}
	logged := x.Record.Guest.Clone()
	t.Log = fieldsOf(&logged)
	came := responseOf(&x.Response)
	if broken := came.read(x.Response.Body, &x.Response.Trailers, r.limit); broken != nil && err == nil {
		err = broken
	}
	t.Response = came.response(kind)
	switch passed := r.behind != nil && errors.Is(err, r.behind); {
	case err != nil && !passed:
		t.Verdict, t.Failure = api.TrialFailed, err.Error()
		if f, ok := errors.AsType[*wasm.Failure](err); ok {
			t.Cause = f.Cause.String()
		}
	case r.passed && r.behind == nil:
		t.Changes = append(t.Changes, r.from.changes("response", &came)...)
	}
}

// account tells what the guest has said and used, when the exchange has ended.
func (r *run) account(id string) {
	t, after := &r.trial, r.guest.stats()
	for _, l := range r.guest.journal.Lines() {
		if l.ID == id {
			t.Said = append(t.Said, api.TrialLine{Level: l.Level.String(), Text: l.Text})
		}
	}
	if after.Skipped > r.before.Skipped {
		t.Verdict = api.TrialSkipped
	}
	for c := range after.Failures {
		if after.Failures[c] > r.before.Failures[c] && t.Cause == "" {
			t.Cause = wasm.Cause(c).String()
		}
	}
	t.Cost.Memory = after.Peak
	record := &r.x.Record
	t.Cost.MS = milliseconds(record.Function.Took)
	for i := range record.Filters {
		t.Cost.MS += milliseconds(record.Filters[i].Took)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// refused returns the error of who asks for what cannot be tried.
func refused(format string, args ...any) error {
	return &api.Problem{Title: "not a request", Status: 422, Detail: fmt.Sprintf(format, args...)}
}
