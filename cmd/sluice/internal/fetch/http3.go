package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Transport returns a client whose sockets are connected, so that it learns
// at once where nobody listens.
func http3Transport(conf *tls.Config, to string, connect time.Duration) transport {
	var mu sync.Mutex
	var sockets []*quic.Transport
	t := &http3.Transport{
		TLSClientConfig:    conf,
		DisableCompression: true,
		QUICConfig:         &quic.Config{HandshakeIdleTimeout: connect},
		Dial: func(ctx context.Context, addr string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
			addrs, err := resolve(ctx, cmp.Or(to, addr))
			if err != nil {
				return nil, err
			}
			for _, a := range addrs {
				var c *quic.Conn
				var s *quic.Transport
				if s, c, err = dial(ctx, a, conf, q); err == nil {
					mu.Lock()
					sockets = append(sockets, s)
					mu.Unlock()
					return c, nil
				}
			}
			return nil, err
		},
	}
	return transport{t, func() {
		t.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, s := range sockets {
			s.Close()
			s.Conn.Close()
		}
	}}
}

// resolve returns the addresses of "host:port".
func resolve(ctx context.Context, addr string) (list []*net.UDPAddr, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		list = append(list, &net.UDPAddr{IP: ip.IP, Port: port, Zone: ip.Zone})
	}
	return list, nil
}

func dial(ctx context.Context, addr *net.UDPAddr, conf *tls.Config, q *quic.Config) (*quic.Transport, *quic.Conn, error) {
	u, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		return nil, nil, err
	}
	t := &quic.Transport{Conn: &connected{u, u}}
	c, err := t.Dial(ctx, addr, conf, q)
	if err != nil {
		t.Close()
		u.Close()
		return nil, nil, err
	}
	return t, c, nil
}

// connected is a UDP socket of one peer. It has no more methods than quic-go
// needs to send with Write: connected sockets take no address.
type connected struct {
	net.PacketConn
	u *net.UDPConn
}

func (c *connected) WriteTo(p []byte, _ net.Addr) (int, error) { return c.u.Write(p) }
func (c *connected) SyscallConn() (syscall.RawConn, error)     { return c.u.SyscallConn() }
func (c *connected) SetReadBuffer(n int) error                 { return c.u.SetReadBuffer(n) }
func (c *connected) SetWriteBuffer(n int) error                { return c.u.SetWriteBuffer(n) }

// explainQUIC says what a failure to connect means; "" if it knows nothing better.
func explainQUIC(addr string, err error) string {
	var idle *quic.HandshakeTimeoutError
	var late *quic.IdleTimeoutError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no HTTP/3 there: nobody listens on UDP %s", addr)
	case errors.As(err, &idle), errors.As(err, &late):
		return fmt.Sprintf("no HTTP/3 there: nobody answers on UDP %s (a firewall may drop it)", addr)
	}
	return ""
}
