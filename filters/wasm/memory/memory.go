// Package memory has linear memories that are put back, after a request, to what
// they were when the guest had been initialised.
//
// An [Image] is what a memory had then. Each [Linear] maps it copy-on-write: a
// page is shared with all the others until the guest writes to it, and private
// from then on. [Linear.Reset] finds the private pages and copies the image over
// them. They stay private, so that the next request writes to them without a page
// fault; what was never written stays shared, and is not even looked at. What that
// costs goes with what guests write, not with what they have.
//
// A [System] says how private pages are found here: it asks the kernel, or, where
// the kernel does not tell, compares. Images are mapped on Linux only; elsewhere
// each memory has a copy.
//
// Lengths are bytes. Memories are of WebAssembly's pages of 64 KiB (WebAssembly
// Core, section 4.2.8), of which the system's pages are parts.
package memory

import "fmt"

// PageSize is the unit in which memories grow, in bytes.
const PageSize = 64 << 10

// MaxLen is the length that no memory exceeds, in bytes: addresses have 32 bits
// (WebAssembly Core, section 2.5.5).
const MaxLen = 4 << 30

// Method is how the pages that a guest has written are found.
type Method uint8

const (
	Auto    Method = iota // the first of the following that works
	Scan                  // by ioctl PAGEMAP_SCAN, of Linux 6.7 and later
	Pagemap               // by reading /proc/self/pagemap
	Compare               // by comparing all of the memory with the image
)

// String returns the method's name in logs and status.
func (m Method) String() string {
	switch m {
	case Auto:
		return "auto"
	case Scan:
		return "scan"
	case Pagemap:
		return "pagemap"
	case Compare:
		return "compare"
	}
	return fmt.Sprintf("method %d", uint8(m))
}
