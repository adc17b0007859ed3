package server

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sluice-edge/sluice/edge"
)

// ids makes request ids: 24 hexadecimal digits, of which the first eight are the
// process's own and the rest never repeat in it.
type ids struct {
	process uint32
	start   uint64
	count   atomic.Uint64
}

func newIDs() *ids {
	var b [12]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return &ids{process: binary.BigEndian.Uint32(b[:4]), start: binary.BigEndian.Uint64(b[4:])}
}

// next returns an id that is valid as long as x.
func (s *ids) next(x *edge.Exchange) string {
	// The finaliser of SplitMix64 maps different numbers to different numbers.
	n := s.start + s.count.Add(1)
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	n ^= n >> 31
	const digits = "0123456789abcdef"
	var b [24]byte
	for i := range 8 {
		b[i] = digits[s.process>>(28-4*i)&15]
	}
	for i := range 16 {
		b[8+i] = digits[n>>(60-4*i)&15]
	}
	return x.Concat(unsafe.String(&b[0], len(b)))
}

// armField tells filters and origins which arm of the route's split x belongs to.
const armField = "X-Sluice-Arm"

// identify says who asks, in the fields that origins look at. Whatever the
// client said of itself there is replaced, since any client can say anything.
func identify(x *edge.Exchange) {
	r := &x.Request
	r.Fields.DelFunc(func(name, _ string) bool {
		switch {
		case len(name) > 12 && edge.EqualFold(name[:12], "x-forwarded-"):
			return true
		case len(name) == 12 && (edge.EqualFold(name, "x-request-id") || edge.EqualFold(name, armField)),
			len(name) == 9 && (edge.EqualFold(name, "x-real-ip") || edge.EqualFold(name, "forwarded")),
			len(name) == 5 && edge.EqualFold(name, "proxy"): // becomes HTTP_PROXY in a CGI environment
			return true
		}
		// Origins that map '-' to '_' would take one name for another.
		return strings.IndexByte(name, '_') >= 0
	})
	ip := x.Client.IP
	r.Fields.Add("X-Request-Id", x.Record.ID)
	r.Fields.Add("X-Forwarded-For", ip)
	r.Fields.Add("X-Forwarded-Host", r.Authority)
	r.Fields.Add("X-Forwarded-Proto", r.Scheme)
	r.Fields.Add("X-Real-IP", ip)
	// RFC 7239, section 6: an IPv6 address is quoted and in brackets; section 4:
	// so is a host that has a colon.
	open, shut := "", ""
	if strings.IndexByte(ip, ':') >= 0 {
		open, shut = `"[`, `]"`
	}
	r.Fields.Add("Forwarded", x.Concat("for=", open, ip, shut, `;host="`, r.Authority, `";proto=`, r.Scheme))
	via := "1.1 sluice"
	switch r.Proto {
	case "HTTP/2.0":
		via = "2.0 sluice"
	case "HTTP/3.0":
		via = "3.0 sluice"
	case "HTTP/1.0":
		via = "1.0 sluice"
	}
	r.Fields.Add("Via", via) // RFC 9110, section 7.6.3
}

// clock formats the Date field once a second.
type clock struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   string
}

// date returns now as an IMF-fixdate (RFC 9110, section 5.6.7).
func (c *clock) date(now time.Time) string {
	second := now.Unix()
	if d := c.last.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &date{second, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	c.last.Store(d)
	return d.text
}
