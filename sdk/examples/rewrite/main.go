// Rewrite puts another prefix in place of the path's. The configuration has the two
// on each line; the first that fits counts. The query stays.
package main

import (
	"errors"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
)

func init() {
	w := new(rewriter)
	sdk.Handle(sdk.Filter{Configure: w.configure, Request: w.request})
}

func main() {}

type rewriter struct {
	rules []rule
}

type rule struct{ from, to string }

func (w *rewriter) configure(config []byte) error {
	for line := range strings.SplitSeq(string(config), "\n") {
		if line == "" {
			continue
		}
		from, to, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(from, "/") || !strings.HasPrefix(to, "/") {
			return errors.New("want two paths on each line")
		}
		w.rules = append(w.rules, rule{from, to})
	}
	if w.rules == nil {
		return errors.New("want two paths on each line")
	}
	return nil
}

func (w *rewriter) request(x *sdk.Exchange) sdk.Verdict {
	uri := x.Request.URI()
	for _, r := range w.rules {
		if rest, ok := strings.CutPrefix(uri, r.from); ok {
			x.Request.SetURI(r.to + rest)
			break
		}
	}
	return sdk.Next
}
