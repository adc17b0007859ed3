package server

import (
	"errors"
	"math"
	"slices"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/rollout"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/deploy"
	fn "github.com/sluice-edge/sluice/filters/function"
	"github.com/sluice-edge/sluice/filters/registry"
)

// wanted returns which versions of a module are to run: the one that it is pinned to, or
// those of its deployment, or the current one. s.changing is held.
func (l *library) wanted(name string, pin int, c *config.Deploy, current registry.Version, redact []string) (w wanted, err error) {
	only := func(v registry.Version) {
		w.versions, w.weights = []registry.Version{v}, []rollout.Weight{rollout.Whole}
	}
	switch {
	case pin != 0:
		only(current)
		return w, nil
	case len(c.Versions) == 0 && current.Number == 0:
		return w, nil
	case len(c.Versions) == 0:
		only(current)
	}
	for i, d := range c.Versions {
		v, err := l.uploaded(name, d.Version)
		if err != nil {
			return w, err
		}
		weight := rollout.Weight(math.Round(d.Share * float64(rollout.Whole) / 100))
		if i == 1 {
			weight = rollout.Whole - w.weights[0] // whatever rounding has done
		}
		w.versions, w.weights = append(w.versions, v), append(w.weights, weight)
	}
	if len(w.versions) == 1 {
		w.weights[0] = rollout.Whole
	} else {
		w.guard = c.Guard
		if r := l.retreats[name]; r != nil && same(r.older, w.versions[0]) && same(r.newer, w.versions[1]) {
			w.retreat = r
		}
	}
	if c.Shadow == 0 || len(w.versions) == 1 && w.versions[0].Number == c.Shadow {
		return w, nil
	}
	w.redact = redact
	w.inShadow, err = l.uploaded(name, c.Shadow)
	return w, err
}

// held returns the versions that a configuration needs, by the names of their modules:
// those that a deployment has, and those that routes are pinned to.
func held(file *config.File) (ofFilters, ofFunctions map[string][]int) {
	ofFilters, ofFunctions = make(map[string][]int), make(map[string][]int)
	hold := func(held map[string][]int, name string, c *config.Deploy) {
		for _, v := range c.Versions {
			held[name] = append(held[name], v.Version)
		}
		if c.Shadow != 0 {
			held[name] = append(held[name], c.Shadow)
		}
	}
	for i := range file.Filters {
		hold(ofFilters, file.Filters[i].Name, &file.Filters[i].Deploy)
	}
	for i := range file.Functions {
		hold(ofFunctions, file.Functions[i].Name, &file.Functions[i].Deploy)
	}
	pin := func(held map[string][]int, name string, version int) {
		if version != 0 {
			held[name] = append(held[name], version)
		}
	}
	for i := range file.Sites {
		for j := range file.Sites[i].Routes {
			r := &file.Sites[i].Routes[j]
			for _, u := range r.Filters {
				pin(ofFilters, u.Name, u.Version)
			}
			pin(ofFunctions, r.To.Function, r.To.Version)
			if r.Split != nil {
				for _, a := range r.Split.Arms {
					pin(ofFunctions, a.Target.Function, a.Target.Version)
				}
			}
		}
	}
	return ofFilters, ofFunctions
}

// hold keeps the versions that these configurations need. s.changing is held.
func (s *Server) hold(files ...*config.File) {
	ofFilters, ofFunctions := make(map[string][]int), make(map[string][]int)
	for _, file := range files {
		a, b := held(file)
		for name, versions := range a {
			ofFilters[name] = append(ofFilters[name], versions...)
		}
		for name, versions := range b {
			ofFunctions[name] = append(ofFunctions[name], versions...)
		}
	}
	s.filters.Hold(ofFilters)
	s.functions.Hold(ofFunctions)
}

// plain reports whether one version serves, and nothing watches.
func (w *wanted) plain() bool { return len(w.versions) == 1 && w.inShadow.Number == 0 }

