package compress

import "github.com/sluice-edge/sluice/edge"

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
	if !ok {
		return "", "Accept-Encoding asks for none of those that the route prefers, or for none rather than them"
	}
	return c.String(), "the client weighs it highest; among equals the first that the route prefers"
}
