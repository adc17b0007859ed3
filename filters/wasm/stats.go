package wasm

import "time"

// Policy is what becomes of an exchange whose guest fails.
type Policy uint8

// The policies.
const (
	// Deny answers with an error.
	Deny Policy = iota

	// Skip goes on as if the guest were not there. It falls back on Deny when the
	// guest has consumed content that was not kept.
	Skip
)

// Stats is what a guest has done so far, and holds now.
type Stats struct {
	Calls     uint64         // exchanges
	Skipped   uint64         // exchanges that went on without it, because it had failed
	Failures  [Causes]uint64 // by cause; a cause is a label by its String
	Took      time.Duration  // in guests, instances' initialisation included
	Instances int            // now, in use
	Bytes     int64          // memory that instances hold now
	Peak      int64          // the most memory that one instance has had, in bytes
	Fresh     []string       // why each exchange gets an instance that is made for it; empty: they are put back
}
