package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// What a write may want of a key's version, but for a version.
const (
	Absent int64 = 0  // the key is not there
	Any    int64 = -1 // whatever it has
)

// Set makes a key stand for a value, and returns its new version. A ttl of 0 is for
// ever. Version is the one that the key must have, or Absent or Any; else the error
// wraps ErrConflict.
func (s *Store) Set(namespace, key string, value []byte, ttl time.Duration, version int64) (int64, error) {
	if err := s.checkKey(namespace, key); err != nil {
		return 0, err
	}
	if len(value) > s.cfg.ValueBytes {
		return 0, fmt.Errorf("%w: the value has %d bytes, more than the %d allowed", ErrLimit, len(value), s.cfg.ValueBytes)
	}
	expires, err := expiring(ttl)
	if err != nil {
		return 0, err
	}
	var set int64
	err = s.write(func(c *change) error {
		old, err := c.wanted(namespace, key, version)
		if err != nil {
			return err
		}
		set, err = c.put(namespace, key, old, Entry{Value: value, Expires: expires})
		return err
	})
	return set, err
}

// Delete removes a key. The error wraps ErrNone if it is not there, and ErrConflict
// if its version is neither the one that is given nor that is Any.
func (s *Store) Delete(namespace, key string, version int64) error {
	if err := s.checkKey(namespace, key); err != nil {
		return err
	}
	return s.write(func(c *change) error {
		old, err := c.wanted(namespace, key, version)
		if err == nil && old.live.Version == 0 {
			err = ErrNone
		}
		if err != nil {
			return err
		}
		c.remove(namespace, key, old.stored)
		return nil
	})
}

// Add adds to the number that a key stands for, in decimal text, and returns the
// sum. A key that is not there is 0, and expires after ttl, unless that is 0.
func (s *Store) Add(namespace, key string, delta int64, ttl time.Duration) (int64, error) {
	if err := s.checkKey(namespace, key); err != nil {
		return 0, err
	}
	expires, err := expiring(ttl)
	if err != nil {
		return 0, err
	}
	var sum int64
	err = s.write(func(c *change) error {
		old, err := c.wanted(namespace, key, Any)
		if err != nil {
			return err
		}
		n, e := int64(0), Entry{Expires: expires}
		if old.live.Version != 0 {
			e.Expires = old.live.Expires
			if n, err = strconv.ParseInt(string(old.live.Value), 10, 64); err != nil {
				return fmt.Errorf("%w: what the key stands for is no number", ErrInvalid)
			}
		}
		if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
			return fmt.Errorf("%w: the sum of %d and %d does not fit in 64 bits", ErrInvalid, n, delta)
		}
		sum = n + delta
		e.Value = strconv.AppendInt(nil, sum, 10)
		_, err = c.put(namespace, key, old, e)
		return err
	})
	return sum, err
}

// maxTTL bounds how far ahead something expires.
const maxTTL = 100 * 365 * 24 * time.Hour

// expiring returns when something expires: never for 0.
func expiring(ttl time.Duration) (time.Time, error) {
	switch {
	case ttl < 0:
		return time.Time{}, fmt.Errorf("%w: the ttl %v is negative", ErrInvalid, ttl)
	case ttl == 0:
		return time.Time{}, nil
	}
	return time.Now().Add(min(ttl, maxTTL) + time.Millisecond - 1).Truncate(time.Millisecond), nil
}

// write is a change that waits for its turn.
type write struct {
	do   func(c *change) error // refuses, or changes
	err  error
	done chan struct{} // closed when err is final
}

// write does a change and returns when it is on the disk.
func (s *Store) write(do func(c *change) error) error {
	w := &write{do: do, done: make(chan struct{})}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return ErrClosed
	}
	s.queue <- w
	s.mu.RUnlock()
	<-w.done
	return w.err
}

// writes does all writes, until Close: as many at once as wait.
func (s *Store) writes() {
	var batch []*write
	for w := range s.queue {
		batch = append(batch[:0], w)
		for more := true; more && len(batch) <= s.cfg.Waiting; {
			select {
			case w, ok := <-s.queue:
				if more = ok; ok {
					batch = append(batch, w)
				}
			default:
				more = false
			}
		}
		s.commit(batch)
		clear(batch)
	}
}

