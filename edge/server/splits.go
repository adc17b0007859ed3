package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// Split returns how a route's traffic is divided. The route is called by its
// name, or by site/name where several sites have one of that name.
func (s *Server) Split(name string) (api.Split, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.findSplit(name)
	if err != nil {
		return api.Split{}, err
	}
	return s.describeSplit(sp), nil
}

// SetSplit divides a route's traffic anew, or only says whether it can. The change
// outlives restarts, until the file has other shares.
func (s *Server) SetSplit(name string, change api.SplitChange, how api.Change) (api.Split, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	sp, err := s.findSplit(name)
	if err != nil {
		return api.Split{}, err
	}
	bad := func(format string, args ...any) error {
		return &api.Problem{Title: "not a split", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf(format, args...)}
	}
	now := s.describeSplit(sp)
	if tag := now.ETag(); how.IfMatch != "" && how.IfMatch != "*" && how.IfMatch != tag {
		// RFC 9110, section 13.1.1.
		return api.Split{}, &api.Problem{Title: "the split has changed", Status: http.StatusPreconditionFailed, Detail: "somebody was faster: what is in force has the ETag " + tag, Hint: "look at it again"}
	}
	arms := sp.Arms()
	weights := make([]rollout.Weight, len(arms))
	var sum float64
	for arm, share := range change.Weights {
		i := slices.Index(arms, arm)
		switch {
		case i < 0:
			return api.Split{}, bad("the split has no arm %q; it has %s", arm, strings.Join(arms, ", "))
		case !(share >= 0 && share <= 100):
			return api.Split{}, bad("%v%% for %q is not between 0%% and 100%%", share, arm)
		}
		weights[i] = rollout.Weight(math.Round(share * float64(rollout.Whole) / 100))
		sum += share
	}
	if len(change.Weights) != len(arms) {
		return api.Split{}, bad("every arm needs a share: %s", strings.Join(arms, ", "))
	}
	if math.Abs(sum-100) > 0.001 {
		return api.Split{}, bad("the shares add up to %v%%, not to 100%%", sum)
	}
	if how.DryRun {
		for i := range now.Arms {
			now.Arms[i].Share = change.Weights[now.Arms[i].Name]
		}
		return now, nil
	}
	before := sp.Weights()
	if err := sp.SetWeights(weights); err != nil {
		return api.Split{}, bad("%v (they are %v%%)", err, sum)
	}
	keep := weights
	if slices.Equal(weights, sp.own) {
		keep = nil
	}
	next := s.saved.with(sp.key, keep)
	if err := s.saved.write(next); err != nil {
		return api.Split{}, errors.Join(err, sp.SetWeights(before))
	}
	s.mu.Lock()
	s.saved.splits = next
	s.mu.Unlock()
	return s.describeSplit(sp), nil
}

// steered are the splits of a configuration, and the shares that the API has given
// some of them.
type steered struct {
	splits map[string]*routeSplit
	saved  map[string]savedSplit
}

// steered returns those of the configuration in force. s.mu is held.
func (s *Server) steered() steered { return steered{s.shared.splits, s.saved.splits} }

// overlays returns the shares that the API has changed, each as a change to the route
// in the file.
func (s steered) overlays(file *config.File) []overlay {
	var all []overlay
	for i := range file.Sites {
		st := &file.Sites[i]
		for j := range st.Routes {
			r := &st.Routes[j]
			if r.Split == nil {
				continue
			}
			for _, sp := range s.splits {
				saved, ok := s.saved[sp.key]
				if sp.site != st.Name || sp.route != r.Name || !ok {
					continue
				}
				o := overlay{Kind: "route", Site: st.Key, Match: routeKey(r), Since: saved.Since}
				shares := make(map[string]any)
				for k, arm := range sp.Arms() {
					shares[arm] = fmt.Sprintf("%v%%", float64(saved.Weights[k])*100/float64(rollout.Whole))
				}
				value := valueOf(file, o)
				if n := len(all); n > 0 && all[n-1].about(&o) { // of the same list
					value = all[n-1].Value
				}
				if o.Value, ok = withShares(value, place(st, j), shares); ok {
					all = append(all, o)
				}
			}
		}
	}
	return all
}

// place returns where a route of a site stands among those that the file calls the
// same: in a list of them.
func place(st *config.Site, route int) int {
	n := 0
	for i := range route {
		if routeKey(&st.Routes[i]) == routeKey(&st.Routes[route]) {
			n++
		}
	}
	return n
}

// withShares returns the value of a route with other shares of its split. It changes
// value. Of a list of routes it is the one at that place.
func withShares(value any, place int, shares map[string]any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		v["split"] = shares
		return v, true
	case nil:
		return map[string]any{"split": shares}, true
	case []any:
		if place < len(v) {
			if m, ok := v[place].(map[string]any); ok {
				m["split"] = shares
				return v, true
			}
		}
	}
	return nil, false
}

// findSplit returns the split of a route. Either lock is held.
func (s *Server) findSplit(name string) (*routeSplit, error) {
	var found []*routeSplit
	var have []string
	for _, sp := range s.shared.splits {
		if name == sp.route || name == sp.name() {
			found = append(found, sp)
		}
		have = append(have, sp.name())
	}
	slices.Sort(have)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, &api.Problem{Title: "which one?", Status: http.StatusConflict, Detail: fmt.Sprintf("several sites have a split route %q", name), Hint: "call it by " + strings.Join(have, " or ")}
	case len(have) == 0:
		return nil, &api.Problem{Title: "no such split", Status: http.StatusNotFound, Detail: "no route has a split"}
	}
	return nil, &api.Problem{Title: "no such split", Status: http.StatusNotFound, Detail: fmt.Sprintf("no route %q has a split", name), Hint: "these have one: " + strings.Join(have, ", ")}
}

// name is how the split is called where its route's name alone is not enough.
func (sp *routeSplit) name() string { return fullName(sp.site, sp.route) }

// fullName is what a route is called where its own name is not enough.
func fullName(site, route string) string { return site + "/" + strings.TrimPrefix(route, "/") }

// describeSplit returns the split as the API shows it. Either lock is held.
func (s *Server) describeSplit(sp *routeSplit) api.Split {
	d := api.Split{Route: sp.name(), By: sp.By().String()}
	weights := sp.Weights()
	for i, arm := range sp.Arms() {
		c := s.shared.meters[routeName{sp.site, sp.route, arm}]
		a := api.Arm{Name: arm, Share: float64(weights[i]) * 100 / float64(rollout.Whole)}
		if c != nil {
			t := c.Totals()
			a.Requests, a.Errors = t.Requests, t.Errors
		}
		d.Arms = append(d.Arms, a)
	}
	return d
}
