package proxywasm

import (
	"strings"
	"sync"
)

// SharedConfig bounds what filters share. Zero is the default.
type SharedConfig struct {
	Bytes  int // of keys and values, and of messages, of one virtual machine id; default 16 MiB
	Keys   int // of one id; default 10000
	Value  int // bytes of a value or a message; default 1 MiB
	Queues int // of one id; default 100
	Queued int // messages in a queue; default 1000
}

// Shared is the data and the queues that filters share, by the ids of their virtual
// machines. It may be used by several goroutines.
type Shared struct {
	cfg SharedConfig

	mu     sync.Mutex // guards the following fields
	vms    map[string]*data
	queues []*queue // by id - 1
}

// data is what belongs to one id.
type data struct {
	bytes  int
	values map[string]entry
	cas    uint32 // of the last value
	queues map[string]*queue
}

type entry struct {
	value []byte
	cas   uint32
}

// queue is a queue of messages. It stays for as long as Shared does, since whoever has
// its id may use it.
type queue struct {
	id       uint32
	of       *data
	messages [][]byte
	readers  map[*root]bool
}

// NewShared returns a Shared without data.
func NewShared(cfg SharedConfig) *Shared {
	for _, d := range []struct {
		field *int
		value int
	}{{&cfg.Bytes, 16 << 20}, {&cfg.Keys, 10000}, {&cfg.Value, 1 << 20}, {&cfg.Queues, 100}, {&cfg.Queued, 1000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return &Shared{cfg: cfg, vms: make(map[string]*data)}
}

// of returns the data of an id. s.mu is held.
func (s *Shared) of(vm string) *data {
	d := s.vms[vm]
	if d == nil {
		d = &data{values: make(map[string]entry), queues: make(map[string]*queue)}
		s.vms[vm] = d
	}
	return d
}

// get returns a value, which nobody changes, and its number for set.
func (s *Shared) get(vm, key string) (value []byte, cas uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.vms[vm]; d != nil {
		e, ok := d.values[key]
		return e.value, e.cas, ok
	}
	return nil, 0, false
}

// set sets a value, if cas is 0 or the number of the one that is there. It keeps nothing
// of what it is given.
func (s *Shared) set(vm, key string, value []byte, cas uint32) status {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.of(vm)
	old, ok := d.values[key]
	if cas != 0 && (!ok || cas != old.cas) {
		return casMismatch
	}
	grows := len(value) - len(old.value)
	if !ok {
		grows += len(key)
	}
	if len(value) > s.cfg.Value || d.bytes+grows > s.cfg.Bytes || !ok && len(d.values) >= s.cfg.Keys {
		return internalFailure
	}
	d.bytes += grows
	if d.cas++; d.cas == 0 {
		d.cas = 1 // 0 is any
	}
	d.values[strings.Clone(key)] = entry{append([]byte(nil), value...), d.cas}
	return statusOK
}

// register returns the id of a queue, which is made if it is not there, and has r told
// of messages.
func (s *Shared) register(vm, name string, r *root) (id uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.of(vm)
	q := d.queues[name]
	if q == nil {
		if len(d.queues) >= s.cfg.Queues || d.bytes+len(name) > s.cfg.Bytes {
			return 0, false
		}
		q = &queue{id: uint32(len(s.queues) + 1), of: d, readers: make(map[*root]bool)}
		d.bytes += len(name)
		d.queues[strings.Clone(name)] = q
		s.queues = append(s.queues, q)
	}
	q.readers[r] = true
	return q.id, true
}

// resolve returns the id of a queue that is there.
func (s *Shared) resolve(vm, name string) (id uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.vms[vm]; d != nil {
		if q := d.queues[name]; q != nil {
			return q.id, true
		}
	}
	return 0, false
}

// find returns the queue of an id, or nil. s.mu is held.
func (s *Shared) find(id uint32) *queue {
	if id == 0 || int64(id) > int64(len(s.queues)) {
		return nil
	}
	return s.queues[id-1]
}

// enqueue appends a message, and tells who has registered the queue. It keeps nothing of
// what it is given. Where there is no room it is as if there was no queue: that all SDKs
// pass on to who has a message, while that of Rust ends the guest at any other failure.
func (s *Shared) enqueue(id uint32, message []byte) status {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.find(id)
	switch {
	case q == nil:
		return notFound
	case len(message) > s.cfg.Value || q.of.bytes+len(message) > s.cfg.Bytes || len(q.messages) >= s.cfg.Queued:
		return notFound
	}
	q.of.bytes += len(message)
	q.messages = append(q.messages, append([]byte(nil), message...))
	for r := range q.readers {
		r.queued(id)
	}
	return statusOK
}

// dequeue takes the first message out.
func (s *Shared) dequeue(id uint32) ([]byte, status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.find(id)
	switch {
	case q == nil:
		return nil, notFound
	case len(q.messages) == 0:
		return nil, isEmpty
	}
	m := q.messages[0]
	q.messages[0] = nil
	q.messages = q.messages[1:]
	q.of.bytes -= len(m)
	return m, statusOK
}

// forget has r told of nothing any more.
func (s *Shared) forget(r *root) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		delete(q.readers, r)
	}
}
