package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// Routes returns all routes, in the order of the file.
func (s *Server) Routes() []api.Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []api.Route{}
	file := s.snapshot.Load().file
	for i := range file.Sites {
		st := &file.Sites[i]
		for j := range st.Routes {
			all = append(all, s.describeRoute(st, &st.Routes[j]))
		}
	}
	return all
}

// Route returns one route, as the file would have it.
func (s *Server) Route(id string) (api.RouteConfig, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file := s.snapshot.Load().file
	st, r, match, err := findRoute(file, id)
	if err != nil {
		return api.RouteConfig{}, err
	}
	if r == nil {
		return api.RouteConfig{}, noRoute(st, match)
	}
	return s.describeRouteConfig(file, st, r), nil
}

// SetRoute makes a route what a value of the file says.
func (s *Server) SetRoute(id string, value any, how api.Change) (api.RouteConfig, error) {
	return s.changeRoute(id, how, func(any) (any, error) { return value, nil })
}

// PatchRoute changes a route by a merge patch (RFC 7396).
func (s *Server) PatchRoute(id string, patch any, how api.Change) (api.RouteConfig, error) {
	return s.changeRoute(id, how, func(value any) (any, error) {
		switch value.(type) {
		case nil:
			return nil, &api.Problem{Title: "no such route", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no route %q to be patched", id), Hint: "PUT makes one"}
		case string:
			value = map[string]any{"to": value}
		case []any:
			return nil, &api.Problem{Title: "several routes", Status: http.StatusConflict, Detail: fmt.Sprintf("%q stands for several routes with conditions", id), Hint: "PUT replaces them all"}
		}
		return config.MergePatch(value, patch), nil
	})
}

func (s *Server) changeRoute(id string, how api.Change, to func(value any) (any, error)) (api.RouteConfig, error) {
	var site *config.Site
	var key string
	c, err := s.changeChecked(how, "route "+id+" set", func(file *config.File, all []overlay) ([]overlay, error) {
		st, r, match, err := findRoute(file, id)
		if err != nil {
			return nil, err
		}
		if site, key = st, match; r != nil {
			key = routeKey(r)
		}
		if key == "" {
			return nil, noRoute(st, id)
		}
		o := overlay{Kind: "route", Site: st.Key, Match: key}
		if o.Value, err = to(valueOf(file, o)); err != nil {
			return nil, err
		}
		if list, ok := o.Value.([]any); o.Value == nil || ok && len(list) == 0 {
			return nil, &api.Problem{Title: "not a route", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("what %q is to be is nothing", id), Hint: "DELETE takes back what the API has changed; what the file says is taken away there"}
		}
		return with(all, s.newOverlay(o)), nil
	})
	if err != nil {
		return api.RouteConfig{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range c.file.Sites {
		st := &c.file.Sites[i]
		for j := range st.Routes {
			if st.Key == site.Key && routeKey(&st.Routes[j]) == key {
				return s.describeRouteConfig(c.file, st, &st.Routes[j]), nil
			}
		}
	}
	return api.RouteConfig{}, fmt.Errorf("the route %q is not there although it was set", id)
}

// ResetRoute takes back what the API has changed of a route.
func (s *Server) ResetRoute(id string, how api.Change) error {
	_, err := s.change(how, "route "+id+" reset", func(file *config.File, all []overlay) ([]overlay, error) {
		st, r, match, err := findRoute(file, id)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, noRoute(st, match)
		}
		o := overlay{Kind: "route", Site: st.Key, Match: routeKey(r)}
		left := without(all, o)
		if len(left) == len(all) {
			return nil, &api.Problem{Title: "nothing to take back", Status: http.StatusConflict, Detail: fmt.Sprintf("the API has changed nothing of %q", id)}
		}
		return left, nil
	})
	return err
}

// describeRoute returns a route as the API shows it. s.mu is held.
func (s *Server) describeRoute(st *config.Site, r *config.Route) api.Route {
	d := api.Route{ID: fullName(st.Name, r.Name), Site: st.Name, Route: r.Name, Match: matchText(r), When: whenText(&r.Match.When), Target: targetText(r)}
	for _, f := range r.Filters {
		d.Filters = append(d.Filters, pinned(f.Name, f.Version))
	}
	d.Overlaid = slices.ContainsFunc(s.overlays, func(o overlay) bool {
		return o.Kind == "route" && o.Site == st.Key && o.Match == routeKey(r) || o.Kind == "site" && o.Site == st.Key
	})
	return d
}

func (s *Server) describeRouteConfig(file *config.File, st *config.Site, r *config.Route) api.RouteConfig {
	value := valueOf(file, overlay{Kind: "route", Site: st.Key, Match: routeKey(r)})
	if value == nil {
		value = targetText(r) // it is the site's own target
	}
	return api.RouteConfig{Route: s.describeRoute(st, r), Value: jsonOf(value)}
}

// jsonOf returns a value of the file as JSON.
func jsonOf(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a value of the file that is not JSON: " + err.Error())
	}
	return b
}
