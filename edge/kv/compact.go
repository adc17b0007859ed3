package kv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-edge/sluice/edge/osfile"
)

// A file is written anew when it is opened with less than one part in wasteful in use:
// it never gets shorter by itself. Up to small it is left as it is, in bytes.
const (
	wasteful = 4
	small    = 16 << 20
)

// batch is how much is copied in one transaction, in bytes.
const batch = 4 << 20

// aside is what the file is called that is not complete yet.
func aside(path string) string { return path + ".new" }

// isWasteful reports whether a file is to be written anew. It has just been written to:
// only then its free pages are known.
func isWasteful(db *bolt.DB, size int64) bool {
	stats := db.Stats()
	free := int64(stats.FreePageN+stats.PendingPageN) * int64(db.Info().PageSize)
	return size > small && size-free < size/wasteful
}

// compact puts a shorter file with the same content in the place of a store's. At any
// moment one of the two is there, as a whole. The store is open until then: nobody writes
// to it meanwhile.
func compact(db *bolt.DB, path string) (err error) {
	to := aside(path)
	defer func() {
		if err != nil {
			os.Remove(to)
		}
	}()
	short, err := bolt.Open(to, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	short.AllocSize = grow
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return copyBucket(short, [][]byte{name}, b) })
	})
	if err == nil {
		err = short.Sync()
	}
	if err = errors.Join(err, short.Close()); err != nil {
		return err
	}
	if err := os.Rename(to, path); err != nil {
		return err
	}
	return osfile.SyncDir(filepath.Dir(path))
}

// removeAside removes what a process has left that was stopped while it compacted.
func removeAside(path string) error {
	if err := os.Remove(aside(path)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyBucket copies a bucket with its sequence, which versions are taken from.
func copyBucket(to *bolt.DB, path [][]byte, b *bolt.Bucket) error {
	err := to.Update(func(tx *bolt.Tx) error {
		made, err := parentOf(tx, path).CreateBucket(path[len(path)-1])
		if err == nil {
			err = made.SetSequence(b.Sequence())
		}
		return err
	})
	c := b.Cursor()
	k, v := c.First()
	for k != nil && err == nil {
		if v == nil { // a bucket
			err = copyBucket(to, append(slices.Clone(path), k), b.Bucket(k))
			k, v = c.Next()
			continue
		}
		err = to.Update(func(tx *bolt.Tx) error {
			made := parentOf(tx, path).Bucket(path[len(path)-1])
			made.FillPercent = 1 // in order
			for n := 0; k != nil && v != nil && n < batch; k, v = c.Next() {
				if err := made.Put(k, v); err != nil {
					return err
				}
				n += len(k) + len(v)
			}
			return nil
		})
	}
	return err
}

// buckets is what has buckets: a transaction, or one of them.
type buckets interface {
	Bucket(name []byte) *bolt.Bucket
	CreateBucket(name []byte) (*bolt.Bucket, error)
}

// parentOf returns what has the bucket of a path.
func parentOf(tx *bolt.Tx, path [][]byte) buckets {
	if len(path) == 1 {
		return tx
	}
	b := tx.Bucket(path[0])
	for _, name := range path[1 : len(path)-1] {
		b = b.Bucket(name)
	}
	return b
}
