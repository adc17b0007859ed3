package capture

import (
	"slices"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/redact"
)

// recording is one exchange's part in one capture.
type recording struct {
	capture *Capture
	redact  redact.Redactor
	line    api.Captured
	held    int64 // bytes that are reserved for its heads

	request, response, answer passing
}

// overhead is what a recording holds besides its texts, about, in bytes.
const overhead = 2 << 10

// Active reports whether something is recorded.
func (r *Recorder) Active() bool { return r != nil && r.running.Load() != nil }

// Begin is told of an exchange that a route has been found for, when its request is as
// the route's filters are to see it.
func (r *Recorder) Begin(x *edge.Exchange, site, route string) {
	for _, c := range r.list() {
		if c.wanted.takes(x, site, route) && r.enter(c) {
			r.begin(c, x, site, route)
		}
	}
}

// enter takes one of the exchanges that a capture wants.
func (r *Recorder) enter(c *Capture) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.state != api.CaptureRuns || len(c.lines)+c.open >= c.wanted.Count {
		return false
	}
	c.open++
	return true
}

func (r *Recorder) begin(c *Capture, x *edge.Exchange, site, route string) {
	q := &x.Request
	o := &recording{capture: c, redact: redact.Redactor{Names: c.wanted.Redact}}
	o.line = api.Captured{
		Format: api.CaptureFormat, ID: strings.Clone(x.Record.ID), Time: x.Record.Start, Client: strings.Clone(x.Record.ClientIP),
		Proto: strings.Clone(q.Proto), Site: strings.Clone(site), Route: strings.Clone(route),
		Request: api.HTTPRequest{
			Method:  strings.Clone(q.Method),
			URL:     o.redact.URL(q.Scheme + "://" + q.Authority + target(q)),
			Headers: fieldsOf(&o.redact, &q.Fields),
		},
	}
	x.OnEnd(o)
	r.mu.Lock()
	r.recordings[x] = append(r.recordings[x], o)
	r.mu.Unlock()
	o.hold(overhead + int64(len(o.line.Request.URL)) + sizeOf(o.line.Request.Headers))
	o.request.start(o, &q.Body, &q.Trailers)
}

func target(q *edge.Request) string {
	switch {
	case q.Path == "*": // RFC 9112, section 3.2.4
		return ""
	case q.Query == "":
		return q.Path
	}
	return q.Path + "?" + q.Query
}

// hold reserves bytes.
func (o *recording) hold(n int64) {
	if o.capture.reserve(n) {
		o.held += n
	}
}

// of returns the recordings of an exchange.
func (r *Recorder) of(x *edge.Exchange) []*recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recordings[x]
}

// Behind is told of the response that the route's filters get, or of the error in its
// place.
func (r *Recorder) Behind(x *edge.Exchange, err error) {
	for _, o := range r.of(x) {
		if err != nil {
			e := edge.AsError(err)
			o.line.Response = &api.HTTPResponse{Status: e.Kind.Status(), Error: e.Kind.String()}
			if e.Status != 0 {
				o.line.Response.Status = e.Status
			}
			continue
		}
		o.line.Response = o.head(&x.Response)
		o.response.start(o, &x.Response.Body, &x.Response.Trailers)
	}
}

// Answer is told of the response that is about to be delivered.
func (r *Recorder) Answer(x *edge.Exchange) {
	for _, o := range r.of(x) {
		o.line.Answer = o.head(&x.Response)
		o.answer.start(o, &x.Response.Body, &x.Response.Trailers)
	}
}

func (o *recording) head(r *edge.Response) *api.HTTPResponse {
	h := &api.HTTPResponse{Status: r.Status, Headers: fieldsOf(&o.redact, &r.Fields)}
	o.hold(sizeOf(h.Headers))
	return h
}

func sizeOf(list []api.Field) (n int64) {
	for _, f := range list {
		n += int64(len(f.Name)+len(f.Value)) + 32
	}
	return n
}

// End implements [edge.Ender]: transports have joined their pumps.
func (o *recording) End(x *edge.Exchange) {
	c, r := o.capture, o.capture.of
	o.finish(x)
	text, err := o.line.MarshalLine()
	r.used.Add(-(o.held + o.request.held() + o.response.held() + o.answer.held()))
	wanted := err == nil && c.wanted.took(x)
	fits := wanted && c.reserve(int64(len(text)))

	r.mu.Lock()
	defer r.mu.Unlock()
	c.open--
	r.forget(x, o)
	switch {
	case !fits:
	case c.state != api.CaptureRuns:
		r.used.Add(-int64(len(text)))
	default:
		c.add(text)
	}
}

// finish fills in what is known in the end.
func (o *recording) finish(x *edge.Exchange) {
	line := &o.line
	line.Why, line.MS = x.Record.Why, milliseconds(time.Since(x.Record.Start))
	if outcome := o.capture.of.cfg.Outcome; line.Why == "" && outcome != nil {
		line.Why = outcome(&x.Record)
	}
	for _, f := range x.Record.Filters {
		line.Filters = append(line.Filters, api.CapturedRun{Name: strings.Clone(f.Name), Version: f.Version, MS: milliseconds(f.Took), Failed: f.Failed})
	}
	q := &line.Request
	content, total, trailers := o.request.take()
	q.Bytes, q.Trailers = max(total, x.Record.Received), trailers
	q.Cut = q.Bytes > int64(len(content))
	q.SetContent(contentOf(&o.redact, content, q.Headers))
	o.response.fill(&o.redact, line.Response, 0)
	o.answer.fill(&o.redact, line.Answer, x.Record.Sent)
	line.Redacted = o.redact.Found()
}

// add appends a line. of.mu is held.
func (c *Capture) add(text []byte) {
	c.lines = append(c.lines, text)
	c.bytes += int64(len(text))
	if len(c.lines) == c.wanted.Count {
		c.end(api.CaptureCounted)
		return
	}
	close(c.more)
	c.more = make(chan struct{})
}

// forget takes a recording of an exchange away. mu is held.
func (r *Recorder) forget(x *edge.Exchange, o *recording) {
	rest := slices.DeleteFunc(r.recordings[x], func(other *recording) bool { return other == o })
	if len(rest) == 0 {
		delete(r.recordings, x)
	} else {
		r.recordings[x] = rest
	}
}

// fill makes what was kept the content of r, of which at least so many bytes were sent.
func (p *passing) fill(tell *redact.Redactor, r *api.HTTPResponse, sent int64) {
	if r == nil {
		return
	}
	content, total, trailers := p.take()
	r.Bytes, r.Trailers = max(total, sent), trailers
	r.Cut = r.Bytes > int64(len(content))
	r.SetContent(contentOf(tell, content, r.Headers))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
