package cache

import (
	"encoding/binary"
	"io"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/bufpool"
)

// fill is a response on its way to the client, of which a copy is stored. Content
// that fits into one block is gathered in a buffer; what is longer goes into
// blocks as it comes.
type fill struct {
	state  *state // nil: nothing is being stored
	inner  edge.Body
	shard  *shard
	hash   hash
	change uint32
	key    int // bytes of the key, without the arm
	arm    string
	buf    []byte // the head, and content behind it
	head   int    // bytes of the head
	length int64  // of the content; -1: unknown
	total  int64  // came so far

	rec    ref // 0: all content is in buf
	before ref // the block before last
	last   ref // the block that is written to
	used   int // bytes of it
}

// begin starts to store the response. What has its content at hand is stored at
// once, and goes out as it is.
func (l *fill) begin(f *forward, v *verdict, change uint32) bool {
	t := f.t
	x := t.x
	res := &x.Response
	content := edge.Bytes(res.Body)
	most := f.shard.slabs.most
	known := max(0, min(res.Length, int64(most)))
	buf := bufpool.Get(2<<10 + int(known))
	buf, ok := appendHead(buf[:metaSize], f.key, x.Record.Arm, &res.Fields, &t.request)
	if !ok || len(buf) > most {
		bufpool.Put(buf)
		return false
	}
	v.write(buf, t.store.since(f.came), res.Status)
	metaOf(buf).key = uint32(len(f.key) + len(x.Record.Arm))
	metaOf(buf).arm = uint16(len(x.Record.Arm))
	*l = fill{
		state: t, inner: res.Body, shard: f.shard, hash: f.hash, change: change,
		key: len(f.key), arm: x.Record.Arm, buf: buf, head: len(buf), length: res.Length,
	}
	switch {
	case res.Body == nil:
		l.length = 0
		return l.complete()
	case content != nil:
		l.write(content)
		return l.state != nil && l.complete()
	}
	res.Body = l
	return true
}

// Read implements [edge.Body].
func (l *fill) Read(p []byte) (n int, err error) {
	n, err = l.inner.Read(p)
	if l.state == nil {
		return n, err
	}
	l.write(p[:n])
	switch {
	case l.state == nil:
	case err == io.EOF:
		l.complete()
	case err != nil:
		l.drop() // RFC 9111, section 3.3: incomplete
	}
	return n, err
}

// Close implements [edge.Body].
func (l *fill) Close() error { return l.inner.Close() }

// end is called when nobody reads any more.
func (l *fill) end() {
	if l.length >= 0 && l.total == l.length {
		l.complete() // nobody asked for the end
		return
	}
	l.drop()
}

func (l *fill) write(p []byte) {
	l.total += int64(len(p))
	switch {
	case l.total > l.state.store.entry, l.length >= 0 && l.total > l.length:
		l.drop()
	case l.rec == 0 && len(l.buf)+len(p) <= l.shard.slabs.most:
		l.buf = appendPooled(l.buf, p)
	case l.rec == 0:
		l.shard.mu.Lock()
		l.rec = l.shard.allocRecord()
		l.shard.mu.Unlock()
		if l.rec == 0 || !l.extend(l.buf[l.head:]) || !l.extend(p) {
			l.drop()
			return
		}
		l.buf = l.buf[:l.head]
	case !l.extend(p):
		l.drop()
	}
}

// extend writes p into blocks. What is being stored has one user, so nobody else
// touches them.
func (l *fill) extend(p []byte) bool {
	s := l.shard
	for len(p) > 0 {
		var room []byte
		if l.last != 0 {
			room = s.slabs.data(l.last)[l.used:]
		}
		if len(room) > 0 {
			n := copy(room, p)
			p = p[n:]
			l.used += n
			continue
		}
		size := int64(s.slabs.most)
		if l.length >= 0 {
			size = min(size, l.length-l.written())
		}
		s.mu.Lock()
		r := s.allocData(int(size), l.rec)
		if r != 0 {
			if l.last == 0 {
				s.slabs.record(l.rec).body = r
			} else {
				s.slabs.block(l.last).next = r
			}
		}
		s.mu.Unlock()
		if r == 0 {
			return false
		}
		l.before, l.last, l.used = l.last, r, 0
	}
	return true
}

// written returns how many bytes the blocks hold, of which all but the last are
// full. It is called when the last is, too.
func (l *fill) written() (n int64) {
	for r := l.shard.slabs.record(l.rec).body; r != 0; r = l.shard.slabs.block(r).next {
		n += int64(l.shard.slabs.block(r).length)
	}
	return n
}

// complete puts the entry into the index.
func (l *fill) complete() bool {
	if l.length >= 0 && l.total != l.length {
		l.drop()
		return false
	}
	metaOf(l.buf).length = l.total
	s := l.shard
	s.mu.Lock()
	ok := !s.closed && s.underway[l.hash].changes == l.change && l.trim() && l.setHead()
	if ok {
		s.link(l.rec, l.hash, l.buf[metaSize:][:l.key], l.arm, &l.state.request)
		l.rec = 0
	}
	s.mu.Unlock()
	l.drop()
	return ok
}

// trim moves what the last block holds to a smaller one, if it fits.
func (l *fill) trim() bool {
	s := l.shard
	if l.last == 0 || l.used == int(s.slabs.block(l.last).length) {
		return true
	}
	r := s.allocData(l.used, l.rec)
	if r == 0 {
		return false
	}
	copy(s.slabs.data(r), s.slabs.data(l.last)[:l.used])
	if l.before == 0 {
		s.slabs.record(l.rec).body = r
	} else {
		s.slabs.block(l.before).next = r
	}
	s.slabs.give(l.last)
	l.last = r
	return true
}

