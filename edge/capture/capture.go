// Package capture records exchanges of live traffic for a while, when somebody asks
// for it: what modules are tried with. It is bounded in time, number and bytes, and
// keeps all in memory. Where nothing is recorded it costs the exchange an atomic load
// at each of its places.
//
// Nothing waits for a capture: content goes its way, and what there is room for is
// copied as it passes.
package capture

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Config bounds captures.
type Config struct {
	Bytes   int64         // of what all captures hold together, what is being recorded included; default 16 MiB
	Running int           // at once; default 4
	Kept    int           // that are kept, running or not; the oldest that has ended makes room; default 20
	Keep    time.Duration // how long one that has ended is kept; default 1 h

	Outcome func(*edge.Record) string // the code of what has become of an exchange without one; default none
}

func (c *Config) setDefaults() {
	if c.Bytes == 0 {
		c.Bytes = 16 << 20
	}
	if c.Running == 0 {
		c.Running = 4
	}
	if c.Kept == 0 {
		c.Kept = 20
	}
	if c.Keep == 0 {
		c.Keep = time.Hour
	}
}

// Wanted is what is to be recorded.
type Wanted struct {
	Site, Route string // "" for all of them; Route is one of Site
	Method      string // "" for all
	Path        string // as it came; with * at its end, what it begins with; "" for all
	Status      string // "404", or "5xx"; "" for all
	Filter      string // that has run; "" for all

	Count   int           // exchanges after which it ends
	For     time.Duration // after which it ends
	Content int64         // bytes of each content that are kept; 0: none is
	Redact  []string      // fields, and parameters of queries, whose values are not told
}

// Recorder records exchanges. It may be used by several goroutines.
type Recorder struct {
	cfg     Config
	running atomic.Pointer[[]*Capture] // copied when one begins or ends; nil: there is none
	used    atomic.Int64               // bytes

	mu         sync.Mutex // guards the following fields
	captures   []*Capture // the oldest first
	recordings map[*edge.Exchange][]*recording
	closed     bool
}

// New returns a recorder that records nothing yet.
func New(cfg Config) *Recorder {
	cfg.setDefaults()
	return &Recorder{cfg: cfg, recordings: make(map[*edge.Exchange][]*recording)}
}

// Capture is exchanges that are recorded, or were.
type Capture struct {
	id      string
	wanted  Wanted
	asked   api.CaptureRequest
	started time.Time
	of      *Recorder
	timer   *time.Timer // ends it, and removes it later
	over    atomic.Bool // it has ended: what has begun holds no more

	// Guarded by of.mu.
	state string
	ended time.Time
	open  int      // recordings that have begun
	lines [][]byte // the oldest first
	bytes int64
	more  chan struct{} // closed at the next line, or end
}

// ErrBusy is the error of a capture that would be one too many.
var ErrBusy = errors.New("as many captures as may run do so")

