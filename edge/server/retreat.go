package server

import (
	"errors"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/filters/registry"
)

// retreat is what a guard has done: the older of two versions serves alone. It is
// immutable.
type retreat struct {
	older, newer registry.Version
	why          registry.Retreat
	failure      string // what keeps it from being written
}

// How long a roll back that cannot be written waits before it is tried again: at first,
// and at most.
const (
	retreatPause    = 100 * time.Millisecond
	maxRetreatPause = time.Minute
)

// errOvertaken is the error of a retreat from what is not deployed any more.
var errOvertaken = errors.New("something else was deployed meanwhile")

// stands reports whether what a guard judged is what is deployed, and nobody has deployed
// it again since. s.changing is held.
func (s *Server) stands(k *kind, name string, r *retreat) bool {
	if r.failure != "" && k.retreats[name] != r {
		return false
	}
	c := k.deploy(s.snapshot.Load().file, name)
	return c != nil && len(c.Versions) == 2 && c.Versions[0].Version == r.older.Number && c.Versions[1].Version == r.newer.Number
}

// retreat makes the older of two versions serve alone, since a guard has found the newer
// one wanting. If somebody has deployed something else meanwhile it does nothing. Where
// it cannot be written it holds in memory, and is tried again until it can be, or is
// overtaken.
func (s *Server) retreat(k *kind, name string, w *wanted, reason string) {
	r := &retreat{older: w.versions[0], newer: w.versions[1],
		why: registry.Retreat{From: w.versions[1].Number, Reason: reason, Time: time.Now().UTC().Round(time.Second)}}
	change := api.DeploymentChange{Versions: []api.DeployedShare{{Version: r.older.Number, Percent: 100}}, Shadow: w.inShadow.Number}
	attrs := []any{k.what, name, "why", "guard-rollback", "from", r.newer.Number, "to", r.older.Number, "reason", reason}
	rolledBack := sync.OnceFunc(func() { k.past(name).rollbacks.Add(1) })
	for pause := retreatPause; ; pause = min(2*pause, maxRetreatPause) {
		err := s.deployment(k, name, change, false, r)
		switch {
		case errors.Is(err, errOvertaken):
			return
		case err == nil:
			rolledBack()
			s.log.Warn("a version does not do well, and was rolled back by its guard", attrs...)
			return
		}
		held := *r
		held.failure = err.Error()
		if !s.keepRetreat(k, name, r, &held) {
			return
		}
		rolledBack()
		r = &held
		s.log.Error("a version does not do well, and was rolled back by its guard, but that cannot be saved: a restart would undo it",
			append(attrs, "error", err, "again_in", pause)...)
		select {
		case <-time.After(pause):
		case <-s.life.Done():
			return
		}
	}
}

// keepRetreat makes a retreat hold in memory, in the place of one that was tried. It
// reports false if that has been overtaken.
func (s *Server) keepRetreat(k *kind, name string, tried, r *retreat) bool {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.draining || !s.stands(k, name, tried) {
		return false
	}
	k.retreats[name] = r
	v, err := k.Current(name)
	if err == nil {
		var p pending
		if p, _, err = k.ready(name, v); err == nil {
			p.deploy()
		}
	}
	if err != nil { // the plan that was judged serves the older version all the same
		s.log.Warn("a roll back is in force, but not shown", k.what, name, "error", err)
	}
	return true
}
