package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Answers is an upstream that is played: a table of requests and of what is answered.
type Answers struct {
	mu      sync.Mutex // guards the following field
	entries []entry    // those that say most first
}

// entry is what answers some requests.
type entry struct {
	method string // "": any
	path   string // "*": any
	query  string
	any    bool // whatever the query is

	turns []answer
	next  int
}

// written is an answer as somebody writes it.
type written struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"` // a text, or a value of JSON
	Error   string            `json:"error"`
}

// maxAnswer bounds the content of one answer, in bytes.
const maxAnswer = 1 << 20

// ParseAnswers reads a table of answers: an object of JSON whose members are requests,
// "GET /path?query", "/path" or "*". Their values are an answer, or a list of answers that
// are given in turn, of which the last stays: an object of status (default 200), headers, body
// (a text, or a value, which is sent as JSON) and error, a type of RFC 9209 in place of an answer.
// A request without a query is meant with any.
func ParseAnswers(b []byte) (*Answers, error) {
	var table map[string]json.RawMessage
	if err := strict(b, &table); err != nil {
		return nil, err
	}
	if len(table) == 0 {
		return nil, errors.New(`no answers: write { "GET /path": { "body": "text" } }`)
	}
	a := new(Answers)
	for request, value := range table {
		e, err := entryOf(request)
		if err == nil {
			e.turns, err = turnsOf(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", request, err)
		}
		a.entries = append(a.entries, e)
	}
	slices.SortFunc(a.entries, func(x, y entry) int {
		if d := y.weight() - x.weight(); d != 0 {
			return d
		}
		return strings.Compare(x.method+" "+x.path+"?"+x.query, y.method+" "+y.path+"?"+y.query)
	})
	return a, nil
}

// Always returns an upstream that answers everything with one status and content.
func Always(status int, content []byte) (*Answers, error) {
	r := api.HTTPResponse{Status: status}
	r.SetContent(content)
	var one answer
	if err := one.take(&r, maxAnswer); err != nil {
		return nil, err
	}
	return &Answers{entries: []entry{{path: "*", any: true, turns: []answer{one}}}}, nil
}

// weight says how much an entry says of a request.
func (e *entry) weight() (n int) {
	if e.path != "*" {
		n += 4
	}
	if !e.any {
		n += 2
	}
	if e.method != "" {
		n++
	}
	return n
}

func (e *entry) matches(r *edge.Request) bool {
	return (e.method == "" || e.method == r.Method) && (e.path == "*" || e.path == r.Path) && (e.any || e.query == r.Query)
}

func entryOf(request string) (e entry, err error) {
	target := request
	if method, rest, ok := strings.Cut(request, " "); ok {
		e.method, target = method, rest
		if !edge.IsToken(method) {
			return e, fmt.Errorf("%.80q is no method", method)
		}
	}
	if target != "*" && !strings.HasPrefix(target, "/") {
		return e, errors.New(`is no request: write "GET /path", "/path" or "*"`)
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return e, errors.New("has what no path has: write it percent-encoded")
		}
	}
	var query bool
	e.path, e.query, query = strings.Cut(target, "?")
	e.any = !query
	return e, nil
}

// turnsOf reads an answer, or a list of them.
func turnsOf(value json.RawMessage) ([]answer, error) {
	list := []json.RawMessage{value}
	if bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
		if err := strict(value, &list); err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, errors.New("has no answer")
		}
	}
	var all []answer
	for _, one := range list {
		a, err := answerOf(one)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func answerOf(value json.RawMessage) (a answer, err error) {
	var w written
	if err := strict(value, &w); err != nil {
		return a, err
	}
	r := api.HTTPResponse{Status: w.Status, Error: w.Error}
	for _, name := range sorted(w.Headers) {
		r.Headers = append(r.Headers, api.Field{Name: name, Value: w.Headers[name]})
	}
	var text string
	switch body := bytes.TrimSpace(w.Body); {
	case len(body) == 0:
	case body[0] == '"':
		if err := json.Unmarshal(body, &text); err != nil {
			return a, err
		}
		r.SetContent([]byte(text))
	default:
		r.SetContent(body)
		if !slices.ContainsFunc(r.Headers, func(f api.Field) bool { return edge.EqualFold(f.Name, "Content-Type") }) {
			r.Headers = append(r.Headers, api.Field{Name: "Content-Type", Value: "application/json"})
		}
	}
	return a, a.take(&r, maxAnswer)
}

func sorted(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// strict reads JSON in which nothing is unknown, and which nothing follows.
func strict(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows the JSON")
	}
	return nil
}

// Serve implements [edge.Handler].
func (a *Answers) Serve(x *edge.Exchange) error {
	if x.Request.Body != nil {
		var all message
		if err := all.read(x.Request.Body, &x.Request.Trailers, maxAnswer); err != nil {
			return err
		}
	}
	one := a.find(&x.Request)
	if one == nil {
		return &edge.Error{Kind: edge.DestinationNotFound, Op: "ask the upstream", Err: errNoAnswer}
	}
	return one.give(x)
}

var errNoAnswer = errors.New("there is no answer for that")

func (a *Answers) find(r *edge.Request) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.entries {
		if e := &a.entries[i]; e.matches(r) {
			one := &e.turns[e.next]
			e.next = min(e.next+1, len(e.turns)-1)
			return one
		}
	}
	return nil
}
