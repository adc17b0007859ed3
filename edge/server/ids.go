package server

import (
	"crypto/rand"
	"encoding/binary"
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
