package api

import "time"

// Namespace is what a namespace of the key-value store has.
type Namespace struct {
	Name  string `json:"name"`
	Keys  int64  `json:"keys"`  // those included that have expired a moment ago
	Bytes int64  `json:"bytes"` // of keys and values, and 64 for each key
}

// Keys is a part of the keys of a namespace, in the order of their bytes.
type Keys struct {
	Keys []Key  `json:"keys"`
	Next string `json:"next,omitempty"` // what ?after= takes for the part that follows; "" at the end
}

// Key is a key of a namespace, without its value.
type Key struct {
	Key     string     `json:"key"`
	Bytes   int        `json:"bytes"`   // of the value
	Version int64      `json:"version"` // no other state of any key has had it
	Expires *time.Time `json:"expires,omitempty"`
}
