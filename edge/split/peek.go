package split

import (
	"fmt"

	"github.com/sluice-edge/sluice/edge"
)

// Peek returns the arm that Assign would choose for x, and why, without choosing
// it: nothing is counted, noted or dealt. The reason names what was looked at and
// never what it says, which may be a secret.
func (s *Split) Peek(x *edge.Exchange) (arm int, why string) {
	how, arm, key := s.find(x)
	switch how {
	case remembered:
		return arm, fmt.Sprintf("our cookie %s says so", s.cookie)
	case hashed:
		arm = s.rollout.Assign(key)
		return arm, fmt.Sprintf("the hash of %s falls into its %s", s.subject(), s.rollout.Weights()[arm])
	}
	arm = s.rollout.Next()
	deal := fmt.Sprintf("the next one is dealt this arm (%s)", s.rollout.Weights()[arm])
	switch s.by.Kind {
	case OwnCookie:
		if _, ok := x.Request.Fields.Cookie(s.cookie); ok {
			return arm, fmt.Sprintf("our cookie %s names no arm that there is: %s, and told to remember it", s.cookie, deal)
		}
		return arm, fmt.Sprintf("a newcomer, without our cookie %s: %s, and told to remember it", s.cookie, deal)
	case Cookie, Header:
		return arm, fmt.Sprintf("the request has no %s: %s", s.subject(), deal)
	case Client:
		return arm, "the client's address is not known: " + deal
	case Filter:
		return arm, "unless a filter chooses another: " + deal
	}
	return arm, "by chance: " + deal
}

// subject names what is hashed.
func (s *Split) subject() string {
	switch s.by.Kind {
	case Cookie:
		return "cookie " + s.by.Name
	case Header:
		return "field " + s.by.Name
	}
	return "the client's address"
}

// Override makes the arm of that name serve x, to which another may have been
// assigned: a filter has chosen it. The count moves from the one to the other, so
// that Counts may fall. It returns false, and changes nothing, if there is no such
// arm.
func (s *Split) Override(x *edge.Exchange, name string) (arm int, ok bool) {
	arm, before := -1, -1
	for i := range s.arms {
		if s.arms[i].name == name {
			arm = i
		}
		if s.arms[i].name == x.Record.Arm {
			before = i
		}
	}
	if arm < 0 {
		return 0, false
	}
	if arm != before {
		s.arms[arm].served.Add(1)
		if before >= 0 {
			s.arms[before].served.Add(^uint64(0))
		}
		x.Record.Arm = s.arms[arm].name
	}
	return arm, true
}
