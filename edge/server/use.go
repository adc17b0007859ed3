package server

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// useFilter is what putting a filter to use changes.
func (s *Server) useFilter(name string, use api.Use) edit {
	return func(file *config.File, all []overlay) ([]overlay, error) {
		if use.Config != "" || use.Route != "" && file.Filter(name) == nil {
			o := overlay{Kind: "filter", Name: name}
			value, _ := valueOf(file, o).(map[string]any)
			if value == nil {
				value = map[string]any{"wasm": "uploaded"}
			}
			if use.Config != "" {
				value["config"] = configValue(use.Config)
			}
			o.Value = value
			all = with(all, s.newOverlay(o))
		}
		if use.Route == "" {
			return all, nil
		}
		st, r, path, err := findRoute(file, use.Route)
		switch {
		case err != nil:
			return nil, err
		case r == nil && path != "":
			return nil, noRoute(st, path)
		case r != nil && (r.Redirect != nil || r.Respond != nil):
			return nil, &api.Problem{Title: "no filters there", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("%s answers by itself (%s), before any filter", fullName(st.Name, r.Name), targetText(r))}
		case r != nil && runs(r.Filters, name), r == nil && siteRuns(st, name):
			return all, nil
		}
		o := overlay{Kind: "site", Site: st.Key}
		if r != nil {
			o.Kind, o.Match = "route", routeKey(r)
		}
		o.Value = withFilter(valueOf(file, o), name)
		return with(all, s.newOverlay(o)), nil
	}
}

// dropFilter takes back what the API has changed for a filter's sake.
func (s *Server) dropFilter(name string) edit {
	return func(_ *config.File, all []overlay) ([]overlay, error) {
		var left []overlay
		for _, o := range all {
			if o.Kind == "filter" && o.Name == name {
				continue
			}
			if o.Kind == "route" || o.Kind == "site" {
				if value, some := withoutFilters(o.Value, func(used string) bool { return used == name }); some {
					if o.Value = value; s.saysNothing(o, left) {
						continue
					}
				}
			}
			left = append(left, o)
		}
		return left, nil
	}
}

// saysNothing reports whether an overlay says what the files say, with those before
// it. s.changing is held.
func (s *Server) saysNothing(o overlay, before []overlay) bool {
	texts, err := folded(s.base, before)
	if err != nil {
		return false
	}
	have, _ := config.Value(texts, o.edit())
	return canonical(asMap(have)) == canonical(asMap(o.Value))
}

// asMap returns the value of a route or site as a map, if it is not a list.
func asMap(v any) any {
	switch v := v.(type) {
	case nil:
		return map[string]any{}
	case map[string]any, []any:
		return v
	}
	return map[string]any{"to": v}
}

// useFunction is what putting a function to use changes.
func (s *Server) useFunction(name string, use api.Use) edit {
	return func(file *config.File, all []overlay) ([]overlay, error) {
		if use.Route == "" {
			return all, nil
		}
		if file.Function(name) == nil {
			all = with(all, s.newOverlay(overlay{Kind: "function", Name: name, Value: map[string]any{"wasm": "uploaded"}}))
		}
		st, r, path, err := findRoute(file, use.Route)
		switch {
		case err != nil:
			return nil, err
		case r == nil && path == "":
			return nil, &api.Problem{Title: "which route?", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("%q is a site; a function answers a route of it", use.Route), Hint: "write " + st.Name + "/" + name + ", for example"}
		case r != nil && r.To.Function == name:
			return all, nil
		case r != nil:
			return nil, &api.Problem{Title: "the route has a target", Status: http.StatusConflict, Detail: fmt.Sprintf("%s has another target than the function %q", fullName(st.Name, r.Name), name), Hint: "PUT /v1/routes/{route} replaces a route"}
		}
		return with(all, s.newOverlay(overlay{Kind: "route", Site: st.Key, Match: path, Value: "function:" + name})), nil
	}
}

// dropFunction takes back what the API has changed for a function's sake.
func dropFunction(name string) edit {
	made := canonical(asMap("function:" + name)) // a route that useFunction has made
	return func(_ *config.File, all []overlay) ([]overlay, error) {
		return slices.DeleteFunc(all, func(o overlay) bool {
			return o.Kind == "function" && o.Name == name || o.Kind == "route" && canonical(asMap(o.Value)) == made
		}), nil
	}
}

// configValue returns the configuration of a guest: what JSON stands for, or the
// text itself.
func configValue(text string) any {
	if !json.Valid([]byte(text)) {
		return text
	}
	var v any
	if err := exactly(strings.NewReader(text)).Decode(&v); err != nil {
		return text // deeper than package encoding/json goes
	}
	return v
}

// exactly returns a decoder that keeps numbers as they are written.
func exactly(r io.Reader) *json.Decoder {
	d := json.NewDecoder(r)
	d.UseNumber()
	return d
}