// setHead stores the head, and the content that is with it.
func (l *fill) setHead() bool {
	s := l.shard
	if l.rec == 0 {
		if l.rec = s.allocRecord(); l.rec == 0 {
			return false
		}
	}
	r := s.allocData(len(l.buf), l.rec)
	if r == 0 {
		return false
	}
	copy(s.slabs.data(r), l.buf)
	s.slabs.record(l.rec).head = r
	return true
}

// drop ends the storing, and frees what was not stored.
func (l *fill) drop() {
	bufpool.Put(l.buf)
	if l.rec != 0 {
		l.shard.release(l.rec)
	}
	l.state, l.buf, l.rec = nil, nil, 0
}

// appendHead appends what follows meta in a head, and sets the lengths of its
// parts; false if nothing selects the response.
func appendHead(b, key []byte, arm string, response, request *edge.Fields) ([]byte, bool) {
	clear(b[:metaSize])
	if len(arm) > 1<<16-1 {
		return b, false
	}
	b = appendPooled(b, key)
	b = appendPooled(b, arm)
	var scratch [512]byte
	vary, ok := appendVary(scratch[:0], response, request)
	if !ok {
		return b, false
	}
	b = appendPooled(b, vary)
	start := len(b)
	for i := range response.Len() {
		f := response.At(i)
		if leftOut(f.Name) || len(f.Name) > 1<<16-1 || qualifies(response, f.Name) {
			continue
		}
		var n [6]byte
		binary.LittleEndian.PutUint16(n[:], uint16(len(f.Name)))
		binary.LittleEndian.PutUint32(n[2:], uint32(len(f.Value)))
		b = appendPooled(appendPooled(appendPooled(b, n[:]), f.Name), f.Value)
	}
	m := metaOf(b)
	m.vary, m.fields = uint32(len(vary)), uint32(len(b)-start)
	return b, true
}

// write sets what a head says about its response.
func (v *verdict) write(head []byte, received int64, status int) {
	m := metaOf(head)
	m.received, m.initial, m.lifetime = received, int64(v.initial), int64(v.lifetime)
	m.date, m.modified = v.date, v.modified
	m.status, m.flags = uint16(status), v.flags
}

// appendPooled is append for a buffer of bufpool.
func appendPooled[T string | []byte](b []byte, p T) []byte {
	if len(b)+len(p) > cap(b) {
		larger := bufpool.Get(max(len(b)+len(p), 2*cap(b)))[:len(b)]
		copy(larger, b)
		bufpool.Put(b)
		b = larger
	}
	return append(b, p...)
}

// revive adds the field lines of a head; the strings are those of the entry.
func revive(f *edge.Fields, lines []byte) {
	for len(lines) != 0 {
		n := int(binary.LittleEndian.Uint16(lines))
		v := int(binary.LittleEndian.Uint32(lines[2:]))
		f.Add(text(lines[6:][:n]), text(lines[6+n:][:v]))
		lines = lines[6+n+v:]
	}
}

// leftOut reports whether a field is not stored: what is said to one hop (RFC
// 9111, section 3.1), and what is made anew for each answer.
func leftOut(name string) bool {
	switch len(name) {
	case 3:
		return edge.EqualFold(name, "Age")
	case 7:
		return edge.EqualFold(name, "Trailer") || edge.ConnectionField(name)
	case 18:
		return edge.EqualFold(name, "Proxy-Authenticate")
	case 19:
		return edge.EqualFold(name, "Proxy-Authorization")
	case 25:
		return edge.EqualFold(name, "Proxy-Authentication-Info")
	}
	return edge.ConnectionField(name)
}

// qualifies reports whether no-cache or private name a field, which is then not
// stored (RFC 9111, sections 5.2.2.4 and 5.2.2.7).
func qualifies(f *edge.Fields, field string) bool {
	for v := range f.Values("Cache-Control") {
		for v != "" {
			var d directive
			if d, v = nextDirective(v); d.value == "" || !d.is("no-cache") && !d.is("private") {
				continue
			}
			for list := d.value; list != ""; {
				var name string
				if name, list = nextMember(list); edge.EqualFold(name, field) {
					return true
				}
			}
		}
	}
	return false
}

// replace gives the entry a new head, made of the response's fields.
func (f *forward) replace(v *verdict) bool {
	t := f.t
	x := t.x
	old := t.found.data
	buf := bufpool.Get(2<<10 + len(old))
	buf, ok := appendHead(buf[:metaSize], f.key, x.Record.Arm, &x.Response.Fields, &t.request)
	if ok {
		m := metaOf(buf)
		v.write(buf, t.store.since(f.came), int(metaOf(old).status))
		m.key, m.arm, m.length = metaOf(old).key, metaOf(old).arm, metaOf(old).length
		buf = appendPooled(buf, contentOf(old))
		ok = len(buf) <= f.shard.slabs.most && f.shard.replaceHead(t.found.rec, buf)
	}
	bufpool.Put(buf)
	return ok
}

// replaceHead gives an entry, which its caller uses, another head. The old one
// stays for those who read it.
func (s *shard) replaceHead(r ref, head []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.slabs.record(r)
	if !rec.linked || rec.heads == maxRetired {
		return false
	}
	b := s.allocData(len(head), r)
	if b == 0 {
		return false
	}
	copy(s.slabs.data(b), head)
	if !rec.linked { // making room has evicted it
		s.slabs.give(b)
		return false
	}
	s.slabs.block(rec.head).next = ref(rec.retired.Load())
	rec.retired.Store(uint32(rec.head))
	rec.head = b
	rec.heads++
	return true
}
