package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/rollout"
	"github.com/sluice-edge/sluice/filters/deploy"
	"github.com/sluice-edge/sluice/filters/registry"
)

// FilterDeployment returns which versions of a filter run.
func (s *Server) FilterDeployment(name string) (api.Deployment, error) {
	f, err := s.Filter(name)
	return f.Deployment, err
}

// FunctionDeployment returns which versions of a function run.
func (s *Server) FunctionDeployment(name string) (api.Deployment, error) {
	f, err := s.Function(name)
	return f.Deployment, err
}

// DeployFilter changes which versions of a filter run, or only says whether it can. The
// change outlives restarts, until the file says something else of the filter.
func (s *Server) DeployFilter(name string, c api.DeploymentChange, dry bool) (api.Deployment, error) {
	if err := s.deployment(s.ofFilters(), name, c, dry, nil); err != nil {
		return api.Deployment{}, err
	}
	if dry {
		return s.describeChange(s.ofFilters(), name, c), nil
	}
	return s.FilterDeployment(name)
}

// DeployFunction is DeployFilter for functions.
func (s *Server) DeployFunction(name string, c api.DeploymentChange, dry bool) (api.Deployment, error) {
	if err := s.deployment(s.ofFunctions(), name, c, dry, nil); err != nil {
		return api.Deployment{}, err
	}
	if dry {
		return s.describeChange(s.ofFunctions(), name, c), nil
	}
	return s.FunctionDeployment(name)
}

// describeChange returns the deployment that a change would make.
func (s *Server) describeChange(k *kind, name string, c api.DeploymentChange) api.Deployment {
	d := api.Deployment{Shadow: c.Shadow, Guard: deploy.Guard{}.String()}
	if c.Guard != nil {
		d.Guard = *c.Guard
	} else if now := k.deploy(s.snapshot.Load().file, name); now != nil {
		d.Guard = now.Guard.String()
	}
	for _, v := range c.Versions {
		d.Versions = append(d.Versions, api.Deployed{Version: v.Version, Percent: v.Percent})
	}
	return d
}

// deployment changes which versions of a module run. Why is set if nobody has asked for
// it. If it fails all is as it was before.
//
// One version that serves alone is the current one of the module, as after an upload, and
// stands nowhere else. Everything else is an overlay of the configuration, which goes
// before what is current. So if the process is killed in between, what is in force is the
// deployment before, or this one.
func (s *Server) deployment(k *kind, name string, c api.DeploymentChange, dry bool, why *retreat) (err error) {
	if err := k.checkChange(name, c); err != nil {
		return err
	}
	ready, err := s.aheadOf(k, name, c)
	defer ready.release()
	if err != nil {
		return err
	}
	to := s.deployEdit(k.what, name, c, false)
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.matches(k, name, c.IfMatch); err != nil {
		return err
	}
	if dry {
		_, err := s.changeNow(api.Change{DryRun: true}, "", to)
		return err
	}
	if why != nil && !s.stands(k, name, why) {
		return errOvertaken
	}
	// Whoever deploys has seen what guards have found.
	if held := k.retreats[name]; held != nil {
		delete(k.retreats, name)
		defer func() {
			if err != nil {
				k.retreats[name] = held
			}
		}()
	}
	cause := k.what + " " + name + " deployed: " + changeText(c)
	if both, err := s.inTwoSteps(k, name, c, to); err != nil {
		return err
	} else if both {
		// All of it as an overlay first: in one step.
		if _, err := s.changeNow(api.Change{}, cause, s.deployEdit(k.what, name, c, true)); err != nil {
			return err
		}
		if err := s.settle(k, name, c, cause, to, why); err != nil {
			s.log.Warn("a deployment is in force as an overlay, where it is to be the current version", k.what, name, "error", err)
		}
		return nil
	}
	return s.settle(k, name, c, cause, to, why)
}