// Start begins a capture. What was asked is told of it, and has no meaning here.
func (r *Recorder) Start(w Wanted, asked api.CaptureRequest) (api.Capture, error) {
	c := &Capture{id: rand.Text()[:12], wanted: w, asked: asked, of: r, started: time.Now(), state: api.CaptureRuns, more: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch n := len(r.list()); {
	case r.closed:
		return api.Capture{}, errors.New("the proxy ends")
	case n >= r.cfg.Running:
		return api.Capture{}, fmt.Errorf("%w: %d", ErrBusy, n)
	}
	if len(r.captures) >= r.cfg.Kept {
		r.evict()
	}
	r.captures = append(r.captures, c)
	list := append(slices.Clone(r.list()), c)
	r.running.Store(&list)
	c.timer = time.AfterFunc(w.For, func() { r.stop(c, api.CaptureTimed) })
	return c.tell(), nil
}

// list returns the captures that run.
func (r *Recorder) list() []*Capture {
	if list := r.running.Load(); list != nil {
		return *list
	}
	return nil
}

// stop ends a capture, for a reason, unless it has ended.
func (r *Recorder) stop(c *Capture, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.end(why)
}

// end ends the capture. of.mu is held.
func (c *Capture) end(why string) {
	if c.state != api.CaptureRuns {
		return
	}
	r := c.of
	c.state, c.ended = why, time.Now()
	c.over.Store(true)
	close(c.more)
	list := slices.DeleteFunc(slices.Clone(r.list()), func(other *Capture) bool { return other == c })
	if len(list) == 0 {
		r.running.Store(nil)
	} else {
		r.running.Store(&list)
	}
	c.timer.Stop()
	if !r.closed {
		c.timer = time.AfterFunc(r.cfg.Keep, func() { r.Remove(c.id) })
	}
}

// evict drops the oldest capture that has ended, and reports whether there was one.
// mu is held.
func (r *Recorder) evict() bool {
	for i, c := range r.captures {
		if c.state != api.CaptureRuns {
			r.drop(i)
			return true
		}
	}
	return false
}

func (r *Recorder) drop(i int) {
	c := r.captures[i]
	c.timer.Stop()
	r.used.Add(-c.bytes)
	c.lines, c.bytes = nil, 0
	r.captures = slices.Delete(r.captures, i, i+1)
}

// Remove ends a capture, and drops what it has. It reports false if there is none.
func (r *Recorder) Remove(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.captures {
		if c.id == id {
			c.end(api.CaptureStopped)
			r.drop(i)
			return true
		}
	}
	return false
}

// Close ends all captures.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for len(r.captures) > 0 {
		r.captures[0].end(api.CaptureStopped)
		r.drop(0)
	}
}

// Captures tells of all captures, the oldest first.
func (r *Recorder) Captures() []api.Capture {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]api.Capture, len(r.captures))
	for i, c := range r.captures {
		all[i] = c.tell()
	}
	return all
}

// Find returns a capture, or nil.
func (r *Recorder) Find(id string) *Capture {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.captures {
		if c.id == id {
			return c
		}
	}
	return nil
}

// Tell tells of the capture.
func (c *Capture) Tell() api.Capture {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.tell()
}

func (c *Capture) tell() api.Capture {
	t := api.Capture{ID: c.id, Asked: c.asked, State: c.state, Started: c.started, Ends: c.ended, Exchanges: len(c.lines), Bytes: c.bytes}
	if c.state == api.CaptureRuns {
		t.Ends = c.started.Add(c.wanted.For)
	}
	return t
}

// Lines returns the lines from a number on, each with its end, and a channel that is
// closed when there may be more of them: nil if there will be none.
func (c *Capture) Lines(from int) (lines [][]byte, more <-chan struct{}) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if from < len(c.lines) {
		lines = slices.Clone(c.lines[from:])
	}
	if c.state == api.CaptureRuns {
		more = c.more
	}
	return lines, more
}

// takes reports whether an exchange that begins is one of those that are wanted, as
// far as it can be known.
func (w *Wanted) takes(x *edge.Exchange, site, route string) bool {
	if w.Site != "" && w.Site != site || w.Route != "" && w.Route != route || w.Method != "" && w.Method != x.Record.Method {
		return false
	}
	if begin, open := strings.CutSuffix(w.Path, "*"); open {
		return strings.HasPrefix(x.Record.Path, begin)
	}
	return w.Path == "" || w.Path == x.Record.Path
}

// took reports the same of one that has ended.
func (w *Wanted) took(x *edge.Exchange) bool {
	if w.Filter != "" && !slices.ContainsFunc(x.Record.Filters, func(f edge.FilterRun) bool { return f.Name == w.Filter }) {
		return false
	}
	status := strconv.Itoa(x.Response.Status)
	return w.Status == "" || w.Status == status || strings.HasSuffix(w.Status, "xx") && w.Status[:1] == status[:1]
}

// reserve takes bytes of what captures may hold for one that runs, from those that have
// ended if it must be. If there is no room the capture ends, and it reports false.
func (c *Capture) reserve(n int64) bool {
	r := c.of
	switch {
	case c.over.Load():
		return false
	case r.used.Add(n) <= r.cfg.Bytes:
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used.Load() > r.cfg.Bytes {
		if c.state != api.CaptureRuns || !r.evict() {
			r.used.Add(-n)
			c.end(api.CaptureFull)
			return false
		}
	}
	return true
}
