package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/redact"
)

// ShadowConfig describes a version in shadow.
type ShadowConfig struct {
	Name    string // of the filter or function
	Version int

	// Run runs the version: of a filter, before next; of a function, at script.
	Run func(x *edge.Exchange, next edge.Handler, script string) error

	// Context ends what runs when the server does.
	Context context.Context

	// Go runs f on a goroutine that whoever ends the server waits for. It returns false
	// if that is past.
	Go func(f func()) bool

	Concurrent int           // exchanges that are copied at a time, from their beginning until the version has run; others are dropped. Default: 100
	Wait       time.Duration // how long a copy keeps its place when others want it, until the exchange that it is of is over. Default: 10 s
	Bytes      int64         // content of a request, or of a response, that is copied; exchanges with more are dropped. Default: 64 KiB
	Keep       int           // differences that are kept, the latest. Default: 20
	Redact     []string      // fields, and parameters of queries, whose values no difference shows, besides those that edge/redact knows
}

func (c *ShadowConfig) setDefaults() {
	if c.Concurrent == 0 {
		c.Concurrent = 100
	}
	if c.Wait == 0 {
		c.Wait = 10 * time.Second
	}
	if c.Bytes == 0 {
		c.Bytes = 64 << 10
	}
	if c.Keep == 0 {
		c.Keep = 20
	}
}

// Shadow runs a version on copies of exchanges that another has served, with the
// upstream's response as it was then, and compares. Nothing of it reaches the client or
// the upstream.
type Shadow struct {
	cfg     ShadowConfig
	started time.Time
	busy    atomic.Int64 // copies that there are

	mu      sync.Mutex  // guards the following fields
	open    []*shadowed // copies of exchanges that are not over, the oldest first
	report  Report
	took    [2]time.Duration // of the exchanges that were compared: live, in shadow
	kept    []Difference     // a ring of the latest
	written int
}

// Report is what a version in shadow has come to.
type Report struct {
	Version  int
	Since    time.Time
	Same     uint64
	Differs  uint64
	Failed   uint64            // it has trapped, or run out of time or memory
	Dropped  map[string]uint64 // by reason
	Kinds    map[string]uint64 // of differences; an exchange may differ in several
	Live     time.Duration     // mean time of the versions that served what was compared
	Shadow   time.Duration     // its own, on the same
	Examples []Difference      // the latest first
}

// Difference is an exchange that would have come out otherwise.
type Difference struct {
	Time    time.Time
	ID      string
	Method  string
	Target  string // path and query
	Live    int    // version that served it
	Kinds   []string
	Details []string
}

// NewShadow returns a version in shadow.
func NewShadow(cfg ShadowConfig) *Shadow {
	cfg.setDefaults()
	return &Shadow{cfg: cfg, started: time.Now(), report: Report{Dropped: make(map[string]uint64), Kinds: make(map[string]uint64)}}
}

// Report returns what has come of it so far.
func (s *Shadow) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report
	r.Version, r.Since = s.cfg.Version, s.started
	r.Dropped, r.Kinds = make(map[string]uint64), make(map[string]uint64)
	for k, n := range s.report.Dropped {
		r.Dropped[k] = n
	}
	for k, n := range s.report.Kinds {
		r.Kinds[k] = n
	}
	if n := r.Same + r.Differs; n > 0 {
		r.Live, r.Shadow = s.took[0]/time.Duration(n), s.took[1]/time.Duration(n)
	}
	for i := range s.kept {
		r.Examples = append(r.Examples, s.kept[(s.written-1-i)%len(s.kept)])
	}
	return r
}

// Why an exchange is dropped.
const (
	busy       = "busy"       // as many are copied as may be
	large      = "large"      // it has more content than is copied
	incomplete = "incomplete" // it asks for content that was not read when the exchange was served
	upgrade    = "upgrade"    // it became a tunnel
	slow       = "slow"       // it takes long, and others wanted its place
	closed     = "closed"     // the version, or the server, has been closed meanwhile
)

func (s *Shadow) drop(why string) {
	s.mu.Lock()
	s.report.Dropped[why]++
	s.mu.Unlock()
}

// begin returns the copy of an exchange that a version is about to serve, or nil if it
// is not copied.
func (s *Shadow) begin(x *edge.Exchange, live int, script string) *shadowed {
	r := &x.Request
	switch {
	case r.Upgrade != "":
		s.drop(upgrade)
		return nil
	case r.Body != nil && r.Length > s.cfg.Bytes:
		s.drop(large)
		return nil
	case s.busy.Add(1) > int64(s.cfg.Concurrent) && !s.evict():
		s.busy.Add(-1)
		s.drop(busy)
		return nil
	}
	c := &shadowed{shadow: s, script: script, number: live, fork: x.Fork(s.cfg.Context), length: r.Length}
	c.method, c.target = c.fork.Request.Method, targetOf(&c.fork.Request)
	c.request.most, c.origin.most, c.live.content.most, c.live.sent.content.most = s.cfg.Bytes, s.cfg.Bytes, s.cfg.Bytes, s.cfg.Bytes
	c.request.keep, c.origin.keep = true, true
	c.request.full = r.Length
	r.Body = c.request.of(r.Body)
	x.OnEnd(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.begun = time.Now()
	s.open = append(s.open, c)
	return c
}

// evict takes the place of the oldest copy, and reports whether that has had it for long:
// streams that never end, and clients that take their time, would keep all others out.
func (s *Shadow) evict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 || time.Since(s.open[0].begun) < s.cfg.Wait {
		return false
	}
	c := s.open[0]
	s.open = slices.Delete(s.open, 0, 1)
	c.request.let()
	c.origin.let()
	s.report.Dropped[slow]++
	s.busy.Add(-1)
	return true
}

