package compress

import (
	"fmt"

	"github.com/sluice-edge/sluice/edge"
)

// Explain returns the coding that a response to x would be encoded in, "" for
// none, and why. Whether there is anything to encode is for the response to say.
func (s *Stage) Explain(x *edge.Exchange) (coding, why string) {
	f := &x.Request.Fields
	switch {
	case x.Request.Upgrade != "":
		return "", "the request asks for another protocol"
	case hasDirective(f, "no-transform"):
		return "", "the request says Cache-Control: no-transform"
	case !f.Has("Accept-Encoding"):
		return "", "the request has no Accept-Encoding"
	}
	c, ok := negotiate(f, s.prefer)
	if ok {
		return c.String(), fmt.Sprintf("of %s the request likes it best; of those that it likes as much it is the first", s.offers())
	}
	return "", fmt.Sprintf("the request likes none of %s, or likes identity more", s.offers())
}

// Ask makes of a request what lies behind a stage is asked: for identity, unless
// nothing is to be transformed.
func Ask(r *edge.Request) {
	if transforms(r) {
		askIdentity(&r.Fields)
	}
}

// offers lists the codings that the stage may use, by preference.
func (s *Stage) offers() (list string) {
	for i, c := range s.prefer {
		if i > 0 {
			list += ", "
		}
		list += c.String()
	}
	return list
}
