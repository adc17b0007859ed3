package hostmod

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

var (
	errMeter  = errors.New("not a metric")
	errMeters = errors.New("too many")
)

// maxText is more than any name is that these functions take.
const maxText = 64 << 10

// metricDefine is metric_define. It is allowed while the guest is initialised: a number
// that it keeps in a variable stays the same.
func (c *call) metricDefine() int64 {
	kind := c.ptr(0)
	name, ok := c.text(1, maxName)
	labels, ok2 := c.text(3, maxText)
	m := c.guest().env.Metrics
	switch {
	case !c.guest().grants.Metrics || m == nil:
		return int64(denied)
	case !ok || !ok2 || kind >= uint32(kinds):
		return int64(invalid)
	}
	if n, ok := m.Number(Kind(kind), name, labels); ok {
		return int64(n)
	}
	c.leaves()
	n, err := m.Define(Kind(kind), name, labels)
	switch {
	case errors.Is(err, errMeters):
		return int64(limited)
	case err != nil:
		return int64(invalid)
	}
	return int64(n)
}

func (c *call) metricAdd() int64    { return c.measure((*Meters).Add) }
func (c *call) metricRecord() int64 { return c.measure((*Meters).Record) }

func (c *call) measure(do func(m *Meters, number uint32, n int64) bool) int64 {
	m := c.guest().env.Metrics
	switch {
	case !c.guest().grants.Metrics || m == nil:
		return int64(denied)
	case !c.served() || c.quiet():
		return int64(unavailable)
	case c.Rehearsal:
		if _, ok := m.Value(c.ptr(0)); !ok {
			return int64(invalid)
		}
	case !do(m, c.ptr(0), int64(c.s[1])):
		return int64(invalid)
	}
	return 0
}

// logField is log_field. It has no effect on others: what is quiet has a record that
// nobody writes.
func (c *call) logField() int64 {
	l := &c.guest().env.Limits
	name, ok := c.text(0, 64)
	value, fits := c.text(2, l.LogBytes)
	switch {
	case c.Exchange == nil:
		return int64(unavailable)
	case !ok || !isLogName(name):
		return int64(invalid)
	case !fits:
		return int64(limited)
	}
	value = c.guest().hide.Replace(value)
	f := &c.Exchange.Record.Guest
	if !f.Has(name) && f.Len() >= l.LogFields {
		return int64(limited)
	}
	for i := range f.Len() {
		if f.At(i).Name == name {
			f.SetAt(i, value)
			return 0
		}
	}
	f.Add(name, value)
	return 0
}

// isLogName reports whether s is of letters, digits, '.', '_' and '-'.
func isLogName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// clientGet is client_get.
func (c *call) clientGet() int64 {
	x := c.Exchange
	if x == nil || x.Client == nil {
		return int64(unavailable)
	}
	if what := c.ptr(0); what < uint32(len(facts)) {
		if v := facts[what](x); v != "" {
			return c.put(1, v)
		}
		return int64(none)
	}
	return int64(invalid)
}

// facts are what client_get tells, by number. "" is none.
var facts = [...]func(x *edge.Exchange) string{
	func(x *edge.Exchange) string { return x.Record.ClientIP },
	func(x *edge.Exchange) string { return x.Client.Addr.String() },
	func(x *edge.Exchange) string { return x.Client.Local.String() },
	func(x *edge.Exchange) string { return x.Request.Proto },
	encrypted(func(t *tls.ConnectionState) string {
		return strings.Replace(tls.VersionName(t.Version), "TLS ", "TLSv", 1)
	}),
	encrypted(func(t *tls.ConnectionState) string { return tls.CipherSuiteName(t.CipherSuite) }),
	encrypted(func(t *tls.ConnectionState) string { return t.ServerName }),
	encrypted(func(t *tls.ConnectionState) string { return t.NegotiatedProtocol }),
	encrypted(func(t *tls.ConnectionState) string {
		if len(t.PeerCertificates) == 0 {
			return ""
		}
		return t.PeerCertificates[0].Subject.String()
	}),
	encrypted(func(t *tls.ConnectionState) string {
		if len(t.PeerCertificates) == 0 {
			return ""
		}
		sum := sha256.Sum256(t.PeerCertificates[0].Raw)
		return hex.EncodeToString(sum[:])
	}),
	func(x *edge.Exchange) string { return x.Record.ID },
}

func encrypted(fact func(t *tls.ConnectionState) string) func(x *edge.Exchange) string {
	return func(x *edge.Exchange) string {
		if x.Client.TLS == nil {
			return ""
		}
		return fact(x.Client.TLS)
	}
}

// What route_get and route_choose are about.
const (
	theSite uint32 = iota
	theRoute
	theArm
	theUpstream
	theFunction
)

// routeGet is route_get.
func (c *call) routeGet() int64 {
	switch {
	case !c.guest().grants.Route:
		return int64(denied)
	case c.Exchange == nil:
		return int64(unavailable)
	}
	r, v := &c.Exchange.Record, ""
	switch c.ptr(0) {
	case theSite:
		v = r.Site
	case theRoute:
		v = r.Route
	case theArm:
		v = r.Arm
	case theUpstream:
		v = r.Upstream
	case theFunction:
		v = r.Function.Name
	default:
		return int64(invalid)
	}
	if v == "" {
		return int64(none)
	}
	return c.put(1, v)
}

// ArmField is the field of a request by which a filter chooses the arm of its route's
// split.
const ArmField = "X-Sluice-Arm"

// routeChoose is route_choose.
func (c *call) routeChoose() int64 {
	g := c.guest()
	name, ok := c.text(1, maxText)
	switch {
	case !g.grants.Route:
		return int64(denied)
	case c.Exchange == nil || c.Passed || c.quiet():
		return int64(unavailable)
	case !ok || name == "" || !isValue(name):
		return int64(invalid)
	}
	var find func(string) (edge.Handler, bool)
	switch c.ptr(0) {
	case theArm:
		if !slices.Contains(c.Exchange.Arms, name) {
			return int64(none)
		}
		c.Exchange.Target = nil // the last choice counts
		c.Exchange.Request.Fields.Set(ArmField, name)
		return 0
	case theUpstream:
		find = g.env.Upstream
	case theFunction:
		find = g.env.Function
	default:
		return int64(invalid)
	}
	c.leaves()
	if find == nil {
		return int64(none)
	}
	h, found := find(name)
	if !found {
		return int64(none)
	}
	c.Exchange.Target = h
	return 0
}

// hintsSend is hints_send (RFC 8297).
func (c *call) hintsSend() int64 {
	l := &c.guest().env.Limits
	list, fits := c.text(0, l.HintBytes)
	switch {
	case !c.guest().grants.Hints:
		return int64(denied)
	case c.Exchange == nil || c.quiet():
		return int64(unavailable)
	case !fits || c.hints >= l.Hints:
		return int64(limited)
	}
	var r edge.Request
	if !head(&r, list) {
		return int64(invalid)
	}
	c.hints++
	if err := c.Exchange.Inform(103, &r.Fields); err != nil {
		return int64(gone)
	}
	return 0
}

// secretGet is secret_get.
func (c *call) secretGet() int64 {
	v, ok := c.guest().grants.Secrets[string(c.bytes(0))]
	if !ok {
		return c.deny("a secret", "secrets: { %.80q: env:VARIABLE }")
	}
	return c.put(2, v)
}