// leave says that the exchange that c is a copy of is over. It returns false if c has lost
// its place.
func (s *Shadow) leave(c *shadowed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.open, c)
	if i >= 0 {
		s.open = slices.Delete(s.open, i, i+1)
	}
	return i >= 0
}

// run runs the version on a copy that is whole, and compares.
func (s *Shadow) run(c *shadowed) {
	defer s.busy.Add(-1)
	x := c.fork
	defer x.End()
	defer func() {
		if p := recover(); p != nil { // a bug of ours: it must not end the proxy
			s.count(func(r *Report) { r.Failed++ })
		}
	}()
	x.Request.Length = c.length
	if c.request.some {
		x.Request.Body = c.request.again(&c.missed)
		if c.request.whole() {
			x.Request.Length = int64(len(c.request.bytes))
		}
	}
	var o outcome
	o.content.most, o.sent.content.most = s.cfg.Bytes, s.cfg.Bytes
	err := s.cfg.Run(x, edge.HandlerFunc(func(x *edge.Exchange) error { return c.again(x, &o) }), c.script)
	o.came(x, err)
	if x.Response.Body != nil {
		x.Response.Body = o.content.of(x.Response.Body)
		drain(x.Response.Body, s.cfg.Bytes)
		x.Response.Body.Close()
	}
	run := runOf(&x.Record, s.cfg.Name, s.cfg.Version)
	switch {
	case x.Cancelled() != nil || run == nil:
		s.drop(closed)
		return
	case c.missed:
		s.drop(incomplete)
		return
	case run.Failed:
		s.count(func(r *Report) { r.Failed++ })
		s.keep(c, []string{"failed"}, []string{reason(err)})
		return
	}
	kinds, details := compare(&c.live, &o, &redact.Redactor{Names: s.cfg.Redact})
	s.count(func(r *Report) {
		s.took[0] += c.took
		s.took[1] += run.Took
		if len(kinds) == 0 {
			r.Same++
			return
		}
		r.Differs++
		for _, k := range kinds {
			r.Kinds[k]++
		}
	})
	if len(kinds) > 0 {
		s.keep(c, kinds, details)
	}
}

// reason returns why a version has failed, on one line of a bounded length.
func reason(err error) string {
	if err == nil {
		return "it failed, and the exchange went on without it"
	}
	if e := edge.AsError(err); e.Err != nil {
		err = e.Err
	}
	return brief(err.Error())
}

func (s *Shadow) count(f func(*Report)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.report)
}

// keep keeps a difference, in the place of the oldest if there are enough.
func (s *Shadow) keep(c *shadowed, kinds, details []string) {
	r := &c.fork.Record
	tell := redact.Redactor{Names: s.cfg.Redact}
	d := Difference{Time: r.Start, ID: r.ID, Method: brief(c.method), Target: brief(tell.URL(c.target)), Live: c.number, Kinds: kinds, Details: details}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) < s.cfg.Keep {
		s.kept = append(s.kept, d)
	} else {
		s.kept[s.written%s.cfg.Keep] = d
	}
	s.written++
}

// maxDetail bounds what is kept of one text, in bytes.
const maxDetail = 200

func brief(s string) string {
	if len(s) > maxDetail {
		return s[:maxDetail] + "..."
	}
	return string(append([]byte(nil), s...)) // not a part of something larger
}

// again is the next handler of a version in shadow: what the upstream has answered.
func (c *shadowed) again(x *edge.Exchange, o *outcome) error {
	o.goesOn(x)
	if x.Request.Body != nil && c.request.whole() { // else the upstream has not read it either
		drain(x.Request.Body, c.shadow.cfg.Bytes)
	}
	switch {
	case !c.live.on:
		return errNoOrigin // the verdicts differ already
	case c.failure != nil:
		return c.failure
	}
	var body edge.Body
	if c.origin.some {
		body = c.origin.again(&c.missed)
	}
	x.Respond(c.status, body, c.size)
	x.Response.Fields.CopyFrom(&c.fields)
	return nil
}

var errNoOrigin = errors.New("the version that served has answered by itself: there is no answer of the upstream")

// drain reads a body to its end, or as much as is compared.
func drain(b edge.Body, most int64) {
	var buf [4 << 10]byte
	for n := int64(0); n <= most; {
		k, err := b.Read(buf[:])
		if err != nil {
			return
		}
		n += int64(k)
	}
}

// copyOf returns an error that holds nothing of an exchange.
func copyOf(err error) error {
	e := edge.AsError(err)
	return &edge.Error{Kind: e.Kind, Status: e.Status, Op: "answer as the upstream did", Err: fmt.Errorf("%s", brief(err.Error()))}
}
