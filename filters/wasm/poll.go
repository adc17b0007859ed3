package wasm

import (
	"encoding/binary"
	"math"
	"time"
)

// maxSubscriptions bounds what one poll_oneoff waits for: the runtime's would
// allocate for each of millions.
const maxSubscriptions = 1024

// Sizes and values of subscriptions and events of WASI preview 1.
const (
	subscriptionSize = 48
	eventSize        = 32

	eventClock   = 0
	eventFDRead  = 1
	eventFDWrite = 2

	clockRealtime  = 0
	clockMonotonic = 1
	absoluteTime   = 1 // a flag of a clock's subscription
)

// pollOneoff waits for the first of some events. Standard streams are always
// ready: it is reading and writing that waits.
func pollOneoff(in *Instance, stack []uint64) {
	n := uint32(stack[2])
	if n == 0 || n > maxSubscriptions {
		stack[0] = errnoInval
		return
	}
	subs := in.room(stack[0], int(n)*subscriptionSize)
	events := in.room(stack[1], int(n)*eventSize)
	count := in.room(stack[3], 4)
	if subs == nil || events == nil || count == nil {
		stack[0] = errnoFault
		return
	}
	first := int64(math.MaxInt64)
	for i := range n {
		s := readSubscription(subs[i*subscriptionSize:])
		first = min(first, s.wait)
	}
	in.sleep(first)
	written := uint32(0)
	for i := range n {
		if s := readSubscription(subs[i*subscriptionSize:]); s.wait <= max(first, 0) {
			s.write(events[written*eventSize:])
			written++
		}
	}
	binary.LittleEndian.PutUint32(count, written)
	stack[0] = errnoSuccess
}

// subscription is something that poll_oneoff waits for.
type subscription struct {
	data  uint64
	kind  byte
	errno uint16
	wait  int64 // nanoseconds until it happens, as of when it was read
}

func readSubscription(b []byte) (s subscription) {
	s.data, s.kind = binary.LittleEndian.Uint64(b), b[8]
	id := binary.LittleEndian.Uint32(b[16:]) // of a clock, or a file
	switch {
	case s.kind == eventClock && id <= clockMonotonic:
		until := binary.LittleEndian.Uint64(b[24:])
		s.wait = int64(min(until, math.MaxInt64))
		if binary.LittleEndian.Uint16(b[40:])&absoluteTime != 0 {
			now := nanotime()
			if id == clockRealtime {
				now = time.Now().UnixNano()
			}
			s.wait -= now
		}
	case s.kind == eventFDRead && id == 0 || s.kind == eventFDWrite && (id == 1 || id == 2):
	case s.kind == eventFDRead || s.kind == eventFDWrite:
		s.errno = errnoBadf
	default:
		s.errno = errnoInval
	}
	return s
}

func (s *subscription) write(b []byte) {
	clear(b[:eventSize])
	binary.LittleEndian.PutUint64(b, s.data)
	binary.LittleEndian.PutUint16(b[8:], s.errno)
	b[10] = s.kind
	if s.kind != eventClock {
		b[16] = 1 // at least that many bytes can be moved
	}
}
