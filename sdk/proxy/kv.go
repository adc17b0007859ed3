package proxy

import "time"

// Namespace is a namespace of keys and values, on disk: they last over restarts and
// new versions of a module.
type Namespace string

// What version a key must have to be changed, if not a certain one.
const (
	Absent int64 = 0  // it is not there
	Always int64 = -1 // whatever it has
)

// Get returns a value and its key's version, a positive number that no other state of
// any key has had; or [None].
func (ns Namespace) Get(key string) (value []byte, version int64, err error) {
	value, err = read(func(buf []byte) int32 { return kvGet(string(ns), key, buf, &version) })
	return value, version, err
}

// Set sets a value, for good if ttl is 0, and returns the new version; or [Conflict]. A
// negative ttl is [Invalid].
func (ns Namespace) Set(key string, value []byte, ttl time.Duration, version int64) (int64, error) {
	return check(kvSet(string(ns), key, value, milliseconds(ttl), version))
}

// Delete deletes a key. It returns [None] if it is not there.
func (ns Namespace) Delete(key string, version int64) error {
	return fail(kvDelete(string(ns), key, version))
}

// Add adds to a number, 0 if it is not there, and returns the sum. TTL is that of a
// number that was not there; 0: for good.
func (ns Namespace) Add(key string, delta int64, ttl time.Duration) (sum int64, err error) {
	err = fail(kvAdd(string(ns), key, delta, milliseconds(ttl), &sum))
	return sum, err
}

// List returns the next keys with a prefix that come after a key, "" for the first, in
// order: some, or none at the end.
func (ns Namespace) List(prefix, after string) ([]string, error) {
	return readList(func(buf []byte) int64 { return kvList(string(ns), prefix, after, buf) })
}
