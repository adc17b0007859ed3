package server

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/route"
)

// toward is what a route changes of a request on its last step, to the upstream or
// function, and back in the answer. What lies before that, filters and the cache
// among it, goes by what the client has asked for.
type toward struct {
	rewrite *route.Rewrite         // nil: nothing
	match   *route.Table[struct{}] // the route's own pattern, where rewrite inserts what it captures
	fields  *edits                 // nil: none
	shown   towardShown            // only explain asks for it
}

// towardShown is what is told instead of what the file takes from elsewhere; "" for
// nothing.
type towardShown struct{ prefix, addPrefix, rewrite, host string }

// newToward returns what c changes, or nil if that is nothing.
func newToward(c *config.Route) (*toward, error) {
	t := &toward{fields: newEdits(c.Fields.Request), shown: towardShown{strings.TrimSuffix(c.AddPrefix, "/"), c.AddPrefixFrom, c.RewriteFrom, c.Host.From}}
	if c.RewriteAnswers || c.Strip != "" || c.AddPrefix != "" || c.Rewrite != "" || c.Host.Kind != config.HostKeep {
		cfg := route.RewriteConfig{Path: c.Match.Path, Strip: c.Strip, AddPrefix: c.AddPrefix, Rewrite: c.Rewrite, HostName: c.Host.Name, KeepAnswers: !c.RewriteAnswers}
		switch c.Host.Kind {
		case config.HostUpstream:
			cfg.Host = route.HostEndpoint
		case config.HostNamed:
			cfg.Host = route.HostNamed
		}
		var err error
		if t.rewrite, err = route.NewRewrite(cfg); err != nil {
			return nil, err
		}
		if c.Rewrite != "" {
			var problems []route.Problem
			if t.match, problems = route.New([]route.Entry[struct{}]{{Path: c.Match.Path}}); problems != nil {
				return nil, problems[0]
			}
		}
	}
	if t.rewrite == nil && t.fields == nil {
		return nil, nil
	}
	return t, nil
}

// serve asks a of the arms what the route makes of the request.
func (t *toward) serve(x *edge.Exchange, a *arm, script string) error {
	if t.fields != nil {
		// A copy: what the client has sent is there again afterwards. The engine
		// that forwards it reads fields no more once it has returned.
		own := x.Request.Fields
		edited := copies.Get().(*edge.Fields)
		edited.CopyFrom(&own)
		t.fields.apply(edited)
		x.Request.Fields = *edited
		defer func() {
			*edited = x.Request.Fields
			x.Request.Fields = own
			edited.Reset()
			copies.Put(edited)
		}()
	}
	if t.rewrite == nil {
		return a.serve(x, script)
	}
	was, err := t.ask(x, a)
	if err != nil {
		return err
	}
	err = a.serve(x, script)
	t.rewrite.Answer(x, &was)
	return err
}

// conceal takes from a request that ask has made, and that is only explained, what is
// not to be told.
func (t *toward) conceal(x *edge.Exchange) {
	r := &x.Request
	if t.shown.host != "" {
		r.Authority = t.shown.host
	}
	switch {
	case t.shown.rewrite != "":
		r.Path, r.Query = t.shown.rewrite, ""
	case t.shown.addPrefix != "":
		r.Path = x.Concat(t.shown.addPrefix, strings.TrimPrefix(r.Path, t.shown.prefix))
	}
}

// ask makes of the request what a is asked.
func (t *toward) ask(x *edge.Exchange, a *arm) (route.Asked, error) {
	var captures route.Captures
	if t.match != nil {
		path, err := canonicalPath(x)
		if err != nil {
			return route.Asked{}, err
		}
		t.match.Lookup(&x.Request, path.String(), &captures)
	}
	authority := x.Request.Authority
	was, err := t.rewrite.Request(x, &captures)
	if a.function != nil && x.Request.Authority == "" {
		x.Request.Authority = authority // it has no endpoint that could be asked for
	}
	return was, err
}
