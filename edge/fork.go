package edge

import (
	"context"
	"strings"
	"time"
)

// Fork returns an exchange of its own with a deep copy of the request's head,
// for what outlives the client's exchange or multiplies it. It has no body, no
// client to inform and an empty Record, and it is cancelled when ctx is done.
// Whoever forks closes Response.Body and then calls End. Fork is called before a
// transport pumps the request's body.
func (x *Exchange) Fork(ctx context.Context) *Exchange {
	r := &x.Request
	f := &Exchange{Client: x.Client, Limits: x.Limits}
	f.Record.reset(x.Client, time.Now())
	f.Record.ID = strings.Clone(x.Record.ID)
	f.Record.ClientAddr, f.Record.ClientIP, f.Record.Trusted = x.Record.ClientAddr, strings.Clone(x.Record.ClientIP), x.Record.Trusted
	f.Record.Hops = x.Record.Hops
	f.Request = Request{
		Method:    strings.Clone(r.Method),
		Scheme:    strings.Clone(r.Scheme),
		Authority: strings.Clone(r.Authority),
		Path:      strings.Clone(r.Path),
		Query:     strings.Clone(r.Query),
		Proto:     strings.Clone(r.Proto),
		Fields:    r.Fields.Clone(),
	}
	if ctx.Done() != nil {
		unlink := context.AfterFunc(ctx, func() { f.Cancel(context.Cause(ctx)) })
		f.stop = func() { unlink() }
	}
	return f
}

// Pseudonym is what Via calls a proxy of ours.
const Pseudonym = "sluice"

// Send makes r the request of a fork, in the place of the copy. Via says how many
// proxies of ours it comes from, whatever the guest that sends it has made of the
// request that it got, so that one which comes back to where it came from is found out
// (RFC 9110, section 7.6.3).
func (x *Exchange) Send(r Request) {
	x.Request = r
	for range max(1, x.Record.Hops) {
		x.Request.Fields.Add("Via", "1.1 "+Pseudonym)
	}
}
