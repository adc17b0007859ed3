package route

import "github.com/sluice-edge/sluice/edge"

// Answer makes the request what the client has asked for again, and changes the
// fields of the answer that lead back to the origin, Location, Content-Location,
// Refresh and Set-Cookie, to what is right for the client. It is called whatever
// has become of the exchange. Where nothing is to be changed it allocates nothing.
func (r *Rewrite) Answer(x *edge.Exchange, was *Asked) {
	was.Restore(x)
}
