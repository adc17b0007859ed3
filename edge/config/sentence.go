package config

import (
	"errors"
	"fmt"
	"strconv"
)

// parseRetry reads off, N times, N times on connect.
func parseRetry(s string) (times int, err error) {
	w := words(s)
	if on, ok := isSwitch(s); ok && !on {
		return 0, nil
	}
	if len(w) < 2 || w[1] != "times" && w[1] != "time" {
		return 0, errors.New("write off, or like: 2 times on connect")
	}
	times, err = strconv.Atoi(w[0])
	if err != nil || times < 0 || times > 10 {
		return 0, errors.New("the number of times is 0 to 10")
	}
	switch w = w[2:]; {
	case len(w) == 0, len(w) == 2 && w[0] == "on" && w[1] == "connect":
		return times, nil
	case w[0] == "on" && len(w) > 1 && w[1] == "connect":
		return 0, fmt.Errorf("nothing stands behind connect, and this has %q", shorten(w[2]))
	}
	return 0, errors.New("behind the number stands nothing, or: on connect")
}

// endpoint is what parseEndpoint reads.
type endpoint struct {
	address string // not taken apart
	weight  int    // 0: none was written
	backup  bool
}

// parseEndpoint reads ADDRESS [weight N] [backup].
func parseEndpoint(s string) (endpoint, error) {
	w := words(s)
	if len(w) == 0 {
		return endpoint{}, errors.New("empty")
	}
	e := endpoint{address: w[0]}
	for w = w[1:]; len(w) > 0; {
		switch {
		case w[0] == "weight" && e.weight == 0:
			if len(w) == 1 {
				return e, errors.New("behind weight stands a number")
			}
			n, err := strconv.Atoi(w[1])
			if err != nil || n < 1 || n > maxWeight {
				return e, fmt.Errorf("a weight is a whole number from 1 to %d", maxWeight)
			}
			e.weight, w = n, w[2:]
		case w[0] == "backup" && !e.backup:
			e.backup, w = true, w[1:]
		case w[0] == "weight", w[0] == "backup":
			return e, fmt.Errorf("%s comes twice", w[0])
		default:
			return e, fmt.Errorf("behind the address stands weight N or backup, and this has %q", shorten(w[0]))
		}
	}
	return e, nil
}
