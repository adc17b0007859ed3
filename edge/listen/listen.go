// Package listen opens the sockets that clients connect to, and accepts from
// them.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// keepAlive is after how long an idle TCP connection is probed, and how often.
const keepAlive = 15 * time.Second

// packetBuffer is how many bytes of UDP the kernel is asked to hold in each
// direction while we are busy. It grants net.core.rmem_max and wmem_max at most.
const packetBuffer = 4 << 20

// Parse splits the address of a file or a flag into what [Open] takes:
// "unix:/path" is a unix socket, everything else HOST:PORT of TCP, where an empty
// HOST means every address of the machine.
func Parse(s string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", "", fmt.Errorf("address %q has no path: expected unix:/path", s)
		}
		return "unix", path, nil
	}
	if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
		return "", "", fmt.Errorf("address %q: expected HOST:PORT, [IPv6]:PORT, :PORT or unix:/path", s)
	}
	return "tcp", s, nil
}

// Open opens a listening socket: network is "tcp" or "unix". A unix socket that a
// process has left behind is replaced; closing ours removes it.
func Open(network, address string) (net.Listener, error) {
	if network == "unix" {
		return openUnix(address)
	}
	c := net.ListenConfig{KeepAlive: keepAlive}
	l, err := c.Listen(context.Background(), network, address)
	if err != nil {
		return nil, explain(network, address, err)
	}
	return l, nil
}

// Packet opens a UDP socket.
func Packet(address string) (net.PacketConn, error) {
	var c net.ListenConfig
	p, err := c.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, explain("udp", address, err)
	}
	u := p.(*net.UDPConn)
	// As much as the kernel grants; less costs speed and nothing else.
	u.SetReadBuffer(packetBuffer)
	u.SetWriteBuffer(packetBuffer)
	return u, nil
}

// openUnix opens a unix socket. Two processes that do so at the same time may
// both find the old one dead; the later then has the path, as if it had been
// started later.
func openUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err == nil {
		return l, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) || strings.HasPrefix(path, "@") {
		return nil, explain("unix", path, err)
	}
	info, statErr := os.Lstat(path)
	if statErr != nil {
		return nil, explain("unix", path, statErr)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("listen on unix:%s: there is a file of that name which is not a socket: move it away, or choose another path", path)
	}
	c, dialErr := net.DialTimeout("unix", path, time.Second)
	if dialErr == nil {
		c.Close()
		return nil, explain("unix", path, err)
	}
	// Only a refusal says that nobody listens; anything else may be a process that
	// is busy, or that we may not reach.
	if !errors.Is(dialErr, syscall.ECONNREFUSED) {
		return nil, explain("unix", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on unix:%s: nobody listens on the socket that is there, but it cannot be removed: %w", path, err)
	}
	l, err = net.Listen("unix", path)
	if err != nil {
		return nil, explain("unix", path, err)
	}
	return l, nil
}

// explain says what an error means and what can be done about it.
func explain(network, address string, err error) error {
	where := network + " " + address
	if network == "unix" {
		where = "unix:" + address
	}
	cause := err
	if s, ok := errors.AsType[syscall.Errno](err); ok {
		cause = s // "listen tcp :80: bind:" says nothing more
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		cause = op.Err
	}
	if hint := hint(network, address, err); hint != "" {
		return fmt.Errorf("listen on %s: %w: %s", where, cause, hint)
	}
	return fmt.Errorf("listen on %s: %w", where, cause)
}

func hint(network, address string, err error) string {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && network == "unix":
		return fmt.Sprintf("another process listens there (ss -lxp src %s shows which): stop it, or choose another path", address)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("another process listens there (ss -l%cnp 'sport = :%s', as root, shows which): stop it, or choose another port", network[0], port)
	case errors.Is(err, os.ErrPermission) && network == "unix":
		return "the directory must be writable for this user"
	case errors.Is(err, os.ErrPermission):
		return "ports below 1024 need a privilege: run `setcap cap_net_bind_service=+ep` on the binary, set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or choose a port from 1024 on"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no interface of this machine has that address"
	case errors.Is(err, os.ErrNotExist) && network == "unix":
		return "the directory does not exist"
	case errors.Is(err, syscall.EINVAL) && network == "unix":
		return "the path is too long for a socket (107 bytes on Linux)"
	}
	return ""
}
