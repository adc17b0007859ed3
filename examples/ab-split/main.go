// Ab-split chooses the arm of a route's split by who the user is. See README.md.
package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
)

func init() { sdk.Handle(new(splitter).filter()) }

func main() {}

// splitter is the filter with its configuration.
type splitter struct {
	Plan  string             `json:"plan"`  // where the user's plan is: "cookie NAME" or "header NAME"
	Plans map[string]string  `json:"plans"` // plan to arm
	User  string             `json:"user"`  // where the user's id is, likewise
	Arms  map[string]float64 `json:"arms"`  // arm to percentage of users; they add up to 100

	names []string // of Arms, sorted, so that all instances deal alike
}

func (s *splitter) filter() sdk.Filter {
	return sdk.Filter{Configure: s.configure, Request: s.request}
}

func (s *splitter) configure(data []byte) error {
	if err := config.Unmarshal(data, s); err != nil {
		return err
	}
	if len(s.Plans) == 0 && len(s.Arms) == 0 {
		return errors.New("want plans, arms, or both")
	}
	if err := source("plan", s.Plan, len(s.Plans) > 0); err != nil {
		return err
	}
	if err := source("user", s.User, len(s.Arms) > 0); err != nil {
		return err
	}
	s.names = slices.Sorted(maps.Keys(s.Arms))
	sum := 0.0
	for _, name := range s.names {
		if s.Arms[name] < 0 {
			return fmt.Errorf("arms: %s has %v%%", name, s.Arms[name])
		}
		sum += s.Arms[name]
	}
	if len(s.Arms) > 0 && (sum < 99.999 || sum > 100.001) {
		return fmt.Errorf("arms: the shares add up to %v%%, not to 100%%", sum)
	}
	return nil
}

// source says what is wrong with where something is read from.
func source(key, from string, wanted bool) error {
	kind, name, _ := strings.Cut(from, " ")
	switch {
	case !wanted && from == "":
		return nil
	case !wanted:
		return fmt.Errorf("%s is of no use without %ss", key, map[string]string{"plan": "plan", "user": "arm"}[key])
	case kind != "cookie" && kind != "header" || name == "":
		return fmt.Errorf(`%s is %q: want "cookie NAME" or "header NAME"`, key, from)
	}
	return nil
}

func (s *splitter) request(x *sdk.Exchange) sdk.Verdict {
	if arm := s.arm(value(x, s.Plan), value(x, s.User)); arm != "" {
		x.Request.SetArm(arm)
	}
	return sdk.Next // without an arm: sluice deals one by the shares of the route
}

// value returns what is in a cookie or a field of the request.
func value(x *sdk.Exchange, from string) string {
	kind, name, _ := strings.Cut(from, " ")
	switch kind {
	case "cookie":
		return x.Request.Cookie(name)
	case "header":
		return x.Request.Fields.Get(name)
	}
	return ""
}

// arm returns the arm of a user, or "" if nothing decides: the plan goes first,
// then the id. The same id always has the same arm, as long as the shares stay; of
// two arms, one that grows keeps those who had it.
func (s *splitter) arm(plan, user string) string {
	if arm := s.Plans[plan]; arm != "" {
		return arm
	}
	if user == "" || len(s.names) == 0 {
		return ""
	}
	place := percent(user)
	for _, name := range s.names {
		if place -= s.Arms[name]; place < 0 {
			return name
		}
	}
	return s.names[len(s.names)-1]
}

// percent returns where in 0 to 100 an id falls.
func percent(id string) float64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	// Ids that differ in their last letters only have hashes that are alike, until
	// the bits are mixed (as MurmurHash3 does in the end).
	n := h.Sum64()
	n = (n ^ n>>33) * 0xff51afd7ed558ccd
	n = (n ^ n>>33) * 0xc4ceb9fe1a85ec53
	return float64((n^n>>33)>>11) / (1 << 53) * 100
}
