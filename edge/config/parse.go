package config

import "time"

// ParseDuration reads a duration as the file has it: 250ms, 10s, 5m, 1.5h, 30d.
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }

// ParseSize returns how many bytes a size is, as the file has it: 512B, 64KB, 32MB.
func ParseSize(s string) (int64, error) { return parseSize(s) }

// FormatDuration writes a duration as the file does, in the largest unit of which it is a
// whole number.
func FormatDuration(d time.Duration) string { return formatDuration(d) }
