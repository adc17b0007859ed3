package http1_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
)

var discard = slog.New(slog.DiscardHandler)

// Drain closes idle connections, parked or not, at once, and the others after
// their exchange.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	h := edge.HandlerFunc(func(x *edge.Exchange) error {
		if x.Request.Path == "/slow" {
			<-release
		}
		x.Respond(200, edge.Content([]byte("ok")), 2)
		return nil
	})
	s, addr := serve(t, h, http1.Config{Tick: quick.Tick, Park: quick.Tick})
	parked := dial(t, addr)
	parked.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	parked.whole()
	eventually(t, "a connection is parked", func() bool { return s.Stats().Parked == 1 })
	busy := dial(t, addr)
	busy.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "a connection is active", func() bool { return s.Stats().Active == 1 })

	s.Drain()
	if rest := parked.closed(); rest != "" {
		t.Errorf("the parked connection: got %q", rest)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: got %v while an exchange goes on", err)
	}
	close(release)
	if res, b := busy.whole(); b != "ok" || !res.Close {
		t.Errorf("the busy connection: got %v %q", res, b)
	}
	busy.closed()
	busy.Close()
	if err := s.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDrainIdle(t *testing.T) {
	s, addr := serve(t, fixed(200, "ok"), quick)
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.whole()
	eventually(t, "the connection is idle", func() bool { st := s.Stats(); return st.Idle == 1 && st.Parked == 0 })
	s.Drain()
	if rest := c.closed(); rest != "" {
		t.Errorf("got %q", rest)
	}
}

// Close cuts what is going on, cancels its exchange and waits for it.
func TestClose(t *testing.T) {
	cancelled := make(chan error, 1)
	h := edge.HandlerFunc(func(x *edge.Exchange) error {
		<-x.Context().Done()
		cancelled <- x.Cancelled()
		return x.Cancelled()
	})
	s, addr := serve(t, h, http1.Config{})
	c := dial(t, addr)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	idle := dial(t, addr)
	eventually(t, "there are two connections", func() bool { st := s.Stats(); return st.Active == 1 && st.Idle == 1 })
	s.Close()
	select {
	case err := <-cancelled:
		if edge.AsError(err).Kind != edge.ClientGone {
			t.Error(err)
		}
	default:
		t.Error("Close has not waited for the exchange")
	}
	c.closed()
	idle.closed()

	// Whoever comes later is not served.
	a, b := net.Pipe()
	s.ServeConn(a, edge.Client{})
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}
