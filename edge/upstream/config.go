package upstream

import (
	"fmt"
	"time"

	"github.com/sluice-edge/sluice/edge/balance"
)

// Config describes a pool.
type Config struct {
	// Name is the upstream's name, as it is reported.
	Name string

	// Endpoints are where requests go; there is at least one.
	Endpoints []Endpoint

	// Balance is how an endpoint is chosen. Default: round robin.
	Balance balance.Policy

	// Retries is how many more endpoints are tried after one that has not seen
	// anything of the request, unless edge.Limits says otherwise. Default: 1;
	// NoRetries: none.
	Retries int

	// Suspend is for how long an endpoint is passed over after a connection to it
	// has failed, unless there is no other. Then one request tries it again.
	// Default: 1 s; NeverSuspend: it is not.
	Suspend time.Duration
}

const (
	// NoRetries is the value of Config.Retries that means none.
	NoRetries = -1
	// NeverSuspend is the value of Config.Suspend that means never.
	NeverSuspend time.Duration = -1
)

// Endpoint is one address of an upstream.
type Endpoint struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or a path
	Weight  int    // share of the requests: 1 to balance.MaxWeight; 0 means 1
	Backup  bool   // used only where no other can be
}

// Validate returns what is wrong with the configuration, or nil.
func (c *Config) Validate() error {
	if len(c.Endpoints) == 0 {
		return fmt.Errorf("upstream %q has no endpoints", c.Name)
	}
	seen := make(map[[2]string]bool, len(c.Endpoints))
	for _, e := range c.Endpoints {
		if e.Network != "tcp" && e.Network != "unix" {
			return fmt.Errorf("endpoint %q: network %q is neither tcp nor unix", e.Address, e.Network)
		}
		if e.Weight < 0 || e.Weight > balance.MaxWeight {
			return fmt.Errorf("endpoint %q: weight %d is not between 1 and %d", e.Address, e.Weight, balance.MaxWeight)
		}
		key := [2]string{e.Network, e.Address}
		if seen[key] {
			return fmt.Errorf("endpoint %q comes twice; give it a weight instead", e.Address)
		}
		seen[key] = true
	}
	return nil
}