// valueOf returns what a configuration says of a thing; nil for nothing.
func valueOf(file *config.File, o overlay) any {
	v, _ := config.Value(file.Texts(), o.edit())
	return v
}

func runs(filters []config.FilterUse, name string) bool {
	return slices.ContainsFunc(filters, func(u config.FilterUse) bool { return u.Name == name })
}

func siteRuns(st *config.Site, name string) bool {
	for i := range st.Routes {
		if !runs(st.Routes[i].Filters, name) {
			return false
		}
	}
	return true
}

// withFilter returns the value of a route or site with a filter at the end of its
// filters. A text is a target; a list is the routes of one match.
func withFilter(value any, name string) any {
	switch v := value.(type) {
	case nil:
		return map[string]any{"filters": []any{name}}
	case map[string]any:
		v["filters"] = append(listOf(v["filters"]), name)
		return v
	case []any:
		for i := range v {
			v[i] = withFilter(v[i], name)
		}
		return v
	}
	return map[string]any{"to": value, "filters": []any{name}}
}

// withoutFilters returns the value of a route or site without the filters of which it is
// true, and whether it had any. The value itself stays as it is.
func withoutFilters(value any, drop func(name string) bool) (without any, some bool) {
	switch v := value.(type) {
	case map[string]any:
		list := listOf(v["filters"])
		left := slices.DeleteFunc(slices.Clone(list), func(f any) bool {
			s, _ := f.(string)
			used, _, _ := strings.Cut(s, "@")
			return drop(used)
		})
		if len(left) == len(list) {
			return v, false
		}
		v = maps.Clone(v)
		if v["filters"] = left; len(left) == 0 {
			delete(v, "filters")
		}
		return v, true
	case []any:
		v = slices.Clone(v)
		for i := range v {
			var had bool
			v[i], had = withoutFilters(v[i], drop)
			some = some || had
		}
		return v, some
	}
	return value, false
}

// listOf returns a list that may be written as one value.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return slices.Clone(v)
	}
	return []any{v}
}

// routeKey returns how the file calls a route among those of its site.
func routeKey(r *config.Route) string {
	if r.Key != "" {
		return r.Key
	}
	return "/" // the site's own target
}

// findRoute returns the site that a text like example.com/api/* names, and the route,
// or no route and how its match would be written. A site alone has no match.
func findRoute(file *config.File, text string) (st *config.Site, r *config.Route, match string, err error) {
	for i := range file.Sites {
		c := &file.Sites[i]
		for _, name := range []string{c.Name, c.Host, c.Key} {
			rest, ok := strings.CutPrefix(text, name)
			if !ok || rest != "" && rest[0] != '/' {
				continue
			}
			if st == nil || len(rest) < len(match) {
				st, match = c, rest
			}
		}
	}
	if st == nil {
		return nil, nil, "", noSite(file, text)
	}
	if match == "" {
		return st, nil, "", nil
	}
	plain := match[1:]
	for i := range st.Routes {
		c := &st.Routes[i]
		// "POST /login" is written site/POST /login, and a name without a slash.
		if c.Name == match || c.Name == plain || c.Key == match || c.Key == plain {
			return st, c, match, nil
		}
	}
	if !strings.HasPrefix(plain, "/") && strings.Contains(plain, " /") {
		match = plain // with a method
	}
	return st, nil, match, nil
}

// noSite returns the error of a text that names no site that there is.
func noSite(file *config.File, text string) error {
	var sites, routes, made []string // all sites; routes that the text may mean; what it may mean of others
	for i := range file.Sites {
		st := &file.Sites[i]
		sites = append(sites, st.Name)
		made = append(made, fullName(st.Name, text))
		for j := range st.Routes {
			if r := &st.Routes[j]; text == r.Key || text == r.Name || text == r.Match.Path {
				routes = append(routes, fullName(st.Name, r.Name))
			}
		}
	}
	name, _, _ := strings.Cut(text, "/")
	if routes == nil && name != "" && !strings.HasSuffix(name, " ") { // "POST /login" has a method there
		return &api.Problem{Title: "no such site", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no site %q%s", name, diag.Have(sites)), Hint: diag.DidYouMean(name, sites)}
	}
	if routes == nil {
		routes = made
	}
	return &api.Problem{Title: "which site?", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("%q names a route without its site; SITE/PATH is needed%s", text, diag.Have(routes))}
}

func noRoute(st *config.Site, match string) error {
	var have []string
	for i := range st.Routes {
		have = append(have, st.Routes[i].Name)
	}
	return &api.Problem{Title: "no such route", Status: http.StatusNotFound, Detail: fmt.Sprintf("the site %q has no route %q%s", st.Name, match, diag.Have(have)), Hint: diag.DidYouMean(match, have)}
}
