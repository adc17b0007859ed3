package split

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// Config describes a split.
type Config struct {
	// Name is the route's name. It names our own cookie, and salts the hashes, so
	// that a visitor's arm on one route says nothing about another's.
	Name string

	// Arms are the sides of the split, by different names. Their weights add up
	// to 100%.
	Arms []Arm

	// By is what decides a visitor's arm. The default is our own cookie.
	By By

	// Remember is for how long our own cookie is kept, in whole seconds. Default:
	// 30 days.
	Remember time.Duration
}

// Arm is one side of a split.
type Arm struct {
	Name   string
	Weight rollout.Weight // 0: nobody new comes; who is remembered stays
}

// By is what decides a visitor's arm.
type By struct {
	Kind Kind
	Name string // of the cookie or the field, for Cookie and Header
}

// Kind is a kind of By.
type Kind uint8

const (
	// OwnCookie deals a newcomer an arm and remembers it in a cookie of ours.
	OwnCookie Kind = iota
	// Cookie hashes a cookie that the site has set. Who has none is dealt an arm
	// for this one request.
	Cookie
	// Header hashes a request field. Who sends none is dealt an arm for this one
	// request.
	Header
	// Client hashes the client's address; of IPv6 the first 64 bits, since hosts
	// change the others at will (RFC 8981).
	Client
	// Chance deals every request an arm.
	Chance
	// Filter leaves the choice to the route's filters, see Override. What they
	// leave alone is dealt an arm.
	Filter
)

// ParseBy reads a By as it is written in the configuration: "cookie", "cookie
// NAME", "header NAME", "client", "chance", "filter".
func ParseBy(s string) (By, error) {
	word, name, named := strings.Cut(s, " ")
	name = strings.TrimSpace(name)
	switch {
	case word == "cookie" && !named:
		return By{Kind: OwnCookie}, nil
	case word == "client" && !named:
		return By{Kind: Client}, nil
	case word == "chance" && !named:
		return By{Kind: Chance}, nil
	case word == "filter" && !named:
		return By{Kind: Filter}, nil
	case word == "cookie" && edge.IsToken(name):
		return By{Cookie, name}, nil
	case word == "header" && edge.IsToken(name):
		return By{Header, name}, nil
	}
	return By{}, fmt.Errorf("unknown assignment %q; have %q, %q, %q, %q, %q, %q", s, "cookie", "cookie NAME", "header NAME", "client", "chance", "filter")
}

// String returns the By as ParseBy reads it.
func (b By) String() string {
	switch b.Kind {
	case Cookie:
		return "cookie " + b.Name
	case Header:
		return "header " + b.Name
	case Client:
		return "client"
	case Chance:
		return "chance"
	case Filter:
		return "filter"
	}
	return "cookie"
}
