package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes returns a size as the file's grammar writes it, with one decimal.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + "B"
	}
	size, unit := float64(n)/(1<<10), 0
	for ; size >= 1023.95 && unit < len(units)-1; unit++ {
		size /= 1 << 10
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + units[unit:unit+1] + "B"
}

// Percent returns a percentage as the file's grammar writes it.
func Percent(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) + "%" }

// Share returns a share of 0 to 1 as a percentage that is rounded, but never to
// none, nor to all, if it is neither.
func Share(s float64) string {
	switch p := 100 * s; {
	case p == 0 || p == 100:
		return Percent(p)
	case p < 0.01:
		return "<0.01%"
	case p > 99.99:
		return ">99.99%"
	case p < 10:
		return strconv.FormatFloat(p, 'f', 2, 64) + "%"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
}

// Rate returns a number of things a second.
func Rate(r float64) string {
	switch {
	case r == 0:
		return "0/s"
	case r < 0.1:
		return "<0.1/s"
	case r < 100:
		return strconv.FormatFloat(r, 'f', 1, 64) + "/s"
	}
	return Count(uint64(r+0.5)) + "/s"
}

// Milliseconds returns a time that is given in milliseconds, with two or three
// digits that count.
func Milliseconds(ms float64) string {
	switch {
	case ms == 0:
		return "0ms"
	case ms < 0.001:
		return "<1us"
	case ms < 0.9995:
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + "us"
	case ms < 9.995:
		return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
	case ms < 999.5:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	case ms < 60_000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + "s"
	}
	return Age(time.Duration(ms) * time.Millisecond)
}

// Count returns n with its thousands apart.
func Count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Age returns roughly how long a duration is.
func Age(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// Plural returns "1 thing" or "n things".
func Plural(n uint64, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s") || strings.HasSuffix(thing, "x"):
		thing += "e"
	}
	return Count(n) + " " + thing + "s"
}
