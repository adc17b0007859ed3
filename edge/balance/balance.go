// Package balance decides which member of a pool is next. It knows members by
// their index only, and counts what each has in flight.
package balance

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Policy is a way to choose among members.
type Policy uint8

const (
	// RoundRobin gives each member its share by weight, evenly interleaved.
	RoundRobin Policy = iota
	// LeastRequests takes the member that has the fewest requests in flight for
	// its weight; among equals it goes round.
	LeastRequests
)

// ParsePolicy returns the policy of that name in the configuration:
// "round-robin", "least-requests", or "least-connections", which is the same.
func ParsePolicy(name string) (Policy, error) {
	switch name {
	case "round-robin":
		return RoundRobin, nil
	case "least-requests", "least-connections":
		return LeastRequests, nil
	}
	return 0, fmt.Errorf("unknown balance %q; have %q, %q", name, "round-robin", "least-requests")
}

func (p Policy) String() string {
	if p == LeastRequests {
		return "least-requests"
	}
	return "round-robin"
}

// MaxWeight is the greatest weight of a member.
const MaxWeight = 1_000_000

// Member is one of those to choose from.
type Member struct {
	Weight int  // 1 to MaxWeight; 0 means 1
	Backup bool // used only where no primary can be
}

// Balancer chooses among members. All of its methods may be called from any
// goroutine.
type Balancer struct {
	policy  Policy
	members []member

	mu      sync.Mutex // guards the following fields
	current []int64    // by member: what it is owed, see Pick
}

type member struct {
	weight   int64
	backup   bool
	inFlight atomic.Int64
	_        [40]byte // one cache line each: requests end on any processor
}

// New returns a balancer over the members. It panics on a weight that is out of
// range: configurations are checked before.
func New(p Policy, members []Member) *Balancer {
	b := &Balancer{policy: p, members: make([]member, len(members)), current: make([]int64, len(members))}
	for i, m := range members {
		if m.Weight < 0 || m.Weight > MaxWeight {
			panic(fmt.Sprintf("BUG: weight %d is not between 0 and %d", m.Weight, MaxWeight))
		}
		b.members[i].weight = int64(max(m.Weight, 1))
		b.members[i].backup = m.Backup
	}
	return b
}

// Pick returns the index of the next member that is not in skip, or -1 where
// there is none. The member has one request more in flight until Done.
//
// Backups are picked only where every primary is in skip.
//
// Round robin is the smooth one that nginx made known: at each turn every
// candidate is owed its weight more, and who is owed most is taken and owes the
// candidates' total. Over a cycle the shares are exact, and a heavy member's
// turns are spread among those of the light ones. Members that are skipped
// neither gain nor lose. With least requests the same turns decide among those
// that are equally busy.
func (b *Balancer) Pick(skip *Set) int {
	b.mu.Lock()
	i := b.pick(skip, false)
	if i < 0 {
		i = b.pick(skip, true)
	}
	if i >= 0 {
		b.members[i].inFlight.Add(1)
	}
	b.mu.Unlock()
	return i
}

// pick chooses among the primaries, or among the backups. b.mu is held.
func (b *Balancer) pick(skip *Set, backups bool) int {
	idlest := -1 // with least requests: who has least in flight for its weight
	var load int64
	if b.policy == LeastRequests {
		for i := range b.members {
			m := &b.members[i]
			if m.backup != backups || skip.Has(i) {
				continue
			}
			// n/weight < load/weight of the idlest, without dividing
			if n := m.inFlight.Load(); idlest < 0 || n*b.members[idlest].weight < load*m.weight {
				idlest, load = i, n
			}
		}
		if idlest < 0 {
			return -1
		}
	}
	best, total := -1, int64(0)
	for i := range b.members {
		m := &b.members[i]
		if m.backup != backups || skip.Has(i) {
			continue
		}
		// Requests may have ended since the first pass, but none has begun.
		if idlest >= 0 && m.inFlight.Load()*b.members[idlest].weight > load*m.weight {
			continue
		}
		b.current[i] += m.weight
		total += m.weight
		if best < 0 || b.current[i] > b.current[best] {
			best = i
		}
	}
	if best >= 0 {
		b.current[best] -= total
	}
	return best
}

// Order returns the members in the order in which Pick would choose them for one
// request, each after those before it have failed, and those in later after all
// others. It chooses none.
func (b *Balancer) Order(later *Set) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := slices.Clone(b.current)
	order := make([]int, 0, len(b.members))
	var failed Set
	for len(order) < len(b.members) {
		skip := &Set{}
		skip.CopyFrom(&failed)
		for i := range b.members {
			if later.Has(i) {
				skip.Add(i)
			}
		}
		i := b.pick(skip, false)
		if i < 0 {
			i = b.pick(skip, true)
		}
		if i < 0 { // the others are through
			later = nil
			continue
		}
		failed.Add(i)
		order = append(order, i)
	}
	copy(b.current, current)
	return order
}

// Done says that a request to member i, which Pick has counted, is over.
func (b *Balancer) Done(i int) { b.members[i].inFlight.Add(-1) }

// InFlight returns the number of requests that member i has.
func (b *Balancer) InFlight(i int) int { return int(b.members[i].inFlight.Load()) }

// Len returns the number of members.
func (b *Balancer) Len() int { return len(b.members) }

// Policy returns the way of choosing.
func (b *Balancer) Policy() Policy { return b.policy }
