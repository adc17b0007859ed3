// Package outside has no code of its own: its tests run filters that nobody here
// wrote, and filters on the SDKs of others, against a whole sluice. What they need
// from elsewhere comes by name and version from Go modules and npm, and tests skip
// where it cannot be had.
package outside
