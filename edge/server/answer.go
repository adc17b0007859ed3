package server

import (
	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/route"
)

// redirect answers with another place to go to.
type redirect struct {
	status    int
	to        route.Template
	keepQuery bool   // the template has no query of its own
	shown     string // what is told instead of the target; "" for nothing
}

func (r *redirect) answer(x *edge.Exchange, captures *route.Captures) error {
	location := r.to.Expand(x, captures)
	if r.keepQuery && x.Request.Query != "" {
		location = x.Concat(location, "?", x.Request.Query)
	}
	x.Respond(r.status, nil, 0)
	x.Response.Fields.Add("Location", location)
	return nil
}

// conceal takes from the answer, which is only explained, what is not to be told.
func (r *redirect) conceal(x *edge.Exchange) {
	if r.shown != "" {
		x.Response.Fields.Set("Location", r.shown)
	}
}

// respond is a fixed answer.
type respond struct {
	status int
	body   []byte
	fields []config.Pair
}

func (r *respond) answer(x *edge.Exchange) error {
	if len(r.body) == 0 {
		x.Respond(r.status, nil, 0)
	} else {
		x.Respond(r.status, edge.Content(r.body), int64(len(r.body)))
	}
	for _, f := range r.fields {
		x.Response.Fields.Add(f.Name, f.Value)
	}
	return nil
}
