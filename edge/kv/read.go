package kv

import (
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Entry is what a key stands for.
type Entry struct {
	Value   []byte
	Version int64     // positive; no other state of any key has had it
	Expires time.Time // to the millisecond; zero: never
}

// Get returns what a key stands for. The error wraps ErrNone if that is nothing.
func (s *Store) Get(namespace, key string) (Entry, error) {
	var e Entry
	err := s.Look(namespace, key, func(found Entry) {
		e = found
		e.Value = append([]byte{}, found.Value...)
	})
	return e, err
}

// Look calls f with what a key stands for, whose value is valid meanwhile. f does
// not wait: what it looks at is kept in the file for its sake. The error is that of
// Get.
func (s *Store) Look(namespace, key string, f func(Entry)) error {
	if err := s.checkKey(namespace, key); err != nil {
		return err
	}
	return s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(entries).Bucket([]byte(namespace))
		if b == nil {
			return ErrNone
		}
		e, err := decode(b.Get([]byte(key)))
		if err != nil {
			return err
		}
		if e.Version == 0 || e.expired(time.Now()) {
			return ErrNone
		}
		given(func() { f(e) })
		return nil
	})
}

// List calls f with the keys of a namespace that begin with prefix and come after a
// key, in the order of their bytes, until it returns false. See Look.
func (s *Store) List(namespace, prefix, after string, f func(key []byte, e Entry) bool) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	return s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(entries).Bucket([]byte(namespace))
		if b == nil {
			return nil
		}
		now := time.Now()
		c := b.Cursor()
		k, v := c.Seek([]byte(max(prefix, after)))
		if k != nil && string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && strings.HasPrefix(string(k), prefix); k, v = c.Next() {
			e, err := decode(v)
			if err != nil {
				return err
			}
			more := true
			if !e.expired(now) {
				given(func() { more = f(k, e) })
			}
			if !more {
				break
			}
		}
		return nil
	})
}

// Usage is what a namespace has in the store.
type Usage struct {
	Namespace string
	Keys      int64 // those included that have expired, and not been removed
	Bytes     int64 // of keys and values, with Overhead for each key
}

// Usage returns the namespaces in the order of their names.
func (s *Store) Usage() ([]Usage, error) {
	var all []Usage
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(sizes).ForEach(func(k, v []byte) error {
			size, err := decodeSize(v)
			all = append(all, Usage{string(k), size.keys, size.bytes})
			return err
		})
	})
	return all, err
}

func (s *Store) view(f func(tx *bolt.Tx) error) error {
	err := guard(func() error { return s.db.View(f) })
	switch {
	case err == nil || errors.Is(err, ErrNone):
		return err
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	}
	return fmt.Errorf("read the key-value store %s: %w", s.db.Path(), err)
}