// prepareFilter makes the deployment of a filter that is wanted. s.changing is held.
func (s *Server) prepareFilter(f *filter, w *wanted) (*deployment[*filters.Filter], error) {
	c := f.config
	if err := s.needs(&c.Allow); err != nil {
		return nil, err
	}
	d, err := prepare(s, f.live, c.Name, w, s.ofFilters,
		func(v registry.Version, shadow bool) (*filters.Filter, error) { return s.loadFilter(c, v, shadow) },
		func(g *filters.Filter, x *edge.Exchange, next edge.Handler, _ string) error { return g.Filter(x, next) })
	if err != nil {
		return nil, err
	}
	if w.plain() {
		d.filter = d.running[0].guest
		return d, nil
	}
	all := make([]edge.Filter, len(d.running))
	for i, v := range d.running {
		all[i] = v.guest
	}
	d.filter = deploy.NewFilter(d.plan, all, d.shadow)
	return d, nil
}

// prepareFunction makes the deployment of a function that is wanted. s.changing is held.
func (s *Server) prepareFunction(f *function, w *wanted) (*deployment[*fn.Function], error) {
	c, j := f.config, f.journal // f itself must not be kept by what it has
	if err := s.needs(&c.Allow); err != nil {
		return nil, err
	}
	d, err := prepare(s, f.live, c.Name, w, s.ofFunctions,
		func(v registry.Version, shadow bool) (*fn.Function, error) { return s.loadFunction(c, j, v, shadow) },
		func(g *fn.Function, x *edge.Exchange, _ edge.Handler, script string) error {
			return g.ServeAt(x, script)
		})
	if err != nil {
		return nil, err
	}
	if w.plain() {
		d.server = d.running[0].guest
		return d, nil
	}
	all := make([]deploy.Server, len(d.running))
	for i, v := range d.running {
		all[i] = v.guest
	}
	d.server = deploy.NewFunction(d.plan, all, d.shadow)
	return d, nil
}

// prepare makes the deployment that is wanted, but for what serves.
func prepare[G guest](s *Server, sl *slot[G], name string, w *wanted, of func() *kind,
	load func(registry.Version, bool) (G, error), run func(G, *edge.Exchange, edge.Handler, string) error) (*deployment[G], error) {
	d, err := sl.prepare(w, of().past(name), load)
	if err != nil {
		return nil, err
	}
	cfg := deploy.Config{Name: name, Guard: w.guard, Retreated: w.retreat != nil, Breached: func(reason string) {
		s.background(func() { s.retreat(of(), name, w, reason) })
	}}
	for i, v := range w.versions {
		cfg.Versions = append(cfg.Versions, deploy.Version{Number: v.Number, Weight: w.weights[i]})
	}
	if d.plan, err = deploy.New(cfg); err != nil {
		d.close()
		return nil, err
	}
	if d.tried == nil {
		return d, nil
	}
	if old := sl.current.Load(); old != nil && old.tried == d.tried && slices.Equal(old.redact, w.redact) {
		d.shadow = old.shadow // it goes on
		return d, nil
	}
	v := d.tried
	d.shadow = deploy.NewShadow(deploy.ShadowConfig{
		Name: name, Version: w.inShadow.Number, Context: s.life, Go: s.background, Redact: w.redact,
		Run: func(x *edge.Exchange, next edge.Handler, script string) error {
			if !v.acquire() {
				return errors.New("the version in shadow has been closed")
			}
			x.OnEnd(v)
			return run(v.guest, x, next, script)
		},
	})
	return d, nil
}

// background runs f on a goroutine of its own, which Close waits for. Once the server is
// closing it does nothing.
func (s *Server) background(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.ending.Go(f)
	return true
}

// damaged returns the damage of the state directory that err is about, if it is.
func damaged(err error) *registry.Damaged {
	d, _ := errors.AsType[*registry.Damaged](err)
	return d
}

// denies makes a filter or function of which the state directory is damaged deny
// everything, and says so, where there is nothing that it could go on with: the rest is
// served. Whoever makes a change is told instead.
func (b *builder) denies(what, name string, at diag.Place, err error) {
	b.s.log.Error("the state directory is damaged: a "+what+" denies all its requests", what, name, "error", err)
	b.problems.Warnf(at, "the %s %q denies all its requests, since the state directory is damaged: %v", what, name, err)
}

// live returns the number of v if it serves, else 0.
func (w *wanted) live(v registry.Version) int {
	if slices.ContainsFunc(w.versions, func(o registry.Version) bool { return same(o, v) }) {
		return v.Number
	}
	return 0
}