// matches says that what runs is not what somebody has seen who asks for a change (RFC
// 9110, section 13.1.1). s.changing is held.
func (s *Server) matches(k *kind, name, tag string) error {
	if tag == "" || tag == "*" {
		return nil
	}
	d, err := k.look(name)
	if err == nil && d.ETag() == tag {
		return nil
	}
	p := &api.Problem{Title: "the deployment has changed", Status: http.StatusPreconditionFailed, Detail: "somebody was faster, or a guard: what runs has the ETag " + d.ETag(), Hint: "look at it again"}
	if err != nil {
		p.Detail = fmt.Sprintf("nothing runs: %v", err)
	}
	return p
}

// seen is matches for who does not hold s.changing.
func (s *Server) seen(k *kind, name, tag string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.matches(k, name, tag)
}

// inTwoSteps reports whether a change is one of the configuration and, before that can
// hide it, of the current version. s.changing is held.
func (s *Server) inTwoSteps(k *kind, name string, c api.DeploymentChange, to edit) (bool, error) {
	now := k.deploy(s.snapshot.Load().file, name)
	if len(c.Versions) != 1 || now != nil && len(now.Versions) > 0 {
		return false, nil
	}
	v, err := k.Current(name)
	if err != nil || v.Number == c.Versions[0].Version {
		return false, err
	}
	plan, err := s.plan(to)
	return err == nil && plan.changed, err
}

// settle makes what serves alone the current version, and changes the configuration.
// s.changing is held.
func (s *Server) settle(k *kind, name string, c api.DeploymentChange, cause string, to edit, why *retreat) (err error) {
	undo := func() error { return nil }
	alone := len(c.Versions) == 1 && why == nil && s.several(k, name)
	var v registry.Version
	if len(c.Versions) == 1 {
		if why != nil {
			v, undo, err = k.Retreat(name, c.Versions[0].Version, why.why)
		} else {
			v, undo, err = k.Use(name, c.Versions[0].Version)
		}
		if err != nil {
			return k.problem(name, err)
		}
	} else if v, err = k.Current(name); err != nil {
		return k.problem(name, err)
	}
	if _, err = s.changeNow(api.Change{}, cause, to); err == nil {
		// Where the configuration is the same as before the current version is not.
		var p pending
		if p, _, err = k.ready(name, v); err == nil {
			if p.deploy(); alone {
				s.renew(k, name)
			}
			return nil
		}
	}
	return errors.Join(err, undo())
}

// changeText says what is deployed.
func changeText(c api.DeploymentChange) string {
	text := ""
	for _, v := range c.Versions {
		text += fmt.Sprintf("@%d %v%%, ", v.Version, v.Percent)
	}
	if c.Shadow != 0 {
		text += fmt.Sprintf("@%d in shadow, ", c.Shadow)
	}
	return text[:len(text)-len(", ")]
}

// checkChange says what is wrong with a change.
func (k *kind) checkChange(name string, c api.DeploymentChange) error {
	bad := func(hint, format string, args ...any) error {
		return &api.Problem{Title: "not a deployment", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf(format, args...), Hint: hint}
	}
	versions, err := k.Versions(name)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return k.problem(name, err)
	}
	has := func(number int) error {
		if slices.ContainsFunc(versions, func(v registry.Version) bool { return v.Number == number }) {
			return nil
		}
		return &api.Problem{Title: "no such version", Status: http.StatusNotFound, Detail: fmt.Sprintf("the %s %q has no version %d; %s", k.what, name, number, k.have(name))}
	}
	if n := len(c.Versions); n != 1 && n != 2 {
		return bad("a third can run in shadow", "%d versions: one or two serve at a time", n)
	}
	sum := 0.0
	for i, v := range c.Versions {
		if err := has(v.Version); err != nil {
			return err
		}
		if !(v.Percent >= 0 && v.Percent <= 100) {
			return bad("", "%v%% is not between 0%% and 100%%", v.Percent)
		}
		if i == 1 && v.Version == c.Versions[0].Version {
			return bad("", "version %d is there twice", v.Version)
		}
		sum += v.Percent
	}
	if math.Abs(sum-100) > 0.001 {
		return bad("", "the shares add up to %v%%, not to 100%%", sum)
	}
	if c.Shadow != 0 {
		if err := has(c.Shadow); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Versions, func(v api.DeployedShare) bool { return v.Version == c.Shadow }) {
			return bad("", "version %d serves, and cannot run in shadow of itself", c.Shadow)
		}
	}
	if c.Guard != nil {
		if _, err := deploy.ParseGuard(*c.Guard); err != nil {
			return bad("", "%q is no guard: %v", *c.Guard, err)
		}
	}
	return nil
}

