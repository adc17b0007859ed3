package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// maxPattern is how long the path of a match is at most, in bytes.
const maxPattern = 1024

// parseMatch reads the key of a route: [METHOD[,METHOD] ]PATH. What a path may
// be is for package route to say.
func parseMatch(s string) (Match, error) {
	var m Match
	methods, path, ok := strings.Cut(s, " ")
	if !ok {
		methods, path = "", s
	} else if methods == "" {
		return m, errors.New("it begins with a space")
	}
	path = strings.TrimLeft(path, " ")
	if ok {
		if strings.Count(methods, ",") >= maxFew {
			return m, fmt.Errorf("a match has at most %d methods", maxFew)
		}
		for name := range strings.SplitSeq(methods, ",") {
			if err := checkMethod(name); err != nil {
				return m, err
			}
			if slices.Contains(m.Methods, name) {
				return m, fmt.Errorf("the method %s comes twice", name)
			}
			m.Methods = append(m.Methods, name)
		}
		slices.Sort(m.Methods)
	}
	switch {
	case !strings.HasPrefix(path, "/"):
		return m, errors.New("a path begins with /")
	case len(path) > maxPattern:
		return m, fmt.Errorf("a path has at most %d bytes", maxPattern)
	}
	m.Path = path
	return m, nil
}

// checkMethod accepts the methods that a route can serve.
func checkMethod(name string) error {
	switch {
	case name == "":
		return errors.New("a method is empty")
	case !edge.IsToken(name):
		return fmt.Errorf("%q is no method", shorten(name))
	case name != strings.ToUpper(name): // methods are case-sensitive (RFC 9110, section 9.1)
		return fmt.Errorf("methods are written in capitals: %s", strings.ToUpper(name))
	case name == "CONNECT":
		return errors.New("CONNECT has no path, and is refused")
	}
	return nil
}
