package trial

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// message is a copy of a request or a response.
type message struct {
	method, scheme, authority, path, query string // of a request
	status                                 int    // of a response
	fields, trailers                       edge.Fields
	content                                []byte
	cut                                    bool // there was more content
}

func requestOf(r *edge.Request) message {
	return message{
		method: strings.Clone(r.Method), scheme: strings.Clone(r.Scheme), authority: strings.Clone(r.Authority),
		path: strings.Clone(r.Path), query: strings.Clone(r.Query), fields: r.Fields.Clone(), trailers: r.Trailers.Clone(),
	}
}

func responseOf(r *edge.Response) message {
	return message{status: r.Status, fields: r.Fields.Clone(), trailers: r.Trailers.Clone()}
}

// read reads the content, up to a limit, and closes it. Trailers are those behind it.
func (m *message) read(b edge.Body, trailers *edge.Fields, limit int64) error {
	if b == nil {
		return nil
	}
	defer b.Close()
	var err error
	m.content, err = io.ReadAll(io.LimitReader(b, limit+1))
	switch {
	case int64(len(m.content)) > limit:
		m.content, m.cut = m.content[:limit], true
	case err == nil:
		m.trailers = trailers.Clone()
	}
	return err
}

func (m *message) request() *api.HTTPRequest {
	r := &api.HTTPRequest{
		Method: m.method, URL: m.scheme + "://" + m.authority + m.target(),
		Headers: fieldsOf(&m.fields), Trailers: fieldsOf(&m.trailers), Bytes: int64(len(m.content)), Cut: m.cut,
	}
	r.SetContent(m.content)
	return r
}

func (m *message) target() string {
	switch {
	case m.path == "*": // RFC 9112, section 3.2.4
		return ""
	case m.query == "":
		return m.path
	}
	return m.path + "?" + m.query
}

func (m *message) response(kind string) *api.HTTPResponse {
	r := &api.HTTPResponse{
		Status: m.status, Error: kind, Headers: fieldsOf(&m.fields), Trailers: fieldsOf(&m.trailers),
		Bytes: int64(len(m.content)), Cut: m.cut,
	}
	r.SetContent(m.content)
	return r
}

func fieldsOf(f *edge.Fields) []api.Field {
	var all []api.Field
	for name, value := range f.All() {
		all = append(all, api.Field{Name: name, Value: value})
	}
	return all
}

// changes returns what differs in now.
func (m *message) changes(in string, now *message) []api.TrialChange {
	var all []api.TrialChange
	part := func(what, from, to string) {
		switch {
		case from == to:
		case from == "":
			all = append(all, api.TrialChange{In: in, What: what, Do: "added", To: to})
		case to == "":
			all = append(all, api.TrialChange{In: in, What: what, Do: "removed", From: from})
		default:
			all = append(all, api.TrialChange{In: in, What: what, Do: "set", From: from, To: to})
		}
	}
	part("method", m.method, now.method)
	part("scheme", m.scheme, now.scheme)
	part("authority", m.authority, now.authority)
	part("path", m.path, now.path)
	part("query", m.query, now.query)
	if m.status != now.status {
		part("status", strconv.Itoa(m.status), strconv.Itoa(now.status))
	}
	all = append(all, fieldChanges(in, "field", &m.fields, &now.fields)...)
	all = append(all, fieldChanges(in, "trailer", &m.trailers, &now.trailers)...)
	if string(m.content) != string(now.content) || now.cut {
		c := api.TrialChange{In: in, What: "content", Do: "set", From: strconv.Itoa(len(m.content)), To: strconv.Itoa(len(now.content))}
		switch {
		case len(m.content) == 0:
			c.Do = "added"
		case len(now.content) == 0:
			c.Do = "removed"
		}
		all = append(all, c)
	}
	return all
}

// fieldChanges compares lists of fields, name by name: in which order those of
// different names stand means nothing (RFC 9110, section 5.3).
func fieldChanges(in, what string, from, to *edge.Fields) []api.TrialChange {
	var all []api.TrialChange
	seen := make(map[string]bool)
	for _, list := range []*edge.Fields{from, to} {
		for name := range list.All() {
			if key := strings.ToLower(name); !seen[key] {
				seen[key] = true
				all = append(all, valueChanges(api.TrialChange{In: in, What: what, Name: name}, values(from, name), values(to, name))...)
			}
		}
	}
	return all
}

