// Package split sends each visitor of a route to one of its arms, and to the
// same one again.
package split

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/rollout"
)

// Split divides a route's visitors among arms. All of its methods may be called
// from any goroutine.
type Split struct {
	by      By
	rollout *rollout.Rollout
	cookie  string // the name of our own
	arms    []arm
}

type arm struct {
	name   string
	token  string    // what our cookie says for this arm
	set    [2]string // the Set-Cookie lines: over http, over https
	served atomic.Uint64
	_      [56]byte // counted by every processor: no arm slows another one down
}

// New returns a split.
func New(cfg Config) (*Split, error) {
	if len(cfg.Arms) == 0 {
		return nil, fmt.Errorf("split has no arms")
	}
	if (cfg.By.Kind == Cookie || cfg.By.Kind == Header) && !edge.IsToken(cfg.By.Name) {
		return nil, fmt.Errorf("%q is not the name of a cookie or of a field", cfg.By.Name)
	}
	keep := cfg.Remember
	if keep == 0 {
		keep = 30 * 24 * time.Hour
	}
	if keep < time.Second {
		return nil, fmt.Errorf("cannot remember an arm for %s, less than a second", keep)
	}
	names, weights := make([]string, len(cfg.Arms)), make([]rollout.Weight, len(cfg.Arms))
	for i, a := range cfg.Arms {
		names[i], weights[i] = a.Name, a.Weight
	}
	r, err := rollout.New(cfg.Name, names, weights)
	if err != nil {
		return nil, err
	}
	s := &Split{by: cfg.By, rollout: r, cookie: CookieName(cfg.Name), arms: make([]arm, len(names))}
	for i, name := range names {
		a := &s.arms[i]
		a.name, a.token = name, token(cfg.Name, name)
		for j := range s.arms[:i] {
			if s.arms[j].token == a.token {
				return nil, fmt.Errorf("the arms %q and %q cannot be told apart in a cookie; rename one", s.arms[j].name, name)
			}
		}
		line := fmt.Sprintf("%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax", s.cookie, a.token, int64(keep/time.Second))
		a.set = [2]string{line, line + "; Secure"}
	}
	return s, nil
}

// CookieName returns the name of our own cookie for a route. Where the route's
// name is not fit to be part of one, what replaces it is as unique as a hash.
func CookieName(route string) string {
	if edge.IsToken(route) {
		return "sluice_" + route
	}
	fit := strings.Map(func(c rune) rune {
		if c < 0x80 && edge.IsTokenByte(byte(c)) {
			return c
		}
		return '-'
	}, route)
	return fmt.Sprintf("sluice_%s_%08x", strings.Trim(fit, "-"), uint32(rollout.Key(route)))
}

// token returns what our cookie says for an arm: short, and without the arm's
// name, which is nobody's business outside.
func token(route, arm string) string {
	h := binary.BigEndian.AppendUint64(nil, rollout.Key(route+"\x00"+arm))
	return base64.RawURLEncoding.EncodeToString(h)
}

// Assign returns the arm that serves x, counts it, and notes it in x.Record. If
// remember is true, Remember is to be called once the response is there.
func (s *Split) Assign(x *edge.Exchange) (arm int, remember bool) {
	arm, remember = s.assign(x)
	a := &s.arms[arm]
	a.served.Add(1)
	x.Record.Arm = a.name
	return arm, remember
}

func (s *Split) assign(x *edge.Exchange) (arm int, remember bool) {
	how, arm, key := s.find(x)
	switch how {
	case remembered:
		return arm, false
	case hashed:
		return s.rollout.Assign(key), false
	}
	return s.rollout.Deal(), s.by.Kind == OwnCookie
}

// how is how a visitor comes to an arm.
type how uint8

const (
	dealt      how = iota
	remembered     // by our own cookie
	hashed
)

// find looks for what tells the visitor apart: the arm, or the key of its hash.
func (s *Split) find(x *edge.Exchange) (by how, arm int, key uint64) {
	switch s.by.Kind {
	case OwnCookie:
		if v, ok := x.Request.Fields.Cookie(s.cookie); ok {
			for i := range s.arms {
				if s.arms[i].token == v {
					return remembered, i, 0
				}
			}
		}
		// A newcomer, or one whose arm is gone.
	case Cookie:
		if v, ok := x.Request.Fields.Cookie(s.by.Name); ok && v != "" {
			return hashed, 0, rollout.Key(v)
		}
	case Header:
		if v, ok := x.Request.Fields.Lookup(s.by.Name); ok && v != "" {
			return hashed, 0, rollout.Key(v)
		}
	case Client:
		if x.Record.ClientAddr.IsValid() {
			return hashed, 0, clientKey(x.Record.ClientAddr)
		}
	}
	return dealt, 0, 0
}

func clientKey(a netip.Addr) uint64 {
	a = a.Unmap()
	b := a.As16()
	if a.Is4() {
		return rollout.Key(b[12:])
	}
	return rollout.Key(b[:8])
}

// Remember makes the response tell the visitor's browser the arm, and shared
// caches to leave this response alone, lest everybody be told the same.
func (s *Split) Remember(x *edge.Exchange, arm int) {
	line := &s.arms[arm].set[0]
	if x.Request.Scheme == "https" {
		line = &s.arms[arm].set[1]
	}
	f := &x.Response.Fields
	f.Add("Set-Cookie", *line)
	// A shared cache may store a response with Set-Cookie (RFC 9111, section 7.3).
	if !restricted(f) {
		f.Add("Cache-Control", "private")
	}
	// RFC 9213, section 2.2: a targeted field overrides Cache-Control.
	if f.Has("CDN-Cache-Control") {
		f.Set("CDN-Cache-Control", "private")
	}
}

// restricted reports whether Cache-Control keeps shared caches from storing the
// whole response already.
func restricted(f *edge.Fields) bool {
	for v := range f.Values("Cache-Control") {
		for rest := v; rest != ""; {
			var directive string
			directive, rest, _ = strings.Cut(rest, ",")
			directive = strings.Trim(directive, " \t")
			// private="name" restricts single fields only (RFC 9111, section 5.2.2.7).
			if edge.EqualFold(directive, "private") || edge.EqualFold(directive, "no-store") {
				return true
			}
		}
	}
	return false
}

// Arms returns the names of the arms, in the order of Config.
func (s *Split) Arms() []string {
	names := make([]string, len(s.arms))
	for i := range s.arms {
		names[i] = s.arms[i].name
	}
	return names
}

// By returns what decides a visitor's arm.
func (s *Split) By() By { return s.by }

// SetWeights changes the weights, which add up to 100%, for the visitors from
// now on. Who is remembered stays where they are.
func (s *Split) SetWeights(weights []rollout.Weight) error { return s.rollout.SetWeights(weights) }

// Weights returns the weights of the arms.
func (s *Split) Weights() []rollout.Weight { return s.rollout.Weights() }

// Counts returns how many exchanges each arm has been assigned.
func (s *Split) Counts() []uint64 {
	counts := make([]uint64, 0, len(s.arms))
	for i := range s.arms {
		counts = append(counts, s.arms[i].served.Load())
	}
	return counts
}
