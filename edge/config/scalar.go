package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a unit with what it is worth in the smallest.
type unit struct {
	name  string
	worth float64
}

var (
	durations = []unit{{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}
	sizes     = []unit{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"B", 1}}
)

// maxDuration is the longest duration that may be written: ten years.
const maxDuration = 3650 * 24 * time.Hour

// maxSize is the largest size that may be written.
const maxSize = 1 << 50

// parseDuration reads 250ms, 10s, 5m, 1.5h, 30d.
func parseDuration(s string) (time.Duration, error) {
	x, err := parseQuantity(s, durations, "10s")
	if err != nil {
		return 0, err
	}
	if x > float64(maxDuration) {
		return 0, errors.New("more than 3650d")
	}
	return time.Duration(math.Round(x)), nil
}

// parseSize reads 512B, 64KB, 32MB, 1.5GB, in powers of 1024.
func parseSize(s string) (int64, error) {
	x, err := parseQuantity(s, sizes, "64KB")
	if err != nil {
		return 0, err
	}
	if x > maxSize {
		return 0, errors.New("more than 1024TB")
	}
	return int64(math.Round(x)), nil
}

// parsePercent reads 5%, 2.5%.
func parsePercent(s string) (float64, error) {
	x, err := parseQuantity(s, []unit{{"%", 1}}, "5%")
	if err != nil {
		return 0, err
	}
	if x > 100 {
		return 0, errors.New("more than 100%")
	}
	return x, nil
}

// parseQuantity reads a decimal number with a unit behind it.
func parseQuantity(s string, units []unit, example string) (float64, error) {
	end := strings.IndexFunc(s, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	switch {
	case s == "":
		return 0, errors.New("empty")
	case s[0] == '-':
		return 0, errors.New("negative")
	case end == 0:
		return 0, fmt.Errorf("no number; write it like %s", example)
	case end < 0:
		return 0, fmt.Errorf("no unit; write it like %s", example)
	}
	number, name := s[:end], s[end:]
	if strings.Trim(number, ".") != number || strings.Count(number, ".") > 1 || len(number) > 20 {
		return 0, fmt.Errorf("not a number: %s", shorten(number))
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("not a number: %s", shorten(number))
	}
	names := make([]string, 0, len(units))
	for _, u := range units {
		if u.name == name {
			return x * u.worth, nil
		}
		names = append(names, u.name)
	}
	return 0, fmt.Errorf("the unit is one of %s", strings.Join(names, ", "))
}

// shorten cuts what a message quotes.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// FormatSize writes a size as the file does.
func FormatSize(n int64) string {
	for _, u := range []unit{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if n >= int64(u.worth) && n%int64(u.worth) == 0 {
			return strconv.FormatInt(n/int64(u.worth), 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// jsonNumber writes a number as JSON does, or returns "" if JSON cannot.
func jsonNumber(x float64) string {
	b, err := json.Marshal(x)
	if err != nil {
		return ""
	}
	return string(b)
}

// words splits a sentence into words. No word holds a comma: a sentence must be
// able to stand in { } without quotes.
func words(s string) []string { return strings.Fields(s) }