func values(f *edge.Fields, name string) []string {
	var all []string
	for v := range f.Values(name) {
		all = append(all, v)
	}
	return all
}

// valueChanges compares the values of one name: one in the place of another is set,
// others are added or removed, and an order that differs is all of them anew.
func valueChanges(like api.TrialChange, from, to []string) []api.TrialChange {
	gone, come := without(from, to), without(to, from)
	if len(gone) == 0 && len(come) == 0 {
		if strings.Join(from, "\n") == strings.Join(to, "\n") {
			return nil
		}
		gone, come = []string{strings.Join(from, ", ")}, []string{strings.Join(to, ", ")}
	}
	if len(gone) == 1 && len(come) == 1 {
		like.Do, like.From, like.To = "set", gone[0], come[0]
		return []api.TrialChange{like}
	}
	var all []api.TrialChange
	for _, v := range gone {
		c := like
		c.Do, c.From = "removed", v
		all = append(all, c)
	}
	for _, v := range come {
		c := like
		c.Do, c.To = "added", v
		all = append(all, c)
	}
	return all
}

// without returns what a has more of than b.
func without(a, b []string) []string {
	count := make(map[string]int)
	for _, v := range b {
		count[v]++
	}
	var more []string
	for _, v := range a {
		if count[v]--; count[v] < 0 {
			more = append(more, v)
		}
	}
	return more
}

// answer is what the filter is given as the rest of the proxy's.
type answer struct {
	status           int
	kind             edge.Kind
	failed           bool // it is an error of kind
	fields, trailers []api.Field
	content          []byte
}

// take takes what r says.
func (a *answer) take(r *api.HTTPResponse, limit int64) error {
	if r == nil {
		a.status = 200
		return nil
	}
	a.content, a.fields, a.trailers = r.Content(), r.Headers, r.Trailers
	if a.status = r.Status; a.status == 0 && r.Error == "" {
		a.status = 200
	}
	if r.Error != "" {
		var ok bool
		if a.kind, ok = kindOf(r.Error); !ok {
			return refused("%.64q is no error type of RFC 9209; connection_refused is one", r.Error)
		}
		a.failed = true
	}
	switch {
	case a.status != 0 && (a.status < 200 || a.status > 599):
		return refused("%d is no status of a response: that is 200 to 599", a.status)
	case int64(len(a.content)) > limit:
		return refused("the response's content has %d bytes, more than the %d of a trial", len(a.content), limit)
	}
	for _, f := range append(a.fields[:len(a.fields):len(a.fields)], a.trailers...) {
		switch {
		case f.Name == "" || strings.ContainsFunc(f.Name, func(c rune) bool { return c <= ' ' || c == ':' || c >= 0x7f }):
			return refused("%.64q is no name of a field", f.Name)
		case strings.ContainsFunc(f.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			return refused("the value of %.64q has a control character", f.Name) // RFC 9110, section 5.5
		}
	}
	return nil
}

// kindOf returns the kind of errors that a type of RFC 9209 means.
func kindOf(token string) (edge.Kind, bool) {
	for k := edge.InternalError; k <= edge.ClientGone; k++ {
		if k.String() == token {
			return k, true
		}
	}
	return 0, false
}

var errGiven = errors.New("it was given as the answer")

// give answers x.
func (a *answer) give(x *edge.Exchange) error {
	if a.failed {
		return &edge.Error{Kind: a.kind, Status: a.status, Op: "try", Err: errGiven}
	}
	length := int64(len(a.content))
	switch {
	case x.Request.Method == "HEAD":
		x.Respond(a.status, nil, length)
	case len(a.content) == 0 && len(a.trailers) == 0:
		x.Respond(a.status, nil, 0)
	default:
		x.Respond(a.status, edge.Content(a.content), length)
	}
	for _, f := range a.fields {
		if !edge.ConnectionField(f.Name) {
			x.Response.Fields.Add(f.Name, f.Value)
		}
	}
	for _, f := range a.trailers {
		x.Response.Trailers.Add(f.Name, f.Value)
	}
	return nil
}