// aheadOf loads and compiles the modules of a deployment, before any change waits for
// that. Who gets them releases them once they are in use.
func (s *Server) aheadOf(k *kind, name string, c api.DeploymentChange) (held modules, err error) {
	numbers := []int{c.Versions[0].Version, c.Versions[len(c.Versions)-1].Version}
	if c.Shadow != 0 {
		numbers = append(numbers, c.Shadow)
	}
	for _, n := range slices.Compact(numbers) {
		v, err := k.Version(name, n)
		if err != nil {
			return held, k.problem(name, err)
		}
		binary, err := k.Load(v.Digest)
		if err != nil {
			return held, k.problem(name, err)
		}
		m, err := k.compile(context.Background(), binary)
		if err != nil {
			return held, k.problem(name, &registry.Refused{Err: err})
		}
		held = append(held, m)
	}
	return held, nil
}

// deployEdit is what a deployment changes of the configuration. One version that serves
// alone is said only if all is to be said.
func (s *Server) deployEdit(what, name string, c api.DeploymentChange, all bool) edit {
	return s.editModule(what, name, func(value map[string]any) {
		delete(value, "deploy")
		delete(value, "shadow")
		if len(c.Versions) == 2 || all {
			shares := make(map[string]any)
			first := rollout.Weight(math.Round(c.Versions[0].Percent * float64(rollout.Percent)))
			for i, v := range c.Versions {
				weight := first
				if i == 1 {
					weight = rollout.Whole - first // rounded as it is used, and never to another sum
				}
				share := float64(weight) / float64(rollout.Percent)
				shares["@"+strconv.Itoa(v.Version)] = strconv.FormatFloat(share, 'f', -1, 64) + "%"
			}
			value["deploy"] = shares
		}
		if c.Shadow != 0 {
			value["shadow"] = "@" + strconv.Itoa(c.Shadow)
		}
		if c.Guard != nil {
			if value["guard"] = *c.Guard; *c.Guard == "off" {
				delete(value, "guard")
			}
		}
	})
}

// undeploy takes back that several versions serve: an upload serves alone.
func (s *Server) undeploy(what, name string) edit {
	return s.editModule(what, name, func(value map[string]any) { delete(value, "deploy") })
}

// editModule changes what the configuration says of a filter or function. Where that is
// what the files say there is no overlay, and where the configuration does not have it,
// and is to say nothing but where its module is, it still does not.
func (s *Server) editModule(what, name string, change func(value map[string]any)) edit {
	return func(file *config.File, all []overlay) ([]overlay, error) {
		o := overlay{Kind: what, Name: name}
		before := valueOf(file, o)
		for i := range all {
			if all[i].about(&o) {
				before = all[i].Value
			}
		}
		value := make(map[string]any)
		if had, ok := before.(map[string]any); ok {
			for k, v := range had {
				value[k] = v
			}
		}
		change(value)
		if before == nil {
			if len(value) == 0 {
				return all, nil
			}
			value["wasm"] = "uploaded"
		}
		if canonical(before) == canonical(value) {
			return all, nil
		}
		o.Value = value
		if left := without(all, o); s.saysNothing(o, left) {
			return left, nil
		}
		return with(all, s.newOverlay(o)), nil
	}
}

// unchanged is the edit that changes nothing.
func unchanged(_ *config.File, all []overlay) ([]overlay, error) { return all, nil }

// both is one edit after the other.
func both(first, second edit) edit {
	return func(file *config.File, all []overlay) ([]overlay, error) {
		all, err := first(file, all)
		if err != nil {
			return nil, err
		}
		return second(file, all)
	}
}

