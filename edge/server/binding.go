package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/certs"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/http2"
	"github.com/sluice-edge/sluice/edge/http3"
	"github.com/sluice-edge/sluice/edge/listen"
)

// handshakeTimeout bounds a TLS handshake: a client that has not finished it by
// then has sent nothing that is worth waiting for.
const handshakeTimeout = 10 * time.Second

// binding is a bound address: its sockets, and the engines behind them.
type binding struct {
	log     *slog.Logger
	network string // "tcp" or "unix"
	address string
	key     string // of the address
	door    *door
	tcp     *listen.Listener
	udp     net.PacketConn // nil without TLS

	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil without TLS
	tls         atomic.Pointer[tls.Config]                           // of connections to come; nil without TLS

	h1 *http1.Server
	h2 *http2.Server // nil without TLS
	h3 *http3.Server // nil without TLS

	serving sync.WaitGroup // the goroutines that accept
}

// bind opens the sockets of an address.
func (s *Server) bind(a address, f *config.File) (*binding, error) {
	b := &binding{log: s.log, network: a.network, address: a.address, key: a.key()}
	var err error
	if b.tcp, err = listen.Stream(a.network, a.address, f.Limits.Connections, s.log); err != nil {
		return nil, err
	}
	b.door = &door{server: s, key: a.key()}
	b.h1 = http1.NewServer(b.door, http1Config(f.Limits), s.log)
	if !a.encrypted {
		return b, nil
	}
	if b.udp, err = listen.Packet(b.tcp.Addr().String()); err != nil {
		b.tcp.Close()
		return nil, err
	}
	b.h2 = http2.NewServer(b.door, http2Config(f.Limits), s.log)
	b.h3 = http3.NewServer(b.door, http3Config(f.Limits), s.log)
	b.certificate = s.certificates(a.key())
	b.configure(f)
	return b, nil
}

// start accepts connections until drain or close.
func (b *binding) start() {
	b.serving.Go(func() {
		if err := b.tcp.Serve(b.serveConn); err != nil {
			b.log.Error("accepting connections has failed", "address", b.address, "error", err)
		}
	})
	if b.udp != nil {
		b.serving.Go(func() {
			if err := b.h3.Serve(b.udp, b.tls.Load()); err != nil {
				b.log.Error("accepting QUIC connections has failed", "address", b.address, "error", err)
			}
		})
	}
}

// serveConn serves one connection until it is over.
func (b *binding) serveConn(c net.Conn) {
	client := edge.NewClient(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()), nil)
	if b.certificate == nil {
		b.h1.ServeConn(c, client)
		return
	}
	secured := tls.Server(c, b.tls.Load())
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	err := secured.HandshakeContext(ctx)
	cancel()
	if err != nil {
		b.log.Debug("TLS handshake has failed", "client", client.IP, "error", err)
		c.Close()
		return
	}
	state := secured.ConnectionState()
	client.TLS = &state
	if state.NegotiatedProtocol == "h2" {
		b.h2.ServeConn(secured, client)
		return
	}
	b.h1.ServeConn(secured, client)
}

// addrPort returns a's address; that of a unix socket's peer is unknown.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// configure makes what f says hold for connections to come.
func (b *binding) configure(f *config.File) {
	b.tcp.SetLimit(f.Limits.Connections)
	b.h1.SetConfig(http1Config(f.Limits))
	if b.certificate == nil {
		return
	}
	b.h2.SetConfig(http2Config(f.Limits))
	b.h3.SetConfig(http3Config(f.Limits))
	if have := b.tls.Load(); have == nil || have.MinVersion != f.TLS.Min {
		b.tls.Store(certs.ServerTLS(b.certificate, f.TLS.Min, "h2", "http/1.1"))
	}
}

// drain stops accepting, and asks every connection to end with its exchange.
func (b *binding) drain() {
	b.tcp.Close()
	b.h1.Drain()
	if b.h2 != nil {
		b.h2.Drain()
		b.h3.Drain()
	}
}

// wait waits until no connection is left, or ctx is done.
func (b *binding) wait(ctx context.Context) error {
	err := b.h1.Wait(ctx)
	if b.h2 != nil {
		err = errors.Join(err, b.h2.Wait(ctx), b.h3.Wait(ctx))
	}
	return err
}

// close cuts every connection and waits for what served it.
func (b *binding) close() {
	b.tcp.Close()
	b.tcp.Cut() // handshakes too
	b.h1.Close()
	if b.h2 != nil {
		b.h2.Close()
		b.h3.Close()
	}
	b.serving.Wait()
	if b.udp != nil {
		b.udp.Close() // not while HTTP/3 still reads from it
	}
}

// altSvc returns what tells clients of HTTP/3 here; "" if there is none.
func (b *binding) altSvc() string {
	if b.udp == nil {
		return ""
	}
	return http3.AltSvc(b.udp.LocalAddr().(*net.UDPAddr).Port)
}

// url returns the address as people type it.
func (b *binding) url() string {
	switch {
	case b.network == "unix":
		return "unix:" + b.address
	case b.certificate != nil:
		return "https://" + b.tcp.Addr().String()
	}
	return "http://" + b.tcp.Addr().String()
}

// describe returns the binding as the API shows it.
func (b *binding) describe() api.Listener {
	l := api.Listener{Name: b.address, Address: b.url(), Protocols: []string{"http/1.1"}}
	if b.certificate != nil {
		l.Protocols = []string{"http/1.1", "h2", "h3"}
	}
	return l
}

// count adds the binding's connections to the counts by protocol.
func (b *binding) count(all map[string]*api.Connections) {
	add := func(protocol string, open, active, tunnels int) {
		c := all[protocol]
		if c == nil {
			c = &api.Connections{Protocol: protocol}
			all[protocol] = c
		}
		c.Open, c.Active, c.Tunnels = c.Open+open, c.Active+active, c.Tunnels+tunnels
	}
	h1 := b.h1.Stats()
	add("http/1.1", h1.Open, h1.Active, h1.Tunnels)
	if b.h2 != nil {
		h2, h3 := b.h2.Stats(), b.h3.Stats()
		add("h2", h2.Open, h2.Active, 0)
		add("h3", int(h3.Connections), int(h3.Active), 0)
	}
}

func http1Config(l config.Limits) http1.Config {
	return http1.Config{HeaderBytes: int(l.Header), Fields: l.Fields, Stalled: l.Stalled}
}

func http2Config(l config.Limits) http2.Config {
	return http2.Config{HeaderBytes: int(l.Header), Fields: l.Fields, Stalled: l.Stalled}
}

func http3Config(l config.Limits) http3.Config {
	return http3.Config{HeaderBytes: int(l.Header), Fields: l.Fields, Stalled: l.Stalled, Connections: l.Connections}
}
