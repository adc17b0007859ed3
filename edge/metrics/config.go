package metrics

import (
	"fmt"
	"log/slog"
	"time"
)

// WindowConfig says how long a Window looks back. The zero value of a field means
// its default.
type WindowConfig struct {
	Slots int           // how many slots there are, the one of now included: the window moves on by one at a time. Default 6
	Slot  time.Duration // length of a slot. Default 10s
}

// Limits of a WindowConfig.
const (
	maxSlots = 3600
	minSlot  = time.Millisecond
	maxSlot  = 24 * time.Hour
)

// Validate returns what is wrong with c, or nil.
func (c WindowConfig) Validate() error {
	switch c = c.withDefaults(); {
	case c.Slots < 1 || c.Slots > maxSlots:
		return fmt.Errorf("%d slots of a window: must be from 1 to %d", c.Slots, maxSlots)
	case c.Slot < minSlot || c.Slot > maxSlot:
		return fmt.Errorf("slots of %s in a window: must be from %s to %s", c.Slot, minSlot, maxSlot)
	}
	return nil
}

func (c WindowConfig) withDefaults() WindowConfig {
	if c.Slots == 0 {
		c.Slots = 6
	}
	if c.Slot == 0 {
		c.Slot = 10 * time.Second
	}
	return c
}

// Config says what Handler shows. The zero value of a field means its default.
type Config struct {
	Build   Build
	Series  int          // series of a metric that are shown apart; the others are one. A histogram is one series. Default 10000
	Scrapes int          // answered at once; more get 503. Default 8
	Log     *slog.Logger // is told of what could not be gathered. Default nil: nobody is
}

// Build is what sluice_build_info says.
type Build struct {
	Version  string
	Revision string // of the source
	Go       string // version of Go
}

func (c Config) withDefaults() Config {
	if c.Series <= 0 {
		c.Series = 10000
	}
	if c.Scrapes <= 0 {
		c.Scrapes = 8
	}
	return c
}