// commit does writes in one transaction. One that refuses has no part in it.
func (s *Store) commit(batch []*write) {
	err := guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			c := &change{s: s, tx: tx, sizes: make(map[string]size)}
			changed := false
			for _, w := range batch {
				w.err = w.do(c)
				changed = changed || w.err == nil
				if c.err != nil {
					return c.err
				}
			}
			if !changed {
				return errUnchanged
			}
			return c.finish()
		})
	})
	if err != nil && err != errUnchanged {
		err = fmt.Errorf("write the key-value store %s: %w", s.db.Path(), err)
	}
	for _, w := range batch {
		if err != nil && err != errUnchanged {
			w.err = err // a refusal too: it may be of what was not written
		}
		close(w.done)
	}
}

// errUnchanged makes a transaction that changes nothing go without a sync.
var errUnchanged = errors.New("nothing has changed")

// change is a transaction.
type change struct {
	s     *Store
	tx    *bolt.Tx
	sizes map[string]size // of namespaces that were looked at
	total *int64          // bytes of all namespaces; nil: not counted yet
	err   error           // of the file: nothing of the transaction is to be kept
}

// state is what there is at a key: stored also what has expired, of which version 0
// is nothing.
type state struct{ stored, live Entry }

func (c *change) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// wanted returns what there is at a key, if it has a version.
func (c *change) wanted(namespace, key string, version int64) (state, error) {
	var st state
	if b := c.tx.Bucket(entries).Bucket([]byte(namespace)); b != nil {
		e, err := decode(b.Get([]byte(key)))
		if err != nil {
			c.fail(err)
			return st, err
		}
		st.stored = e
		if e.Version != 0 && !e.expired(time.Now()) {
			st.live = e
		}
	}
	if version != Any && version != st.live.Version {
		return st, ErrConflict
	}
	return st, nil
}

// put sets an entry, if there is room, and returns its version.
func (c *change) put(namespace, key string, old state, e Entry) (int64, error) {
	was, err := c.room(namespace, key, old, e)
	if err != nil {
		// What has expired takes room until it is removed.
		if c.sweep(c.s.cfg.SweepKeys) == 0 {
			return 0, err
		}
		if old, err = c.wanted(namespace, key, Any); err == nil {
			was, err = c.room(namespace, key, old, e)
		}
		if err != nil {
			return 0, err
		}
	}
	all := c.tx.Bucket(entries)
	b, err := all.CreateBucketIfNotExists([]byte(namespace))
	if err != nil {
		c.fail(err)
		return 0, err
	}
	if old.stored.Version != 0 {
		c.forget(namespace, key, old.stored)
	}
	version, err := all.NextSequence()
	if err == nil {
		e.Version = int64(version)
		err = b.Put([]byte(key), encode(e))
	}
	if err == nil && !e.Expires.IsZero() {
		err = c.tx.Bucket(expiry).Put(expiryKey(e.Expires, namespace, key), nil)
	}
	if err != nil {
		c.fail(err)
		return 0, err
	}
	c.resize(namespace, was)
	return e.Version, nil
}

// room returns what a namespace has when e is put at key, if it may have that.
func (c *change) room(namespace, key string, old state, e Entry) (size, error) {
	was := c.size(namespace)
	now := was
	now.bytes += bytesOf(key, e.Value)
	if old.stored.Version != 0 {
		now.bytes -= bytesOf(key, old.stored.Value)
	} else {
		now.keys++
	}
	cfg := &c.s.cfg
	switch {
	case now.bytes <= was.bytes: // there can be too much, where a limit is lower than it was
	case now.bytes > cfg.NamespaceBytes:
		return now, fmt.Errorf("%w: namespace %q would have %d bytes, more than the %d allowed", ErrLimit, namespace, now.bytes, cfg.NamespaceBytes)
	case c.all()+now.bytes-was.bytes > cfg.Bytes:
		return now, fmt.Errorf("%w: all namespaces would have %d bytes, more than the %d allowed", ErrLimit, c.all()+now.bytes-was.bytes, cfg.Bytes)
	case was.keys == 0 && c.namespaces() >= cfg.Namespaces:
		return now, fmt.Errorf("%w: there are %d namespaces, as many as are allowed", ErrLimit, cfg.Namespaces)
	}
	return now, c.err
}

// size returns what a namespace has.
func (c *change) size(namespace string) size {
	if s, ok := c.sizes[namespace]; ok {
		return s
	}
	s, err := decodeSize(c.tx.Bucket(sizes).Get([]byte(namespace)))
	if err != nil {
		c.fail(err)
	}
	c.sizes[namespace] = s
	return s
}

