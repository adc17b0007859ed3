package server

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/sluice-edge/sluice/edge/balance"
	"github.com/sluice-edge/sluice/edge/compress"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/rollout"
	"github.com/sluice-edge/sluice/edge/split"
	"github.com/sluice-edge/sluice/edge/upstream"
	"github.com/sluice-edge/sluice/filters/journal"
)

// shared is what outlives a snapshot: everything that has state worth keeping, by
// the canonical form of its own configuration. A reload makes a new one, which
// takes over from the old what it needs as well; the rest is retired.
type shared struct {
	pools       map[string]*upstream.Pool
	splits      map[string]*routeSplit
	filters     map[string]*filter          // by name, configuration and pin
	functions   map[string]*function        // likewise
	journals    map[string]*journal.Journal // of functions, by name
	compressors map[string]*compress.Stage
	meters      map[routeName]*metrics.Requests
	upstreams   map[string]*upstreamMeter
}

// routeSplit is a split, and where it stands.
type routeSplit struct {
	*split.Split
	site, route string
	key         string           // canonical configuration
	own         []rollout.Weight // of the file
}

func newShared() shared {
	return shared{
		pools:       make(map[string]*upstream.Pool),
		splits:      make(map[string]*routeSplit),
		filters:     make(map[string]*filter),
		functions:   make(map[string]*function),
		journals:    make(map[string]*journal.Journal),
		compressors: make(map[string]*compress.Stage),
		meters:      make(map[routeName]*metrics.Requests),
		upstreams:   make(map[string]*upstreamMeter),
	}
}

// canonical returns the one text of a configuration. Places do not count.
func canonical(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("BUG: configuration without a canonical form: %v", err))
	}
	return string(b)
}

// keep returns what stands under key in the new map, else in the old, else what
// is made.
func keep[K comparable, V any](now, old map[K]V, key K, create func() (V, error)) (V, error) {
	v, ok := now[key]
	if ok {
		return v, nil
	}
	if v, ok = old[key]; !ok {
		var err error
		if v, err = create(); err != nil {
			return v, err
		}
	}
	now[key] = v
	return v, nil
}

func (n *shared) meter(old *shared, name routeName) *metrics.Requests {
	m, _ := keep(n.meters, old.meters, name, func() (*metrics.Requests, error) {
		return metrics.NewRequests(time.Now(), metrics.WindowConfig{}), nil
	})
	return m
}

func (n *shared) compressor(old *shared, c config.Compress) (*compress.Stage, error) {
	return keep(n.compressors, old.compressors, canonical(c), func() (*compress.Stage, error) {
		cfg := compress.Config{Prefer: c.Prefer, Level: c.Level, Types: c.Types, Min: c.Min}
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		return compress.New(cfg), nil
	})
}

func (n *shared) pool(old *shared, c *config.Upstream) *upstream.Pool {
	u := *c
	u.Place, u.Endpoints = diag.Place{}, nil
	cfg := upstream.Config{Name: c.Name}
	if c.Balance == config.LeastRequests {
		cfg.Balance = balance.LeastRequests
	}
	for _, e := range c.Endpoints {
		e.Place = diag.Place{}
		u.Endpoints = append(u.Endpoints, e)
		cfg.Endpoints = append(cfg.Endpoints, upstream.Endpoint{Network: e.Network, Address: e.Address, Weight: e.Weight, Backup: e.Backup})
	}
	idle := c.Connections.Idle
	if idle == 0 {
		idle = -1 // where 0 would mean the default
	}
	p, _ := keep(n.pools, old.pools, canonical(u), func() (*upstream.Pool, error) {
		return upstream.New(cfg, func(e upstream.Endpoint) upstream.Transport {
			return NewTransport(e, http1.TransportConfig{Idle: idle})
		}), nil
	})
	return p
}

func (n *shared) split(old *shared, saved *saved, site string, c *config.Route) (*split.Split, error) {
	cfg := split.Config{Name: c.Name}
	switch by := c.Split.By; by.Kind {
	case config.OwnCookie:
		cfg.By.Kind = split.OwnCookie
	case config.ByCookie:
		cfg.By = split.By{Kind: split.Cookie, Name: by.Name}
	case config.ByHeader:
		cfg.By = split.By{Kind: split.Header, Name: by.Name}
	case config.ByClient:
		cfg.By.Kind = split.Client
	case config.ByChance:
		cfg.By.Kind = split.Chance
	case config.ByFilter:
		cfg.By.Kind = split.Filter
	}
	var own []rollout.Weight
	for _, a := range c.Split.Arms {
		w := rollout.Weight(math.Round(a.Share * float64(rollout.Whole) / 100))
		cfg.Arms = append(cfg.Arms, split.Arm{Name: a.Name, Weight: w})
		own = append(own, w)
	}
	key := canonical(site, cfg)
	s, err := keep(n.splits, old.splits, key, func() (*routeSplit, error) {
		sp, err := split.New(cfg)
		if err != nil {
			return nil, err
		}
		if weights := saved.splits[key].Weights; weights != nil {
			err = sp.SetWeights(weights)
		}
		return &routeSplit{sp, site, c.Name, key, own}, err
	})
	if err != nil {
		return nil, err
	}
	return s.Split, nil
}

// retire ends what next does not refer to any more; nil refers to nothing. Pools
// still serve exchanges that have begun on an older snapshot. For the same reason
// filters end by themselves; see there.
func (n *shared) retire(next *shared) {
	for key, p := range n.pools {
		if next == nil || next.pools[key] != p {
			p.Retire()
		}
	}
}
