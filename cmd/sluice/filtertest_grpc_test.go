package main

import (
	"context"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/edgetest"
	"github.com/sluice-edge/sluice/edge/grpc"
)

// An upstream that is a URL can be a service of gRPC, too.
func TestPlayedUpstreamOfGRPC(t *testing.T) {
	addr := edgetest.ServeGRPC(t, func(c *edgetest.GRPC) {
		m, err := c.Receive()
		if err != nil {
			t.Error(err)
		}
		c.Send("re: " + string(m))
		c.Status(0, "")
	})
	h, err := playedUpstream("api", "http://"+addr)
	if err != nil {
		t.Fatal(err)
	}
	var x edge.Exchange
	x.Client = new(edge.Client)
	c := grpc.New(x.Fork(context.Background()), grpc.Request{Authority: "api", Service: "a.B", Method: "C"})
	c.Send([]byte("a"))
	c.CloseSend()
	if _, ok := c.Open(h); !ok {
		t.Fatalf("%+v", c.End())
	}
	m, ok := c.Receive()
	c.Receive()
	if s := c.End(); !ok || string(m) != "re: a" || s.Code != grpc.OK {
		t.Errorf("%q, %+v", m, s)
	}
}
