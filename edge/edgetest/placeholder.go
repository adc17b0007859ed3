package edgetest

import (
	"fmt"
	"net"
	"regexp"
	"strings"

	"golang.org/x/tools/txtar"
)

var placeholder = regexp.MustCompile(`\$(ORIGIN|PORT)[A-Z0-9_]*`)

// placeholders returns what puts addresses and ports into the files of a.
func (s *script) placeholders(a *txtar.Archive) (func(string) string, error) {
	values := map[string]string{}
	for name, o := range s.origins {
		values["$"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = o.addr
	}
	// All ports are taken before one is given back, so that they differ.
	var taken []net.Listener
	defer func() {
		for _, l := range taken {
			l.Close()
		}
	}()
	for _, f := range a.Files {
		for _, p := range placeholder.FindAllString(string(f.Data), -1) {
			if _, ok := values[p]; ok || f.Name == "script" {
				continue
			}
			if !strings.HasPrefix(p, "$PORT") {
				return nil, fmt.Errorf("%s: %s has %s, and the script no such origin", s.name, f.Name, p)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			taken = append(taken, l)
			_, values[p], _ = net.SplitHostPort(l.Addr().String())
		}
	}
	return func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(p string) string { return values[p] })
	}, nil
}
