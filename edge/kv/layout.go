package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The file's buckets. Entries has one for each namespace, of keys with what encode
// makes; its sequence is the last version given. Sizes has what encodeSize makes, by
// namespace. Expiry has the keys that expire in the order in which they do, see
// expiryKey.
var (
	about   = []byte("about")
	entries = []byte("entries")
	sizes   = []byte("sizes")
	expiry  = []byte("expiry")
)

// format is the version of the layout, in about.
const format = "1"

// prepare makes the buckets of a new file, and checks the format of one that is
// there.
func prepare(tx *bolt.Tx) error {
	if b := tx.Bucket(about); b != nil {
		if got := string(b.Get([]byte("format"))); got != format {
			return fmt.Errorf("its format is %q, and this version of sluice reads %q", got, format)
		}
	}
	for _, name := range [][]byte{about, entries, sizes, expiry} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(about).Put([]byte("format"), []byte(format))
}

// head is the length of what stands before a value: its version, and when it
// expires in Unix milliseconds, 0 for never.
const head = 16

var errDamaged = errors.New("the file is damaged: an entry is cut off")

func encode(e Entry) []byte {
	b := make([]byte, head, head+len(e.Value))
	binary.BigEndian.PutUint64(b, uint64(e.Version))
	if !e.Expires.IsZero() {
		binary.BigEndian.PutUint64(b[8:], uint64(e.Expires.UnixMilli()))
	}
	return append(b, e.Value...)
}

// decode returns an entry whose value is part of b. Its version is 0 if b is nil.
func decode(b []byte) (Entry, error) {
	if b == nil {
		return Entry{}, nil
	}
	if len(b) < head {
		return Entry{}, errDamaged
	}
	e := Entry{Version: int64(binary.BigEndian.Uint64(b)), Value: b[head:]}
	if ms := int64(binary.BigEndian.Uint64(b[8:])); ms != 0 {
		e.Expires = time.UnixMilli(ms)
	}
	return e, nil
}

func (e *Entry) expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// size is what a namespace has.
type size struct{ keys, bytes int64 }

func encodeSize(s size) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.keys))
	return binary.BigEndian.AppendUint64(b, uint64(s.bytes))
}

func decodeSize(b []byte) (size, error) {
	if b == nil {
		return size{}, nil
	}
	if len(b) != 16 {
		return size{}, errDamaged
	}
	return size{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

// expiryKey is the time, the namespace, NUL, and the key: neither name has NUL.
func expiryKey(at time.Time, namespace, key string) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	b = append(append(b, namespace...), 0)
	return append(b, key...)
}

// expiresAt returns the time at the head of an expiryKey.
func expiresAt(b []byte) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b))) }

// bytesOf is what an entry counts for.
func bytesOf(key string, value []byte) int64 { return Overhead + int64(len(key)) + int64(len(value)) }
