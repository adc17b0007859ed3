// Package rollout divides traffic among arms by percent: a split among upstreams
// and a deployment among versions of a module both rest on it.
//
// A visitor who can be told apart is assigned by a hash, so that every process
// with the same configuration decides alike and a change of weights moves few
// visitors. Everybody else is dealt out evenly in the order of arrival.
package rollout

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
)

// MaxArms is the greatest number of arms.
const MaxArms = 100

// Rollout divides traffic among arms. All of its methods may be called from any
// goroutine, and none but New and SetWeights allocates or locks.
type Rollout struct {
	seeds []uint64 // by arm
	plan  atomic.Pointer[plan]
	turns atomic.Uint64 // dealt so far
}

// plan is what follows from the weights. It is immutable.
type plan struct {
	weights []Weight
	deal    []uint8 // the arms of one cycle, in their order
}

// New returns a rollout among the arms, which have different names. A salt, the
// name of the split, makes that a visitor's arm in one says nothing about
// another.
func New(salt string, arms []string, weights []Weight) (*Rollout, error) {
	if len(arms) > MaxArms {
		return nil, fmt.Errorf("%d arms, more than %d", len(arms), MaxArms)
	}
	r := &Rollout{seeds: make([]uint64, len(arms))}
	for i, name := range arms {
		if slices.Contains(arms[:i], name) {
			return nil, fmt.Errorf("two arms are called %q", name)
		}
		r.seeds[i] = mix(Key(salt) ^ mix(Key(name)))
	}
	if err := r.SetWeights(weights); err != nil {
		return nil, err
	}
	return r, nil
}

// SetWeights changes the weights of the arms, in the order of New. They add up
// to Whole; an arm of weight 0 gets nobody.
func (r *Rollout) SetWeights(weights []Weight) error {
	if err := check(len(r.seeds), weights); err != nil {
		return err
	}
	r.plan.Store(&plan{weights: slices.Clone(weights), deal: deal(weights)})
	return nil
}

// Weights returns the weights of the arms.
func (r *Rollout) Weights() []Weight { return slices.Clone(r.plan.Load().weights) }

// Assign returns the arm of a visitor.
//
// It is weighted rendezvous hashing: each arm draws an exponentially distributed
// time from the visitor's key, at a rate that is its weight, and the earliest
// wins. So who moves when the weights change moves from an arm whose share has
// shrunk against that of the arm that it moves to; between two arms, 5% more are
// 5% of the visitors who move, and not one moves the other way.
func (r *Rollout) Assign(key uint64) int {
	p := r.plan.Load()
	arm, earliest := 0, math.Inf(1)
	for i, w := range p.weights {
		if w == 0 {
			continue
		}
		u := (float64(mix(key^r.seeds[i])>>11) + 0.5) / (1 << 53) // in (0, 1)
		if t := -math.Log(u) / float64(w); t < earliest {
			arm, earliest = i, t
		}
	}
	return arm
}

// Deal returns the arm of the next one who cannot be told apart. Of any n that
// follow on each other an arm gets its share, to within less than two, and to
// within one where its share of n is whole: 49 to 51 of 1000 at 5%.
func (r *Rollout) Deal() int {
	p := r.plan.Load()
	turn := r.turns.Add(1) - 1
	return int(p.deal[turn%uint64(len(p.deal))])
}

// Next returns what Deal would, and deals nothing.
func (r *Rollout) Next() int {
	p := r.plan.Load()
	return int(p.deal[r.turns.Load()%uint64(len(p.deal))])
}

// deal returns one cycle of the arms, interleaved as evenly as can be: after any
// number of turns no arm is a whole turn away from its share. It is the
// algorithm of R. Tijdeman, "The chairman assignment problem" (1980). The
// cycle's length is 100,000 over the greatest common divisor of the weights: 20
// at 95% and 5%, and 100,000 bytes at worst.
func deal(weights []Weight) []uint8 {
	divisor, k := uint64(Whole), int64(0)
	for _, w := range weights {
		if w > 0 {
			divisor = gcd(divisor, uint64(w))
			k++
		}
	}
	cycle := int64(uint64(Whole) / divisor)
	turns := make([]uint8, cycle)
	share := make([]int64, len(weights)) // turns in a cycle
	owed := make([]int64, len(weights))  // turns, times cycle
	for i, w := range weights {
		share[i] = int64(uint64(w) / divisor)
	}
	slack := max(2*k-2, 1)
	for n := range turns {
		best, deadline := -1, 0.0
		for i, s := range share {
			if s == 0 {
				continue
			}
			owed[i] += s
			// Of the arms that may have a turn, the one that must have it first.
			if k > 1 && owed[i]*slack < cycle {
				continue
			}
			d := float64((slack-1)*cycle-slack*owed[i]) / float64(s)
			if best < 0 || d < deadline {
				best, deadline = i, d
			}
		}
		owed[best] -= cycle
		turns[n] = uint8(best)
	}
	return turns
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Key returns the hash of what tells a visitor apart, for Assign. It is the same
// in every process and for ever: FNV-1a.
func Key[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of splitmix64: every bit of h changes half of the result.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
