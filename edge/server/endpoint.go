package server

import (
	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/grpc"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// endpoint forwards exchanges to one endpoint: calls of gRPC by HTTP/2, all others by
// HTTP/1.1.
type endpoint struct {
	*http1.Transport
	calls *grpc.Transport
}

// NewTransport returns what forwards to an endpoint: by HTTP/1.1, and calls of gRPC by
// HTTP/2.
func NewTransport(e upstream.Endpoint, cfg http1.TransportConfig) upstream.Transport {
	return &endpoint{
		Transport: http1.NewTransport(e.Network, e.Address, cfg),
		calls:     grpc.NewTransport(e.Network, e.Address, grpc.TransportConfig{}),
	}
}

// Serve implements [edge.Handler].
func (e *endpoint) Serve(x *edge.Exchange) error {
	if x.Request.GRPC {
		return e.calls.Serve(x)
	}
	return e.Transport.Serve(x)
}

// Idle returns the number of connections that are open and unused.
func (e *endpoint) Idle() int { return e.Transport.Idle() + e.calls.Idle() }

// Retire closes them, and every other one when its exchange ends.
func (e *endpoint) Retire() {
	e.Transport.Retire()
	e.calls.Retire()
}
