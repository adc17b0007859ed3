package upstream_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/upstream"
)

// client is a transport by net/http, to one address.
type client struct {
	http.Transport
	address string
}

func (c *client) Idle() int { return 0 }
func (c *client) Retire()   { c.CloseIdleConnections() }

func (c *client) Serve(x *edge.Exchange) error {
	req, err := http.NewRequest(x.Request.Method, "http://"+c.address+x.Request.Path, nil)
	if err != nil {
		return err
	}
	res, err := c.RoundTrip(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &edge.Error{Kind: edge.ConnectionRefused, Op: "dial", Retryable: true, Err: err}
	case err != nil:
		return &edge.Error{Kind: edge.ConnectionTerminated, Op: "forward", Err: err}
	}
	x.Respond(res.StatusCode, res.Body, res.ContentLength)
	return nil
}

// Over real sockets: an origin that listens, one whose port is closed.
func TestClosedPort(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) }))
	defer origin.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	alive := origin.Listener.Addr().String()
	p := upstream.New(upstream.Config{Name: "shop", Endpoints: []upstream.Endpoint{
		{Network: "tcp", Address: closed.Addr().String()},
		{Network: "tcp", Address: alive},
	}}, func(e upstream.Endpoint) upstream.Transport { return &client{address: e.Address} })
	defer p.Retire()

	tries := 0
	for range 10 {
		x := new(edge.Exchange)
		x.Request.Method, x.Request.Path = "GET", "/x"
		if err := p.Serve(x); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(x.Response.Body)
		if string(body) != "hello /x" || err != nil || x.Record.Endpoint != alive {
			t.Errorf("got %q, %v from %s", body, err, x.Record.Endpoint)
		}
		tries += x.Record.Tries
		x.Response.Body.Close()
		x.End()
	}
	st := p.Status().Endpoints[0]
	if st.Errors[edge.ConnectionRefused] == 0 || int(st.Requests)+10 != tries {
		t.Errorf("%d tries; the closed port: %+v", tries, st)
	}
}