func (c *change) resize(namespace string, now size) {
	if c.total != nil {
		*c.total += now.bytes - c.size(namespace).bytes
	}
	c.sizes[namespace] = now
}

// all returns the bytes of all namespaces.
func (c *change) all() int64 {
	if c.total == nil {
		sum := int64(0)
		err := c.tx.Bucket(sizes).ForEach(func(k, v []byte) error {
			s, err := decodeSize(v)
			if _, ok := c.sizes[string(k)]; !ok {
				sum += s.bytes
			}
			return err
		})
		if err != nil {
			c.fail(err)
		}
		for _, s := range c.sizes {
			sum += s.bytes
		}
		c.total = &sum
	}
	return *c.total
}

// namespaces returns how many have keys.
func (c *change) namespaces() (n int) {
	err := c.tx.Bucket(sizes).ForEach(func(k, _ []byte) error {
		if _, ok := c.sizes[string(k)]; !ok {
			n++
		}
		return nil
	})
	if err != nil {
		c.fail(err)
	}
	for _, s := range c.sizes {
		if s.keys > 0 {
			n++
		}
	}
	return n
}

// remove removes what is stored at a key.
func (c *change) remove(namespace, key string, e Entry) {
	c.forget(namespace, key, e)
	was := c.size(namespace)
	now := size{was.keys - 1, was.bytes - bytesOf(key, e.Value)}
	if err := c.tx.Bucket(entries).Bucket([]byte(namespace)).Delete([]byte(key)); err != nil {
		c.fail(err)
	}
	c.resize(namespace, now)
}

// forget takes an entry out of the order of those that expire.
func (c *change) forget(namespace, key string, e Entry) {
	if e.Expires.IsZero() {
		return
	}
	if err := c.tx.Bucket(expiry).Delete(expiryKey(e.Expires, namespace, key)); err != nil {
		c.fail(err)
	}
}

// finish writes what namespaces have, and removes those that have nothing.
func (c *change) finish() error {
	for name, s := range c.sizes {
		if c.err != nil {
			break
		}
		k := []byte(name)
		if s.keys > 0 {
			c.fail(c.tx.Bucket(sizes).Put(k, encodeSize(s)))
			continue
		}
		c.fail(c.tx.Bucket(sizes).Delete(k))
		if c.tx.Bucket(entries).Bucket(k) != nil {
			c.fail(c.tx.Bucket(entries).DeleteBucket(k))
		}
	}
	return c.err
}

// sweep removes up to n keys that have expired, and returns how many it has.
func (c *change) sweep(n int) int {
	now, swept := time.Now(), 0
	for swept < n && c.err == nil {
		k, _ := c.tx.Bucket(expiry).Cursor().First()
		if !isDue(k, now) {
			break
		}
		namespace, key, ok := bytes.Cut(k[8:], []byte{0})
		var e Entry
		if b := c.tx.Bucket(entries).Bucket(namespace); ok && b != nil {
			var err error
			if e, err = decode(b.Get(key)); err != nil {
				c.fail(err)
			}
		}
		if e.Version == 0 || binary.BigEndian.Uint64(k) != uint64(e.Expires.UnixMilli()) {
			c.fail(errDamaged)
			break
		}
		c.remove(string(namespace), string(key), e)
		swept++
	}
	return swept
}

// isDue reports whether what has an expiryKey has expired.
func isDue(k []byte, now time.Time) bool { return len(k) > 8 && !now.Before(expiresAt(k)) }

// sweeps removes what has expired, until Close.
func (s *Store) sweeps() {
	t := time.NewTicker(s.cfg.Sweep)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		for {
			n, err := s.sweep()
			if err != nil && !errors.Is(err, ErrClosed) {
				s.cfg.Log.Warn("cannot remove expired keys", "err", err)
			}
			if err != nil || n < s.cfg.SweepKeys {
				break
			}
		}
	}
}

// sweep removes keys that have expired, up to SweepKeys.
func (s *Store) sweep() (swept int, err error) {
	due := false
	err = s.view(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(expiry).Cursor().First()
		due = isDue(k, time.Now())
		return nil
	})
	if err != nil || !due {
		return 0, err
	}
	err = s.write(func(c *change) error {
		swept = c.sweep(s.cfg.SweepKeys)
		return nil
	})
	return swept, err
}
