//go:build !race

package edge

// Poisons reports whether Poison overwrites: in tests under -race.
const Poisons = false

// Poison does nothing; see the variant for -race.
func Poison([]byte) {}
