package cache

import (
	"sync/atomic"
	"unsafe"
)

// The structs of this file lie in slabs: they hold no pointers.

// record is what ties an entry's blocks together. It never moves.
type record struct {
	// refs counts who uses the entry: the index, and each exchange that reads it.
	// It grows only under the shard's lock; its blocks are freed when it is 0.
	refs atomic.Int32

	// retired is the first of the heads that others have replaced. They are freed
	// when nobody but the index uses the entry. It changes under the shard's lock.
	retired atomic.Uint32

	// The shard's lock guards the following fields.

	hash   hash
	next   ref // record of the next answer under the same key
	head   ref // data block: meta, and what follows it
	body   ref // first of the data blocks of the content; 0: it lies in head
	forms  [maxForms]ref
	linked bool // in the index
	heads  uint8
}

// hash is a digest of the key.
type hash [16]byte

// maxForms is how many encoded forms an entry can have.
const maxForms = 4

// maxRetired is how many replaced heads wait for their readers before the entry
// is given up.
const maxRetired = 8

// block is the header of a data block.
type block struct {
	owner  ref    // record
	next   ref    // the next block of the same content
	length uint32 // bytes of data
	_      uint32
}

const blockHeader = int(unsafe.Sizeof(block{}))

// meta begins the data of a head. The key, the selecting fields, the field lines
// and, if it lies in the head, the content follow in this order.
type meta struct {
	received int64 // when the response came, in nanoseconds since the store began
	initial  int64 // its age then, in nanoseconds
	lifetime int64 // its freshness lifetime, in nanoseconds
	date     int64 // seconds of Unix time of Date
	modified int64 // of Last-Modified; 0: unknown
	length   int64 // of the content
	key      uint32
	vary     uint32
	fields   uint32 // bytes of each part
	arm      uint16 // of the key: the last so many bytes are the arm
	status   uint16
	flags    uint32
	_        uint32
}

const metaSize = int(unsafe.Sizeof(meta{}))

// What flags says of a stored response.
const (
	alwaysValidate = 1 << iota // Cache-Control: no-cache
	neverStale                 // must-revalidate, proxy-revalidate, s-maxage
)

// The compiler checks that a record fits into its block.
var _ [recordSize - unsafe.Sizeof(record{})]byte

func metaOf(data []byte) *meta { return (*meta)(unsafe.Pointer(unsafe.SliceData(data))) }

// text returns b as a string, which is valid as long as b is not changed.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// keyOf, varyOf, fieldsOf and contentOf return the parts of a head's data.

func keyOf(data []byte) []byte { return data[metaSize:][:metaOf(data).key] }

func varyOf(data []byte) []byte {
	m := metaOf(data)
	return data[metaSize+int(m.key):][:m.vary]
}

func fieldsOf(data []byte) []byte {
	m := metaOf(data)
	return data[metaSize+int(m.key)+int(m.vary):][:m.fields]
}

func contentOf(data []byte) []byte {
	m := metaOf(data)
	return data[metaSize+int(m.key)+int(m.vary)+int(m.fields):]
}