// describeDeployment returns what runs as the API shows it. s.mu is held.
func describeDeployment[G guest](d *deployment[G], name string, meters *runMeters) api.Deployment {
	shown := api.Deployment{Versions: []api.Deployed{}, Shadow: d.inShadow.Number}
	for i, v := range d.running {
		o := api.Deployed{Version: v.number, Percent: float64(d.weights[i]) * 100 / float64(rollout.Whole), WhyFresh: strings.Join(v.guest.Stats().Fresh, "; ")}
		if d.retreat != nil {
			o.Percent = float64(100 * (1 - i)) // whatever the configuration says
		}
		if m := meters.find(run{name, v.number}); m != nil {
			took := m.took.Snapshot()
			o.Requests, o.Errors, o.Traps = took.Count, m.errors.Load(), m.traps.Load()
			o.Mean, o.P95 = milliseconds(took.Mean()), milliseconds(took.Quantile(.95))
		}
		shown.Versions = append(shown.Versions, o)
	}
	if r := d.retreat; r != nil {
		shown.RolledBack = &api.RolledBack{From: r.newer.Number, To: r.older.Number, Reason: r.why.Reason, Time: r.why.Time, Unsaved: r.failure}
	}
	return shown
}

// serves reports whether a version serves.
func serves(d api.Deployment, number int) bool {
	return slices.ContainsFunc(d.Versions, func(o api.Deployed) bool { return o.Version == number })
}

// complete adds what does not follow from what runs. s.mu is held.
func (s *Server) complete(k *kind, name string, d *api.Deployment) {
	if d.Versions == nil {
		d.Versions = []api.Deployed{}
	}
	c := k.deploy(s.snapshot.Load().file, name)
	d.Guard = deploy.Guard{}.String()
	if c != nil {
		d.Guard = c.Guard.String()
	}
	since, why := k.Since(name)
	if c == nil || len(c.Versions) == 0 {
		d.Since = since
		if v, err := k.Current(name); why != nil && err == nil {
			d.RolledBack = &api.RolledBack{From: why.From, To: v.Number, Reason: why.Reason, Time: why.Time}
		}
		return
	}
	o := overlay{Kind: k.what, Name: name}
	for i := range s.overlays {
		if s.overlays[i].about(&o) {
			d.Since = s.overlays[i].Since
			return
		}
	}
	d.Since = s.applied
}

// FilterShadow returns what the version of a filter in shadow has come to.
func (s *Server) FilterShadow(name string) (api.Shadow, error) {
	if _, err := s.Filter(name); err != nil {
		return api.Shadow{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.shared.filters {
		if d := f.live.current.Load(); f.name == name && f.pin == 0 && d != nil && d.shadow != nil {
			return describeShadow(d.shadow.Report()), nil
		}
	}
	return api.Shadow{}, s.filters.noShadow(name)
}

// FunctionShadow returns what the version of a function in shadow has come to.
func (s *Server) FunctionShadow(name string) (api.Shadow, error) {
	if _, err := s.Function(name); err != nil {
		return api.Shadow{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.shared.functions {
		if d := f.live.current.Load(); f.name == name && f.pin == 0 && d != nil && d.shadow != nil {
			return describeShadow(d.shadow.Report()), nil
		}
	}
	return api.Shadow{}, s.functions.noShadow(name)
}

func (l *library) noShadow(name string) error {
	verb := "filter"
	if l.what == "function" {
		verb = "fn"
	}
	return &api.Problem{Title: "nothing in shadow", Status: http.StatusNotFound, Detail: fmt.Sprintf("no version of the %s %q runs in shadow", l.what, name), Hint: fmt.Sprintf("sluice %s roll %s VERSION shadow", verb, name)}
}

func describeShadow(r deploy.Report) api.Shadow {
	d := api.Shadow{Version: r.Version, Since: r.Since.UTC().Round(time.Second), Same: r.Same, Differs: r.Differs, Failed: r.Failed, Dropped: r.Dropped, Kinds: r.Kinds,
		LiveMean: milliseconds(r.Live), ShadowMean: milliseconds(r.Shadow), Differences: []api.Difference{}}
	for _, e := range r.Examples {
		d.Differences = append(d.Differences, api.Difference{Time: e.Time.UTC(), ID: e.ID, Method: e.Method, Target: e.Target, Live: e.Live, Kinds: e.Kinds, Details: e.Details})
	}
	return d
}
