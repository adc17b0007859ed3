package cache

import (
	"strings"
	"time"
)

var months = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

// parseDate reads an HTTP-date in any of its three formats (RFC 9110, section
// 5.6.7). It is as strict as they are, but for the case of letters and the day's
// name: a date that others may read otherwise is none. now tells what century a
// year of two digits is in.
func parseDate(s string, now time.Time) (time.Time, bool) {
	switch {
	case len(s) == len("Sun, 06 Nov 1994 08:49:37 GMT") && s[3:5] == ", ":
		y, ok := digits(s[12:16])
		return dateOf(y, ok, s[8:11], s[5:7], s[17:25], s[7:8]+s[11:12]+s[16:17], "   ", s[25:])
	case len(s) == len("Sun Nov  6 08:49:37 1994") && s[3] == ' ':
		day := s[8:10]
		if day[0] == ' ' {
			day = "0" + day[1:]
		}
		y, ok := digits(s[20:])
		return dateOf(y, ok, s[4:7], day, s[11:19], s[7:8]+s[10:11]+s[19:20], "   ", " GMT")
	}
	name, s, ok := strings.Cut(s, ", ")
	if !ok || len(name) < len("Sunday") || len(s) != len("06-Nov-94 08:49:37 GMT") {
		return time.Time{}, false
	}
	year, ok := digits(s[7:9])
	if !ok {
		return time.Time{}, false
	}
	// More than 50 years ahead means the most recent year with these digits.
	century := now.Year() / 100 * 100
	if year += century; year > now.Year()+50 {
		year -= 100
	}
	return dateOf(year, true, s[3:6], s[0:2], s[10:18], s[2:3]+s[6:7]+s[9:10], "-- ", s[18:])
}

func dateOf(y int, ok1 bool, month, day, clock, between, separators, zone string) (time.Time, bool) {
	d, ok2 := digits(day)
	h, ok3 := digits(clock[0:2])
	m, ok4 := digits(clock[3:5])
	sec, ok5 := digits(clock[6:8])
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || between != separators || clock[2] != ':' || clock[5] != ':' ||
		!strings.EqualFold(zone, " GMT") || d < 1 || d > 31 || h > 23 || m > 59 || sec > 60 {
		return time.Time{}, false
	}
	for i, name := range months {
		if strings.EqualFold(name, month) {
			return time.Date(y, time.Month(i+1), d, h, m, sec, 0, time.UTC), true
		}
	}
	return time.Time{}, false
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
